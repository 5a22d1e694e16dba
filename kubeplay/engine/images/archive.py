"""Where blobs lie: a seekable tar read as a directory, or a directory of an OCI layout.

The index is one pass over the headers (content is skipped by offset, so a 200 MB archive costs a few reads).
A compressed archive or a pipe is first copied, unpacked, to an unnamed file below the root.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from kubeplay.engine.host import syscalls
from kubeplay.engine.layers.extract import clean, translated
from kubeplay.engine.layers.stream import MAX_LAYER, Blob, Stream, sniff
from kubeplay.engine.layers.tar import TarReader
from kubeplay.errors import InvalidInput, NotFound
from kubeplay.record import Record

_MAX_MEMBERS = 100_000  # an archive of images: some blobs per layer
_MAX_LINKS = 16


class _Member(Record):
    offset: int
    size: int
    link: bytes


class Archive:
    """Blobs by name. Use as a context manager; the descriptors that `blob` hands out live until the exit."""

    def blob(self, name: str, digest: str = "", size: int = -1) -> Blob:
        """Raises NotFound, or InvalidInput when the size differs from the one claimed."""
        raise NotImplementedError

    def has(self, name: str) -> bool:
        try:
            self.blob(name)
        except NotFound:
            return False
        return True

    def read(self, name: str, limit: int, digest: str = "", size: int = -1) -> bytes:
        """A small blob, whole; verified when `digest` is given."""
        blob = self.blob(name, digest, size)
        if blob.size > limit:
            raise InvalidInput(f"{name[:200]!r} has {blob.size} bytes (the limit is {limit})")
        data = b""
        while len(data) < blob.size:
            piece = os.pread(blob.fd, blob.size - len(data), blob.offset + len(data))
            if not piece:
                raise InvalidInput(f"{name[:200]!r} ends early")
            data += piece
        if digest and sha256(data) != digest:
            raise InvalidInput(f"{name[:200]!r} does not match its digest {digest}", hint="the archive is damaged or was tampered with")
        return data

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


class TarArchive(Archive):
    """A tar file, indexed. Links inside it are followed by name only."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._members: dict[bytes, _Member] = {}
        feed = _SeekFeed(fd)
        reader = TarReader(feed)
        while (entry := reader.next()) is not None:
            if len(self._members) >= _MAX_MEMBERS:
                raise InvalidInput(f"the archive has more than {_MAX_MEMBERS} members")
            name = clean(entry.name)
            if entry.type == b"0" and entry.sparse is None:
                self._members[name] = _Member(feed.offset, entry.size, b"")
            elif entry.type == b"1":
                self._members[name] = _Member(0, 0, clean(entry.link))
            elif entry.type == b"2":
                self._members[name] = _Member(0, 0, _joined(name.rpartition(b"/")[0], entry.link))

    def blob(self, name: str, digest: str = "", size: int = -1) -> Blob:
        key = clean(os.fsencode(name))
        for _ in range(_MAX_LINKS):
            member = self._members.get(key)
            if member is None:
                raise NotFound(f"{name[:200]!r} is not in the archive")
            if not member.link:
                _check_size(name, member.size, size)
                return Blob(self._fd, member.offset, member.size, digest)
            key = member.link
        raise InvalidInput(f"{name[:200]!r} in the archive is a link to itself")

    def close(self) -> None:
        os.close(self._fd)


class DirectoryArchive(Archive):
    """A directory; nothing outside of it can be named."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._open: dict[str, int] = {}

    def blob(self, name: str, digest: str = "", size: int = -1) -> Blob:
        fd = self._open.get(name)
        if fd is None:
            confined = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
            try:
                fd = syscalls.openat2(self._fd, name, os.O_RDONLY | os.O_NONBLOCK, confined)
            except OSError as error:
                raise NotFound(f"{name[:200]!r} cannot be read in the image directory: {error.strerror}") from None
            self._open[name] = fd
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidInput(f"{name[:200]!r} in the image directory is not a file")
        _check_size(name, status.st_size, size)
        return Blob(fd, 0, status.st_size, digest)

    def close(self) -> None:
        for fd in (self._fd, *self._open.values()):
            os.close(fd)


class _SeekFeed:
    """A tar Feed over pread: skipping is arithmetic."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._end = os.fstat(fd).st_size
        self.offset = 0

    def take(self, count: int) -> bytes:
        data = os.pread(self._fd, count, self.offset)
        if len(data) != count:
            raise InvalidInput("this is no tar archive, or a part of one: it ends in the middle of an entry")
        self.offset += count
        return data

    def skip(self, count: int) -> None:
        self.offset += count
        if self.offset > self._end:
            raise InvalidInput("this is no tar archive, or a part of one: it ends in the middle of an entry")

    def pieces(self, count: int) -> Iterator[memoryview]:
        yield memoryview(self.take(count))

    def peek(self, offset: int, count: int) -> bytes:
        return os.pread(self._fd, count, self.offset + offset)

    def at_end(self) -> bool:
        return self.offset >= self._end

    def ready(self) -> int:
        return 0  # a few headers between large blobs: not worth reading ahead


def open_archive(path: str, spool_directory: str) -> Archive:
    """The archive at `path` (`-` is standard input, a directory an OCI layout). Raises NotFound, InvalidInput, Exhausted."""
    if path != "-" and os.path.isdir(path):
        return DirectoryArchive(path)
    fd = open_source(path)
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode) and not sniff(os.pread(fd, 8, 0)):
            return TarArchive(fd)
        spooled = _spool(fd, spool_directory)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    try:
        return TarArchive(spooled)
    except BaseException:
        os.close(spooled)
        raise


def open_source(path: str) -> int:
    """A descriptor of a file or of standard input."""
    try:
        return os.dup(0) if path == "-" else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        kind = NotFound if isinstance(error, FileNotFoundError) else InvalidInput
        raise kind(f"{path}: cannot be read: {error.strerror}") from None


def as_blob(fd: int) -> Blob:
    """All of `fd`, be it a file or a pipe."""
    status = os.fstat(fd)
    return Blob(fd, 0, status.st_size) if stat.S_ISREG(status.st_mode) else Blob(fd, -1)


def sha256(data: bytes) -> str:
    from hashlib import sha256 as new

    return "sha256:" + new(data).hexdigest()


def _spool(fd: int, directory: str) -> int:
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        out = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise translated(error, directory) from error
    try:
        with Stream(as_blob(fd), limit=MAX_LAYER) as stream:
            while not stream.at_end():
                for piece in stream.pieces(stream.ready()):
                    while piece:
                        piece = piece[os.write(out, piece) :]
    except OSError as error:
        os.close(out)
        raise translated(error, "the archive") from error
    except BaseException:
        os.close(out)
        raise
    return out


def _joined(directory: bytes, link: bytes) -> bytes:
    """A symbolic link's target by name, kept inside the archive."""
    parts: list[bytes] = [] if link.startswith(b"/") else [part for part in directory.split(b"/") if part]
    for part in link.split(b"/"):
        if part == b"..":
            parts[-1:] = []
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)


def _check_size(name: str, actual: int, claimed: int) -> None:
    if claimed >= 0 and actual != claimed:
        raise InvalidInput(f"{name[:200]!r} has {actual} bytes, its manifest says {claimed}")
