"""Layers from a Reader (an HTTP body), with a tee of the stored bytes, several at once."""

from __future__ import annotations

import gzip
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kubeplay.config import Settings
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.layers.depot import Depot
from kubeplay.engine.layers.stream import Incoming, Stream
from kubeplay.errors import InvalidInput, RegistryError
from tests.support.images import digest, directory, file, layer

DATA = layer([directory("./", 0o711), file("a", b"hello"), file("b", os.urandom(300_000))])
PACKED = gzip.compress(DATA)


class Body:
    """Hands out its bytes in pieces of `step`; raises at `fails_at`."""

    def __init__(self, data: bytes, step: int = 7000, fails_at: int = 1 << 60) -> None:
        self.data, self.step, self.fails_at, self.at = data, step, fails_at, 0

    def read(self, count: int, /) -> bytes:
        if self.at >= self.fails_at:
            raise RegistryError("the connection broke")
        piece = self.data[self.at : self.at + min(count, self.step)]
        self.at += len(piece)
        return piece

    def close(self) -> None:
        raise AssertionError("closing is its owner's")


@pytest.fixture
def depot(tmp_path: Path) -> Depot:
    return Depot(Paths(Settings(root=str(tmp_path / "root"), runroot=str(tmp_path / "run"))))


@pytest.mark.parametrize("data", [DATA, PACKED], ids=["plain", "gzip"])
@pytest.mark.parametrize("step", [1 << 20, 70_000, 3])
def test_stream_of_a_reader_and_its_tee(data: bytes, step: int) -> None:
    seen: list[bytes] = []
    body = Body(data + b"the next answer", step)
    with Stream(Incoming(body, len(data), digest(data)), tee=seen.append) as stream:
        assert stream.finish() == digest(DATA)
    assert b"".join(seen) == data and stream.stored == len(data) == body.at and stream.stored_digest == digest(data)


def test_digest_of_what_a_tee_got_is_told_even_if_nobody_named_it() -> None:
    with Stream(Incoming(Body(PACKED)), tee=len) as stream:
        stream.finish()
    assert stream.stored_digest == digest(PACKED)


@pytest.mark.root
def test_depot_keeps_the_stored_bytes_on_a_descriptor(depot: Depot, tmp_path: Path) -> None:
    fd = os.open(tmp_path / "blob", os.O_WRONLY | os.O_CREAT, 0o600)
    meta = depot.add(Incoming(Body(PACKED), len(PACKED), digest(PACKED)), digest(DATA), tee=fd)
    os.close(fd)
    assert (tmp_path / "blob").read_bytes() == PACKED
    assert (meta.blob, meta.blob_size, meta.compression, meta.size) == (digest(PACKED), len(PACKED), "gzip", len(DATA))
    assert depot.add(Incoming(Body(b"", fails_at=0)), digest(DATA)) == meta  # there already: not read at all


@pytest.mark.root
@pytest.mark.parametrize("data", [DATA, PACKED], ids=["plain", "gzip"])
def test_failures_of_either_side_leave_nothing(depot: Depot, tmp_path: Path, data: bytes) -> None:
    before = set(threading.enumerate())
    with pytest.raises(InvalidInput, match="bytes instead of"):
        depot.add(Incoming(Body(data[:-1]), len(data), digest(data)), digest(DATA))
    with pytest.raises(InvalidInput, match="does not match its digest|damaged"):
        depot.add(Incoming(Body(data[:100] + b"X" + data[101:]), len(data), digest(data)))
    with pytest.raises(RegistryError, match="broke"):
        depot.add(Incoming(Body(data, fails_at=len(data) // 2), len(data), digest(data)), digest(DATA))

    def full(_: bytes) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        depot.add(Incoming(Body(data), len(data), digest(data)), digest(DATA), tee=full)
    assert depot.list() == [] and os.listdir(tmp_path / "root/layers") == [] and set(threading.enumerate()) <= before


@pytest.mark.root
def test_many_at_once_some_of_them_the_same(depot: Depot) -> None:
    layers = [layer([file(f"f{number}", os.urandom(50_000)), file("x", b"y")]) for number in range(6)]
    packed = [gzip.compress(data, 1) for data in layers]
    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(depot.add, Incoming(Body(packed[n % 6]), -1, digest(packed[n % 6])), digest(layers[n % 6])) for n in range(12)]
        assert [job.result().diff_id for job in jobs] == [digest(data) for data in layers] * 2
    assert depot.list() == sorted(digest(data) for data in layers)
