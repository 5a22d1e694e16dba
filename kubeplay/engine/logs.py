"""Container logs as conmon writes them: CRI lines `TIME stdout|stderr F|P TEXT`, read across rotations, followed, rotated (CS12).

Files are opened without following links and must be ordinary ones (GHSA-rgh6-rfwx-v388); nothing is kept of a line but one block, so a
container cannot make us large.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from kubeplay.engine.store.runtime import CREATED, RUNNING, ContainerRow

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.plan.pod import LogPlan

_BLOCK = 1 << 16
_LONGEST = 1 << 18  # bytes of one log entry; conmon cuts at its buffer of 8 KiB, more means a foreign hand
_POLL_SECONDS = 0.1  # -f: changes must show within about a second (RB5)
_REOPEN = b"2 0 0\n"  # conmon's ctl FIFO: message type 2 = reopen log files
_REOPEN_SECONDS = 2.0


class Entry(NamedTuple):
    """One log entry. `full` False = the line goes on in the next entry (P)."""

    time: bytes
    stream: bytes
    full: bool
    text: bytes


Sink = Callable[[Entry, str, bool], None]


def parse(line: bytes) -> Entry | None:
    """A line of a log file; None for what is none of ours."""
    parts = line.rstrip(b"\n").split(b" ", 3)
    if len(parts) < 3 or parts[1] not in (b"stdout", b"stderr"):
        return None
    return Entry(parts[0], parts[1], not parts[2].startswith(b"P"), parts[3] if len(parts) > 3 else b"")


def seconds(raw: bytes) -> float:
    """Epoch seconds of a CRI time stamp (RFC 3339 with nanoseconds); 0 for one that cannot be read."""
    import calendar

    text = raw.decode(errors="replace")
    try:
        whole = calendar.timegm((int(text[:4]), int(text[5:7]), int(text[8:10]), int(text[11:13]), int(text[14:16]), int(text[17:19])))
        rest = text[19:]
        zone = max(rest.rfind("+"), rest.rfind("-"))
        fraction = rest[: zone if zone >= 0 else len(rest)].rstrip("Z")
        value = whole + (float("0" + fraction) if fraction.startswith(".") else 0.0)
        if zone >= 0:
            offset = int(rest[zone + 1 : zone + 3]) * 3600 + int(rest[zone + 4 : zone + 6]) * 60
            value -= offset if rest[zone] == "+" else -offset
        return value
    except ValueError:
        return 0.0


def files(path: str) -> list[str]:
    """The log's files, oldest first: rotated ones are PATH.TIME."""
    directory, name = os.path.split(path)
    try:
        older = sorted(n for n in os.listdir(directory) if n.startswith(name + "."))
    except FileNotFoundError:
        return []
    return [f"{directory}/{n}" for n in older] + [path]


def _open(path: str) -> int:
    """A descriptor of an ordinary file, or -1."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return -1
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return -1
    return fd


class _Reader:
    """Complete entries of one file, as it grows."""

    def __init__(self, fd: int, at: int = 0) -> None:
        self.fd = fd
        self._rest = b""
        os.lseek(fd, at, os.SEEK_SET)

    def entries(self) -> Iterator[Entry]:
        while True:
            data = os.read(self.fd, _BLOCK)
            if not data:
                return
            lines = (self._rest + data).split(b"\n")
            self._rest = lines.pop()[:_LONGEST]
            for line in lines:
                entry = parse(line)
                if entry is not None:
                    yield entry

    def size(self) -> int:
        return os.fstat(self.fd).st_size

    def close(self) -> None:
        os.close(self.fd)


def _tail_start(fd: int, wanted: int) -> tuple[int, int]:
    """Where the last `wanted` full lines begin, and how many there are when the file has fewer."""
    end = os.fstat(fd).st_size
    at, count, text = end, 0, b""
    while at > 0:
        size = min(_BLOCK, at)
        at -= size
        text = os.pread(fd, size, at) + text
        begins, place = _line_starts(text, at == 0), 0
        count = 0
        for place in reversed(begins):
            entry = parse(text[place : text.find(b"\n", place) + 1 or None])
            if entry is not None and entry.full:
                count += 1
                if count > wanted:
                    return at + _after(text, place), wanted
    return 0, count


def _line_starts(text: bytes, first: bool) -> list[int]:
    starts = [0] if first and text else []
    place = text.find(b"\n")
    while 0 <= place < len(text) - 1:
        starts.append(place + 1)
        place = text.find(b"\n", place + 1)
    return starts


def _after(text: bytes, place: int) -> int:
    return text.find(b"\n", place) + 1


def _positions(path: str, tail: int | None) -> list[tuple[str, int]]:
    """Files with the offset to begin at, oldest first."""
    names = files(path)
    if tail is None:
        return [(name, 0) for name in names]
    found: list[tuple[str, int]] = []
    left = tail
    for name in reversed(names):
        fd = _open(name)
        if fd < 0:
            continue
        try:
            at, count = (os.fstat(fd).st_size, 0) if left <= 0 else _tail_start(fd, left)
        finally:
            os.close(fd)
        if left > 0 or name == path:
            found.append((name, at))
        left -= count
    return found[::-1]


class _Log:
    """One container's log as it is read; `done` when nothing more will come."""

    def __init__(self, row: ContainerRow, tail: int | None) -> None:
        self.row = row
        self._todo = _positions(row.log_path, tail) if row.log_path else []
        self._reader: _Reader | None = None
        self.partial: dict[bytes, bool] = {}

    def drain(self) -> Iterator[Entry]:
        """Everything there is now."""
        while True:
            if self._reader is None and not self._next():
                return
            assert self._reader is not None
            yield from self._reader.entries()
            if self._todo:
                self._close()
            elif not self._rotated():
                return

    def _next(self) -> bool:
        while self._todo:
            name, at = self._todo.pop(0)
            fd = _open(name)
            if fd >= 0:
                self._reader = _Reader(fd, at)
                return True
        return False

    def _rotated(self) -> bool:
        """Whether the path is another file now; then that is next, once the old one has been read to its end."""
        assert self._reader is not None
        try:
            here, there = os.fstat(self._reader.fd), os.stat(self.row.log_path, follow_symlinks=False)
        except OSError:
            return False
        if here.st_ino == there.st_ino:
            return False
        names = files(self.row.log_path)
        known = [n for n in names if os.stat(n, follow_symlinks=False).st_ino == here.st_ino]
        self._todo = [(n, 0) for n in (names[names.index(known[0]) + 1 :] if known else names[-1:])]
        return False if self._reader.size() > os.lseek(self._reader.fd, 0, os.SEEK_CUR) else bool(self._todo) and self._close()

    def _close(self) -> bool:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        return True

    def close(self) -> None:
        self._close()


def read(
    engine: Engine,
    rows: Sequence[ContainerRow],
    *,
    follow: bool = False,
    tail: int | None = None,
    since: float | None = None,
    until: float | None = None,
    timestamps: bool = False,
    names: bool = False,
    sink: Sink | None = None,
) -> None:
    """Write the containers' logs to standard output and error, or to `sink`; with `follow` until they have all ended.

    `tail` None = everything; `since` and `until` epoch seconds; `names` puts the container's name before each line.
    """
    write = sink or _Output(timestamps, names).write
    logs = [_Log(row, tail) for row in rows]
    try:
        while True:
            alive = {row.id for row in rows if follow and _runs(engine, row)}  # before reading: what comes last is still seen
            for log in logs:
                for entry in log.drain():
                    _pass_on(entry, log, write, since, until)
            if not alive or (until is not None and engine.clock.now() > until):
                return
            time.sleep(_POLL_SECONDS)
    finally:
        for log in logs:
            log.close()


def _pass_on(entry: Entry, log: _Log, write: Sink, since: float | None, until: float | None) -> None:
    if since is not None or until is not None:
        moment = seconds(entry.time)
        if (since is not None and moment < since) or (until is not None and moment > until):
            return
    begins = not log.partial.get(entry.stream, False)
    log.partial[entry.stream] = not entry.full
    write(entry, log.row.name, begins)


def _runs(engine: Engine, row: ContainerRow) -> bool:
    if os.path.exists(f"{engine.paths.exits}/{row.id}"):
        return False
    found = engine.store.runtime.container(row.id)
    return found is not None and found.state in (CREATED, RUNNING) and os.path.exists(engine.paths.bundle(row.id))


class _Output:
    """Entries to our own standard output and error."""

    def __init__(self, timestamps: bool, names: bool) -> None:
        self._timestamps = timestamps
        self._names = names

    def write(self, entry: Entry, name: str, begins: bool) -> None:
        head = b""
        if begins:
            head += name.encode() + b" " if self._names else b""
            head += entry.time + b" " if self._timestamps else b""
        out = sys.stderr if entry.stream == b"stderr" else sys.stdout
        data = head + entry.text + (b"\n" if entry.full else b"")
        buffer = getattr(out, "buffer", None)
        if buffer is None:
            out.write(data.decode(errors="replace"))
        else:
            out.flush()
            buffer.write(data)
        out.flush()


def last_text(path: str, lines: int, size: int) -> str:
    """The end of a log without its prefixes, for messages (TM2)."""
    fd = _open(path)
    if fd < 0:
        return ""
    try:
        end = os.fstat(fd).st_size
        room = size + lines * 128  # what the prefixes take besides
        raw = os.pread(fd, room, max(0, end - room))
    finally:
        os.close(fd)
    found = [e.text + (b"\n" if e.full else b"") for e in map(parse, raw.splitlines()) if e is not None]
    return b"".join(b"".join(found).splitlines(keepends=True)[-lines:])[-size:].decode(errors="replace")


def rotate(engine: Engine, row: ContainerRow, plan: LogPlan, *, force: bool = False) -> bool:
    """Start a new log file when this one is full; keeps `plan.max_files` in all. True when it did (CS12).

    Renamed first, then conmon is told to reopen: nothing is lost, what it writes in between goes to the renamed file.
    """
    try:
        size = os.stat(row.log_path, follow_symlinks=False).st_size
    except OSError:
        return False
    if not force and (not plan.max_size or size <= plan.max_size):
        return False
    rotated = f"{row.log_path}.{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{time.time_ns() % 10**9:09d}"
    try:
        ctl = os.open(f"{engine.paths.bundle(row.id)}/ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False  # nobody writes there any more
    try:
        os.rename(row.log_path, rotated)
        os.write(ctl, _REOPEN)
    finally:
        os.close(ctl)
    deadline = time.monotonic() + _REOPEN_SECONDS
    while not os.path.exists(row.log_path) and time.monotonic() < deadline:
        time.sleep(0.002)
    for old in files(row.log_path)[: -max(1, plan.max_files)]:
        try:
            os.unlink(old)
        except FileNotFoundError:
            continue
    return True
