"""Volumes whose owner plants links and swaps names while we look: nothing outside is ever opened, written or changed.

CVE-2017-1002101, CVE-2021-25741 (subPath), CVE-2025-9566 (files of ConfigMaps and Secrets).
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from kubeplay.config import Settings
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.store.db import Store
from kubeplay.engine.volumes import atomic, fsgroup, subpath
from kubeplay.engine.volumes.atomic import File
from kubeplay.engine.volumes.manager import Volumes
from kubeplay.errors import VolumeError
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.pod import PodPlan, SandboxPlan
from kubeplay.plan.volumes import Mount, ObjectFiles, Volume

SECONDS = 0.7
UID = "11111111-2222-3333-4444-555555555555"
_libc = ctypes.CDLL(None, use_errno=True)


def exchange(first: Path, second: Path) -> None:
    """renameat2(2) with RENAME_EXCHANGE: both names change hands in one moment."""
    assert _libc.renameat2(-100, os.fsencode(first), -100, os.fsencode(second), 2) == 0


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[Callable[[object], bool]]:
    """`work` over and over in a thread; gives what says whether to go on: for so many seconds, and until there was `enough`."""
    begin = time.monotonic()
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            with suppress(OSError, AssertionError):
                work()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield lambda enough: time.monotonic() < begin + (SECONDS if enough else 100)
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What must stay as it is."""
    made = tmp_path / "outside"
    (made / "deep").mkdir(parents=True)
    (made / "key").write_text("host")
    made.chmod(0o700)
    return made


def untouched(outside: Path) -> bool:
    names = sorted(p.name for p in outside.iterdir())
    return names == ["deep", "key"] and (outside / "key").read_text() == "host" and outside.stat().st_mode & 0o7777 == 0o700


def test_cve_2021_25741_sub_path_swapped_for_a_link(tmp_path: Path, outside: Path) -> None:
    volume = tmp_path / "volume"
    (volume / "a/deep").mkdir(parents=True)
    (volume / "b").symlink_to(outside)
    own, inside, refused = (volume / "a/deep").stat().st_ino, 0, 0
    with meanwhile(lambda: exchange(volume / "a", volume / "b")) as going:
        while going(inside and refused):
            try:
                fd = subpath.open_below(str(volume), "a/deep", create=True)
            except VolumeError:
                refused += 1
                continue
            there = os.fstat(fd).st_ino
            os.close(fd)
            assert there == own
            inside += 1
    assert inside and refused and untouched(outside)


def test_cve_2021_25741_a_missing_sub_path_is_not_made_outside(tmp_path: Path, outside: Path) -> None:
    volume = tmp_path / "volume"
    (volume / "a").mkdir(parents=True)
    (volume / "b").symlink_to(outside)
    count = 0
    with meanwhile(lambda: exchange(volume / "a", volume / "b")) as going:
        while going(count > 100):
            count += 1
            with suppress(VolumeError):
                os.close(subpath.open_below(str(volume), f"a/new{count}/x", create=True))
    assert count > 100 and untouched(outside)


@pytest.mark.parametrize("name", ["key", "..data", "..data_tmp", "dir"])
def test_cve_2025_9566_files_swapped_for_links_while_they_are_written(tmp_path: Path, outside: Path, name: str) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (tmp_path / "link").symlink_to(outside)

    def plant() -> None:
        target = volume / name
        if target.is_symlink() or not target.exists():
            os.rename(tmp_path / "link", target)
            (tmp_path / "link").symlink_to(outside)

    written = 0
    fd = os.open(volume, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with meanwhile(plant) as going:
            while going(written > 20):
                written += 1
                with suppress(OSError):
                    atomic.write(fd, {"key": File(b"%d" % written, 0o644), "dir/key": File(b"x", 0o644)}, f"..s{written}")
    finally:
        os.close(fd)
    assert written > 20 and untouched(outside)


def test_fs_group_changes_nothing_behind_a_link(tmp_path: Path, outside: Path) -> None:
    volume = tmp_path / "volume"
    (volume / "a").mkdir(parents=True)
    (volume / "a/key").write_text("own")
    (volume / "b").symlink_to(outside)
    rounds = 0
    with meanwhile(lambda: exchange(volume / "a", volume / "b")) as going:
        while going(rounds > 20):
            rounds += 1
            with suppress(OSError):
                fsgroup.apply(str(volume), os.getgid(), read_only=False)
    assert rounds > 20 and untouched(outside) and (outside / "key").stat().st_mode & 0o777 == 0o644


def test_links_in_a_host_path_are_not_followed_by_sub_paths(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "shared").mkdir()
    for name, target in (("abs", str(outside)), ("rel", "../outside"), ("proc", "/proc/self/root")):
        (tmp_path / "shared" / name).symlink_to(target)
        with pytest.raises(VolumeError):
            subpath.open_below(str(tmp_path / "shared"), f"{name}/key", create=True)


def test_keys_get_shorter_without_a_rest(tmp_path: Path) -> None:
    """CVE-2026-19730's class: a shorter value must not keep the longer one's end."""
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        atomic.write(fd, {"k": File(b"long" * 1000, 0o600)}, "..one")
        atomic.write(fd, {"k": File(b"s", 0o600)}, "..two")
    finally:
        os.close(fd)
    assert (tmp_path / "k").read_bytes() == b"s" and sorted(os.listdir(tmp_path)) == ["..data", "..two", "k"]


@pytest.mark.parametrize("plant", ["..", "../../outside", "..one", "/"])
def test_a_planted_data_link_leads_no_sub_path_out(tmp_path: Path, outside: Path, plant: str) -> None:
    """subPath of a ConfigMap follows `..data`, so that must be as we wrote it: one name in the volume, of a directory."""
    paths = Paths(Settings(root=str(tmp_path / "root"), runroot=str(tmp_path / "run")))
    pod = PodPlan(
        "default", "p", SandboxPlan("p"), (ContainerPlan("c", "i"),), volumes=(Volume("v", ObjectFiles("ConfigMap", "c")),)
    )
    with closing(Store(paths.database)) as store:
        volumes = Volumes(store, paths)
        volumes.setup(UID, pod, {"v": {"key": File(b"mine", 0o644)}}, lambda *_: "")
        root = Path(volumes.path(UID, pod, pod.volumes[0]))
        (root / "..data").unlink()
        (root / "..data").symlink_to(plant)
        if plant == "..one":
            (root / "..one").symlink_to(outside)
        with pytest.raises(VolumeError):
            volumes.source(UID, pod, Mount("v", "/m"), "key")
    assert untouched(outside)
