"""Images between processes: killed at any moment, at the same time, and from other tools."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kubeplay.config import Settings
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.images.store import ImageStore
from kubeplay.engine.store.db import Store
from tests.support.images import busybox_rootfs, digest, directory, docker_archive, file, layer, oci_layout, write_all

pytestmark = pytest.mark.root
ROOT = Path(__file__).resolve().parents[2]
NAME = "docker.io/library/x:1"
LOADER = """
import sys
from kubeplay.config import Settings
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.images.store import ImageStore
from kubeplay.engine.store.db import Store
paths = Paths(Settings(root=sys.argv[1], runroot=sys.argv[1] + "-run"))
images = ImageStore(Store(paths.database), paths)
print("ready", flush=True)
print(images.load(sys.argv[2])[0].image_id if sys.argv[3] == "load" else images.import_tar(sys.argv[2], "localhost/bb:1"))
"""


def start(root: Path, path: Path | str, verb: str = "load", stdin: int | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", LOADER, root, path, verb], stdout=subprocess.PIPE, text=True, cwd=ROOT, stdin=stdin)


def open_store(root: Path) -> tuple[ImageStore, Paths]:
    paths = Paths(Settings(root=str(root), runroot=f"{root}-run"))
    return ImageStore(Store(paths.database), paths), paths


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Three layers, 60 MB and some thousand files: about 0.3 s to load."""
    noise = random.Random(3).randbytes(20 << 20)
    members = (
        [file("big1", noise)],
        [directory("d"), *(file(f"d/f{n}", noise[n : n + 4000]) for n in range(4000))],
        [file("big2", noise[::-1])],
    )
    layers = [layer(m) for m in members]
    path = docker_archive(tmp_path_factory.mktemp("large") / "x.tar", [NAME], layers)
    return path, [digest(data) for data in layers]


def test_kill_9_at_any_moment_leaves_a_sound_store(tmp_path: Path, large: tuple[Path, list[str]]) -> None:
    archive, diff_ids = large
    root = tmp_path / "root"
    interrupted = 0
    for step in range(200):
        loader = start(root, archive)
        assert loader.stdout and loader.stdout.readline() == "ready\n"
        time.sleep(step % 12 * 0.03)
        loader.send_signal(signal.SIGKILL)
        interrupted += loader.wait() == -signal.SIGKILL
        loader.stdout.close()
        images, paths = open_store(root)
        for present in images.layers.list():  # what is there is whole
            assert present in diff_ids and images.layers.meta(present).diff_id == present
        if images.exists(NAME):
            assert all(images.layers.has(diff_id) for diff_id in images.get(NAME).layers)
        images.collect()
        assert sorted(os.listdir(f"{paths.root}/layers")) == sorted(d[7:] for d in images.layers.list())
        if step % 3 == 2:
            shutil.rmtree(root)
        if step >= 11 and interrupted >= 6:
            break
    assert interrupted >= 6
    images, _ = open_store(root)
    images.load(str(archive))
    assert list(images.get(NAME).layers) == diff_ids


def test_loads_and_removals_at_the_same_time(tmp_path: Path, large: tuple[Path, list[str]]) -> None:
    archive, diff_ids = large
    root = tmp_path / "root"
    open_store(root)
    loaders = [start(root, archive) for _ in range(4)]
    images, _ = open_store(root)
    removals = 0
    while any(loader.poll() is None for loader in loaders):
        if images.exists(NAME):
            images.remove(NAME)
            removals += 1
        images.collect()
        time.sleep(0.01)
    printed = {loader.communicate()[0] for loader in loaders}
    assert all(loader.returncode == 0 for loader in loaders) and len(printed) == 1
    if images.exists(NAME):
        assert all(images.layers.has(diff_id) for diff_id in diff_ids)
        images.remove(NAME)
    images.collect()
    assert images.layers.list() == []


def test_standard_input(tmp_path: Path) -> None:
    """Archives and root file systems through a pipe."""
    box = write_all(tmp_path / "five")["busybox"]
    rootfs = busybox_rootfs(tmp_path / "rootfs.tar")
    for path, verb, name in ((box, "load", "busybox:1"), (rootfs, "import", "localhost/bb:1")):
        with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as cat:
            assert cat.stdout
            loader = start(tmp_path / "root", "-", verb, cat.stdout.fileno())
            assert loader.communicate()[0].startswith("ready\nsha256:")
        images, _ = open_store(tmp_path / "root")
        assert images.get(name).layers == (digest(rootfs.read_bytes()),)


@pytest.mark.parametrize("target", ["docker-archive:{}:localhost/s:1", "oci-archive:{}:localhost/s:1", "oci:{}:localhost/s:1"])
def test_archives_written_by_skopeo(tmp_path: Path, target: str) -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo not found: apt-get install skopeo")
    layers = [layer([directory("d"), file("d/a", b"1" * 5000)]), layer([file("d/.wh.a"), file("b")])]
    layout = oci_layout(tmp_path / "layout", "s:1", layers, {"Cmd": ["sh"], "Env": ["PATH=/bin"]})
    written = tmp_path / "written"
    subprocess.run(
        ["skopeo", "--insecure-policy", "copy", "-q", f"oci:{layout}:s:1", target.format(written)],
        check=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    images, _ = open_store(tmp_path / "root")
    (loaded,) = images.load(str(written))
    assert loaded.names == ("localhost/s:1",)
    assert images.get("localhost/s:1").layers == tuple(map(digest, layers))
    assert images.config(loaded.image_id).cmd == ("sh",)
