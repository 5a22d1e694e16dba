"""How a copy of images goes on, on stderr: a bar for each blob on a terminal, podman's lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from typing import TextIO

from kubeplay.cli.table import printable
from kubeplay.engine.images.copying import progress
from kubeplay.engine.images.copying.progress import Progress

_EVERY = 0.1  # seconds between two drawings; blobs tell of every quarter of a MiB
_WINDOW = 3.0  # seconds over which the speed is taken
_WIDEST = 30  # characters of a bar
_ENDS = {progress.DONE: "done", progress.SKIPPED: "skipped: already exists"}


class _Blob:
    """A blob under way. `marks` are (when, bytes) of the last seconds."""

    def __init__(self, total: int) -> None:
        self.done, self.total, self.state = 0, total, progress.START
        self.marks: list[tuple[float, int]] = []

    def advance(self, done: int, now: float) -> None:
        self.done = done
        self.marks = [mark for mark in self.marks if now - mark[0] < _WINDOW] + [(now, done)]

    def speed(self) -> float:
        """Bytes per second."""
        (begin, first), (end, last) = (self.marks[0], self.marks[-1]) if self.marks else ((0.0, 0), (0.0, 0))
        return max(0.0, (last - first) / (end - begin)) if end > begin else 0.0


class Bars:
    """A receiver of progress events (call it with them), from several threads. `quiet` shows nothing but warnings.

    Use as a context manager: leaving it takes unfinished bars away, so that an error stands alone.
    """

    def __init__(self, quiet: bool = False, stream: TextIO | None = None, width: int = 0) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._live = not quiet and self._stream.isatty()
        self._width = width
        self._lock = threading.Lock()
        self._blobs: dict[str, _Blob] = {}
        self._drawn = 0
        self._due = 0.0

    def __call__(self, event: Progress) -> None:
        line = _line(event)
        with self._lock:
            if event.kind == progress.WARNING:
                self._say(f"WARNING: {event.subject}")
            elif self._quiet:
                return
            elif event.kind == progress.BLOB:
                self._blob(event)
            elif line:
                self._say(line)

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *args: object) -> None:
        with self._lock:
            self._clear()

    def _blob(self, event: Progress) -> None:
        if event.state in _ENDS or event.state == progress.FAILED:
            self._blobs.pop(event.subject, None)
            if event.state in _ENDS:
                self._say(f"Copying blob {event.subject} {_ENDS[event.state]}")
            return
        now = time.monotonic()
        blob = self._blobs.setdefault(event.subject, _Blob(event.total))
        blob.state = event.state
        blob.advance(event.done, now)
        if not self._live:
            if event.state == progress.WAITING:
                self._say(f"Copying blob {event.subject} waiting: another process copies it")
        elif now >= self._due:
            self._draw(now)

    def _say(self, text: str) -> None:
        self._clear()
        self._write(printable(text) + "\n")
        if self._live and self._blobs:
            self._draw(time.monotonic())

    def _clear(self) -> None:
        if self._drawn:
            self._write(f"\x1b[{self._drawn}F\x1b[J")
            self._drawn = 0

    def _draw(self, now: float) -> None:
        import shutil

        columns, lines = shutil.get_terminal_size()
        shown = list(self._blobs.items())[-(max(2, lines) - 1) :]
        text = "".join(row(digest, blob, self._width or columns) + "\n" for digest, blob in shown)
        back = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""
        self._write(back + text)
        self._drawn, self._due = len(shown), now + _EVERY

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._quiet = True  # nobody reads it


def row(digest: str, blob: _Blob, columns: int) -> str:
    """One bar: `Copying blob 0123456789ab [====>     ] 12.3MiB / 45.6MiB  8.1MiB/s  4s`."""
    head = f"Copying blob {digest.removeprefix('sha256:')[:12]} "
    if blob.state == progress.WAITING:
        return f"{head}waiting: another process copies it"[: columns - 1]
    speed = blob.speed()
    left = f"  {clock((blob.total - blob.done) / speed)}" if speed and blob.total > blob.done else ""
    tail = f" {binary(blob.done)} / {binary(blob.total)}  {binary(speed)}/s{left}"
    room = min(_WIDEST, columns - len(head) - len(tail) - 3)
    if room < 5:
        return (head + tail.strip())[: columns - 1]
    filled = min(room, room * blob.done // blob.total) if blob.total else room
    return f"{head}[{'=' * max(0, filled - 1)}{'>' if filled else ''}{' ' * (room - filled)}]{tail}"


def binary(count: float) -> str:
    """`12.3MiB`, as podman shows blobs."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024 or unit == "TiB":
            return f"{count:.1f}{unit}"
        count /= 1024
    raise AssertionError


def clock(seconds: float) -> str:
    """`4s`, `1m05s`, `2h03m`."""
    whole = min(int(seconds + 0.5), 359_999)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m{rest:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"


def _line(event: Progress) -> str:
    """podman's words for everything but blobs."""
    if event.kind == progress.TRYING:
        return f"Trying to pull {event.subject}..."
    if event.kind == progress.SIGNATURES:
        return "Getting image source signatures"
    if event.kind == progress.CONFIG and event.state == progress.DONE:
        return f"Copying config {event.subject} done"
    if event.kind == progress.MANIFEST:
        return "Writing manifest to image destination"
    return ""
