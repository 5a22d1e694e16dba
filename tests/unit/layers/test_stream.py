"""Blobs in pieces: compression, limits, digests, damage; nothing but InvalidInput comes out of hostile bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import sys
import threading
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeplay.engine.layers.stream import Blob, Stream
from kubeplay.engine.layers.tar import Entry, TarReader
from kubeplay.errors import InvalidInput
from tests.support.images import digest, directory, file, layer, symlink

zstandard = pytest.importorskip("zstandard")
RANDOM = random.Random(7)
DATA = b"".join(RANDOM.randbytes(1000) + b"text " * 3000 for _ in range(200))  # 3.2 MB, partly compressible


def blob(tmp_path: Path, data: bytes, **more: object) -> Blob:
    path = tmp_path / "blob"
    path.write_bytes(data)
    return Blob(os.open(path, os.O_RDONLY), **more)  # type: ignore[arg-type]


def drain(source: Blob, limit: int = 1 << 30) -> tuple[str, int, str]:
    try:
        with Stream(source, limit=limit) as stream:
            return stream.finish(), stream.size, stream.compression
    finally:
        os.close(source.fd)


def zstd(data: bytes) -> bytes:
    return bytes(zstandard.ZstdCompressor().compress(data))


PACKERS = {
    "": lambda d: d,
    "gzip": gzip.compress,
    "zstd": zstd,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("data", [b"x" * 10, DATA], ids=["short", "long"])
def test_compression_is_found_by_content(tmp_path: Path, kind: str, data: bytes) -> None:
    packed = PACKERS[kind](data)
    assert drain(blob(tmp_path, packed, digest=digest(packed), size=len(packed))) == (digest(data), len(data), kind)


@pytest.mark.parametrize("kind", ["gzip", "zstd", "bzip2", "xz"])
def test_concatenated_members(tmp_path: Path, kind: str) -> None:
    pack = PACKERS[kind]
    assert drain(blob(tmp_path, pack(DATA[:100_000]) + pack(DATA[100_000:]))) == (digest(DATA), len(DATA), kind)


@pytest.mark.parametrize("cut", [0, 1, 9])
def test_gzip_without_isal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)
    packed = gzip.compress(DATA)
    if not cut:
        assert drain(blob(tmp_path, packed + packed))[0] == digest(DATA + DATA)
        return
    with pytest.raises(InvalidInput, match="ends early"):
        drain(blob(tmp_path, packed[:-cut]))


def test_gzip_padding_is_allowed(tmp_path: Path) -> None:
    assert drain(blob(tmp_path, gzip.compress(DATA) + b"\0" * 1000))[0] == digest(DATA)


@pytest.mark.parametrize("kind", ["gzip", "zstd", "bzip2", "xz"])
def test_truncated_data_is_refused(tmp_path: Path, kind: str) -> None:
    packed = PACKERS[kind](DATA)
    for length in (len(packed) - 1, len(packed) // 2, 30):
        with pytest.raises(InvalidInput, match="ends early|damaged"):
            drain(blob(tmp_path, packed[:length]))


@pytest.mark.parametrize("kind", ["gzip", "zstd", "bzip2", "xz"])
def test_damaged_data_is_refused(tmp_path: Path, kind: str) -> None:
    packed = bytearray(PACKERS[kind](DATA))
    packed[len(packed) // 2 : len(packed) // 2 + 100] = b"\xff" * 100
    try:
        found = drain(blob(tmp_path, bytes(packed)))[0]
    except InvalidInput:
        return
    assert kind == "zstd" and found != digest(DATA)  # a zstd frame need not carry a checksum; the diff id does


def test_wrong_digest_and_wrong_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="does not match its digest"):
        drain(blob(tmp_path, DATA, digest=digest(b"other")))
    with pytest.raises(InvalidInput, match="bytes instead of"):
        drain(blob(tmp_path, DATA, size=len(DATA) + 1))


@pytest.mark.parametrize("kind", ["gzip", "zstd", "bzip2", "xz"])
def test_bombs_stop_at_the_limit_in_little_memory(tmp_path: Path, kind: str) -> None:
    """1 GiB of zeros; the peak stays at a few pieces."""
    if kind == "gzip":
        engine = zlib.compressobj(9, wbits=31)
        bomb = b"".join(engine.compress(b"\0" * (1 << 20)) for _ in range(256)) + engine.flush()
    elif kind == "zstd":
        bomb = zstandard.ZstdCompressor(level=19).compress(b"\0" * (1 << 28))
    else:
        bomb = PACKERS[kind](b"\0" * (1 << 26))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput, match="bomb"):
            drain(blob(tmp_path, bomb), limit=1 << 25)
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


def test_every_form_of_zstd_frame_ends_where_it_ends(tmp_path: Path) -> None:
    data = b"z" * 400_000 + os.urandom(1000)
    for size in (0, 1, 200, 300, 70_000, len(data)):
        for checksum in (False, True):
            for content in (False, True):
                pack = zstandard.ZstdCompressor(write_checksum=checksum, write_content_size=content)
                for packed in (pack.compress(data[:size]), pack.compressobj().compress(b"") + pack.compress(data[:size])):
                    assert drain(blob(tmp_path, packed * 2))[0] == digest(data[:size] * 2)
                    for cut in {1, 3, len(packed) - 4, len(packed) - 5}:
                        with pytest.raises(InvalidInput, match="ends early|damaged|no tar archive"):
                            drain(blob(tmp_path, packed + packed[:-cut]))


def test_pipes_are_read_to_their_end() -> None:
    read, write = os.pipe()

    def send() -> None:
        for piece in (DATA[:50_000], DATA[50_000:90_000]):
            os.write(write, piece)
        os.close(write)

    writer = threading.Thread(target=send)
    writer.start()
    assert drain(Blob(read, -1))[0] == digest(DATA[:90_000])
    writer.join()


def test_leaving_early_ends_the_threads(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    source = blob(tmp_path, gzip.compress(os.urandom(8 << 20), 1))
    with pytest.raises(KeyboardInterrupt), Stream(source) as stream:
        stream.take(512)
        raise KeyboardInterrupt
    os.close(source.fd)
    assert set(threading.enumerate()) <= before


# tar headers
def entries(data: bytes, tmp_path: Path) -> list[Entry]:
    source = blob(tmp_path, data)
    try:
        with Stream(source) as stream:
            reader = TarReader(stream)
            found = []
            while (entry := reader.next()) is not None:
                found.append(entry)
            stream.finish()
            return found
    finally:
        os.close(source.fd)


ARCHIVE = layer(
    [directory("d"), file("d/f", b"x" * 1500, uid=5), symlink("l", "d/f"), file("n" * 200, b"y", pax={"SCHILY.xattr.user.a": "b"})]
)


def test_recorded_bytes_and_contents_rebuild_the_archive(tmp_path: Path) -> None:
    """What `push` needs later: docs/decisions/0101-images.md."""
    recorded: list[bytes] = []
    contents: list[bytes] = []
    order: list[bytes] = []

    def record(data: bytes) -> None:
        recorded.append(data)
        order.append(data)

    source = blob(tmp_path, ARCHIVE + b"trailing garbage is kept")
    with Stream(source) as stream:
        reader = TarReader(stream, record)
        while (entry := reader.next()) is not None:
            if entry.type == b"0":
                contents.append(b"".join(bytes(piece) for piece in reader.content()))
                order.append(contents[-1])
        stream.finish(record)
    os.close(source.fd)
    assert b"".join(order) == ARCHIVE + b"trailing garbage is kept"
    assert contents == [b"x" * 1500, b"y"]
    assert not any(b"x" * 1500 in data for data in recorded)


def test_end_of_archive(tmp_path: Path) -> None:
    full = entries(ARCHIVE, tmp_path)
    body = ARCHIVE.rstrip(b"\0")
    body += b"\0" * (-len(body) % 512)
    assert [e.name for e in entries(body, tmp_path)] == [e.name for e in full]  # no end marker
    assert [e.name for e in entries(body + b"\0" * 512, tmp_path)] == [e.name for e in full]
    assert entries(b"", tmp_path) == []
    with pytest.raises(InvalidInput, match="zero block"):
        entries(body + b"\0" * 512 + ARCHIVE, tmp_path)


@pytest.mark.parametrize("cut", [1, 100, 511, 513, 1500, 2000])
def test_truncated_archives_are_refused(tmp_path: Path, cut: int) -> None:
    with pytest.raises(InvalidInput, match="ends in the middle|damaged|bytes"):
        entries(ARCHIVE[:cut] if cut % 512 else ARCHIVE[: cut + 7], tmp_path)


def test_checksum_is_checked(tmp_path: Path) -> None:
    data = bytearray(ARCHIVE)
    data[0] = ord("e")
    with pytest.raises(InvalidInput, match="checksum"):
        entries(bytes(data), tmp_path)


def header(kind: bytes, size: bytes, name: bytes = b"x") -> bytes:
    raw = bytearray(512)
    raw[: len(name)], raw[124 : 124 + len(size)], raw[156:157], raw[257:265] = name, size, kind, b"ustar\x0000"
    raw[100:108] = raw[108:116] = raw[116:124] = b"0000644\0"
    raw[136:148] = b"00000000000\0"
    raw[148:156] = b"        "
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


def record(text: bytes) -> bytes:
    length = len(text) + 3
    return b"%d %s\n" % (length + (length > 9 and len(b"%d " % (length + 1)) - 2), text)


def extended(data: bytes) -> bytes:
    """A PAX header with `data`, and a file it describes."""
    return header(b"x", b"%011o\0" % len(data)) + data.ljust(512, b"\0") + header(b"0", b"0\0")


@pytest.mark.parametrize(
    "data",
    [
        header(b"0", b"\xff" * 12),
        header(b"0", b"-0000000001\0"),
        header(b"0", b"zzz\0"),
        header(b"0", b"\x80" + b"\xff" * 11),
        header(b"x", b"77777777777\0"),
        header(b"L", b"10000000\0"),
        header(b"x", b"\xff" * 12),
        *map(extended, (b"garbage", b"5 a=b", b"-6 a=b\n", b"6 a=b\n7 a", b"0 a=b\n", b"99999999999999999999 a=b\n", b"5 =b\n")),
        *(
            extended(record(text))
            for text in (
                b"uid=-1",
                b"uid=x1",
                b"size=1e9",
                b"size=-1",
                b"path=a\0b",
                b"mtime=nan",
                b"GNU.sparse.map=0,1,2",
                b"GNU.sparse.map=0,5",
                b"GNU.sparse.major=1",
                b"size=9223372036854775808",
                b"gid=\xd9\xa1",
            )
        ),
    ],
)
def test_malformed_headers_are_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InvalidInput):
        entries(data + b"\0" * 1024, tmp_path)


def test_the_records_of_these_tests_are_well_formed(tmp_path: Path) -> None:
    for text in (b"uid=1", b"path=" + b"a" * 90, b"comment=", b"SCHILY.xattr.user.a=\0"):
        assert len(entries(extended(record(text)) + b"\0" * 1024, tmp_path)) == 1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(ARCHIVE) - 1), st.integers(0, 255)), min_size=1, max_size=20), st.booleans())
def test_mutated_archives_never_surprise(tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], mend: bool) -> None:
    """Whatever bytes change, the reader ends, with entries or InvalidInput; `mend` fixes the checksums afterwards."""
    data = bytearray(ARCHIVE)
    for at, value in changes:
        data[at] = value
    if mend:
        for start in range(0, len(data), 512):
            block = data[start : start + 512]
            block[148:156] = b"        "
            data[start + 148 : start + 156] = b"%06o\0 " % sum(block)
    try:
        for entry in entries(bytes(data), tmp_path_factory.getbasetemp()):
            assert entry.size >= 0
    except InvalidInput as error:
        assert len(str(error)) < 1000
