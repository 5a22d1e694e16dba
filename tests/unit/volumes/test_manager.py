"""A pod's volumes on a real tmpfs and disk (VO2, VO7, VO13)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.config import Settings
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.store.db import Store
from kubeplay.engine.volumes.atomic import File
from kubeplay.engine.volumes.manager import Volumes
from kubeplay.errors import VolumeError
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.pod import PodPlan, SandboxPlan
from kubeplay.plan.security import Security
from kubeplay.plan.volumes import Claim, EmptyDir, Mount, ObjectFiles, Volume, VolumeSource

pytestmark = pytest.mark.root
UID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def volumes(tmp_path: Path) -> Iterator[Volumes]:
    paths = Paths(Settings(root=str(tmp_path / "root"), runroot=str(tmp_path / "run")))
    store = Store(paths.database)
    made = Volumes(store, paths)
    yield made
    made.teardown(UID)
    store.close()


def _pod(source: VolumeSource, group: int | None = None) -> PodPlan:
    container = ContainerPlan("c", "busybox", security=Security(fs_group=group))
    return PodPlan("default", "p", SandboxPlan("p"), (container,), volumes=(Volume("v", source),))


def _mode(path: str) -> int:
    return os.stat(path).st_mode & 0o7777


def _no_image(uid: str, volume: str, reference: str) -> str:
    raise AssertionError("no image volume here")


def test_vo7_emptydir_memory_is_a_sized_tmpfs(volumes: Volumes) -> None:
    pod = _pod(EmptyDir("Memory", 1 << 20))
    volumes.setup(UID, pod, {}, _no_image)
    path = volumes.path(UID, pod, pod.volumes[0])
    assert os.path.ismount(path) and _mode(path) == 0o1777
    assert os.statvfs(path).f_blocks * os.statvfs(path).f_frsize == 1 << 20
    volumes.teardown(UID)
    assert not os.path.exists(path)


def test_vo7_emptydir_survives_setup_again(volumes: Volumes) -> None:
    pod = _pod(EmptyDir())
    volumes.setup(UID, pod, {}, _no_image)
    path = volumes.path(UID, pod, pod.volumes[0])
    Path(path, "f").write_text("x")
    volumes.setup(UID, pod, {}, _no_image)
    assert _mode(path) == 0o777 and Path(path, "f").read_text() == "x"


def test_unknown_medium(volumes: Volumes) -> None:
    with pytest.raises(VolumeError, match='unknown storage medium "memory"'):
        volumes.setup(UID, _pod(EmptyDir("memory")), {}, _no_image)


def test_vo2_secret_on_tmpfs_configmap_on_disk(volumes: Volumes) -> None:
    for kind, mode, tmpfs in (("Secret", 0o1777, True), ("ConfigMap", 0o777, False)):
        pod = _pod(ObjectFiles(kind, "o"))
        volumes.setup(UID, pod, {"v": {"k": File(b"value", 0o400)}}, _no_image)
        path = volumes.path(UID, pod, pod.volumes[0])
        assert os.path.ismount(path) == tmpfs and _mode(path) == mode
        assert Path(path, "k").read_bytes() == b"value" and _mode(f"{path}/k") == 0o400
        source = volumes.source(UID, pod, Mount("v", "/x"), "")
        assert source.read_only and not source.is_file
        volumes.teardown(UID)


def test_vo13_fsgroup_on_projected_files(volumes: Volumes) -> None:
    pod = _pod(ObjectFiles("Secret", "o"), group=4321)
    for _ in range(2):  # the second time nothing is written, and nothing changes
        volumes.setup(UID, pod, {"v": {"k": File(b"v", 0o400)}}, _no_image)
        path = volumes.path(UID, pod, pod.volumes[0])
        info = os.stat(f"{path}/k")
        assert (info.st_mode & 0o7777, info.st_gid) == (0o440, 4321)
        assert (_mode(path), os.stat(path).st_gid) == (0o3777, 4321)


def test_vo13_fsgroup_on_emptydir(volumes: Volumes) -> None:
    pod = _pod(EmptyDir(), group=4321)
    volumes.setup(UID, pod, {}, _no_image)
    path = volumes.path(UID, pod, pod.volumes[0])
    assert (_mode(path), os.stat(path).st_gid) == (0o2777, 4321)


def test_claim_and_subpath(volumes: Volumes) -> None:
    pod = _pod(Claim("data"))
    with pytest.raises(VolumeError, match="data"):
        volumes.setup(UID, pod, {}, _no_image)
    assert volumes.named.ensure("default", "data", {"uid": "7"}) and not volumes.named.ensure("default", "data", {})
    volumes.setup(UID, pod, {}, _no_image)
    source = volumes.source(UID, pod, Mount("v", "/x"), "sub/dir")
    assert os.readlink(source.path).endswith("default_data/_data/sub/dir")
    os.close(source.fd)
    assert os.stat(volumes.named.path("default", "data")).st_uid == 7
    volumes.teardown(UID)
    assert os.path.isdir(volumes.named.path("default", "data"))
    volumes.named.remove("default", "data")
    assert not os.path.isdir(volumes.named.path("default", "data"))


def test_subpath_naming_a_missing_key_is_an_empty_directory(volumes: Volumes) -> None:
    pod = _pod(ObjectFiles("ConfigMap", "o"))
    volumes.setup(UID, pod, {"v": {"k": File(b"v", 0o644)}}, _no_image)
    for name, is_file in (("k", True), ("none", False)):
        source = volumes.source(UID, pod, Mount("v", "/x"), name)
        assert source.is_file == is_file
        os.close(source.fd)
