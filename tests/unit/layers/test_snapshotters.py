"""Every way of stacking passes the same tests, as root and in a user namespace: what is mounted, what is written, what is left."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from kubeplay.config import Settings
from kubeplay.engine.host import syscalls
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.layers import fuse, overlay, snapshotter
from kubeplay.engine.layers.depot import Depot
from kubeplay.engine.layers.snapshotter import COPIES, FUSE, OVERLAY
from kubeplay.engine.layers.stream import Blob
from kubeplay.errors import InvalidInput, MissingPrerequisite
from tests.support import user
from tests.support.images import Member, directory, file, hardlink, layer, symlink
from tests.support.userns import inside

pytestmark = pytest.mark.root
T = TypeVar("T")
CID = "c" * 64
BASE = (
    directory("./", 0o751, uid=3), directory("d"), file("d/old", b"old", uid=1000), file("gone", b"1"), file("kept", b"kept", mtime=5),
    hardlink("kept2", "kept"), symlink("link", "kept"), directory("e"), file("e/x", b"x"), directory("e/deep"), file("e/deep/y", b"y"),
    file("su", b"s", 0o4755, uid=33),
)  # fmt: skip
TOP = (directory("e"), file("e/.wh.x"), file("e/new", b"new"), file("top", b"top", mtime=7))


def _nothing(work: Callable[[], T]) -> T:
    return work()


@pytest.fixture(params=["root", "user namespace"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], object]], object]:
    snapshotter.forget()
    return inside if request.param != "root" else _nothing


@pytest.fixture
def devices() -> Iterator[None]:
    """/dev/fuse as udev would have it."""
    with user.devices():
        yield


class House:
    """A root with two layers, on the disk, and a runroot that is a tmpfs, as they are in life."""

    def __init__(self, where: Path, driver: str) -> None:
        (where / "run").mkdir(exist_ok=True)
        syscalls.mount("tmpfs", str(where / "run"), "tmpfs")
        self.where = where
        self.paths = Paths(Settings(root=str(where / "root"), runroot=str(where / "run"), storage_driver=driver))
        self.depot = Depot(self.paths)
        self.layers = [self.layer(BASE), self.layer(TOP)]

    def layer(self, members: tuple[Member, ...]) -> str:
        blob = self.where / "blob"
        blob.write_bytes(layer(members))
        fd = os.open(blob, os.O_RDONLY)
        try:
            return self.depot.add(Blob(fd)).diff_id
        finally:
            os.close(fd)

    def mount(self, cid: str = CID) -> Path:
        return Path(overlay.mount_rootfs(cid, self.layers, self.paths))

    def leave(self) -> None:
        """Nothing of ours is left: no mount, no process, no file."""
        overlay.remove_rootfs(CID, self.paths)
        assert not os.path.exists(self.paths.container(CID)) and not os.path.exists(f"{self.paths.bundle(CID)}/rootfs")
        with open("/proc/self/mounts", encoding="utf-8") as mounts:
            mine = [line for line in mounts if f" {self.where}/" in line]
        assert len(mine) == 1, mine
        assert os.listdir(f"{self.paths.root}/containers") == []
        assert not [name for name in os.listdir(f"{self.paths.root}/layers") if name.startswith((".tmp", ".del"))]
        assert not os.path.isdir(f"{self.paths.runroot}/views") or os.listdir(f"{self.paths.runroot}/views") == []
        syscalls.umount(str(self.where / "run"))


def _change(root: Path) -> None:
    (root / "gone").unlink()
    (root / "d/old").unlink()
    (root / "d").rmdir()
    (root / "d").mkdir()
    (root / "d/fresh").write_text("fresh")
    (root / "e/deep/y").write_text("Y")  # as long as before
    os.utime(root / "e/deep/y", (0, 0))  # and with the time it had
    os.chown(root / "top", 1000, 100)
    (root / "new").mkdir(0o700)
    (root / "new/file").write_text("1")
    os.link(root / "new/file", root / "new/again")
    os.symlink("x", root / "new/link")
    os.mkfifo(root / "pipe")
    os.setxattr(root / "e/new", "user.a", b"1")


@pytest.mark.parametrize("driver", [OVERLAY, FUSE, COPIES])
def test_a_container_sees_writes_and_leaves(
    tmp_path: Path, driver: str, run: Callable[[Callable[[], object]], object], devices: None
) -> None:
    def work() -> object:
        house = House(tmp_path, driver)
        root = house.mount()
        assert overlay.is_mounted(str(root)) and house.mount() == root
        assert sorted(os.listdir(root)) == ["d", "e", "gone", "kept", "kept2", "link", "su", "top"]
        assert sorted(os.listdir(root / "e")) == ["deep", "new"] and (root / "link").read_bytes() == b"kept"
        top, suid = os.stat(root), os.stat(root / "su")
        assert (stat.S_IMODE(top.st_mode), top.st_uid) == (0o751, 3)
        assert (stat.S_IMODE(suid.st_mode), suid.st_uid, os.stat(root / "d/old").st_uid) == (0o4755, 33, 1000)
        _change(root)
        assert os.stat(root / "kept2").st_ino == os.stat(root / "kept").st_ino, "names of one file stay names of one file"
        with open("/proc/self/mounts", encoding="utf-8") as mounts:
            assert any(f" {root} " in line and "nodev" in line for line in mounts)
        if driver == FUSE:
            assert len(fuse._processes(str(root))) == 1
        for one in house.layers:
            assert not os.path.exists(f"{house.paths.layer(one)}/fs/new"), "layers are never written to"
        assert Path(f"{house.paths.layer(house.layers[0])}/fs/kept").read_bytes() == b"kept"
        house.leave()
        assert driver != FUSE or not fuse._processes(str(root))
        return None

    run(work)


def _seen(root: str | Path) -> dict[str, tuple[object, ...]]:
    """All that a container could tell of its files."""
    found: dict[str, tuple[object, ...]] = {}
    for top, directories, names in os.walk(root):
        for name in [*directories, *names]:
            path = os.path.join(top, name)
            status = os.lstat(path)
            link = os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""
            content = Path(path).read_bytes() if stat.S_ISREG(status.st_mode) else b""
            xattrs = tuple(sorted(x for x in os.listxattr(path, follow_symlinks=False) if not x.startswith("user.overlay")))
            found[os.path.relpath(path, root)] = (status.st_mode, status.st_uid, status.st_gid, link, content, xattrs)
    return found


@pytest.mark.parametrize("driver", [OVERLAY, FUSE, COPIES])
def test_what_was_written_is_a_layer_that_gives_the_same_files(
    tmp_path: Path, driver: str, run: Callable[[Callable[[], object]], object], devices: None
) -> None:
    """`commit` of a container of one driver, seen through the kernel's overlay: while it is mounted, and taken afterwards (a build)."""

    def work() -> object:
        house = House(tmp_path, driver)
        root = house.mount()
        _change(root)
        wanted = _seen(root)
        with overlay.upper_of(CID, house.layers, house.paths) as upper:
            copied = house.depot.commit(upper, root=True).diff_id
        overlay.unmount_rootfs(CID, house.paths)
        taken = house.depot.commit(overlay.taken_upper(CID, house.layers, house.paths), move=True, root=True).diff_id
        assert taken == copied, "moved or copied, it is one layer"
        paths = Paths(Settings(root=house.paths.root, runroot=house.paths.runroot, storage_driver=OVERLAY))
        target = tmp_path / "run/view"
        target.mkdir()
        overlay.view_rootfs([*house.layers, taken], str(target), paths)
        assert _seen(target) == wanted
        assert os.listdir(target / "d") == ["fresh"] and not (target / "gone").exists()
        overlay.unmount(str(target))
        house.leave()
        return None

    run(work)


@pytest.mark.parametrize("driver", [OVERLAY, FUSE, COPIES])
def test_views_are_read_only_and_shared(tmp_path: Path, driver: str, run: Callable[[Callable[[], object]], object], devices: None) -> None:
    def work() -> object:
        house = House(tmp_path, driver)
        for layers in (house.layers, house.layers[:1], []):
            target = tmp_path / "run/view"
            target.mkdir()
            overlay.view_rootfs(layers, str(target), house.paths)
            assert len(os.listdir(target)) == {2: 8, 1: 7, 0: 0}[len(layers)]
            with pytest.raises(OSError, match="Read-only"):
                (target / "x").write_text("1")
            with open("/proc/self/mounts", encoding="utf-8") as mounts:
                line = next(line for line in mounts if f" {target} " in line)
            assert {"ro", "nosuid", "nodev"} <= set(line.split()[3].split(",")), line
            overlay.unmount(str(target))
            assert not overlay.is_mounted(str(target))
            target.rmdir()
        os.mkdir(f"{house.paths.root}/containers")
        house.leave()
        return None

    run(work)


def test_a_mount_whose_process_died_is_made_anew(tmp_path: Path, devices: None) -> None:
    import signal

    from kubeplay.engine.host import processes

    house = House(tmp_path, FUSE)
    root = house.mount()
    (root / "kept").write_text("mine")
    (process,) = fuse._processes(str(root))
    processes.send(process, signal.SIGKILL)
    assert processes.await_end(process, 100)
    with pytest.raises(OSError, match="not connected"):
        os.listdir(root)
    assert overlay.is_mounted(str(root))
    assert (house.mount() / "kept").read_text() == "mine"
    house.leave()


def test_a_copy_is_found_out_about_restored_times(tmp_path: Path) -> None:
    house = House(tmp_path, COPIES)
    root = house.mount()
    time.sleep(0.05)  # the kernel's clock for ctime ticks every 1 to 10 ms (CONFIG_HZ)
    before = os.stat(root / "top")
    (root / "top").write_text("TOP")
    os.utime(root / "top", ns=(before.st_atime_ns, before.st_mtime_ns))
    with overlay.upper_of(CID, house.layers, house.paths) as upper:
        assert os.listdir(upper) == ["top"]
    assert not [name for name in os.listdir(house.paths.container(CID)) if name.startswith("upper")]
    house.leave()


def test_merged_copies_go_with_their_layers(tmp_path: Path) -> None:
    house = House(tmp_path, COPIES)
    house.mount()
    assert len([name for name in os.listdir(f"{house.paths.root}/vfs") if not name.startswith(".")]) >= 1
    overlay.remove_rootfs(CID, house.paths)
    house.depot.collect(lambda: [])
    assert os.listdir(f"{house.paths.root}/vfs") == [] and house.depot.list() == []
    house.leave()


# which way is chosen
def test_the_kernels_overlay_is_first_choice_and_kept(tmp_path: Path, run: Callable[[Callable[[], object]], object]) -> None:
    def work() -> object:
        house = House(tmp_path, "")
        assert snapshotter.choice(house.paths) == (OVERLAY, "")
        kept = Path(f"{house.paths.root}/{snapshotter.FILE}")
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and OVERLAY in kept.read_text()
        stamp = kept.stat().st_mtime_ns
        snapshotter.forget()
        assert snapshotter.choice(house.paths).driver == OVERLAY and kept.stat().st_mtime_ns == stamp
        syscalls.umount(str(tmp_path / "run"))
        return None

    run(work)


def test_where_overlayfs_is_refused_the_next_best_is_taken_and_why_is_told(
    tmp_path: Path, devices: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A root on an overlay, as in a container. fuse-overlayfs mounts there, and its deletions are no devices: not a way either."""
    for name in ("low", "up", "work", "merged"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/low,upperdir={tmp_path}/up,workdir={tmp_path}/work"
    syscalls.mount("overlay", str(tmp_path / "merged"), "overlay", 0, options)
    paths = Paths(Settings(root=str(tmp_path / "merged/root"), runroot=str(tmp_path / "run")))
    snapshotter.forget()
    try:
        found = snapshotter.choice(paths)
        assert found.driver == COPIES and found.why.startswith("overlay: it cannot be mounted over the file system of")
        assert "local disk" in found.why and "fuse-overlayfs: deletions are not marked" in found.why
        blob = tmp_path / "blob"
        blob.write_bytes(layer((file(".wh.x"),)))
        with open(blob, "rb") as opened, pytest.raises(MissingPrerequisite, match="volume or a tmpfs"):
            Depot(paths).add(Blob(opened.fileno()))
        os.unlink(f"{paths.root}/{snapshotter.FILE}")
        snapshotter.forget()
        monkeypatch.setattr(fuse, "PROGRAM", "fuse-overlayfs-that-is-not-there")
        found = snapshotter.choice(paths)
        assert found.driver == COPIES and "is not installed" in found.why and "apt-get install" in found.why
    finally:
        syscalls.umount(str(tmp_path / "merged"))


def test_a_driver_that_is_asked_for_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(Settings(root=str(tmp_path / "root"), runroot=str(tmp_path / "run"), storage_driver="aufs"))
    with pytest.raises(InvalidInput, match="overlay, fuse-overlayfs, vfs"):
        snapshotter.choice(paths)
    monkeypatch.setattr(fuse, "_DEVICE", "/nonexistent/fuse")
    paths = Paths(Settings(root=str(tmp_path / "root"), runroot=str(tmp_path / "run"), storage_driver=FUSE))
    (tmp_path / "root").mkdir()
    with pytest.raises(MissingPrerequisite, match="modprobe fuse"):
        snapshotter.choice(paths)
    assert os.listdir(tmp_path / "root/layers") == []


def test_the_remedy_for_a_closed_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    closed = tmp_path / "fuse"
    closed.touch(0o000)
    monkeypatch.setattr(fuse, "_DEVICE", str(closed))

    def work() -> str:
        os.setresuid(1, 1, 1)
        with pytest.raises(MissingPrerequisite) as error:
            fuse._check_device()
        return str(error.value)

    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    assert "chmod 0666 /dev/fuse" in inside(work)


def test_an_answer_changes_when_fuse_becomes_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """vfs is kept only as long as there is nothing better."""
    house = House(tmp_path, "")
    monkeypatch.setattr(snapshotter, "DRIVERS", (FUSE, COPIES))
    monkeypatch.setattr(fuse, "_DEVICE", "/nonexistent/fuse")
    monkeypatch.setattr(snapshotter, "_DECIDING", (str(tmp_path / "installed"),))
    snapshotter.forget()
    os.unlink(f"{house.paths.root}/{snapshotter.FILE}") if os.path.exists(f"{house.paths.root}/{snapshotter.FILE}") else None
    first = snapshotter.choice(house.paths)
    assert first.driver == COPIES and "/nonexistent/fuse is not there" in first.why
    monkeypatch.setattr(fuse, "_DEVICE", "/dev/fuse")
    snapshotter.forget()
    assert snapshotter.choice(house.paths).driver == COPIES, "nothing has changed on the machine"
    (tmp_path / "installed").touch()
    snapshotter.forget()
    assert snapshotter.choice(house.paths).driver == FUSE
    syscalls.umount(str(tmp_path / "run"))
