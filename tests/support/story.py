"""A page's console blocks, typed line by line: what each command prints is held against what the page shows.

`$ COMMAND` is typed in a shell; the lines up to the next one are what it prints. `…` in a line stands for any text, a line `...` for any
lines. What goes to standard output has to be shown whole, of standard error a page may leave out lines. A command that ends in `&` stays,
`kill %1` ends it. What only looks is looked at again until it is as the page says, for things take their time.
"""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

PATIENCE = 100  # seconds until what is looked at must be so
_LOOKS = ("kubeplay get ", "kubeplay sync status", "kubeplay kube history", "curl ")


class Line(NamedTuple):
    """A command and what it shows; `number` is its line on the page."""

    command: str
    shown: tuple[str, ...]
    number: int


class Said(NamedTuple):
    out: str
    err: str


def lines(page: Path) -> list[Line]:
    """The commands of all console blocks."""
    found: list[Line] = []
    inside = False
    for number, text in enumerate(page.read_text().splitlines(), 1):
        if text.startswith("```"):
            inside = text == "```console"
        elif inside and text.startswith("$ "):
            found.append(Line(text[2:], (), number))
        elif inside:
            found[-1] = found[-1]._replace(shown=(*found[-1].shown, text))
    return found


def matches(shown: tuple[str, ...], out: str, err: str) -> bool:
    """Whether what was printed is as shown: `out` whole and in order, of `err` the lines that are shown."""
    return _matches(list(shown), out.splitlines(), err.splitlines())


def _matches(shown: list[str], out: list[str], err: list[str]) -> bool:
    if not shown:
        return not out
    first, rest = shown[0], shown[1:]
    if first == "...":
        return any(_matches(rest, out[skip:], err) for skip in range(len(out) + 1))
    if out and _fits(first, out[0]) and _matches(rest, out[1:], err):
        return True
    return any(_fits(first, line) and _matches(rest, out, err[at + 1 :]) for at, line in enumerate(err))


def _fits(shown: str, printed: str) -> bool:
    pattern = r"\s*".join(".*".join(map(re.escape, part.split("…"))) for part in shown.split())
    return re.fullmatch(pattern, printed.strip()) is not None


class Shell:
    """Where the page's commands are typed; use it as a context manager."""

    def __init__(self, directory: Path, env: Mapping[str, str]) -> None:
        self._directory, self._env = directory, dict(env)
        self._staying: subprocess.Popen[bytes] | None = None
        self.said: dict[str, list[Said]] = {}

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def type(self, line: Line, command: str) -> None:
        """`command` is the line's, with the names of this machine."""
        if command == "kill %1":
            self._end()
        elif command.endswith("&"):
            self._staying = subprocess.Popen(["bash", "-c", f"exec {command[:-1]}"], cwd=self._directory, env=self._env)
        else:
            until = time.monotonic() + PATIENCE
            while not matches(line.shown, *(said := self._run(command))):
                looks = command.startswith(_LOOKS) and time.monotonic() < until
                assert looks, f"line {line.number}: $ {command}\n{said.out}{said.err}\nis not\n" + "\n".join(line.shown)
                time.sleep(0.2)
            self.said.setdefault(line.command, []).append(said)

    def _run(self, command: str) -> Said:
        done = subprocess.run(["bash", "-c", command], cwd=self._directory, env=self._env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=300)  # fmt: skip
        return Said(done.stdout, done.stderr)

    def _end(self) -> None:
        staying, self._staying = self._staying, None
        if staying is not None:
            staying.send_signal(signal.SIGTERM)
            staying.wait(PATIENCE)
