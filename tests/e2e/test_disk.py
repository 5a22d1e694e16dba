"""The store when the disk is full, when a command is killed, when something in it is damaged, and how much of it is used."""

from __future__ import annotations

import os
import random
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.config import Settings
from kubeplay.engine import integrity, usage
from kubeplay.engine.engine import Engine
from kubeplay.engine.host import runroot
from kubeplay.engine.host.syscalls import mount, umount
from kubeplay.engine.images.removal import Removal
from kubeplay.errors import Exhausted
from tests.support import images as make
from tests.support.cli import Kubeplay, installed
from tests.support.engines import wait_for

pytestmark = pytest.mark.root

MB = 1 << 20
SMALL = make.layer([make.directory("etc"), make.file("etc/small", b"s" * 1000)])


def noise(seed: int, size: int) -> bytes:
    """What no compression makes smaller."""
    return make.layer([make.file(f"big{seed}", random.Random(seed).randbytes(size))])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system of its own with 12 MB."""
    where = tmp_path / "disk"
    where.mkdir()
    mount("tmpfs", str(where), "tmpfs", data="size=12m")
    try:
        yield where
    finally:
        umount(str(where))


@pytest.fixture
def kp(small_disk: Path, tmp_path: Path) -> Iterator[Kubeplay]:
    made = Kubeplay(tmp_path)
    made.env.update(KUBEPLAY_ROOT=str(small_disk / "root"), KUBEPLAY_RUNROOT=str(tmp_path / "run"))
    made.root = small_disk / "root"
    try:
        yield made
    finally:
        made("system", "reset", "--force")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(Settings(root=str(tmp_path / "root"), runroot=str(tmp_path / "run")))
    try:
        yield made
    finally:
        made.close()
        runroot.release(made.paths)


def load(engine: Engine, where: Path, name: str, *layers: bytes, **value: object) -> str:
    archive = make.docker_archive(where / f"{name}.tar", [f"localhost/{name}:1"], layers, value)
    return engine.images.load(str(archive))[0].image_id


def sound(engine: Engine) -> None:
    """Nothing is wrong, and nothing lies about that nothing refers to."""
    assert integrity.check(engine, age=0) == []
    assert not [name for name in os.listdir(f"{engine.paths.root}/layers") if name.startswith((".tmp", ".del"))]


# a full disk
def test_a_load_that_does_not_fit_says_so_and_leaves_nothing(kp: Kubeplay, tmp_path: Path) -> None:
    one, two = noise(1, 5 * MB), noise(2, 9 * MB)
    kp("load", "-qi", str(make.docker_archive(tmp_path / "one.tar", ["localhost/one:1"], [one])))
    said = kp("load", "-qi", str(make.docker_archive(tmp_path / "two.tar", ["localhost/two:1"], [SMALL, two])), status=125)
    assert "no space" in said.err and "Traceback" not in said.err
    assert kp("images", "--format", "{{.Repository}}").lines == ["localhost/one"]
    left = [name for name in os.listdir(kp.root / "layers") if not name.startswith(".empty")]
    kp("system", "check", "--max", "0", "--quiet", "--repair", status=None)
    assert left == [make.digest(one)[7:]], left
    said = kp("import", str(_tar(tmp_path, two)), status=125)
    assert "no space" in said.err and "Traceback" not in said.err
    assert [name for name in os.listdir(kp.root / "layers") if not name.startswith(".empty")] == left
    kp("rmi", "one:1")
    kp("load", "-qi", str(make.docker_archive(tmp_path / "two.tar", ["localhost/two:1"], [SMALL, two])))  # there is room now


def _tar(where: Path, data: bytes) -> Path:
    (where / "plain.tar").write_bytes(data)
    return where / "plain.tar"


def test_a_commit_that_does_not_fit_leaves_nothing(small_disk: Path, tmp_path: Path) -> None:
    from kubeplay.engine import commit as commits
    from kubeplay.engine.images.commit import Wish
    from kubeplay.plan.container import ContainerPlan
    from tests.support.engines import Bench, shell

    class Small(Bench):
        def __init__(self) -> None:
            super().__init__(small_disk)

    bench = Small()
    try:
        plan: ContainerPlan = shell("sleep 1000")
        row = bench.run(plan)[0]
        free = os.statvfs(small_disk)
        room = free.f_bavail * free.f_frsize
        bench.exec(row, "dd", "if=/dev/urandom", "of=/fill", "bs=65536", f"count={room * 2 // 3 // 65536}")
        before = bench.engine.images.layers.list()
        with pytest.raises(Exhausted, match="no space"):
            commits.commit(bench.engine, row, plan, Wish(), "full:1")
        assert bench.engine.images.layers.list() == before and not bench.engine.images.exists("full:1")
        sound(bench.engine)
        assert bench.exec(row, "echo", "alive") == "alive\n"
    finally:
        bench.close()


# killed
@pytest.mark.parametrize("point", ["rmi:row", "collect:doomed", "rmi:removed"])
def test_rmi_killed_leaves_what_the_next_one_takes(engine: Engine, tmp_path: Path, point: str) -> None:
    kept = load(engine, tmp_path, "kept", SMALL)
    load(engine, tmp_path, "gone", SMALL, noise(1, 1000), noise(2, 1000))
    assert _killed(tmp_path, point, "rmi", "gone:1") == -9
    assert not engine.images.exists("gone:1") and engine.images.get("kept:1").id == kept
    damages = integrity.check(engine, age=0)
    assert {one.kind for one in damages} <= {integrity.ORPHAN}
    integrity.repair(engine, damages)
    sound(engine)
    assert len(engine.images.layers.list()) == 1


@pytest.mark.parametrize("point", ["collect:doomed", "prune:removed"])
def test_prune_killed_is_done_by_the_next_one(engine: Engine, tmp_path: Path, point: str) -> None:
    for number in range(3):
        load(engine, tmp_path, f"image{number}", SMALL, noise(number, 1000))
    assert _killed(tmp_path, point, "image", "prune", "-af") == -9
    assert _killed(tmp_path, "", "image", "prune", "-af") == 0
    assert engine.images.list() == [] and engine.images.layers.list() == []
    sound(engine)


def _killed(where: Path, point: str, *argv: str) -> int:
    kp = Kubeplay(where)
    return subprocess.run(kp.argv(*argv), env={**kp.env, "KUBEPLAY_FAULT": point}, capture_output=True, timeout=300).returncode


def test_loads_removals_and_prunes_at_the_same_time(engine: Engine, tmp_path: Path) -> None:
    archives = [make.docker_archive(tmp_path / f"{n}.tar", [f"localhost/i{n}:1"], [SMALL, noise(n % 2, 2000)]) for n in range(4)]
    errors: list[BaseException] = []

    def work(number: int) -> None:
        mine = Engine(engine.settings)
        try:
            for turn in range(15):
                mine.images.load(str(archives[number]))
                if (turn + number) % 3 == 0:
                    Removal(mine.images, mine.store, mine.paths).prune(
                        Removal(mine.images, mine.store, mine.paths).prunable(True, lambda row: False)
                    )
                elif (turn + number) % 3 == 1 and mine.images.exists(f"localhost/i{number}:1"):
                    mine.images.collect()
        except BaseException as error:
            errors.append(error)
        finally:
            mine.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    assert [one for one in integrity.check(engine, age=0) if one.kind != integrity.ORPHAN] == []
    engine.images.collect()
    sound(engine)


# damage
def test_check_finds_and_repair_takes_away(engine: Engine, tmp_path: Path) -> None:
    layer = noise(7, 3000)
    load(engine, tmp_path, "good", SMALL)
    bad = load(engine, tmp_path, "bad", SMALL, layer)
    sound(engine)
    (Path(engine.paths.layer(make.digest(layer))) / "fs/big7").write_bytes(b"x" * 3000)
    assert integrity.check(engine, quick=True, age=0) == []
    found = integrity.check(engine, age=0)
    assert [(one.kind, one.subject, one.images) for one in found] == [(integrity.LAYER, make.digest(layer), (bad,))]
    done = integrity.repair(engine, found)
    assert done.pull == ("localhost/bad:1",) and done.left == ()
    assert [one.names for one in engine.images.list()] == [("localhost/good:1",)] and len(engine.images.layers.list()) == 1
    sound(engine)
    load(engine, tmp_path, "bad", SMALL, layer)
    sound(engine)


def test_repair_leaves_to_a_pull_what_it_may_use(engine: Engine, tmp_path: Path) -> None:
    load(engine, tmp_path, "one", SMALL)
    (Path(engine.paths.layer(make.digest(SMALL))) / "meta").write_bytes(b"")
    with engine.images.layers.reading():
        done = integrity.repair(engine, integrity.check(engine, age=0))
    assert [one.subject for one in done.left] == [make.digest(SMALL)] and done.pull == ("localhost/one:1",)
    assert [one.kind for one in integrity.check(engine, age=0)] == [integrity.ORPHAN]
    integrity.repair(engine, integrity.check(engine, age=0))
    sound(engine)


@pytest.mark.parametrize("what", ["meta", "fs", "whole", "headers"])
def test_what_a_power_cut_can_leave(engine: Engine, tmp_path: Path, what: str) -> None:
    load(engine, tmp_path, "one", SMALL)
    where = Path(engine.paths.layer(make.digest(SMALL)))
    if what in ("meta", "headers"):
        (where / what).write_bytes(b"")
    else:
        os.rename(where / "fs" if what == "fs" else where, tmp_path / "lost")
    found = integrity.check(engine, age=0)
    assert [one.kind for one in found] == [integrity.LAYER], found
    assert integrity.repair(engine, found).pull == ("localhost/one:1",)
    sound(engine)


def test_manifests_names_blobs_and_orphans(engine: Engine, tmp_path: Path) -> None:
    image_id = load(engine, tmp_path, "one", SMALL)
    row = engine.images.get(image_id)
    manifest = Path(engine.paths.root) / "images" / row.manifest_digest[7:]
    manifest.write_bytes(b"{}")
    engine.store.images.tag("localhost/nothing:1", "sha256:" + "1" * 64)
    orphan = Path(engine.paths.root) / "layers" / ("2" * 64)
    orphan.mkdir()
    found = integrity.check(engine, age=0)
    assert {one.kind for one in found} == {integrity.MANIFEST, integrity.NAME, integrity.ORPHAN}
    assert [one.kind for one in integrity.check(engine)] == [integrity.MANIFEST, integrity.NAME]  # the orphan is young
    done = integrity.repair(engine, found)
    assert done.pull == () and make.digest(manifest.read_bytes()) == row.manifest_digest and not orphan.exists()
    sound(engine)


def test_check_says_it_to_a_person(engine: Engine, tmp_path: Path) -> None:
    load(engine, tmp_path, "one", SMALL)
    os.rename(engine.paths.layer(make.digest(SMALL)), tmp_path / "lost")
    kp = Kubeplay(tmp_path)
    said = kp("system", "check", "--quick", "--quiet", status=1)
    assert "damaged" in said.out and "localhost/one:1" in said.out and "--repair" in said.out
    said = kp("system", "check", "--repair", status=None)
    assert "kubeplay pull localhost/one:1" in said.out and kp("images", "-q").out == ""


# how much
def test_usage_counts_each_layer_once(engine: Engine, tmp_path: Path) -> None:
    layer = noise(1, 10_000)
    load(engine, tmp_path, "one", SMALL, layer)
    load(engine, tmp_path, "two", SMALL)
    found = usage.measure(engine)
    assert found.layers == found.free_layers == 11_000
    assert sorted((one.shared, one.unique) for one in found.images) == [(1000, 0), (1000, 10_000)]
    kp = Kubeplay(tmp_path)
    rows = {row["Type"]: row for row in kp("system", "df", "--format", "json").json}
    assert rows["Images"]["RawSize"] == 11_000 and rows["Images"]["Reclaimable"] == "11kB (100%)"
    assert kp("system", "df").lines[0].split() == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
    assert "UNIQUE SIZE" in kp("system", "df", "-v").out and kp("system", "df", "--format", "{{.Type}}").lines[0] == "Images"
    assert "terminal" in kp("system", "prune", status=125).err
    assert kp("image", "prune", stdin="no\n", status=1).out.endswith("[y/N] ") and kp("image", "prune", stdin="y\n").out.startswith("WARN")
    kp("volume", "create", "loose")
    kp("untag", "two:1")
    said = kp("system", "prune", "-f", "--volumes").out
    assert "Deleted Images" in said and "default/loose" in said and said.splitlines()[-1].startswith("Total reclaimed space: ")
    assert "11kB" in kp("system", "prune", "-af").lines[-1] and engine.images.list() == []


def test_a_pull_that_does_not_fit_leaves_nothing(kp: Kubeplay, tmp_path: Path) -> None:
    from tests.support.registry import registry

    with registry(tmp_path / "hub") as hub:
        hub.put_image("team/big", "1", [SMALL, noise(1, 16 * MB)])
        hub.put_image("team/small", "1", [SMALL])
        said = kp("pull", "-q", "--tls-verify=false", "--retry", "0", hub.name("team/big", "1"), status=125)
        assert "no space" in said.err and "Traceback" not in said.err
        assert kp("images", "-q").out == ""
        assert kp("system", "check", "--max", "0", "--quick", "--format", "{{.Name}} {{.State}}").lines[-1] == "storage ok"
        kp("pull", "-q", "--tls-verify=false", hub.name("team/small", "1"))  # there is room again


def test_images_can_be_removed_from_a_disk_without_a_free_byte(kp: Kubeplay, small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(noise(5, 2 * MB))
    kp("import", "-q", str(tmp_path / "x.tar"), "x:1")
    kp("import", "-q", "-c", "ENV A=b", str(tmp_path / "x.tar"), "x:2")
    with pytest.raises(OSError, match="No space"), open(small_disk / "fill", "wb", buffering=0) as fill:
        while True:
            fill.write(bytes(4096))
    assert os.statvfs(small_disk).f_bfree == 0
    assert len(kp("images", "-q").lines) == 2
    kp("tag", "x:1", "y:1")
    assert kp("rmi", "-a", "-f").out
    assert os.statvfs(small_disk).f_bfree > 0 and not list((kp.root / "layers").glob("[0-9a-f]*"))
    os.unlink(small_disk / "fill")
    kp("images")
    assert (kp.root / "state.db.reserve").stat().st_blocks, "it is kept again"


def test_a_build_that_does_not_fit_leaves_nothing(kp: Kubeplay, tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    (tmp_path / "context/big").write_bytes(random.Random(3).randbytes(16 * MB))
    (tmp_path / "context/Containerfile").write_text("FROM scratch\nCOPY big /\n")
    said = kp("build", "-t", "big:1", str(tmp_path / "context"), status=None)
    assert said.status != 0 and "no space" in said.err and "Traceback" not in said.err, said
    assert kp("images", "-q").out == ""
    assert kp("system", "check", "--max", "0", "--quick", "--format", "{{.Name}} {{.State}}").lines[-1] == "storage ok"
    (tmp_path / "context/big").write_bytes(b"small")
    kp("build", "-q", "-t", "big:1", str(tmp_path / "context"))


def test_prune_takes_ended_pods_and_idle_networks(tmp_path: Path) -> None:
    """A running pod, a finished one, a network: only what nothing needs goes."""
    made = installed(tmp_path)
    kp = next(made)
    try:
        kp.image()
        for name, script, policy in (("ends", "true", "Never"), ("stays", "exec sleep 1000", "Always")):
            container = f"{{name: a, image: 'localhost/bb:1', command: [sh, -c, {script!r}]}}"
            spec = f"{{restartPolicy: {policy}, containers: [{container}]}}"
            kp("play", "kube", kp.file(f"{name}.yaml", f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {spec}\n"))
        kp("network", "create", "idle")
        kp("wait", "ends")
        wait_for(lambda: kp("pod", "ps", "--filter", "name=^ends$", "--format", "{{.Phase}}").out == "Succeeded\n", "the phase")
        said = kp("system", "prune", "-af").lines
        assert said[0] == "Deleted Pods" and said[2:4] == ["Deleted Networks", "idle"]
        assert kp("pod", "ps", "--format", "{{.Name}}").out == "stays\n" and kp("images", "-q").lines != []
        assert "in use" in kp("rmi", "-f", "localhost/bb:1", status=2).err
        rows = {row["Type"]: row for row in kp("system", "df", "--format", "json").json}
        assert (rows["Containers"]["Total"], rows["Containers"]["Active"], rows["Images"]["Active"]) == (1, 1, 1)
        assert rows["Images"]["RawReclaimable"] == 0
        kp("pod", "rm", "-f", "-t", "0", "stays")
    finally:
        for _ in made:
            pass
