"""Unpack blobs piece by piece: gzip, zstd, bzip2, xz, told apart by their first bytes.

Nothing is ever unpacked whole: a piece has about CHUNK bytes however well it was packed, so that a bomb is counted
against a limit while it unfolds. Gzip is unpacked by ISA-L (the package isal), twice as fast as zlib.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

from kubeplay.engine.layers.limits import CHUNK as CHUNK
from kubeplay.errors import InvalidInput, NotSupported

GZIP, ZSTD, BZIP2, XZ, PLAIN = "gzip", "zstd", "bzip2", "xz", ""
_MAGIC = ((b"\x1f\x8b\x08", GZIP), (b"\x28\xb5\x2f\xfd", ZSTD), (b"BZh", BZIP2), (b"\xfd7zXZ\x00", XZ))
_Errors = tuple[type[BaseException], ...]
_MEMBER = 1 << 14  # bytes that a new gzip member is first given: there may be one per file (eStargz), and its rest is copied


def sniff(first: bytes) -> str:
    """How the bytes are compressed, by their magic; a manifest's media type is only a claim."""
    if first[1:4] == b"*M\x18" and first[0] & 0xF0 == 0x50:
        return ZSTD  # RFC 8878 3.1.2: a skippable frame in front, as pzstd writes it
    return next((name for magic, name in _MAGIC if first.startswith(magic)), PLAIN)


def decompressed(kind: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The unpacked bytes. Concatenated members or frames are one. Raises InvalidInput for what is damaged or ends early."""
    return {GZIP: _gzip, ZSTD: _zstd, BZIP2: _bzip2, XZ: _xz}[kind](chunks)


def _gzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    make, errors = _inflate()
    rest = _Rest(chunks)
    try:
        while rest.want(_MEMBER):  # ISA-L trips over some headers that come in two parts
            engine: Any = make()
            step = _MEMBER
            while not engine.eof:
                piece = rest.take(step)
                out = engine.decompress(piece, CHUNK)
                rest.untake(len(engine.unused_data if engine.eof else engine.unconsumed_tail))
                if out:
                    yield out
                elif not piece and not engine.eof:
                    raise InvalidInput("damaged gzip data: it ends early")
                step = min(2 * step, CHUNK)
            if rest.want(1) and rest.peek() == b"\0":  # padding after the last member, as gzip(1) allows
                rest.skip_zeros()
    except errors as problem:
        raise InvalidInput(f"damaged gzip data: {problem}") from None


def _inflate() -> tuple[Callable[[], Any], _Errors]:
    try:
        from isal import isal_zlib
    except ImportError:  # no wheel for this machine
        return (lambda: zlib.decompressobj(16 + zlib.MAX_WBITS)), (zlib.error,)
    errors: Any = isal_zlib.error  # a class, whatever its stub says
    return (lambda: isal_zlib.decompressobj(16 + zlib.MAX_WBITS)), (errors,)


class _Rest:
    """Chunks with a place in them that can be moved back within what was taken last."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._data = b""
        self._at = 0

    def want(self, count: int) -> bool:
        """Have `count` bytes ready, or all there are; whether there are any."""
        while len(self._data) - self._at < count and (more := next(self._chunks, b"")):
            self._data, self._at = self._data[self._at :] + more, 0
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        """At most `count` bytes, none at the end."""
        self.want(1)
        piece = self._data[self._at : self._at + count]
        self._at += len(piece)
        return piece

    def untake(self, count: int) -> None:
        self._at -= count

    def peek(self) -> bytes:
        return self._data[self._at : self._at + 1]

    def skip_zeros(self) -> None:
        while self.want(1):
            kept = self._data[self._at :].lstrip(b"\0")
            if kept:
                raise InvalidInput("damaged gzip data: something follows its end")
            self._at = len(self._data)


def _bzip2(chunks: Iterator[bytes]) -> Iterator[bytes]:
    from bz2 import BZ2Decompressor

    return _buffered(BZIP2, chunks, BZ2Decompressor, (OSError, EOFError))


def _xz(chunks: Iterator[bytes]) -> Iterator[bytes]:
    from lzma import FORMAT_XZ, LZMADecompressor, LZMAError

    return _buffered(XZ, chunks, lambda: LZMADecompressor(format=FORMAT_XZ, memlimit=1 << 28), (LZMAError,))


def _buffered(kind: str, chunks: Iterator[bytes], make: Callable[[], Any], errors: _Errors) -> Iterator[bytes]:
    """bz2 and lzma keep the unread input themselves and say so through needs_input."""
    engine: Any = None
    try:
        for chunk in chunks:
            while chunk or (engine and not engine.needs_input):
                engine = engine or make()
                out = engine.decompress(chunk, CHUNK)
                chunk = b""
                if out:
                    yield out
                if engine.eof:
                    chunk, engine = engine.unused_data, None
    except errors as problem:
        raise InvalidInput(f"damaged {kind} data: {problem}") from None
    if engine is not None:
        raise InvalidInput(f"damaged {kind} data: it ends early")


def _zstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """python-zstandard's push interface unpacks all it is given at once (128 KiB for 4 bytes); only the pull one is bounded."""
    from kubeplay.engine.layers.frames import Frames

    library, frames = zstandard(), Frames()
    source = _Readable(chunks, frames.feed)
    reader = library.ZstdDecompressor(max_window_size=1 << 27).stream_reader(source, read_across_frames=True)
    try:
        while data := reader.read(CHUNK):
            yield data
    except library.ZstdError as problem:
        raise InvalidInput(f"damaged zstd data: {problem}") from None
    if not frames.between:
        raise InvalidInput("damaged zstd data: it ends early")


class _Readable:
    """Chunks as the file object that python-zstandard reads from; `seen` gets what was read."""

    def __init__(self, chunks: Iterator[bytes], seen: Callable[[bytes], None]) -> None:
        self._chunks = chunks
        self._seen = seen
        self._rest = b""

    def read(self, count: int) -> bytes:
        data = self._rest or next(self._chunks, b"")
        self._rest = data[count:]
        self._seen(data[:count])
        return data[:count]


def zstandard() -> Any:
    """The library. Raises NotSupported where it is not installed."""
    try:
        import zstandard as library
    except ImportError:
        raise NotSupported("zstd is not available", hint="install the Python package zstandard") from None
    return library
