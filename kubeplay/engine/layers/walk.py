"""A directory tree as a tar stream, in one fixed order: overlay upper directories for `commit`, whole roots for `export`.

The tree may be changed under us by a container that still runs: every step is by descriptor and follows no link, a file
is opened only once it is known to be one (opening some devices is doing), and a file that grows or shrinks is cut or
filled up with zeros to the size its header says, as GNU tar does. What vanishes is left out.

An upper directory's own marks (marks.py) become OCI's (image-spec layer.md): a character device 0/0 `.wh.NAME`, the xattr of an
opaque directory `.wh..wh..opq`. Sockets are left out, as docker, podman and GNU tar do: they mean nothing once
their owner is gone. Times are cut to seconds, as those cut them: a fraction would cost each file 1 KiB of PAX header.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator

from kubeplay.engine.layers import encode, marks, tree
from kubeplay.engine.layers.extract import kept_xattr
from kubeplay.engine.layers.stream import CHUNK
from kubeplay.engine.layers.tar import BLOCK, Entry, show
from kubeplay.errors import InvalidInput
from kubeplay.record import Record

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_WHITEOUT = b".wh."
_DEEPEST = 512  # levels, a descriptor each; what PATH_MAX lets a program reach is rarely fifty
_SPARSE_FROM = 1 << 20  # bytes of holes: below that a plain file is what more readers understand, and zeros pack well
_MOST_SEGMENTS = 1 << 12
_SMALL = 1 << 16  # bytes: a file of this size is read at once
_BATCH = 64  # pieces handed out together: a few MiB at most
_TYPES = {stat.S_IFLNK: b"2", stat.S_IFCHR: b"3", stat.S_IFBLK: b"4", stat.S_IFIFO: b"6"}
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
        self._out: list[Piece] = []  # written, not handed out yet
        self._large = -1  # a file whose content comes next, piece by piece
        self._segments: tuple[tuple[int, int], ...] = ()
        self._time: int | None = None  # of the member just written, unless it is a directory, a mark or another name
        self.entries = 0
        self.content = 0

    def pieces(self) -> Iterator[Piece]:
        """The archive. The root's descriptor must stay open until the end. Raises InvalidInput, OSError."""
        stack: list[tuple[int, bytes, Iterator[bytes]]] = []
        out = self._out
        try:
            top = os.open(".", _DIRECTORY, dir_fd=self._root)
            stack.append((top, b"", iter(())))
            stack[0] = (top, b"", _names(top))
            if self._manner.root:
                self._header(b"./", b"5", os.fstat(top), xattrs=self._xattrs(top))
            while stack:
                fd, path, names = stack[-1]
                name = next(names, None)
                if name is None:
                    self._leave(fd)
                    os.close(stack.pop()[0])
                    continue
                full = path + b"/" + name if path else name
                below = self._member(fd, name, full)
                if self._large >= 0:
                    yield from self._contents()
                elif len(out) >= _BATCH:
                    yield from out
                    out.clear()
                self._after(fd, name)
                if below >= 0:
                    stack.append((below, full, iter(())))
                    if len(stack) > _DEEPEST:
                        raise InvalidInput(f"{show(full)} is more than {_DEEPEST} directories deep")
                    stack[-1] = (below, full, _names(below))
            yield from out
            yield False, encode.END
        finally:
            for fd, _, _ in stack:
                os.close(fd)
            if self._large >= 0:
                os.close(self._large)

    def _member(self, parent: int, name: bytes, path: bytes) -> int:
        """Write one name; returns the descriptor of a directory to go into, else -1."""
        self._time = None
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
            if self._manner.whiteouts and name in marks.FUSE_NAMES and marks.is_opaque(parent):
                self._left_out(parent, name)
                return -1
            if self._manner.whiteouts and marks.is_whiteout(status):
                self._mark(_below(path, _WHITEOUT + name), status)
                return -1
            if self._manner.whiteouts and name.startswith(_WHITEOUT):
                message = f"{show(path)} cannot be put into a layer: names that begin with .wh. mark deletions there"
                raise InvalidInput(message, hint="remove or rename it")
            if kind == stat.S_IFDIR:
                return self._directory(found, path, status)
            if status.st_nlink > 1 and (first := self._links.setdefault((status.st_dev, status.st_ino), path)) != path:
                self._header(path, b"1", status, link=first)
                return -1
            if kind == stat.S_IFREG:
                self._file(found, path)
            else:
                self._special(found, path, status, kind)
            self._time = status.st_mtime_ns
        finally:
            os.close(found)
        return -1

    def _directory(self, found: int, path: bytes, status: os.stat_result) -> int:
        fd = os.open(".", _DIRECTORY, dir_fd=found)
        try:
            self._header(path + b"/", b"5", status, xattrs=self._xattrs(fd))
            if self._manner.whiteouts and marks.is_opaque(fd):
                self._mark(path + b"/" + _WHITEOUT + b".wh..opq", status)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _file(self, found: int, path: bytes) -> None:
        """Its header, and its content where that is little; else `_contents` goes on."""
        fd = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            size = status.st_size
            segments = _segments(fd, size) if size - status.st_blocks * 512 >= _SPARSE_FROM else None
            stored = size if segments is None else sum(length for _, length in segments)
            self._header(path, b"0", status, size=stored, xattrs=self._xattrs(fd), sparse=segments, real_size=size)
            self.content += stored
            if size > _SMALL:
                self._large, fd = fd, -1
                self._segments = ((0, size),) if segments is None else segments
            elif size:
                data = os.pread(fd, size, 0)
                self._out.append((True, data if len(data) == size else data.ljust(size, b"\0")))  # or it has become shorter
                self._pad(stored)
        finally:
            if fd >= 0:
                os.close(fd)

    def _contents(self) -> Iterator[Piece]:
        """What `_member` wrote, and the content of the large file it ended with."""
        yield from self._out
        self._out.clear()
        size = 0
        for offset, length in self._segments:
            size += length
            for piece in _content(self._large, offset, length):
                yield True, piece
        os.close(self._large)
        self._large = -1
        self._pad(size)

    def _pad(self, size: int) -> None:
        if size % BLOCK:
            self._out.append((False, b"\0" * (-size % BLOCK)))

    def _header(
        self,
        name: bytes,
        kind: bytes,
        status: os.stat_result,
        *,
        size: int = 0,
        link: bytes = b"",
        xattrs: tuple[tuple[bytes, bytes], ...] = (),
        sparse: tuple[tuple[int, int], ...] | None = None,
        real_size: int = 0,
    ) -> None:
        mode, device = status.st_mode & 0o7777, status.st_rdev
        major, minor = (os.major(device), os.minor(device)) if device else (0, 0)
        time = self._manner.time(status.st_mtime_ns)
        entry = Entry(name, kind, mode, status.st_uid, status.st_gid, time, size, link, major, minor, xattrs, sparse, real_size)
        self._out.append((False, encode.header(entry)))
        self.entries += 1

    def _mark(self, name: bytes, status: os.stat_result) -> None:
        """A whiteout or opaque marker. Its time says nothing, so it has none: deleting twice gives the same layer."""
        entry = Entry(name, b"0", 0, 0, 0, self._manner.time(0), 0, b"", 0, 0, (), None, 0)
        self._out.append((False, encode.header(entry)))
        self.entries += 1

    def _special(self, found: int, path: bytes, status: os.stat_result, kind: int) -> None:
        xattrs = self._xattrs(f"/proc/self/fd/{found}")
        link = os.readlink(b"", dir_fd=found) if kind == stat.S_IFLNK else b""
        self._header(path, _TYPES[kind], status, link=link, xattrs=xattrs)

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

    def _after(self, parent: int, name: bytes) -> None: ...

    def _leave(self, directory: int) -> None: ...

    def _unwanted(self, where: int | str, xattr: bytes) -> None: ...


class Settling(Walk):
    """A walk that makes the tree what it writes: an upper directory becomes a layer's directory where it lies."""

    _fuse = False  # whether fuse-overlayfs marked a directory

    def _left_out(self, parent: int, name: bytes) -> None:
        tree.remove_at(parent, name)

    def _after(self, parent: int, name: bytes) -> None:
        if self._time is not None:
            time = self._manner.time(self._time)
            os.utime(name, ns=(time, time), dir_fd=parent, follow_symlinks=False)

    def _leave(self, directory: int) -> None:
        if self._fuse and marks.is_fuse_opaque(directory):
            os.removexattr(directory, marks.FUSE)
        time = self._manner.time(os.fstat(directory).st_mtime_ns)
        os.utime(directory, ns=(time, time))

    def _unwanted(self, where: int | str, xattr: bytes) -> None:
        """overlayfs's own notes (origin, impure, ...) are about the stack this directory was part of."""
        if not xattr.startswith((b"trusted.", b"user.")) or xattr == marks.ours() and os.getxattr(where, xattr) == b"y":
            return
        if xattr == marks.FUSE and isinstance(where, int):
            self._fuse = True
            marks.set_opaque(where)  # its own mark goes when what belongs to it is gone
            return
        os.removexattr(where, xattr)


def _names(fd: int) -> Iterator[bytes]:
    return iter(sorted([os.fsencode(name) for name in os.listdir(fd)]))


def _below(path: bytes, name: bytes) -> bytes:
    parent = path.rpartition(b"/")[0]
    return parent + b"/" + name if parent else name


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
