"""Real overlay mounts of stored layers."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.config import Settings
from kubeplay.engine.host import syscalls
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.layers import overlay
from kubeplay.engine.layers.depot import Depot
from kubeplay.engine.layers.stream import Blob
from kubeplay.errors import Exhausted, NotFound
from tests.support.images import Member, directory, file, layer

pytestmark = pytest.mark.root
CID = "c" * 64


class House:
    """A root on a tmpfs of its own (overlay on overlay would be refused), with layers by members."""

    def __init__(self, base: Path, name: str = "root", options: str = "") -> None:
        self.base = base
        self.mount = base / name
        self.mount.mkdir()
        syscalls.mount("tmpfs", str(self.mount), "tmpfs", 0, options)
        self.paths = Paths(Settings(root=str(self.mount / "state"), runroot=str(self.mount / "run")))
        self.depot = Depot(self.paths)

    def layer(self, *members: Member) -> str:
        blob = self.base / "blob"
        blob.write_bytes(layer(members))
        fd = os.open(blob, os.O_RDONLY)
        try:
            return self.depot.add(Blob(fd)).diff_id
        finally:
            os.close(fd)

    def rootfs(self, *layers: str, cid: str = CID, read_only: bool = False) -> Path:
        return Path(overlay.mount_rootfs(cid, layers, self.paths, read_only=read_only))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    leave(made)


def leave(house: House) -> None:
    with open("/proc/self/mounts", encoding="utf-8") as file:
        targets = [line.split(" ")[1] for line in file]
    for target in reversed(targets):
        target = target.encode().decode("unicode_escape")
        if target == str(house.mount) or target.startswith(f"{house.mount}/"):
            syscalls.umount(target)


def test_layers_are_base_first(house: House) -> None:
    base = house.layer(file("a", b"base"), file("b", b"base"), directory("d"), file("d/x"), file("gone"))
    middle = house.layer(file("a", b"middle"), file(".wh.gone"), directory("d"), file("d/.wh..wh..opq"), file("d/y"))
    top = house.layer(file("b", b"top"))
    root = house.rootfs(base, middle, top)
    assert str(root) == f"{house.paths.bundle(CID)}/rootfs"
    assert (root / "a").read_bytes() == b"middle" and (root / "b").read_bytes() == b"top"
    assert sorted(os.listdir(root)) == ["a", "b", "d"] and os.listdir(root / "d") == ["y"]
    (root / "new").write_text("x")
    assert os.listdir(f"{house.paths.container(CID)}/upper") == ["new"]
    assert not os.path.exists(f"{house.paths.layer(top)}/fs/new")


def test_file_then_whiteout_then_directory_does_not_shine_through(house: House) -> None:
    base = house.layer(directory("d"), file("d/old"))
    top = house.layer(file(".wh.d"), directory("d"), file("d/new"))
    assert os.listdir(house.rootfs(base, top) / "d") == ["new"]


def test_opaque_root_hides_all_below(house: House) -> None:
    base, top = house.layer(file("old")), house.layer(file(".wh..wh..opq"), file("new"))
    assert os.listdir(house.rootfs(base, top)) == ["new"]


def test_root_directory_is_as_the_topmost_layer_says(house: House) -> None:
    base = house.layer(directory("./", 0o1751, uid=5, gid=6), file("a"))
    top = house.layer(file("b"))
    status = os.stat(house.rootfs(base, top))
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o1751, 5, 6)
    assert stat.S_IMODE(os.stat(house.rootfs(top, cid="e" * 64)).st_mode) == 0o755


def test_127_layers_and_a_long_root(tmp_path: Path) -> None:
    made = House(tmp_path, "r" * 100)
    try:
        layers = [made.layer(file(f"f{n}", b"%d" % n), file("same", b"%d" % n)) for n in range(127)]
        root = made.rootfs(*layers)
        assert len(os.listdir(root)) == 128 and (root / "same").read_bytes() == b"126"
        (root / "w").write_text("1")
        with pytest.raises(NotFound, match="127"):
            overlay.mount_rootfs("x" * 64, [*layers, layers[0]], made.paths)
    finally:
        leave(made)


def test_a_root_with_characters_special_to_overlayfs(tmp_path: Path) -> None:
    made = House(tmp_path, "a:b,c\\d e")
    try:
        root = made.rootfs(made.layer(file("x", b"1")), made.layer(file("y")))
        (root / "x").write_text("2")
        assert sorted(os.listdir(root)) == ["x", "y"]
    finally:
        leave(made)


def test_the_same_layer_twice_and_no_layer(house: House) -> None:
    one, two = house.layer(file("a")), house.layer(file("b"))
    assert sorted(os.listdir(house.rootfs(one, two, one))) == ["a", "b"]
    assert os.listdir(house.rootfs(cid="e" * 64)) == []


def test_view_is_read_only(house: House) -> None:
    for number, layers in enumerate([[house.layer(file("a"))], [house.layer(file("a")), house.layer(file("b"), file(".wh.a"))], []]):
        target = house.mount / f"view{number}"
        target.mkdir()
        overlay.view_rootfs(layers, str(target), house.paths)
        assert os.listdir(target) == [["a"], ["b"], []][number]
        with pytest.raises(OSError, match="Read-only"):
            (target / "x").write_text("1")
        overlay.unmount(str(target))
        assert not overlay.is_mounted(str(target))


def test_read_only_rootfs_has_no_writable_layer(house: House) -> None:
    root = house.rootfs(house.layer(file("a")), read_only=True)
    with pytest.raises(OSError, match="Read-only"):
        (root / "x").write_text("1")
    assert not os.path.exists(house.paths.container(CID))


def test_mount_unmount_remount_remove_again_and_again(house: House) -> None:
    base = house.layer(file("a"))
    root = house.rootfs(base)
    (root / "kept").write_text("1")
    assert house.rootfs(base) == root  # mounted already
    overlay.unmount_rootfs(CID, house.paths)
    overlay.unmount_rootfs(CID, house.paths)
    assert os.listdir(root) == []
    assert sorted(os.listdir(house.rootfs(base))) == ["a", "kept"]  # volatile does not forbid the second mount
    for _ in range(2):
        overlay.remove_rootfs(CID, house.paths)
        assert not os.path.exists(house.paths.container(CID)) and not root.exists()


@pytest.mark.rootful("no device nodes in a user namespace: layers come without them (tests/e2e/test_rootless_attacks.py)")
def test_devices_of_an_image_do_not_open(house: House) -> None:
    root = house.rootfs(house.layer(Member("null", type=b"3", mode=0o666, device=(1, 3))))
    with pytest.raises(PermissionError):
        (root / "null").read_bytes()


def test_a_busy_rootfs_is_detached(house: House) -> None:
    root = house.rootfs(house.layer(file("a")))
    with open(root / "a", "rb"):
        overlay.remove_rootfs(CID, house.paths)
        assert not root.exists()


def test_missing_layer_and_full_disk(tmp_path: Path) -> None:
    made = House(tmp_path, options="nr_inodes=60")
    try:
        base = made.layer(file("a"))
        with pytest.raises(NotFound, match="not stored"):
            made.rootfs("sha256:" + "0" * 64)
        for number in range(60):
            Path(made.mount / f"f{number}").touch()
    except OSError:
        with pytest.raises(Exhausted):
            made.rootfs(base, cid="e" * 64)
    finally:
        leave(made)


def test_a_symlinked_container_directory_is_not_used_for_an_escape(house: House) -> None:
    """Ids are path components only."""
    from kubeplay.errors import InvalidInput

    for cid in ("../x", "a/b", "", ".."):
        with pytest.raises(InvalidInput):
            house.rootfs(cid=cid)
        with pytest.raises(InvalidInput):
            overlay.unmount_rootfs(cid, house.paths)
