"""Layers and trees as tar streams to read from: a stored layer given back byte by byte, a directory written anew.

A stored layer's `headers` hold every byte of its tar that is not content of a file. Reading them with the reader that
recorded them tells where contents belong; those come from `fs/`, by the same lookup as when they were written.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Callable, Iterator

from kubeplay.engine.host import syscalls
from kubeplay.engine.layers.extract import clean
from kubeplay.engine.layers.replaced import open_kept
from kubeplay.engine.layers.stream import CHUNK
from kubeplay.engine.layers.tar import Entry, TarReader, show
from kubeplay.engine.layers.walk import Manner, Piece, Walk
from kubeplay.errors import InvalidInput, StoreError

_IN_ROOT = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS | syscalls.RESOLVE_NO_XDEV
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_BATCH = 64
_GATHERED = 1 << 18  # small pieces are joined to this size: a hash or a queue per header would cost more than the header


class Pieces:
    """A Reader over an iterator of bytes."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, count: int, /) -> bytes:
        data = self._rest
        while not data:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            data = piece
        self._rest = data[count:]
        return data[:count]

    def close(self) -> None:
        close = getattr(self._pieces, "close", None)
        try:
            if close:
                close()
        except ValueError:  # a thread that was told to stop is still in it, and drops it
            pass


def tar_tree(fd: int, manner: Manner | None = None) -> Pieces:
    """The tree below the directory open at `fd` as a tar (by default all of it, its root included).

    `fd` must stay open until the reader is closed. Reading raises InvalidInput and OSError.
    """
    return Pieces(_joined(_contents_only(Walk(fd, manner or Manner(root=True)).pieces())))


def _contents_only(pieces: Iterator[Piece]) -> Iterator[bytes]:
    for _, data in pieces:
        yield data


def rebuilt(layer: str) -> Pieces:
    """The tar of the layer in the directory `layer`, from its recorded headers and its files. Whoever reads it checks the digest.

    Reading raises StoreError when the files are not what was recorded.
    """
    return Pieces(_joined(_rebuilt(layer)))


def _rebuilt(layer: str) -> Iterator[bytes]:
    out: list[bytes] = []
    headers = f"{layer}/headers"
    files = _Files(layer)
    try:
        with open(headers, "rb") as file:
            feed = _Headers(file.read)
            reader = TarReader(feed, out.append)
            while (entry := _next(reader, headers)) is not None:
                if entry.type == b"0" and entry.size:
                    reader.content()
                    fd = files.open(entry)
                    if entry.size <= _GATHERED and entry.sparse is None:
                        out.append(_small(fd, entry))
                    else:
                        yield from out
                        out.clear()
                        yield from _contents(fd, entry)
                if len(out) >= _BATCH:
                    yield from out
                    out.clear()
            yield from out
            while not feed.at_end():
                yield feed.take(feed.ready())
    finally:
        files.close()


def _next(reader: TarReader, where: str) -> Entry | None:
    try:
        return reader.next()
    except (InvalidInput, zlib.error) as error:
        raise StoreError(f"{where} is damaged: {error}", hint="remove the image and load it again") from error


class _Files:
    """Where the contents of a stored layer lie."""

    def __init__(self, layer: str) -> None:
        self._root = os.open(f"{layer}/fs", _DIRECTORY)
        self._kept = open_kept(f"{layer}/replaced")
        self._member = 0
        self._parent, self._directory = b"", self._root  # the one opened last: members come directory by directory

    def open(self, entry: Entry) -> int:
        """The open file with the content of an entry, which is the next one that has some."""
        member, self._member = self._member, self._member + 1
        if self._kept >= 0:
            try:
                return os.open(str(member), _FILE, dir_fd=self._kept)
            except FileNotFoundError:
                pass
        parent, _, name = clean(entry.name).rpartition(b"/")
        try:
            if parent != self._parent:
                self._forget()
                self._directory = syscalls.openat2(self._root, os.fsdecode(parent), _DIRECTORY, _IN_ROOT) if parent else self._root
                self._parent = parent
            return os.open(name, _FILE, dir_fd=self._directory)
        except OSError as error:
            raise _changed(entry, error.strerror or "") from error

    def close(self) -> None:
        self._forget()
        for fd in (self._root, self._kept):
            if fd >= 0:
                os.close(fd)

    def _forget(self) -> None:
        if self._directory != self._root:
            os.close(self._directory)
        self._parent, self._directory = b"", self._root


def _small(fd: int, entry: Entry) -> bytes:
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise _changed(entry, "it is no file")
        data = os.pread(fd, entry.size, 0)
        if len(data) != entry.size:
            raise _changed(entry, "it is too short")
        return data
    finally:
        os.close(fd)


def _contents(fd: int, entry: Entry) -> Iterator[bytes]:
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise _changed(entry, "it is no file")
        for offset, length in entry.sparse if entry.sparse is not None else ((0, entry.size),):
            while length:
                data = os.pread(fd, min(length, CHUNK), offset)
                if not data:
                    raise _changed(entry, "it is too short")
                offset, length = offset + len(data), length - len(data)
                yield data
    finally:
        os.close(fd)


def _changed(entry: Entry, why: str) -> StoreError:
    return StoreError(f"the layer's file {show(entry.name)} is not as it was stored: {why}", hint="remove the image and load it again")


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    pending: list[bytes] = []
    size = 0
    for piece in pieces:
        pending.append(piece)
        size += len(piece)
        if size >= _GATHERED:
            yield b"".join(pending) if len(pending) > 1 else piece
            pending.clear()
            size = 0
    if pending:
        yield b"".join(pending)


class _Headers:
    """The inflated headers as a tar Feed; contents are not in them."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._inflate = zlib.decompressobj(-15)
        self._data = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        while len(self._data) - self._at < count:
            if not self._more():
                raise InvalidInput("it ends early")
        self._at += count
        return self._data[self._at - count : self._at]

    def skip(self, count: int) -> None:
        raise InvalidInput("it asks for content")

    def pieces(self, count: int) -> Iterator[memoryview]:
        return iter(())

    def peek(self, offset: int, count: int) -> bytes:
        return self._data[self._at + offset : self._at + offset + count]

    def ready(self) -> int:
        return len(self._data) - self._at

    def at_end(self) -> bool:
        return self._at >= len(self._data) and not self._more()

    def _more(self) -> bool:
        while not self._inflate.eof:
            data = self._inflate.unconsumed_tail or self._read(CHUNK)
            if not data:
                return False
            if piece := self._inflate.decompress(data, CHUNK):
                self._data, self._at = self._data[self._at :] + piece, 0
                return True
        return False
