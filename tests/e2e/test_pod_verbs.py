"""Pods by hand: pod create, clone and prune, containers that join and leave, init, rename, container prune."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest
import yaml

from tests.support.cli import Kubeplay, installed

pytestmark = pytest.mark.root
IMAGE = "localhost/bb:1"
SLEEP = ("sleep", "1000")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubeplay]:
    for made in installed(tmp_path_factory.mktemp("pods")):
        made.image(IMAGE, "CMD true")
        yield made


@pytest.fixture
def kp(machine: Kubeplay) -> Iterator[Kubeplay]:
    yield machine
    machine("pod", "rm", "-a", "-f", "-t", "0")


def status(kp: Kubeplay, pod: str) -> str:
    return kp("pod", "ps", "--filter", f"name={pod}", "--format", "{{.Status}}").out.strip()


def until(kp: Kubeplay, wanted: str, *argv: str) -> None:
    deadline = time.monotonic() + 100
    while wanted not in (shown := kp(*argv, status=None).out):
        assert time.monotonic() < deadline, shown
        time.sleep(0.1)


def test_containers_join_an_empty_pod_and_leave_it(kp: Kubeplay) -> None:
    (uid,) = kp("pod", "create", "--name", "hand", "-p", "80", "--hostname", "inside", "--share", "ipc,net,uts,pid").lines
    assert status(kp, "hand") == "Created" and "already in use" in kp("pod", "create", "hand", status=125).err
    assert "no containers" in kp("generate", "kube", "hand", status=125).err
    assert "no containers" in kp("logs", "hand", status=125).err
    script = "echo one > /data/file; exec sleep 1000"
    (first,) = kp("run", "-d", "--pod", "hand", "--name", "a", "-v", "joined:/data", IMAGE, "sh", "-c", script).lines
    assert kp("port", "hand").out.startswith("80/tcp -> ")
    until(kp, "one", "exec", "a", "cat", "/data/file")
    # into the running pod, with a volume of its own, in the foreground
    script = "hostname; cat /data/file; pidof sleep >/dev/null && echo sees"
    said = kp("run", "--rm", "--pod", uid, "-v", "joined:/data:ro", "--tmpfs", "/more", IMAGE, "sh", "-c", f"{script}; exit 4", status=4)
    assert said.out == "inside\none\nsees\n"
    (second,) = kp("create", "--pod", "hand", "--name", "b", "-m", "32m", IMAGE, *SLEEP).lines
    assert kp("ps", "-a", "--no-trunc", "--filter", "name=b", "--format", "{{.ID}} {{.Status}}").out == f"{second} Created\n"
    kp("run", "-d", "--pod", "hand", "--name", "c", "--restart", "on-failure", IMAGE, "sh", "-c", "echo try; exit 1")
    until(kp, "c 1", "ps", "-a", "--filter", "name=c", "--format", "{{.Names}} {{.Restarts}}")
    kp("rm", "-f", "-t", "0", "c")
    kp("start", "b")
    assert kp("ps", "-q", "--no-trunc").lines == [second, first]
    for text in ("ctr-names=b", "ctr-number=2", "ctr-status=running", f"ctr-ids={second[:12]}", "network=bridge", "until=0s"):
        assert kp("pod", "ps", "-q", "--no-trunc", "--filter", text).lines == [uid], text
    for text in ("ctr-names=z", "ctr-number=3", "ctr-status=exited", "network=other", "until=1h"):
        assert kp("pod", "ps", "-q", "--filter", text).lines == [], text
    assert kp("ps", "-q", "--no-trunc", "--filter", "volume=joined").lines == [first]
    assert kp("ps", "-q", "--no-trunc", "--filter", "volume=/none").lines == []
    assert "must be defined when the pod is created" in kp("run", "--pod", "hand", "-p", "81:81", IMAGE, status=125).err
    assert kp("run", "--pod", "hand", IMAGE, "no-such-program", status=127).err
    *_, pod = yaml.safe_load_all(kp("generate", "kube", "hand").out)
    assert [one["name"] for one in pod["spec"]["containers"]] == ["a", "b"] and pod["spec"]["containers"][0]["ports"]
    kp("rm", "a", status=125)
    assert kp("rm", "-f", "-t", "0", "a").out == "a\n"
    assert kp("port", "hand").out.startswith("80/tcp -> ") and kp("ps", "-q", "--no-trunc").lines == [second]


def test_a_pod_that_has_ended_or_was_stopped_goes_on_with_a_new_container(kp: Kubeplay) -> None:
    kp("run", "--pod", "new:ended", "--name", "first", IMAGE, "true")
    until(kp, "Completed", "pod", "ps")
    assert kp("run", "--pod", "ended", "--name", "second", IMAGE, "echo", "on").out == "on\n"
    until(kp, "Completed", "pod", "ps")
    assert "does not run" in kp("create", "--pod", "ended", IMAGE, status=125).err
    assert kp("ps", "-a", "--sort", "Names", "--format", "{{.Names}}").lines == ["first", "second"]
    kp("pod", "start", "ended")
    until(kp, "first 1\nsecond 1\n", "ps", "-a", "--sort", "Names", "--format", "{{.Names}} {{.Restarts}}")


def test_a_clone_is_another_pod(kp: Kubeplay) -> None:
    kp("run", "-d", "--name", "origin", "--stop-timeout", "0", "-e", "A=1", IMAGE, *SLEEP)
    (uid,) = kp("pod", "clone", "origin").lines
    assert status(kp, "origin-clone") == "Created" and uid in kp("pod", "ps", "-q", "--no-trunc").lines
    kp("pod", "clone", "--start", "--destroy", "origin-clone", "third")
    assert kp("exec", "third", "sh", "-c", "echo $A $HOSTNAME").out == "1 third\n"
    assert kp("ps", "--format", "{{.Names}}").lines == ["third", "origin"]
    (identity,) = kp("container", "clone", "third", "fourth").lines
    assert kp("ps", "-aq", "--no-trunc", "--filter", "name=fourth").lines == [identity]
    assert "already in use" in kp("pod", "clone", "origin", "third", status=125).err


def test_prune_takes_what_has_ended(kp: Kubeplay) -> None:
    kp("run", "--name", "over", "-l", "kind=test", IMAGE, "true")
    kp("run", "-d", "--name", "stopped", "--stop-timeout", "0", IMAGE, *SLEEP)
    kp("stop", "stopped")
    kp("run", "-d", "--name", "runs", "--stop-timeout", "0", IMAGE, *SLEEP)
    kp("create", "--name", "made", IMAGE)
    kp("run", "--pod", "new:several", "--name", "x", IMAGE, "true")
    assert kp("container", "prune", stdin="n\n", status=1).out.startswith("WARNING!")
    (identity,) = kp("ps", "-aq", "--no-trunc", "--filter", "name=over").lines
    assert kp("container", "prune", "-f", "--filter", "label=kind=test").lines == [identity]
    assert len(kp("container", "prune", "-f").lines) == 2
    assert kp("pod", "ps", "--sort", "Name", "--format", "{{.Name}}").lines == ["runs", "several"]
    assert len(kp("pod", "prune", "-f").lines) == 1
    assert kp("pod", "ps", "--format", "{{.Name}}").lines == ["runs"]


def test_init_makes_and_does_not_start(kp: Kubeplay) -> None:
    kp("run", "--name", "again", IMAGE, "echo", "said")
    assert kp("init", "again").out == "again\n"
    assert kp("ps", "-a", "--format", "{{.Names}} {{.Status}}").out == "again Created\n"
    kp("init", "again")
    kp("start", "again")
    until(kp, "said", "logs", "again")
    kp("run", "-d", "--name", "runs", "--stop-timeout", "0", IMAGE, *SLEEP)
    assert "has been started" in kp("init", "runs", status=125).err


def test_rename_keeps_what_runs_and_its_log(kp: Kubeplay) -> None:
    kp("run", "-d", "--name", "old", "--stop-timeout", "0", "--pids-limit", "50", IMAGE, "sh", "-c", "echo first; exec sleep 1000")
    kp.says("old", "first\n")
    (identity,) = kp("ps", "-q", "--no-trunc").lines
    kp("rename", "old", "new")
    assert kp("ps", "-q", "--no-trunc", "--filter", "name=new").lines == [identity]
    assert kp("logs", "new").out == "first\n"
    kp("pod", "exists", "old", status=1)
    kp("restart", "-t", "0", "new")
    kp.says("new", "first\n")
    assert kp("exec", "new", "hostname").out == "new\n"
    kp("run", "-d", "--name", "old", IMAGE, "true")
    assert "already in use" in kp("rename", "new", "old", status=125).err
    assert "a name has only" in kp("rename", "new", "N_1", status=125).err
    logs = kp.root / "logs"
    kp("rm", "-f", "-t", "0", "new", "old")
    assert not [entry for entry in logs.iterdir() if entry.name.startswith("default_")]


@pytest.mark.parametrize(("point", "argv", "containers"), [
    ("join:volumes", ("run", "-d", "--pod", "cut", "--name", "b", "--tmpfs", "/t", IMAGE, *SLEEP), ["a"]),
    ("join:stored", ("run", "-d", "--pod", "cut", "--name", "b", "--tmpfs", "/t", IMAGE, *SLEEP), ["a", "b"]),
    ("leave:removed", ("rm", "-f", "-t", "0", "z"), ["a", "z"]),
    ("rename:stored", ("rename", "cut", "renamed"), ["a", "z"]),
])  # fmt: skip
def test_a_killed_command_leaves_a_pod_that_goes_on(kp: Kubeplay, point: str, argv: tuple[str, ...], containers: list[str]) -> None:
    kp("run", "-d", "--pod", "new:cut", "--name", "a", IMAGE, *SLEEP)
    if "z" in containers:
        kp("run", "-d", "--pod", "cut", "--name", "z", IMAGE, *SLEEP)
    process = subprocess.run(kp.argv(*argv), env={**kp.env, "KUBEPLAY_FAULT": point}, capture_output=True, timeout=100, cwd="/")
    assert process.returncode == -9, process
    pod = "renamed" if point.startswith("rename") else "cut"
    shown = kp("pod", "inspect", pod).json
    assert [one["name"] for one in (shown[0] if isinstance(shown, list) else shown)["spec"]["containers"]] == containers
    if containers == ["a"]:
        kp(*argv)
    else:
        kp("start", containers[-1])
    until(kp, f"{containers[-1]} running", "ps", "--format", "{{.Names}} {{.State}}")
    assert kp("exec", "a", "true").status == 0
    kp("pod", "rm", "-f", "-t", "0", pod)
