"""A directory tree as a tar stream, in one fixed order: overlay upper directories for `commit`, whole roots for `export`.

The tree may be changed under us by a container that still runs: every step is by descriptor and follows no link, a file
is opened only once it is known to be one (opening some devices is doing), and a file that grows or shrinks is cut or
filled up with zeros to the size its header says, as GNU tar does. What vanishes is left out.

An upper directory's own marks become OCI's (image-spec layer.md): a character device 0/0 `.wh.NAME`, the xattr
trusted.overlay.opaque `.wh..wh..opq`. Sockets are left out, as docker, podman and GNU tar do: they mean nothing once
their owner is gone. Times are cut to seconds, as those cut them: a fraction would cost each file 1 KiB of PAX header.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Generator, Iterator

from kubeplay.engine.layers import encode, tree
from kubeplay.engine.layers.extract import kept_xattr
from kubeplay.engine.layers.stream import CHUNK
from kubeplay.engine.layers.tar import BLOCK, Entry, show
from kubeplay.errors import InvalidInput
from kubeplay.record import Record

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_OPAQUE = "trusted.overlay.opaque"
_WHITEOUT = b".wh."
_DEEPEST = 512  # levels, a descriptor each; what PATH_MAX lets a program reach is rarely fifty
_SPARSE_FROM = 1 << 20  # bytes of holes: below that a plain file is what more readers understand, and zeros pack well
_MOST_SEGMENTS = 1 << 12
_SECOND = 1_000_000_000
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE)
Skip = Callable[[bytes, os.stat_result], bool]
Piece = tuple[bool, bytes]  # whether it is content of a file, and the bytes


class Manner(Record):
    """How a tree is written. `whiteouts`: it is an overlay upper directory; `root`: with an entry for its own root.

    `timestamp` is every entry's time, `clamp` the latest one, in seconds. `skip(path, status)` leaves an entry out with all below it.
    """

    whiteouts: bool = False
    root: bool = False
    timestamp: int | None = None
    clamp: int | None = None
    skip: Skip | None = None

    def time(self, nanoseconds: int) -> int:
        """In nanoseconds."""
        if self.timestamp is not None:
            return self.timestamp * _SECOND
        seconds = nanoseconds // _SECOND
        return (seconds if self.clamp is None else min(seconds, self.clamp)) * _SECOND


class Walk:
    """One walk; `pieces` may be asked once. `entries` and `content` count what was written."""

    def __init__(self, root: int, manner: Manner) -> None:
        self._root = root
        self._manner = manner
        self._links: dict[tuple[int, int], bytes] = {}
        self.entries = 0
        self.content = 0

    def pieces(self) -> Iterator[Piece]:
        """The archive. The root's descriptor must stay open until the end. Raises InvalidInput, OSError."""
        stack: list[tuple[int, bytes, Iterator[bytes]]] = []
        try:
            top = os.open(".", _DIRECTORY, dir_fd=self._root)
            stack.append((top, b"", iter(())))
            stack[0] = (top, b"", _names(top))
            if self._manner.root:
                yield self._header(_entry(b"./", b"5", os.fstat(top), xattrs=self._xattrs(top)))
            while stack:
                fd, path, names = stack[-1]
                name = next(names, None)
                if name is None:
                    self._leave(fd)
                    os.close(stack.pop()[0])
                    continue
                full = path + b"/" + name if path else name
                below = yield from self._member(fd, name, full)
                if below >= 0:
                    stack.append((below, full, iter(())))
                    if len(stack) > _DEEPEST:
                        raise InvalidInput(f"{show(full)} is more than {_DEEPEST} directories deep")
                    stack[-1] = (below, full, _names(below))
            yield False, encode.END
        finally:
            for fd, _, _ in stack:
                os.close(fd)

    def _member(self, parent: int, name: bytes, path: bytes) -> Generator[Piece, None, int]:
        """One name; returns the descriptor of a directory to go into, else -1."""
        try:
            found = os.open(name, _PATH, dir_fd=parent)
        except OSError as error:
            if error.errno in _GONE:
                return -1
            raise
        try:
            status = os.fstat(found)
            kind = stat.S_IFMT(status.st_mode)
            if kind == stat.S_IFSOCK or (self._manner.skip and self._manner.skip(path, status)):
                self._left_out(parent, name)
                return -1
            if self._manner.whiteouts and kind == stat.S_IFCHR and status.st_rdev == 0:
                yield self._header(_mark(_below(path, _WHITEOUT + name)))
                return -1
            if self._manner.whiteouts and name.startswith(_WHITEOUT):
                message = f"{show(path)} cannot be put into a layer: names that begin with .wh. mark deletions there"
                raise InvalidInput(message, hint="remove or rename it")
            if kind == stat.S_IFDIR:
                return (yield from self._directory(found, path, status))
            if (first := self._first(status, path)) is not None:
                yield self._header(_entry(path, b"1", status, link=first))
            elif kind == stat.S_IFREG:
                yield from self._file(found, path)
            else:
                yield self._header(self._special(found, path, status, kind))
            if first is None:
                self._written(parent, name, status)
        finally:
            os.close(found)
        return -1

    def _directory(self, found: int, path: bytes, status: os.stat_result) -> Generator[Piece, None, int]:
        fd = os.open(".", _DIRECTORY, dir_fd=found)
        try:
            yield self._header(_entry(path + b"/", b"5", status, xattrs=self._xattrs(fd)))
            if self._manner.whiteouts and is_opaque(fd):
                yield self._header(_mark(path + b"/" + _WHITEOUT + b".wh..opq"))
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _first(self, status: os.stat_result, path: bytes) -> bytes | None:
        """The name under which a file with several was written before."""
        if status.st_nlink < 2:
            return None
        return None if (first := self._links.setdefault((status.st_dev, status.st_ino), path)) == path else first

    def _file(self, found: int, path: bytes) -> Iterator[Piece]:
        fd = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            size = status.st_size
            segments = _segments(fd, size) if size - status.st_blocks * 512 >= _SPARSE_FROM else None
            stored = size if segments is None else sum(length for _, length in segments)
            yield self._header(_entry(path, b"0", status, size=stored, xattrs=self._xattrs(fd), sparse=segments, real_size=size))
            self.content += stored
            for offset, length in ((0, size),) if segments is None else segments:
                for piece in _content(fd, offset, length):
                    yield True, piece
            if stored % BLOCK:
                yield False, b"\0" * (-stored % BLOCK)
        finally:
            os.close(fd)

    def _header(self, entry: Entry) -> Piece:
        self.entries += 1
        return False, encode.header(entry._replace(mtime=self._manner.time(entry.mtime)))


    def _special(self, found: int, path: bytes, status: os.stat_result, kind: int) -> Entry:
        xattrs = self._xattrs(f"/proc/self/fd/{found}")
        if kind == stat.S_IFLNK:
            return _entry(path, b"2", status, link=os.readlink(b"", dir_fd=found), xattrs=xattrs)
        return _entry(path, {stat.S_IFCHR: b"3", stat.S_IFBLK: b"4", stat.S_IFIFO: b"6"}[kind], status, xattrs=xattrs)

    def _xattrs(self, where: int | str) -> tuple[tuple[bytes, bytes], ...]:
        """Those that a layer may have, by name."""
        try:
            names = os.listxattr(where)
        except OSError as error:
            if error.errno in (errno.ENOTSUP, errno.EPERM):
                return ()
            raise
        if not names:
            return ()
        kept = []
        for name in sorted([os.fsencode(name) for name in names]):
            if kept_xattr(name) and b"=" not in name:
                kept.append((name, os.getxattr(where, name)))
            else:
                self._unwanted(where, name)
        return tuple(kept)

    # what a walk does to the tree: nothing; see Settling
    def _left_out(self, parent: int, name: bytes) -> None: ...

    def _written(self, parent: int, name: bytes, status: os.stat_result) -> None: ...

    def _leave(self, directory: int) -> None: ...

    def _unwanted(self, where: int | str, xattr: bytes) -> None: ...


class Settling(Walk):
    """A walk that makes the tree what it writes: an upper directory becomes a layer's directory where it lies."""

    def _left_out(self, parent: int, name: bytes) -> None:
        tree.remove_at(parent, name)

    def _written(self, parent: int, name: bytes, status: os.stat_result) -> None:
        time = self._manner.time(status.st_mtime_ns)
        os.utime(name, ns=(time, time), dir_fd=parent, follow_symlinks=False)

    def _leave(self, directory: int) -> None:
        time = self._manner.time(os.fstat(directory).st_mtime_ns)
        os.utime(directory, ns=(time, time))

    def _unwanted(self, where: int | str, xattr: bytes) -> None:
        """overlayfs's own notes (origin, impure, ...) are about the stack this directory was part of."""
        if xattr.startswith((b"trusted.", b"user.")) and not (xattr == os.fsencode(_OPAQUE) and os.getxattr(where, xattr) == b"y"):
            os.removexattr(where, xattr)


def _names(fd: int) -> Iterator[bytes]:
    return iter(sorted([os.fsencode(name) for name in os.listdir(fd)]))


def _below(path: bytes, name: bytes) -> bytes:
    parent = path.rpartition(b"/")[0]
    return parent + b"/" + name if parent else name


def _entry(
    name: bytes,
    kind: bytes,
    status: os.stat_result,
    *,
    size: int = 0,
    link: bytes = b"",
    xattrs: tuple[tuple[bytes, bytes], ...] = (),
    sparse: tuple[tuple[int, int], ...] | None = None,
    real_size: int = 0,
) -> Entry:
    mode, device = stat.S_IMODE(status.st_mode), status.st_rdev
    major, minor = os.major(device), os.minor(device)
    return Entry(name, kind, mode, status.st_uid, status.st_gid, status.st_mtime_ns, size, link, major, minor, xattrs, sparse, real_size)


def _mark(name: bytes) -> Entry:
    """A whiteout or opaque marker. Its time says nothing, so it has none: deleting twice gives the same layer."""
    return Entry(name, b"0", 0, 0, 0, 0, 0, b"", 0, 0, (), None, 0)


def is_opaque(fd: int) -> bool:
    """Whether an upper directory hides what is below it ("x" in place of "y" means something else since Linux 6.8)."""
    try:
        return os.getxattr(fd, _OPAQUE) == b"y"
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return False
        raise


def _segments(fd: int, size: int) -> tuple[tuple[int, int], ...] | None:
    """Where the data of a file with holes is; None when there are too few holes, or too many pieces, to bother."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < size and len(found) < _MOST_SEGMENTS:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break
            raise
        at = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        if start < at:
            found.append((start, at - start))
    if len(found) >= _MOST_SEGMENTS or size - sum(length for _, length in found) < _SPARSE_FROM:
        return None
    return tuple(found) if found and sum(found[-1]) == size else (*found, (size, 0))  # GNU tar ends a map so: the size is then beyond doubt


def _content(fd: int, offset: int, length: int) -> Iterator[bytes]:
    while length:
        data = os.pread(fd, min(length, CHUNK), offset)
        if not data:  # it has become shorter
            data = b"\0" * min(length, CHUNK)
        offset, length = offset + len(data), length - len(data)
        yield data
