"""What is going on, on stderr: lines that change in place on a terminal, one line per step elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from typing import TextIO

EVERY = 0.1  # seconds between two drawings of bars


class Progress:
    """A line per thing that is being worked on. `quiet` shows nothing. Safe from several threads."""

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._live = not quiet and self._stream.isatty()
        self._lines: dict[str, str] = {}
        self._due = 0.0
        self._bars: dict[str, str] = {}
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

    @property
    def live(self) -> bool:
        """Whether lines change in place, so that bars can be shown."""
        return self._live

    def bar(self, key: str, text: str) -> None:
        """A line below the others that goes on changing; "" takes it away. For a terminal only."""
        with self._lock:
            if self._live and (text or key in self._bars):
                self._bars[key] = text
                if not text:
                    del self._bars[key]
                if not text or time.monotonic() >= self._due:
                    self._due = time.monotonic() + EVERY
                    self._draw()

    def say(self, text: str, *, warning: bool = False) -> None:
        """A line that stays; a warning is said also when quiet."""
        if self._quiet and not warning:
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
        steps = [f"{subject}: {state}" for subject, state in self._lines.items()]
        shown = [*steps, *self._bars.values()][-(max(2, size.lines) - 1) :]
        back = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""
        text = "".join(printable(line)[: size.columns - 1] + "\n" for line in shown)
        self._write(back + text)
        self._drawn = len(shown)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._quiet = True
