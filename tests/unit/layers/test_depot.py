"""root/layers: once each, complete or not at all, whoever dies or runs out of disk."""

from __future__ import annotations

import os
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.config import Settings
from kubeplay.engine.host import syscalls
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.layers import tree
from kubeplay.engine.layers.depot import Depot
from kubeplay.engine.layers.stream import Blob
from kubeplay.engine.layers.tar import TarReader
from kubeplay.errors import Exhausted, InvalidInput, NotFound, StoreError
from tests.support.images import digest, directory, file, layer, symlink

pytestmark = pytest.mark.root
DATA = layer([directory("./", 0o711), file("a", b"hello"), file("b", b"world" * 1000)])


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(Settings(root=str(tmp_path / "root"), runroot=str(tmp_path / "run")))


def add(depot: Depot, tmp_path: Path, data: bytes, diff_id: str = "", **more: str) -> object:
    (tmp_path / "blob").write_bytes(data)
    fd = os.open(tmp_path / "blob", os.O_RDONLY)
    try:
        return depot.add(Blob(fd, **more), diff_id)  # type: ignore[arg-type]
    finally:
        os.close(fd)


def names(paths: Paths) -> list[str]:
    return sorted(os.listdir(f"{paths.root}/layers"))


def test_a_layer_and_its_record(paths: Paths, tmp_path: Path) -> None:
    depot = Depot(paths)
    packed = zlib.compress(DATA, wbits=31)
    meta = depot.meta(add(depot, tmp_path, packed, digest(DATA), digest=digest(packed)).diff_id)  # type: ignore[attr-defined]
    assert meta.diff_id == digest(DATA) and depot.has(meta.diff_id) and depot.list() == [meta.diff_id]
    assert (meta.size, meta.content, meta.entries, meta.compression) == (len(DATA), 5005, 3, "gzip")
    assert (meta.blob, meta.blob_size, meta.reproducible) == (digest(packed), len(packed), True)
    where = paths.layer(meta.diff_id)
    assert sorted(os.listdir(where)) == ["fs", "headers", "meta", "root"]
    kept = zlib.decompress(Path(where, "headers").read_bytes(), wbits=-15)
    assert len(kept) == len(DATA) - 5005
    assert names(paths) == [digest(DATA)[7:]]


def test_wrong_diff_id_leaves_nothing(paths: Paths, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="unpacks to"):
        add(Depot(paths), tmp_path, DATA, digest(b"other"))
    with pytest.raises(InvalidInput, match="not match"):
        add(Depot(paths), tmp_path, DATA, digest(DATA), digest=digest(b"other"))
    assert names(paths) == []


def test_second_maker_of_a_layer_finds_it_there(paths: Paths, tmp_path: Path) -> None:
    depot = Depot(paths)
    first = add(depot, tmp_path, DATA)
    inode = os.stat(paths.layer(digest(DATA))).st_ino
    assert add(depot, tmp_path, DATA) == first  # without a diff id it is unpacked again and thrown away
    assert os.stat(paths.layer(digest(DATA))).st_ino == inode and names(paths) == [digest(DATA)[7:]]


def test_dead_makers_are_swept_living_ones_not(paths: Paths) -> None:
    depot = Depot(paths)
    with depot._temporary() as living:
        os.makedirs(f"{paths.root}/layers/.tmp-1-dead/fs/deep")
        os.makedirs(f"{paths.root}/layers/.del-{'a' * 64}-1/fs")
        depot.sweep()
        assert names(paths) == [os.path.basename(living)]
    assert names(paths) == []


def test_collect_keeps_used_layers_and_waits_for_loads(paths: Paths, tmp_path: Path) -> None:
    depot = Depot(paths)
    one, two = digest(DATA), digest(layer([file("x")]))
    add(depot, tmp_path, DATA)
    add(depot, tmp_path, layer([file("x")]))
    with depot.reading():
        assert Depot(paths).collect(lambda: [one]) == () and depot.has(two)
    assert depot.collect(lambda: [one]) == (two,)
    assert depot.list() == [one] and names(paths) == [one[7:]]


def test_full_disk_is_exhausted_and_leaves_nothing(tmp_path: Path) -> None:
    root = tmp_path / "small"
    root.mkdir()
    syscalls.mount("tmpfs", str(root), "tmpfs", 0, "size=1m")
    try:
        paths = Paths(Settings(root=str(root), runroot=str(tmp_path / "run")))
        for big in ([file("big", b"x" * (2 << 20))], [file(f"f{n}", b"x" * 3000) for n in range(1000)]):
            with pytest.raises(Exhausted, match="no space left"):
                add(Depot(paths), tmp_path, layer(big))
            assert names(paths) == []
        add(Depot(paths), tmp_path, DATA)
    finally:
        syscalls.umount(str(root))


def test_full_of_inodes_is_exhausted(tmp_path: Path) -> None:
    root = tmp_path / "small"
    root.mkdir()
    syscalls.mount("tmpfs", str(root), "tmpfs", 0, "nr_inodes=50")
    try:
        with pytest.raises(Exhausted):
            add(Depot(Paths(Settings(root=str(root)))), tmp_path, layer([file(f"f{n}") for n in range(100)]))
        assert os.listdir(root / "layers") == []
    finally:
        syscalls.umount(str(root))


def test_damaged_record_and_missing_layer(paths: Paths, tmp_path: Path) -> None:
    depot = Depot(paths)
    add(depot, tmp_path, DATA)
    for text in ("", "{", "[]", '{"x": 1}'):
        Path(paths.layer(digest(DATA)), "meta").write_text(text)
        with pytest.raises(StoreError):
            depot.meta(digest(DATA))
    with pytest.raises(NotFound):
        depot.meta(digest(b""))


def test_no_descriptor_is_left_open(paths: Paths, tmp_path: Path) -> None:
    depot = Depot(paths)
    before = len(os.listdir("/proc/self/fd"))
    add(depot, tmp_path, layer([file(f"{'d/' * n}f") for n in range(300)]))
    for broken in (DATA[:700], zlib.compress(DATA, wbits=31)[:50], layer([file("f"), file("f/x")])):
        with pytest.raises(InvalidInput):
            add(depot, tmp_path, broken)
    assert len(os.listdir("/proc/self/fd")) == before


def test_tree_removal_follows_no_link_and_manages_depth(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("x")
    top = tmp_path / "tree"
    top.mkdir()
    os.symlink(outside, top / "link")
    fd = os.open(top, os.O_RDONLY)
    for _ in range(1500):  # deeper than Python's stack and than open files allow
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    try:
        tree.remove(str(top))
        left = sorted(os.listdir(tmp_path))
    finally:  # pytest's own cleaning does not manage such depth
        subprocess.run(["rm", "-rf", top, *tmp_path.glob(".deep-*")], check=True)
    assert left == ["outside"] and os.listdir(outside) == ["keep"]
    tree.remove(str(top))
    tree.remove(str(tmp_path / "no/such"))
    os.symlink(outside, tmp_path / "link")
    tree.remove(str(tmp_path / "link"))
    assert os.listdir(outside) == ["keep"]


def test_the_stored_headers_and_files_give_the_archive_back(paths: Paths, tmp_path: Path) -> None:
    """The door for `save` and `push` (docs/decisions/0101-images.md), on an archive of GNU tar with all it can do."""
    source = tmp_path / "source"
    (source / "d" / ("n" * 150)).mkdir(parents=True)
    (source / "d" / "big").write_bytes(os.urandom(100_001))
    (source / "d" / ("n" * 150) / "f").write_bytes(b"x" * 513)
    os.link(source / "d" / "big", source / "again")
    os.symlink("d/big", source / "link")
    with open(source / "sparse", "wb") as opened:
        opened.seek(1 << 20)
        opened.write(b"end")
    for options in (["--format=gnu", "-S"], ["--format=posix", "-S"], ["--format=posix", "-b", "100"]):
        archive = subprocess.run(["tar", "-c", *options, "-C", source, "."], stdout=subprocess.PIPE, check=True).stdout
        meta = add(Depot(paths), tmp_path, archive)
        assert meta.reproducible and rebuilt(paths.layer(digest(archive))) == archive  # type: ignore[attr-defined]


def test_layers_that_cannot_be_given_back_say_so(paths: Paths, tmp_path: Path) -> None:
    for members in ([directory("d"), symlink("a", "d"), file("a/x", b"1"), directory("a")], [file(".wh.a", b"content")]):
        assert not add(Depot(paths), tmp_path, layer(members)).reproducible  # type: ignore[attr-defined]


def rebuilt(where: str) -> bytes:
    kept = memoryview(zlib.decompress(Path(where, "headers").read_bytes(), wbits=-15))
    out: list[bytes] = []

    class Feed:
        at = 0

        def take(self, count: int) -> bytes:
            self.at += count
            return bytes(kept[self.at - count : self.at])

        def skip(self, count: int) -> None:
            raise AssertionError("contents are not in the headers")

        def pieces(self, count: int) -> Iterator[memoryview]:
            return iter(())

        def peek(self, offset: int, count: int) -> bytes:
            return b""

        def ready(self) -> int:
            return 0

        def at_end(self) -> bool:
            return self.at >= len(kept)

    feed = Feed()
    reader = TarReader(feed, out.append)
    while (entry := reader.next()) is not None:
        if entry.type == b"0":
            reader.content()
            with open(os.path.join(where, "fs", os.fsdecode(entry.name)), "rb") as opened:
                for offset, length in entry.sparse if entry.sparse is not None else ((0, entry.size),):
                    opened.seek(offset)
                    out.append(opened.read(length))
    return b"".join(out) + bytes(kept[feed.at :])
