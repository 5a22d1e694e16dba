"""Packing: what comes out unpacks to what went in, the same every time, and the digests are those of the bytes."""

from __future__ import annotations

import gzip
import os
import threading

import pytest

from kubeplay.engine.layers.compress import Compressed
from kubeplay.engine.layers.stream import Incoming, Stream
from kubeplay.engine.layers.write import Pieces
from kubeplay.errors import InvalidInput
from tests.support.images import digest

DATA = os.urandom(100_000) + b"text " * 500_000 + os.urandom(100_000)


def reader(data: bytes = DATA) -> Pieces:
    return Pieces(iter([data[at : at + 300_000] for at in range(0, len(data), 300_000)]))


def packed(kind: str, level: int | None = None, data: bytes = DATA) -> bytes:
    source = Compressed(reader(data), kind, level)
    found = b"".join(iter(lambda: source.read(70_000), b""))
    assert source.read(10) == b""
    source.close()
    assert (source.digest, source.size) == (digest(found), len(found))
    assert (source.content_digest, source.content_size) == (digest(data), len(data))
    return found


@pytest.mark.parametrize("kind, level", [("gzip", None), ("gzip", 1), ("gzip", 9), ("zstd", None), ("zstd", 1), ("zstd", 20), ("", None)])
def test_packed_is_the_same_every_time_and_unpacks(kind: str, level: int | None) -> None:
    found = packed(kind, level)
    assert found == packed(kind, level) and (len(found) < len(DATA) // 5) == bool(kind)
    with Stream(Incoming(Pieces(iter([found])), len(found), digest(found))) as stream:
        assert stream.finish() == digest(DATA) and stream.compression == kind


def test_gzip_is_what_everybody_reads() -> None:
    assert gzip.decompress(packed("gzip")) == DATA == gzip.decompress(packed("gzip", 6))
    for level in (None, 6):
        assert packed("gzip", level)[:8] == b"\x1f\x8b\x08\0\0\0\0\0"  # no name, no time


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_nothing_packed(kind: str) -> None:
    found = packed(kind, data=b"")
    with Stream(Incoming(Pieces(iter([found])))) as stream:
        assert stream.finish() == digest(b"") and stream.compression == kind


def test_levels_and_formats_that_do_not_exist() -> None:
    for kind, level in (("gzip", 0), ("gzip", 10), ("zstd", 21), ("zstd", 0), ("lz4", None)):
        with pytest.raises(InvalidInput):
            Compressed(reader(), kind, level)


def test_failures_and_leaving_early_end_the_threads() -> None:
    before = set(threading.enumerate())

    class Broken:
        def read(self, count: int, /) -> bytes:
            raise InvalidInput("broken")

        def close(self) -> None: ...

    source = Compressed(Broken(), "gzip")
    with pytest.raises(InvalidInput, match="broken"):
        source.read(1)
    source.close()
    assert source.digest == ""
    early = Compressed(reader(os.urandom(20 << 20)), "zstd")
    early.read(10)
    early.close()
    assert set(threading.enumerate()) <= before
