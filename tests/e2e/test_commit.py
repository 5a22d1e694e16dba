"""commit, export and diff of real containers."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

from kubeplay.engine import commit as commits
from kubeplay.engine import difference, views
from kubeplay.engine.container import read_facts
from kubeplay.engine.export import export
from kubeplay.engine.images.commit import Wish
from kubeplay.engine.oci import members
from kubeplay.engine.oci.freezer import frozen, is_frozen
from kubeplay.engine.oci.stopped import is_stopped
from kubeplay.engine.store.runtime import ContainerRow
from kubeplay.errors import InvalidInput, NotRunning
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.env import EnvKeyRef, EnvLiteral
from tests.support.cli import Kubeplay
from tests.support.engines import Bench, bench_fixture, shell, wait_for  # noqa: F401

pytestmark = pytest.mark.root

WORK = """
echo new > /tmp/new; ln /tmp/new /tmp/again; ln -s /nowhere /tmp/link; mkdir -p /opt/a/b; chown 7:8 /opt/a; chmod 4755 /opt/a
echo changed >> /etc/passwd; rm /etc/group; rm -r /root; mkdir /root; echo fresh > /root/f; mkfifo /tmp/pipe
"""
PLAN = shell("sleep 1000")


def worked(bench: Bench, plan: ContainerPlan = PLAN) -> ContainerRow:
    row = bench.run(plan)[0]
    bench.exec(row, "sh", "-c", WORK)
    return row


def lines(bench: Bench, row: ContainerRow, plan: ContainerPlan = PLAN) -> list[str]:
    image = views.image_layers(bench.engine, row)
    with views.upper(bench.engine, row) as upper, views.layers(bench.engine, image) as lower:
        return [f"{one.kind} {one.path}" for one in difference.of_upper(upper, lower, views.mount_points(plan))]


EXPECTED = [
    "C /etc", "D /etc/group", "C /etc/passwd", "A /opt", "A /opt/a", "A /opt/a/b", "C /root", "A /root/f",
    "C /tmp", "A /tmp/again", "A /tmp/link", "A /tmp/new", "A /tmp/pipe",
]  # fmt: skip


def test_commit_runs_as_the_container_looked(bench: Bench) -> None:
    row = worked(bench)
    assert lines(bench, row) == EXPECTED
    image_id = commits.commit(bench.engine, row, PLAN, Wish("me", "why", ("ENV A='b c'", 'CMD ["cat", "/tmp/new"]')), "mine:1")
    assert not stands_still(bench, row)
    image = bench.engine.images.get("localhost/mine:1")
    assert image.id == image_id and len(image.layers) == 2 and bench.engine.images.get("localhost/bb:1").id != image_id
    value = json.loads(image.config)
    assert value["author"] == "me" and value["history"][-1]["comment"] == "why" and "A=b c" in value["config"]["Env"]
    again = bench.run(ContainerPlan("c", "localhost/mine:1", command=("sleep", "1000")))[0]
    seen = bench.exec(
        again,
        "sh",
        "-c",
        "cd /tmp; cat new; stat -c %i new again | uniq | wc -l; ls /etc/group /root; stat -c '%a %u %g' /opt/a; tail -n1 /etc/passwd",
    )
    assert seen.splitlines() == ["new", "1", "/root:", "f", "4755 7 8", "changed"], seen
    with views.layers(bench.engine, image.layers[:-1]) as old, views.layers(bench.engine, image.layers) as new:
        assert [f"{one.kind} {one.path}" for one in difference.between(old, new)] == EXPECTED


def test_squash_docker_form_and_volumes(bench: Bench) -> None:
    row = worked(bench)
    image_id = commits.commit(bench.engine, row, PLAN, Wish(form="docker", message="m", squash=True))
    image = bench.engine.images.get(image_id)
    assert len(image.layers) == 1 and bench.engine.images.names(image_id) == ()
    manifest = json.loads(bench.engine.images.manifest(image_id))
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    with views.layers(bench.engine, image.layers) as fd:
        assert os.stat("tmp/new", dir_fd=fd).st_ino == os.stat("tmp/again", dir_fd=fd).st_ino
        assert not os.path.exists(f"/proc/self/fd/{fd}/etc/group")


def test_what_is_secret_stays_out(bench: Bench) -> None:
    plan = PLAN._replace(env=(EnvLiteral("PLAIN", "p"), EnvLiteral("MADE", "x$(KEY)"), EnvKeyRef("KEY", "Secret", "s", "k")))
    row = bench.run(PLAN)[0]
    image_id = commits.commit(bench.engine, row, plan, Wish())
    env = json.loads(bench.engine.images.get(image_id).config)["config"]["Env"]
    assert "PLAIN=p" in env and not [entry for entry in env if entry.startswith(("MADE", "KEY"))]


def test_a_change_that_is_none_leaves_nothing(bench: Bench) -> None:
    row = bench.run(PLAN)[0]
    before = bench.engine.images.layers.list()
    with pytest.raises(InvalidInput, match="RUN"):
        commits.commit(bench.engine, row, PLAN, Wish(changes=("RUN rm -rf /",)))
    assert bench.engine.images.layers.list() == before and len(bench.engine.images.list()) == 1


def stands_still(bench: Bench, row: ContainerRow) -> bool:
    """By the freezer, or for a container without a group by the state of its processes."""
    facts = read_facts(bench.engine, row.id)
    assert facts is not None
    if facts.cgroup:
        return is_frozen(bench.engine.cgroups, facts.cgroup)
    return all(is_stopped(found) for found in members.everyone(bench.engine.paths.bundle(row.id), shared=facts.shared_pids))


def test_pausing_stands_still_and_ends_with_its_user(bench: Bench) -> None:
    row = bench.run(shell("while :; do echo x >> /tmp/count; done"))[0]
    count = Path(bench.engine.paths.container(row.id), "upper/tmp/count")
    wait_for(count.exists, "the first line")
    with commits.standing_still(bench.engine, row):
        assert stands_still(bench, row)
        one = count.stat().st_size
        assert count.stat().st_size == one
    wait_for(lambda: count.stat().st_size > one, "it to run on")
    child = os.fork()
    if child == 0:  # a user that is killed while it holds the container still
        try:
            with commits.standing_still(bench.engine, row):
                os.kill(os.getpid(), 9)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 9
    wait_for(lambda: not stands_still(bench, row), "the container to run on")


def test_export_is_the_whole_tree(bench: Bench, tmp_path: Path) -> None:
    row = worked(bench)
    export(bench.engine, row, str(tmp_path / "out.tar"))
    with tarfile.open(tmp_path / "out.tar") as archive:
        found = {member.name.removeprefix("./"): member for member in archive}
        assert found["tmp/new"].islnk() != found["tmp/again"].islnk() and found["tmp/pipe"].isfifo()
        assert found["bin/busybox"].size > 0 and "etc/group" not in found and not any(".wh." in name for name in found)
        assert (found["opt/a"].mode & 0o7777, found["opt/a"].uid) == (0o4755, 7)
    image_id = bench.engine.images.import_tar(str(tmp_path / "out.tar"), "round:1")
    assert bench.engine.images.get("localhost/round:1").id == image_id


def test_a_full_disk_leaves_no_half_archive(bench: Bench) -> None:
    from kubeplay.errors import Exhausted

    row = bench.run(PLAN)[0]
    with pytest.raises(Exhausted):
        export(bench.engine, row, "/dev/full")


def test_ended_containers_too_and_never_started_ones_not(bench: Bench) -> None:
    row = bench.ended(bench.run(shell("echo done > /tmp/done"))[0])
    assert lines(bench, row) == ["C /etc", "C /tmp", "A /tmp/done"]  # the runtime made /etc/hosts
    image_id = commits.commit(bench.engine, row, PLAN, Wish())
    with views.layers(bench.engine, bench.engine.images.get(image_id).layers) as fd:
        assert (Path(f"/proc/self/fd/{fd}") / "tmp/done").read_text() == "done\n"
    with pytest.raises(NotRunning):
        commits.commit(bench.engine, row._replace(id="0" * 64), PLAN, Wish())


def test_the_commands(bench: Bench, tmp_path: Path) -> None:
    """As a person types them, by a container's id; a commit that is killed leaves a layer for the next removal to take."""
    import pty
    import subprocess

    row = worked(bench)
    kp = Kubeplay(bench.directory)
    before = bench.engine.images.layers.list()
    killed = subprocess.run(kp.argv("commit", row.id[:12], "half:1"), env={**kp.env, "KUBEPLAY_FAULT": "commit:layer"}, timeout=300)
    assert killed.returncode == -9 and not bench.engine.images.exists("half:1")
    assert len(bench.engine.images.layers.list()) == len(before) + 1
    bench.engine.images.collect()
    assert bench.engine.images.layers.list() == before
    wait_for(lambda: not stands_still(bench, row), "it to run on")
    said = kp("commit", "-q", "-a", "me", "-m", "why", "-c", "LABEL a=b", "--iidfile", str(tmp_path / "id"), row.id[:12], "done:1")
    assert said.out.strip() == (tmp_path / "id").read_text().removeprefix("sha256:") and said.err == ""
    assert kp("image", "inspect", "--format", "{{.Labels.a}}", "done:1").out == "b\n"
    assert kp("diff", row.id[:12]).lines == EXPECTED and "added" in kp("container", "diff", "--format", "json", row.id).json
    kp("export", "-o", str(tmp_path / "all.tar"), row.id)
    assert tarfile.is_tarfile(tmp_path / "all.tar")
    where = Path(kp("mount", row.id).out.strip())
    assert (where / "tmp/new").read_text() == "new\n" and f"{row.id[:12]}  {where}" in kp("mount").lines
    assert kp("unmount", row.id).out.strip() == row.id
    master, slave = pty.openpty()
    try:
        refused = subprocess.run(kp.argv("export", row.id), env=kp.env, stdout=slave, stderr=subprocess.PIPE, timeout=300)
    finally:
        os.close(master)
        os.close(slave)
    assert refused.returncode == 125 and b"terminal" in refused.stderr


def test_the_freezer_of_version_2(bench: Bench) -> None:
    """On its own, whatever the runtime uses here."""
    import subprocess

    from kubeplay.engine.oci.cgroup import Cgroups

    mine = [one for one in bench.engine.cgroups.hierarchies if one.version == 2]
    if not mine:
        pytest.skip("no cgroup version 2 is mounted here")
    parent = bench.settings.cgroup_parent
    group = Path(f"{mine[0].mount}/{parent}/freezing")
    group.mkdir(parents=True)
    cgroups = Cgroups(parent, (mine[0],))
    if not (group / "cgroup.freeze").exists():
        group.rmdir()
        pytest.skip("this kernel's version 2 has no freezer (before Linux 5.2)")
    process = subprocess.Popen(["sleep", "1000"])
    try:
        (group / "cgroup.procs").write_text(str(process.pid))
        with frozen(cgroups, f"/{parent}/freezing"):
            assert is_frozen(cgroups, f"/{parent}/freezing")
        wait_for(lambda: not is_frozen(cgroups, f"/{parent}/freezing"), "it to run on")
    finally:
        process.kill()
        process.wait()
        cgroups.remove(f"/{parent}/freezing")
        cgroups.remove(f"/{parent}")
