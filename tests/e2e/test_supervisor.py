"""The supervisor: there only while something is due, back when killed, and nothing of it hurts a pod."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from kubeplay import supervisor
from kubeplay.engine import exec as execs
from kubeplay.engine import logs
from kubeplay.engine.engine import Engine
from kubeplay.engine.host import runroot
from kubeplay.engine.host.on_exit import SUPERVISOR
from kubeplay.engine.store.locks import Lock
from kubeplay.errors import StoreError
from kubeplay.play import boot, lifecycle
from kubeplay.reconcile.pod import reconcile
from kubeplay.supervisor import loop, start
from kubeplay.supervisor.start import KEPT
from tests.support.kubeplay import link
from tests.support.root import REPOSITORY, Root

pytestmark = pytest.mark.root


def pod(name: str, command: str, policy: str = "Always") -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: {policy}
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c]
    args: [{command!r}]
"""


def _alive(pid: int) -> bool:
    try:
        return b") Z" not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False


def _session(pid: int) -> int:
    """A process's session, 0 when it has ended meanwhile."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _ticks(pid: int) -> int:
    """The processor time a process has used."""
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))


def _begun(pid: int) -> float:
    """When a process was forked, in seconds since the machine's start."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")


def _uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _gone(root: Root) -> bool:
    return not root.supervisors() and not root.parents()


def test_a_quiet_stack_has_no_process_of_ours(root: Root) -> None:
    root.play(pod("quiet", "sleep 1000"))
    root.wait(lambda: _gone(root))
    assert len(root.monitors()) == 2  # the pod's container and the DNS server


def test_a_log_that_grows_fast_is_something_to_stay_for(root: Root) -> None:
    """The next command that comes by finds it full; from then on it is rotated as by a kubelet, every 10 s."""
    pause = "if [ $i -gt 700 ] && [ ! -e /go ]; then sleep 1; elif [ $((i % 50)) = 0 ]; then sleep 0.1; fi"
    text = pod("busy", f"i=0; while :; do echo $i; i=$((i+1)); {pause}; done")
    text = text.replace("{name: busy}", '{name: busy, annotations: {kubeplay.io/log-max-size: "20000", kubeplay.io/log-max-files: "100"}}')
    root.play(text)
    row = root.rows("busy")[0]
    root.wait(lambda: os.path.getsize(row.log_path) > 25_000)
    root.wait(lambda: _gone(root))
    root.play(text)
    assert len(logs.files(row.log_path)) == 2 and os.path.getsize(row.log_path) < 20_000
    root.wait(lambda: root.supervisors())
    time.sleep(loop.LINGER * 4)
    assert root.supervisors(), "it stays"
    execs.capture(root.engine, row, ["touch", "/go"], 100.0)
    root.wait(lambda: len(logs.files(row.log_path)) > 2)
    written: list[int] = []
    logs.read(root.engine, [row], sink=lambda entry, name, begins: written.append(int(entry.text)))
    assert written == list(range(len(written))) and len(written) > 700
    root.down(text)
    root.wait(lambda: _gone(root))


def test_an_exit_is_seen_with_no_supervisor_running_and_it_ends_again(root: Root) -> None:
    root.play(pod("ends", "sleep 0.5; exit 3", "Never"))
    root.wait(lambda: _gone(root))
    root.wait(lambda: root.status("ends")["phase"] == "Failed")
    assert root.container("ends")["state"]["terminated"]["exitCode"] == 3
    assert root.engine.store.runtime.sandboxes(root.uid("ends")) == []
    root.wait(lambda: _gone(root))


def test_rb1_restarts_at_once_then_after_ten_seconds(root: Root, tmp_path: Path) -> None:
    times = tmp_path / "times"
    times.touch()
    text = pod("loop", "cut -d' ' -f1 /proc/uptime >> /times; exit 1") + "    volumeMounts: [{name: t, mountPath: /times}]\n"
    root.play(f"{text}  volumes: [{{name: t, hostPath: {{path: {times}}}}}]\n")
    root.wait(lambda: len(times.read_text().split()) >= 3)
    first, second, third = map(float, times.read_text().split()[:3])
    # a machine may be late with what is due, never early: less than 10 s is no back-off, 20 s the next one
    assert second - first < 9.9 <= third - second < 19.9
    root.wait(lambda: len(root.rows("loop")) == 2)  # CS8


def _killed(root: Root) -> int:
    """Kill a supervisor; 0 when the one that was listed has just ended by itself."""
    for pid in root.supervisors():
        try:
            os.kill(pid, signal.SIGKILL)
            return pid
        except ProcessLookupError:
            continue
    return 0


def test_killed_it_is_back_within_two_seconds_and_goes_on(root: Root) -> None:
    root.play(pod("loop", "exit 1"))
    root.wait(lambda: root.container("loop")["restartCount"] >= 1)
    first = root.wait(lambda: _killed(root))
    killed = _uptime()
    second = root.wait(lambda: [p for p in root.supervisors() if p != first])[0]
    assert _begun(second) - killed < 2, "the loop starts it after a pause of 0.2 s, whatever its own start takes"
    root.wait(lambda: root.container("loop")["restartCount"] >= 2)


def test_its_parent_killed_and_then_itself_it_is_back(root: Root) -> None:
    root.play(pod("loop", "exit 1"))
    first = root.wait(lambda: root.container("loop")["restartCount"] >= 1 and root.supervisors())[0]  # perhaps it has just begun
    parent = root.parents()[0]
    os.kill(parent, signal.SIGKILL)
    root.wait(lambda: not _alive(first) and root.supervisors())
    assert parent not in root.parents() and root.parents()
    second = root.wait(lambda: _killed(root))  # not one that finds another at work, and ends
    root.wait(lambda: [p for p in root.supervisors() if p not in (first, second)])


def test_who_comes_in_its_place_finds_the_lock_free(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    root.wait(lambda: _gone(root))
    lock, told = Lock(root.engine.paths.lock(SUPERVISOR)), []
    assert lock.try_take()
    one = loop.Loop(root.engine, lock)
    one.parent = os.open(os.devnull, os.O_RDONLY)
    monkeypatch.setattr(start, "begin", lambda engine: told.append(start.running(engine)))
    monkeypatch.setattr(os, "_exit", told.append)
    with closing(one):
        one._replace_parent()
    assert told == [False, 0]


def test_the_parent_is_small_and_an_idle_supervisor_uses_no_cpu(root: Root) -> None:
    root.play(pod("loop", "exit 1"))
    pid = root.wait(lambda: root.container("loop")["restartCount"] >= 1 and root.supervisors())[0]

    def idles() -> bool:
        before = _ticks(pid)
        time.sleep(3)
        return _ticks(pid) - before <= 2

    root.wait(idles)  # it may still be settling, or a restart may be due, in the first three seconds: one that polls never idles
    rollup = Path(f"/proc/{root.parents()[0]}/smaps_rollup").read_text().splitlines()
    assert next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) < 1024


def test_a_pod_that_cannot_be_looked_after_is_tried_again_without_haste_and_a_removed_root_ends_it(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wake time that has passed must not make it look again and again until the next try is due."""
    root.play(pod("stuck", "sleep 1000"))
    root.wait(lambda: _gone(root))
    tries, looks = [], []

    def fails(engine: Engine, uid: str, **options: object) -> None:
        tries.append(uid)
        raise StoreError("the disk is gone")

    monkeypatch.setattr(loop, "reconcile", fails)
    monkeypatch.setattr(loop, "FAILED_SECONDS", 1000.0)
    root.engine.store.runtime.set_pod(root.uid("stuck"), wake_at=1.0)
    one = loop.Loop(root.engine)
    begin = one._begin
    monkeypatch.setattr(one, "_begin", lambda now: (looks.append(now), begin(now)))
    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(one.run()))
    thread.start()
    root.wait(lambda: len(tries) == 1)
    time.sleep(1)
    assert len(tries) == 1 and len(looks) < 50
    os.unlink(root.engine.paths.wake)
    os.write(one.fifo, b"\n")
    thread.join()
    one.close()
    os.mkfifo(root.engine.paths.wake, 0o600)  # the root is shared by these tests
    assert ended == [False]


@pytest.mark.rootful("the caller is put into a control group, which is then killed")
def test_the_callers_session_and_cgroup_killed_pods_live(root: Root) -> None:
    group = Path(f"/sys/fs/cgroup/pids/kp-caller-{os.getpid()}")
    if not group.parent.is_dir():
        group = Path(f"/sys/fs/cgroup/kp-caller-{os.getpid()}")
    group.mkdir()
    try:
        file = root.directory / "caller.yaml"
        file.write_text(pod("steady", "sleep 1000") + "---" + pod("loop", "exit 1"))
        argv = [sys.executable, "-m", "tests.support.run_play", str(root.directory), "play", str(file)]
        enter = f"open('{group}/cgroup.procs','w').write(str(os.getpid()))"
        code = f"import os,subprocess,time\n{enter}\nsubprocess.run({argv!r})\ntime.sleep(100)"
        caller = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, start_new_session=True)
        root.wait(lambda: root.engine.store.runtime.find_pod("default", "loop") and root.status("loop").get("phase") == "Running")
        root.wait(lambda: root.supervisors())
        root.wait(lambda: root.container("loop")["restartCount"] >= 1)

        def inside() -> list[int]:
            return [int(pid) for pid in (group / "cgroup.procs").read_text().split()]

        def ours() -> list[int]:
            return [*root.monitors(), *root.supervisors(), *root.parents(), *[r.pid for r in root.rows("steady")]]

        # a supervisor or a restarted container's monitor moves out first of all, but it is born inside
        root.wait(lambda: not set(inside()) & set(ours()))
        members, mine = inside(), ours()
        assert caller.pid in members
        sessions = {_session(pid) for pid in mine}
        assert caller.pid not in sessions
        os.killpg(caller.pid, signal.SIGKILL)
        for pid in members:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        caller.wait()
        time.sleep(0.5)
        assert "running" in root.container("steady")["state"]
        assert all(_alive(r.pid) for r in root.rows("steady"))
        root.wait(lambda: root.container("loop")["restartCount"] >= 2)
    finally:
        root.wait(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


@pytest.mark.rootful("the caller is put into a control group, which is then killed")
def test_started_by_a_command_it_leaves_the_commands_cgroup(root: Root) -> None:
    group = Path(f"/sys/fs/cgroup/pids/kp-starter-{os.getpid()}")
    if not group.parent.is_dir():
        group = Path(f"/sys/fs/cgroup/kp-starter-{os.getpid()}")
    root.play(pod("later", "sleep 1000"))
    root.wait(lambda: _gone(root))
    root.engine.store.runtime.set_pod(root.uid("later"), wake_at=time.time() + 1000)
    group.mkdir()
    try:
        code = f"""
import os
open('{group}/cgroup.procs', 'w').write(str(os.getpid()))
from kubeplay.config import Settings
from kubeplay.engine.engine import Engine
from kubeplay.supervisor import start
start.begin(Engine(Settings(*{tuple(root.engine.settings)!r})))
"""
        subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)
        root.wait(lambda: root.supervisors() and root.parents())
        root.wait(lambda: not (group / "cgroup.procs").read_text())
        assert root.supervisors() and root.parents()
    finally:
        root.engine.store.runtime.set_pod(root.uid("later"), wake_at=None)
        supervisor.ensure(root.engine)
        group.rmdir()


def test_it_holds_nothing_of_the_callers(root: Root) -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    try:
        root.play(pod("loop", "exit 1"))
        pid = root.wait(lambda: root.supervisors())[0]
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        held = {target for fd in os.listdir(f"/proc/{pid}/fd") if (target := link(f"/proc/{pid}/fd/{fd}"))}
        assert os.readlink(f"/proc/self/fd/{write}") not in held
        kept = {name.encode() for name in KEPT}  # where its pulls find registries and logins
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert {v.split(b"=")[0] for v in variables if v} <= {b"PATH", b"LANG", b"PYTHONPATH", b"LC_CTYPE", b"PWD", *kept}
        assert os.getsid(pid) != os.getsid(0)
    finally:
        os.close(read)
        os.close(write)


def test_another_boot_pods_show_it_and_come_back_with_start(root: Root) -> None:
    root.play(pod("reboot", "echo up; sleep 1000"))
    uid = root.uid("reboot")
    # what a reboot leaves: rows of another boot id, and processes gone
    for row in root.rows("reboot"):
        os.kill(row.pid, signal.SIGKILL)
    root.wait(lambda: root.container("reboot")["restartCount"] == 1 and _gone(root))  # nobody else looks at it meanwhile
    runtime = root.engine.store.runtime
    for row in root.rows("reboot"):
        runtime.set_container(row.id, boot="another")
    for sandbox in runtime.sandboxes(uid):
        runtime.set_sandbox(sandbox.id, boot="another")
    outcome = reconcile(root.engine, uid)
    assert outcome.wake_at is None
    state = root.container("reboot")["state"]
    assert (state["terminated"]["exitCode"], state["terminated"]["reason"]) == (137, "ContainerStatusUnknown")
    supervisor.ensure(root.engine)
    time.sleep(1)
    assert "terminated" in root.container("reboot")["state"]  # nobody but a person starts it
    lifecycle.start_pods(root.engine, [uid])
    assert "running" in root.container("reboot")["state"]
    assert root.container("reboot")["restartCount"] == 2


def test_a_wiped_runroot_pods_come_back_with_start(root: Root) -> None:
    text = pod("wiped", "echo up; sleep 1000")
    root.play(text)
    uid = root.uid("wiped")
    for pid in [*root.monitors(), *[r.pid for r in root.engine.store.runtime.containers()]]:
        os.kill(pid, signal.SIGKILL)
    root.wait(lambda: _gone(root))
    root.engine.close()
    runroot.release(root.engine.paths)
    shutil.rmtree(root.settings.runroot)
    root.engine = Engine(root.settings)
    assert root.engine.renewed
    reconcile(root.engine, uid)
    assert root.container("wiped")["state"]["terminated"]["reason"] == "ContainerStatusUnknown"
    lifecycle.start_pods(root.engine, [uid])
    assert "running" in root.container("wiped")["state"]
    root.wait(lambda: root.log("wiped", attempt=root.container("wiped")["restartCount"]) == "up\n")
    root.down(text)
    assert root.leaks() == []


def test_what_the_machines_end_cut_off_is_resumed_and_what_was_stopped_stays_so(root: Root) -> None:
    text = "---\n".join([pod("cut", "echo up; sleep 1000"), pod("halted", "echo up; sleep 1000")])
    root.play(text)
    lifecycle.stop_pods(root.engine, [root.uid("halted")], 0)
    for pid in [*root.monitors(), *[r.pid for r in root.engine.store.runtime.containers() if r.pid]]:
        os.kill(pid, signal.SIGKILL)
    root.wait(lambda: _gone(root))
    root.engine.close()
    runroot.release(root.engine.paths)
    shutil.rmtree(root.settings.runroot)
    root.engine = Engine(root.settings)
    names, outcomes = boot.resume(root.engine)
    assert names == ["default/cut"] and [outcome.started for outcome in outcomes] == [True]
    assert "running" in root.container("cut")["state"] and "running" not in root.container("halted")["state"]
    assert boot.resume(root.engine) == ([], [])
    root.down(text)
    assert root.leaks() == []


def test_wake_without_supervisor_does_nothing_and_marks_are_found(root: Root) -> None:
    root.wait(lambda: _gone(root))
    supervisor.wake(root.engine)
    assert not start.running(root.engine)
    assert start.marked(root.engine) == []
    assert not start.due(root.engine)


def test_two_roots_each_have_their_own(root: Root, tmp_path: Path, image_archives: dict[str, Path]) -> None:
    other = Root(tmp_path)
    other.engine.images.load(str(image_archives["busybox"]))
    try:
        root.play(pod("same", "exit 1"))
        other.play(pod("same", "exit 1"))
        root.wait(lambda: root.supervisors())
        other.wait(lambda: other.supervisors())
        assert set(root.supervisors()).isdisjoint(other.supervisors())
        other.clear()
        assert other.leaks() == []
        root.wait(lambda: root.container("same")["restartCount"] >= 1)
    finally:
        other.destroy()
