"""A blob in pieces, on its way from a descriptor or a network reader to the extractor.

One pass does everything: read, count against the limit, hash as stored, decompress, hash as unpacked. The
bytes that are hashed are the very bytes that are written, so a file that changes under us cannot smuggle
content past its digest (a second read, or copy_file_range beside a hashing thread, could). hashlib and the
decompressors let go of the interpreter lock, so hashing and decompressing run on the other core.
"""

from __future__ import annotations

import os
import threading
from _queue import SimpleQueue  # type: ignore[import-not-found,unused-ignore]
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from kubeplay.engine.layers.decompress import PLAIN as PLAIN
from kubeplay.engine.layers.decompress import decompressed
from kubeplay.engine.layers.decompress import sniff as sniff
from kubeplay.engine.layers.limits import CHUNK as CHUNK
from kubeplay.engine.layers.limits import MAX_LAYER as MAX_LAYER
from kubeplay.engine.layers.tar import Window
from kubeplay.errors import InvalidInput
from kubeplay.record import Record

_AHEAD = 4  # chunks between two threads: bounds memory at a few MiB

_SMALL = 1 << 16  # bytes; a pipe or socket gives little at a time: pieces are gathered to this size before they go through the queues
Tee = Callable[[bytes], object]


class Blob(Record):
    """Bytes of an open file: `size` from `offset`; size -1 is `until the end`, offset -1 a pipe.

    `digest` is what the manifest says of the bytes as stored ("" = it says nothing).
    """

    fd: int
    offset: int = 0
    size: int = -1
    digest: str = ""


class Reader(Protocol):
    """Bytes in order (images/transports/base.py's Reader). `read` gives at most `count` bytes, b"" at the end."""

    def read(self, count: int, /) -> bytes: ...
    def close(self) -> None: ...


class Incoming(Record):
    """A blob that comes from a Reader (an HTTP body): `size` and `digest` as the manifest says, -1 and "" where it says nothing.

    Exactly `size` bytes are read. Closing the reader is left to whoever opened it.
    """

    reader: Reader
    size: int = -1
    digest: str = ""


class Digester:
    """sha256 in a thread of its own; `update` waits when the thread falls behind."""

    def __init__(self) -> None:
        from hashlib import sha256

        self._hash = sha256()
        self._queue: Any = SimpleQueue()
        self._room = threading.Semaphore(_AHEAD)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def update(self, data: bytes) -> None:
        self._room.acquire()
        self._queue.put(data)

    def finish(self) -> str:
        """sha256:HEX of everything; the thread ends."""
        self.close()
        return "sha256:" + self._hash.hexdigest()

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (data := self._queue.get()) is not None:
            self._hash.update(data)
            self._room.release()


class Stream(Window):
    """The unpacked bytes of a blob as a tar Feed, with the digests known at the end.

    Use as a context manager: leaving it stops the threads. `finish()` reads what is left, checks the blob's
    own digest and size, and returns the digest of the unpacked bytes. `tee` gets the stored bytes, the very ones
    that are hashed, in order and perhaps in another thread; what it raises comes out of the read that follows.
    """

    def __init__(self, blob: Blob | Incoming, *, limit: int = MAX_LAYER, tee: Tee | None = None) -> None:
        self._blob = blob
        self._limit = limit
        self._tee = tee
        self.size = 0  # unpacked bytes so far
        self.stored = 0  # stored bytes so far
        self.stored_digest = ""  # after finish(), when the blob names one or is copied to a tee
        self.compression = PLAIN
        self._stored_hash: Digester | None = None
        self._hash = Digester()
        self._ahead: ReadAhead | None = None
        self.chunk = b""
        self.view = memoryview(b"")
        self.at = 0
        self._chunks = self._unpacked()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *args: object) -> None:
        if self._ahead:
            self._ahead.close()
        for digester in (self._hash, self._stored_hash):
            if digester:
                digester.close()

    def take(self, count: int) -> bytes:
        at = self.at
        end = at + count
        if end <= len(self.chunk):
            self.at = end
            return self.chunk[at:end]
        return b"".join(bytes(piece) for piece in self.pieces(count))

    def peek(self, offset: int, count: int) -> bytes:
        """Bytes ahead, which must be ready()."""
        start = self.at + offset
        return self.chunk[start : start + count]

    def skip(self, count: int) -> None:
        for _ in self.pieces(count):
            pass

    def pieces(self, count: int) -> Iterator[memoryview]:
        while count:
            if self.at >= len(self.chunk) and not self._more():
                raise InvalidInput("this is no tar archive, or a part of one: it ends in the middle of an entry")
            piece = self.view[self.at : self.at + count]
            self.at += len(piece)
            count -= len(piece)
            yield piece

    def ready(self) -> int:
        """How many bytes can be had without reading more; at least one unless at_end()."""
        return len(self.chunk) - self.at

    def at_end(self) -> bool:
        return self.at >= len(self.chunk) and not self._more()

    def finish(self, record: Callable[[bytes], object] | None = None) -> str:
        """Read to the end (`record` gets the rest), verify, return the unpacked digest."""
        while not self.at_end():
            if record:
                record(self.chunk[self.at :])
            self.at = len(self.chunk)
        unpacked = self._hash.finish()
        self.stored_digest = self._stored_hash.finish() if self._stored_hash else unpacked if self.compression == PLAIN else ""
        if self._blob.digest and self.stored_digest != self._blob.digest:
            message = f"the blob's content does not match its digest {self._blob.digest}"
            raise InvalidInput(message, hint="the archive is damaged or was tampered with")
        return unpacked

    def _more(self) -> bool:
        chunk = next(self._chunks, b"")
        self.chunk, self.view, self.at = chunk, memoryview(chunk), 0
        self.size += len(chunk)
        if self.size > self._limit:
            raise InvalidInput(f"the blob unpacks to more than {self._limit} bytes", hint="it looks like a decompression bomb")
        if chunk:
            self._hash.update(chunk)
        return bool(chunk)

    def _unpacked(self) -> Iterator[bytes]:
        raw = _raw(self._blob)
        first = next(raw, b"")
        self.compression = sniff(first)
        if self.compression != PLAIN and (self._blob.digest or self._tee):
            self._stored_hash = Digester()
        chunks = self._passing(_with_first(first, raw))
        if self.compression != PLAIN:
            chunks = decompressed(self.compression, chunks)
        elif isinstance(self._blob, Blob):
            yield from chunks  # a file is quicker to read than to hand over
            return
        self._ahead = ReadAhead(chunks)
        yield from self._ahead

    def _passing(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Count, hash and copy the stored bytes. Plain ones are hashed once, as what they unpack to."""
        for data in chunks:
            self.stored += len(data)
            if self._stored_hash:
                self._stored_hash.update(data)
            if self._tee:
                self._tee(data)
            yield data


def _raw(blob: Blob | Incoming) -> Iterator[bytes]:
    """The stored bytes in pieces of at least _SMALL, and never more than the blob is said to have."""
    read = _reading(blob)
    done = 0
    while blob.size < 0 or done < blob.size:
        wanted = CHUNK if blob.size < 0 else min(CHUNK, blob.size - done)
        data = read(wanted, done)
        while data and len(data) < min(_SMALL, wanted) and (more := read(wanted - len(data), done + len(data))):
            data += more
        if not data:
            if blob.size >= 0:
                raise InvalidInput(f"the blob has {done} bytes instead of {blob.size}")
            return
        done += len(data)
        yield data


def _reading(blob: Blob | Incoming) -> Callable[[int, int], bytes]:
    if isinstance(blob, Incoming):
        reader = blob.reader
        return lambda count, at: reader.read(count)
    fd, offset = blob.fd, blob.offset
    if offset < 0:
        return lambda count, at: os.read(fd, count)
    return lambda count, at: os.pread(fd, count, offset + at)


class ReadAhead:
    """Run an iterator in a thread, a few items ahead."""

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self._queue: Any = SimpleQueue()
        self._room = threading.Semaphore(_AHEAD)
        self._stop = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            item = self._queue.get()
            self._room.release()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        self._stop = True
        self._room.release()
        self._thread.join(1.0)  # it may sit in read(2) of a silent pipe; a daemon thread is then simply left

    def _run(self) -> None:
        try:
            for item in self._source:
                self._room.acquire()
                if self._stop:
                    return
                self._queue.put(item)
            self._queue.put(None)
        except BaseException as error:  # carried to the reading thread
            self._queue.put(error)


def _with_first(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest
