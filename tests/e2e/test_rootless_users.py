"""Pods of ordinary users: they outlive the process that holds the namespaces, end with the user's last process, and leave others alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_rootless_entry import holder, holders, unshare, without
from tests.support import images
from tests.support.kubeplay import Machine, kill, status_of
from tests.support.user import User, user

pytestmark = pytest.mark.root
WEB = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, 'echo started; [ -e /data/said ] || { echo %(name)s > /data/said; }; sleep 1000']
    securityContext: {runAsUser: 1000}
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, emptyDir: {}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""

ROOT_ONLY = WEB.replace("    securityContext: {runAsUser: 1000}\n", "")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return images.write_all(tmp_path_factory.mktemp("images"))["busybox"]


def _ready(account: User, archive: Path) -> User:
    """Load the image and play a pod."""
    for name, text in (("busybox.tar", archive.read_bytes()), ("web.yaml", (WEB % {"name": account.name}).encode())):
        (account.home / name).write_bytes(text)
        os.chown(account.home / name, account.uid, account.gid)
    account.run(account.kubeplay, "load", "-q", "-i", "busybox.tar")
    account.run(account.kubeplay, "play", "kube", "-q", "web.yaml")
    return account


@pytest.fixture(scope="module")
def accounts(archive: Path) -> Iterator[tuple[User, User]]:
    with user() as first, user() as second:
        yield _ready(first, archive), _ready(second, archive)


@pytest.fixture
def alice(accounts: tuple[User, User]) -> User:
    """Her pod runs, whatever the test before did to it."""
    first = accounts[0]
    if not running(first):
        first.run(first.kubeplay, "kube", "down", "-t", "0", "-q", "web.yaml")
        first.run(first.kubeplay, "play", "kube", "-q", "web.yaml")
    return first


def running(account: User) -> list[str]:
    """Ids of the user's running containers but the system's."""
    return account.run(account.kubeplay, "ps", "-q", "--no-trunc").stdout.split()


def processes(account: User, name: str) -> list[int]:
    return [pid for pid in account.processes() if status_of(pid).get("Name") == name]


def said(account: User) -> str:
    """What the pod has in its volume."""
    return account.run(account.kubeplay, "exec", "web", "cat", "/data/said").stdout.strip()


@pytest.mark.parametrize("lost", ["the holder", "its note", "the directory"])
def test_pods_outlive_the_holder(alice: User, lost: str) -> None:
    before, inside = running(alice), unshare(alice, "readlink", "/proc/self/ns/user", "/proc/self/ns/mnt")
    kill(holder(alice))
    directory = Path(f"{alice.runtime}/kubeplay-user")
    if lost == "its note":
        (directory / "holder").unlink()
    elif lost == "the directory":
        subprocess.run(["rm", "-rf", str(directory)], check=True)
    assert before and running(alice) == before and said(alice) == alice.name
    assert unshare(alice, "readlink", "/proc/self/ns/user", "/proc/self/ns/mnt") == inside
    assert holders(alice) == [holder(alice)]


def test_a_container_is_started_again_without_a_command(alice: User) -> None:
    """conmon's exit script starts the supervisor, and that the container, all inside the namespaces and without the holder."""
    before = running(alice)
    kill(holder(alice))
    (victim,) = processes(alice, "sleep")
    os.kill(victim, signal.SIGKILL)
    deadline = time.monotonic() + 100
    while not (now := running(alice)) or now == before:
        assert time.monotonic() < deadline, "nobody started it again"
        time.sleep(0.1)
    assert victim not in processes(alice, "sleep") and said(alice) == alice.name


def test_what_is_left_without_conmon_and_holder_is_swept(alice: User) -> None:
    """Containers' processes have subordinate ids: killing the user's own leaves them. The next command ends them and begins anew."""
    left = processes(alice, "sleep")
    for pid in alice.processes():
        if status_of(pid).get("Uid", "").split()[:1] == [str(alice.uid)]:
            kill(pid)
    assert left and processes(alice, "sleep") == left
    assert running(alice) == [] and processes(alice, "sleep") == []
    alice.run(alice.kubeplay, "pod", "start", "web")
    deadline = time.monotonic() + 60
    while len(running(alice)) != 1:  # it was started again by the test before: a kubelet's back-off may hold it for 10 s
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert said(alice) == alice.name


def test_nested_commands_see_the_same(alice: User) -> None:
    assert unshare(alice, alice.kubeplay, "ps", "-q", "--no-trunc") == running(alice)
    root = unshare(alice, alice.kubeplay, "info", "--format", "{{.store.root}} {{.user.uid}} {{.user.name}}")
    assert root == [f"{alice.home}/.local/share/kubeplay {alice.uid} {alice.name}"]


def test_a_program_in_the_network_of_the_pods(alice: User) -> None:
    address = alice.run(alice.kubeplay, "pod", "inspect", "web", "--format", "{{.status.podIP}}").stdout.strip()
    (line,) = unshare(alice, "--rootless-netns", "ip", "-o", "route", "get", address)
    device = line.split(" dev ")[1].split()[0]
    assert device.startswith("kv") and not os.path.exists(f"/sys/class/net/{device}")
    assert any("tap0" in line for line in unshare(alice, "--rootless-netns", "ip", "-o", "link"))


@pytest.mark.parametrize("way", ["su", "su -", "runuser"])
def test_without_a_session_of_the_own(alice: User, way: str) -> None:
    """From root's shell, with root's variables: the same pods."""
    argv = [*way.split(" ")[:1], *(["-"] if way == "su -" else []), alice.name, "-c", f"{alice.kubeplay} ps -q --no-trunc"]
    environ = {"PATH": os.environ["PATH"], "HOME": "/root", "XDG_RUNTIME_DIR": "/run/user/0", "SECRET": "x"}
    done = subprocess.run(argv, env=environ, cwd="/root", capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split() == running(alice), done


def test_users_and_root_leave_one_another_alone(accounts: tuple[User, User], alice: User, archive: Path, tmp_path: Path) -> None:
    """The same manifest three times; each sees the own pod only, and ending one changes nothing for the others."""
    bob, root = accounts[1], Machine(tmp_path)
    try:
        root.load([archive])
        root.play(WEB % {"name": "root"})
        assert said(alice) == alice.name and said(bob) == bob.name and root.sh("web", "cat /data/said") == "root"
        mine, his = running(alice), running(bob)
        assert len({*mine, *his, *root("ps", "-q", "--no-trunc").out.split()}) == 3
        bob.end()
        root.down(WEB % {"name": "root"})
        assert running(alice) == mine and said(alice) == alice.name
        assert running(bob) == []
        bob.run(bob.kubeplay, "pod", "start", "web")
        assert said(bob) == bob.name and running(alice) == mine
    finally:
        root("system", "reset", "--force")


def test_another_user_sees_touches_and_signals_nothing(accounts: tuple[User, User], alice: User) -> None:
    bob = accounts[1]
    pids = alice.processes()
    conmon = processes(alice, "conmon")[0]
    script = f"""
        for path in {alice.runtime}/kubeplay {alice.runtime}/kubeplay-user {alice.home}/.local/share/kubeplay; do
            ls $path >/dev/null 2>&1 && echo "listed $path"
        done
        for pid in {" ".join(map(str, pids))}; do
            kill -0 $pid 2>/dev/null && echo "may signal $pid"
            for file in environ fd root cwd mem maps; do
                [ -r /proc/$pid/$file ] && cat /proc/$pid/$file >/dev/null 2>&1 && echo "read $file of $pid"
                ls /proc/$pid/$file/ >/dev/null 2>&1 && echo "listed $file of $pid"
            done
            nsenter -t $pid -U -m --preserve-credentials true 2>/dev/null && echo "entered $pid"
        done
        true
    """
    assert conmon and bob.run("sh", "-c", script).stdout == ""


def test_everything_of_a_user_is_closed_to_others(alice: User) -> None:
    """Directories that lead to our files are 0700, sockets and files in them 0600."""
    for top in (f"{alice.runtime}/kubeplay", f"{alice.runtime}/kubeplay-user", f"{alice.home}/.local/share/kubeplay"):
        assert os.stat(top).st_mode & 0o077 == 0 and os.stat(top).st_uid == alice.uid, top
    seen = unshare(alice, "stat", "-c", "%a", f"{alice.runtime}/kubeplay")
    assert seen == ["700"]
    for path in Path(f"{alice.runtime}/kubeplay-user").rglob("*"):
        assert path.is_dir() or path.stat().st_mode & 0o077 == 0, path


def test_pods_and_names_with_one_id_only(archive: Path, tmp_path: Path) -> None:
    """Without subordinate ids there is no `nobody` either: names are served all the same, and a user that is not there is a clear error."""
    empty = tmp_path / "empty"
    empty.touch()
    with user() as dave:
        manifest = (ROOT_ONLY % {"name": dave.name}).encode()
        for name, text in (("busybox.tar", archive.read_bytes()), ("web.yaml", manifest), ("other.yaml", WEB.encode())):
            (dave.home / name).write_bytes(text)
            os.chown(dave.home / name, dave.uid, dave.gid)
        hidden = {"/etc/subuid": str(empty), "/etc/subgid": str(empty)}
        assert without(dave, hidden, "load", "-q", "-i", "busybox.tar").returncode == 0
        played = without(dave, hidden, "play", "kube", "-q", "web.yaml")
        assert played.returncode == 0, played
        looked = without(dave, hidden, "exec", "web", "nslookup", "web.default.svc.cluster.local")
        assert looked.returncode == 0 and "10." in looked.stdout, looked
        assert without(dave, hidden, "kube", "down", "-q", "web.yaml").returncode == 0
        refused = without(dave, hidden, "play", "kube", "-q", "other.yaml")
        assert refused.returncode == 125 and "user 1000 is not among the ids you have" in refused.stderr, refused


def test_reset_of_the_last_root_ends_everything(archive: Path) -> None:
    """Pods, supervisor, network helper, forwarder, holder, files: as before the first command; another root keeps the namespaces."""
    with user() as carol:
        _ready(carol, archive)
        other = {"KUBEPLAY_ROOT": f"{carol.home}/other", "KUBEPLAY_RUNROOT": f"{carol.home}/other-run"}
        carol.run(carol.kubeplay, "load", "-q", "-i", "busybox.tar", **other)
        carol.run(carol.kubeplay, "play", "kube", "-q", "web.yaml", **other)
        kept = json.loads(carol.run(carol.kubeplay, "ps", "--format", "json", **other).stdout)
        out = carol.run(carol.kubeplay, "system", "reset", "--force").stdout
        assert out.endswith("namespaces: kept, another root uses them\n") and len(kept) == 1
        assert carol.run(carol.kubeplay, "exec", "web", "cat", "/data/said", **other).stdout.strip() == carol.name
        out = carol.run(carol.kubeplay, "system", "reset", "--force", **other).stdout
        assert out.endswith("namespaces: removed\n")
        assert carol.processes() == [] and not list(Path(carol.runtime).iterdir())
        assert not (carol.home / ".local/share/kubeplay").exists() and not (carol.home / "other").exists()
