"""Container logs as conmon writes them: CRI lines `TIME stdout|stderr F|P TEXT`, read across rotations and followed (CS12).

Files are opened without following links and must be ordinary ones (GHSA-rgh6-rfwx-v388); nothing is kept of a line but one block, so a
container cannot make us large.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from kubeplay.engine import logfiles
from kubeplay.engine.logfiles import files
from kubeplay.engine.store.runtime import CREATED, RUNNING, ContainerRow
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.plan.pod import LogPlan

_BLOCK = 1 << 16
_LONGEST = 1 << 18  # bytes of one log entry; conmon cuts at its buffer of 8 KiB, more means a foreign hand
_POLL_SECONDS = 0.1  # -f: changes must show within about a second (RB5)
_RACES = 20  # rotations are seconds apart


class Entry(Record):
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


def _snapshot(path: str) -> list[int]:
    """Descriptors of the log's files, oldest first, none missed when a rotation renames them meanwhile."""
    for _ in range(_RACES):
        names = files(path)
        fds = [fd for fd in map(_open, names) if fd >= 0]
        if files(path) == names:
            return fds
        _close_all(fds)
    return []


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def _inode(fd: int) -> int:
    return os.fstat(fd).st_ino


def _starts(fds: list[int], tail: int | None) -> list[_Reader]:
    """Readers that begin where the last `tail` lines do; files that lie wholly before are closed."""
    if tail is None:
        return [_Reader(fd) for fd in fds]
    readers: list[_Reader] = []
    left = tail
    for fd in reversed(fds):
        if left <= 0 and readers:
            os.close(fd)
            continue
        at, count = (os.fstat(fd).st_size, 0) if left <= 0 else _tail_start(fd, left)
        readers.append(_Reader(fd, at))
        left -= count
    return readers[::-1]


class _Log:
    """One container's log as it is read and, meanwhile, written and rotated. The last file stays open, so its place is known."""

    def __init__(self, row: ContainerRow, tail: int | None, label: str) -> None:
        self.row = row
        self.label = label
        self._readers = _starts(_snapshot(row.log_path), tail) if row.log_path else []
        self.partial: dict[bytes, bool] = {}

    def drain(self) -> Iterator[Entry]:
        """Everything there is now."""
        if not self._readers and self.row.log_path:
            self._readers = _starts(_snapshot(self.row.log_path), None)
        while self._readers:
            moved = self._moved()  # before reading: once the path is another file, nothing is added to this one
            yield from self._readers[0].entries()
            if len(self._readers) == 1:
                if not moved:
                    return
                self._readers += self._successors(_inode(self._readers[0].fd))
                if len(self._readers) == 1:
                    return
            self._readers.pop(0).close()

    def _moved(self) -> bool:
        """Whether the log's path is another file than the one being read: conmon has reopened it."""
        try:
            return os.stat(self.row.log_path, follow_symlinks=False).st_ino != _inode(self._readers[0].fd)
        except FileNotFoundError:
            return False  # renamed, and conmon has not got round to it

    def _successors(self, inode: int) -> list[_Reader]:
        """Readers of the files younger than this one; of all, when it has been removed meanwhile."""
        fds = _snapshot(self.row.log_path)
        place = next((n for n, fd in enumerate(fds) if _inode(fd) == inode), -1)
        _close_all(fds[: place + 1])
        return [_Reader(fd) for fd in fds[place + 1 :]]

    def close(self) -> None:
        for reader in self._readers:
            reader.close()
        self._readers = []


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
    labels: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> None:
    """Write the containers' logs to standard output and error, or to `sink`; with `follow` until they have all ended.

    `tail` None = everything; `since` and `until` epoch seconds; `names` puts the container's name before each line, or what `labels`
    has for its id; `limit` bytes of text are written at most.
    """
    write = sink or _Output(timestamps, names).write
    if limit is not None:
        write = _limited(write, limit)
    logs = [_Log(row, tail, (labels or {}).get(row.id, row.name)) for row in rows]
    try:
        while True:
            alive = {row.id for row in rows if follow and _runs(engine, row)}  # before reading: what comes last is still seen
            for log in logs:
                for entry in log.drain():
                    _pass_on(entry, log, write, since, until)
            if not alive or (until is not None and engine.clock.now() > until):
                return
            time.sleep(_POLL_SECONDS)
    except _Enough:
        pass
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
    write(entry, log.label, begins)


class _Enough(Exception):
    """As many bytes have been written as were wanted."""


def _limited(write: Sink, limit: int) -> Sink:
    left = limit

    def some(entry: Entry, name: str, begins: bool) -> None:
        nonlocal left
        whole = len(entry.text) + entry.full <= left
        write(entry if whole else entry._replace(text=entry.text[:left], full=False), name, begins)
        left -= len(entry.text) + entry.full
        if left <= 0:
            raise _Enough

    return some


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
    """Start a new log file when this one is full; keeps `plan.max_files` in all. True when it did (CS12)."""
    return logfiles.rotate(row.log_path, engine.paths.bundle(row.id), plan, force=force)
