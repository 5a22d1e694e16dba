"""What is going on, on stderr: lines that change in place on a terminal, one line per step elsewhere."""

from __future__ import annotations

import sys
import threading
from typing import TextIO


class Progress:
    """A line per thing that is being worked on. `quiet` shows nothing. Safe from several threads."""

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._live = not quiet and self._stream.isatty()
        self._lines: dict[str, str] = {}
        self._drawn = 0
        self._lock = threading.Lock()

    def step(self, subject: str, state: str) -> None:
        """`subject` has come to `state`."""
        if self._quiet:
            return
        with self._lock:
            if self._lines.get(subject) == state:
                return
            self._lines[subject] = state
            if self._live:
                self._draw()
            else:
                self._write(f"{subject}: {state}\n")

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._quiet:
            return
        with self._lock:
            self._clear()
            self._write(text + "\n")
            if self._live:
                self._draw()

    def done(self) -> None:
        """Take the display away: the result follows."""
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        if self._live and self._drawn:
            self._write(f"\x1b[{self._drawn}F\x1b[J")
            self._drawn = 0

    def _draw(self) -> None:
        import shutil

        from kubeplay.cli.table import printable

        size = shutil.get_terminal_size()
        shown = list(self._lines.items())[-(max(2, size.lines) - 1) :]
        back = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""
        text = "".join(printable(f"{subject}: {state}")[: size.columns - 1] + "\n" for subject, state in shown)
        self._write(back + text)
        self._drawn = len(shown)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._quiet = True
