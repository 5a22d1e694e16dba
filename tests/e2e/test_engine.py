"""The engine with real containers: life and death, identity, files, limits, one test per promise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kubeplay.engine import state
from kubeplay.engine.engine import Engine
from kubeplay.engine.host import processes
from kubeplay.engine.host.machine import machine
from kubeplay.engine.oci import conmon
from kubeplay.engine.store.runtime import CREATED, EXITED, NOTREADY, READY, RUNNING
from kubeplay.errors import ContainerError, Exhausted, SandboxError
from kubeplay.plan.container import ContainerPlan, Resolved, Resources
from kubeplay.plan.pod import Attachment, SandboxPlan
from kubeplay.plan.security import Security
from tests.support.engines import IMAGE, Bench, bench_fixture, leftovers, needs_cgroups, processes_of, shell, wait_for  # noqa: F401

pytestmark = pytest.mark.root


def test_two_containers_run_side_by_side_and_go_without_trace(bench: Bench) -> None:
    rows = bench.run(shell("sleep 100", "a"), shell("sleep 100", "b"))
    bench.engine.refresh(rows[0].pod_uid)
    assert [r.state for r in bench.engine.store.runtime.containers()] == [RUNNING, RUNNING]
    for row in rows:
        bench.engine.remove_container(bench.engine.stop_container(row, 0))
    bench.engine.remove_sandbox(bench.engine.store.runtime.sandboxes()[0])
    assert leftovers(bench.engine) == []
    assert os.listdir(f"{bench.settings.root}/containers") == []


def test_created_is_not_started_until_told(bench: Bench) -> None:
    plan, sandbox = bench.pod(shell("echo ran; sleep 100"))
    row = bench.create(plan, sandbox)
    time.sleep(0.2)
    assert row.state == CREATED and bench.log(row) == ""
    started = bench.engine.start_container(row)
    assert started.state == RUNNING and started.started
    wait_for(lambda: bench.log(row) == "ran\n", "output")


def test_cs7_exit_codes_and_reasons(bench: Bench) -> None:
    rows = bench.run(
        shell("exit 0", "ok"),
        shell("exit 3", "three"),
        shell("kill -9 $$; sleep 1", "own"),
        ContainerPlan("gone", IMAGE, command=("true",)),
    )
    found = {r.name: bench.ended(r) for r in rows[:2] + rows[3:]}
    assert (found["ok"].exit_code, found["ok"].reason) == (0, "Completed")
    assert (found["three"].exit_code, found["three"].reason) == (3, "Error")
    assert found["gone"].finished is not None and found["gone"].finished >= (found["gone"].created or 0)
    assert rows[2].state == RUNNING  # PID 1 survives its own SIGKILL


def test_whoever_looks_late_does_not_forget_how_a_container_ended(bench: Bench) -> None:
    """A listing takes no lock: another process may see the end and clear it away between its look at the rows and at the files."""
    seen = bench.run(shell("exit 3", "main"))[0]
    bench.engine.remove_container(bench.ended(seen), keep_row=True)
    assert state.settle(bench.engine, seen._replace(state=RUNNING)).exit_code == 3


def test_te2_stop_signals_waits_and_kills(bench: Bench) -> None:
    polite = shell("trap 'echo bye; exit 5' TERM; while :; do sleep 0.05; done", "polite")
    deaf = shell("trap '' TERM; while :; do sleep 0.05; done", "deaf")
    other = shell("trap 'exit 7' USR1; while :; do sleep 0.05; done", "other", stop_signal="SIGUSR1")
    rows = bench.run(polite, deaf, other)
    wait_for(lambda: all(len(processes_of(bench, r)) > 1 for r in rows), "the shells")
    assert bench.engine.stop_container(rows[0], 60).exit_code == 5
    began = time.monotonic()
    assert bench.engine.stop_container(rows[1], 0.3).exit_code == 137
    assert 0.3 <= time.monotonic() - began < 25
    assert bench.engine.stop_container(rows[2], 60).exit_code == 7


def _group(bench: Bench, row: object) -> str:
    from kubeplay.engine import container

    facts = container.read_facts(bench.engine, row.id)  # type: ignore[attr-defined]
    assert facts is not None
    return facts.cgroup


def test_cs7_missing_program_is_start_error_128(bench: Bench) -> None:
    plan, sandbox = bench.pod(ContainerPlan("c", IMAGE, command=("/nope",)))
    row = bench.create(plan, sandbox)
    assert (row.state, row.exit_code, row.reason) == (EXITED, 128, "StartError") and "/nope" in row.message
    with pytest.raises(ContainerError) as caught:
        bench.engine.start_container(row)
    assert caught.value.reason == "RunContainerError"
    assert not os.path.exists(bench.engine.paths.bundle(row.id))


def test_cm1_no_command_leaves_nothing(bench: Bench) -> None:
    plan, sandbox = bench.pod(ContainerPlan("c", IMAGE))
    with pytest.raises(ContainerError) as caught:
        bench.create(plan, sandbox)
    assert caught.value.reason == "CreateContainerError" and "no command specified" in caught.value.message
    assert bench.engine.store.runtime.containers() == [] and bench.engine.leftovers() == []


def test_sc3_root_image_breaks_run_as_non_root(bench: Bench) -> None:
    plan, sandbox = bench.pod(shell("true", security=Security(run_as_non_root=True)))
    with pytest.raises(ContainerError, match="container has runAsNonRoot and image will run as root") as caught:
        bench.create(plan, sandbox)
    assert caught.value.reason == "CreateContainerConfigError"


def test_sc2_user_groups_and_home(bench: Bench) -> None:
    security = Security(run_as_user=1234, supplemental_groups=(7,), fs_group=8)
    said = bench.output("id; echo $HOME; grep -E 'Cap(Inh|Eff|Amb)' /proc/self/status", security=security)
    assert "uid=1234(app) gid=2345(app) groups=7,8,2345(app),3456(extra)" in said
    assert "/home/app" in said and said.count("0000000000000000") == 3


def test_sc2_user_unknown_to_the_image_has_gid_0_and_home_slash(bench: Bench) -> None:
    assert bench.output("id -u; id -g; echo $HOME", security=Security(run_as_user=4711)) == "4711\n0\n/\n"


def test_sc6_default_and_changed_capabilities(bench: Bench) -> None:
    read = "grep CapBnd /proc/self/status | cut -f2"
    assert bench.output(read) == "00000000a80425fb\n"  # containerd's fourteen
    assert bench.output(read, security=Security(cap_drop=("ALL",), cap_add=("NET_BIND_SERVICE",))) == "0000000000000400\n"
    assert bench.output(read, security=Security(cap_add=("SYS_TIME", "CAP_KILL", "NONSENSE"), cap_drop=("KILL",))) == "00000000aa0425db\n"


def test_sc4_no_new_privileges(bench: Bench) -> None:
    assert bench.output("grep NoNewPrivs /proc/self/status | cut -f2", security=Security(no_new_privileges=True)) == "1\n"
    assert bench.output("grep NoNewPrivs /proc/self/status | cut -f2") == "0\n"


def test_sc7_masked_and_read_only_paths(bench: Bench) -> None:
    script = "cat /proc/keys /proc/timer_list | wc -c; (echo 1 >/proc/sys/kernel/hostname) 2>/dev/null || echo ro; ls /sys/firmware | wc -l"
    assert bench.output(script) == "0\nro\n0\n"


def test_sc7_privileged_sees_devices_and_has_everything(bench: Bench) -> None:
    script = "grep CapEff /proc/self/status | cut -f2; ls /dev | wc -l; grep Seccomp: /proc/self/status | cut -f2"
    said = bench.output(script, security=Security(privileged=True))
    caps, devices, seccomp = said.split()
    assert int(caps, 16).bit_count() > 30
    # an ordinary user gets those that they may open: the standard ones at least
    assert int(devices) > (10 if machine().rootless else 20) and seccomp == "0"


def test_sc5_default_profile_denies_and_allows(bench: Bench) -> None:
    script = "grep Seccomp: /proc/self/status | cut -f2; unshare -U true 2>&1; mount -t tmpfs x /tmp 2>&1; mkdir /tmp/x && echo fine"
    said = bench.output(script)
    assert said.startswith("2\n") and "fine" in said and said.lower().count("not permitted") + said.lower().count("denied") == 2


def test_sc9_namespaces_are_shared_in_the_pod_and_pid_is_not(bench: Bench) -> None:
    rows = bench.run(shell("sleep 100", "a"), shell("sleep 100", "b"))
    same = [{kind: os.stat(f"/proc/{r.pid}/ns/{kind}").st_ino for kind in ("net", "ipc", "uts", "pid", "mnt")} for r in rows]
    assert all(same[0][k] == same[1][k] != os.stat(f"/proc/self/ns/{k}").st_ino for k in ("net", "ipc", "uts"))
    assert same[0]["pid"] != same[1]["pid"] and same[0]["mnt"] != same[1]["mnt"]
    bench.exec(rows[0], "sh", "-c", "echo shared >/dev/shm/x")
    assert bench.exec(rows[1], "cat", "/dev/shm/x") == "shared\n"
    assert bench.exec(rows[0], "sh", "-c", "df /dev/shm | tail -1").split()[1] == "65536"


def test_sc9_shared_pid_namespace_has_pause_as_pid_1(bench: Bench) -> None:
    rows = bench.run(shell("sleep 100", "a"), shell("sleep 200", "b"), sandbox=SandboxPlan("p", share_pid=True))
    said = bench.exec(rows[0], "ps", "-o", "pid,args")
    assert "sleep 200" in said and "catatonit" in said.splitlines()[1]
    pause = bench.exec(rows[0], "grep", "-E", "^(Seccomp|NoNewPrivs|CapBnd):", "/proc/1/status").split()
    assert pause == ["CapBnd:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"]  # who traces it gains nothing
    ended = bench.engine.stop_container(rows[0], 1)
    assert ended.exit_code == 143 or ended.exit_code == 137
    bench.engine.refresh(rows[1].pod_uid)
    found = bench.engine.store.runtime.container(rows[1].id)
    assert found is not None and found.state == RUNNING


def test_host_pid_and_host_ipc(bench: Bench) -> None:
    row = bench.run(shell("sleep 100"), sandbox=SandboxPlan("p", host_pid=True, host_ipc=True))[0]
    assert os.stat(f"/proc/{row.pid}/ns/pid").st_ino == os.stat("/proc/self/ns/pid").st_ino
    assert os.stat(f"/proc/{row.pid}/ns/ipc").st_ino == os.stat("/proc/self/ns/ipc").st_ino
    child = bench.exec(row, "sh", "-c", "sleep 300 >/dev/null 2>&1 & echo $!").strip()
    bench.engine.stop_container(row, 0)
    wait_for(lambda: processes.identify(int(child)) is None, "the background process to be killed with its container")


def test_sc11_read_only_root_but_hosts_and_termination_log_writable(bench: Bench) -> None:
    paths = "/x /etc/hostname /etc/resolv.conf /etc/hosts /dev/termination-log /dev/shm/y"
    script = f"for f in {paths}; do (echo a >>$f) 2>/dev/null && echo $f; done"
    assert bench.output(script + "; true", security=Security(read_only_rootfs=True)) == "/etc/hosts\n/dev/termination-log\n/dev/shm/y\n"


def test_tm1_last_4096_bytes_on_success_and_failure(bench: Bench) -> None:
    script = "f=/dev/termination-log; i=0; while [ $i -lt 500 ]; do echo 0123456789 >>$f; i=$((i+1)); done; printf END >>$f; exit $CODE"
    for code in ("0", "4"):
        plan, sandbox = bench.pod(shell(script), name=f"p{code}")
        command = plan.containers[0].command
        row = bench.engine.start_container(bench.create(plan, sandbox, resolved=Resolved(command=command, env=(("CODE", code),))))
        message = bench.ended(row).message
        assert len(message) == 4096 and message.endswith("0123456789\nEND")


def test_tm2_fallback_to_logs_only_on_error(bench: Bench) -> None:
    rows = bench.run(
        shell("echo why; exit 1", "bad", termination_policy="FallbackToLogsOnError"),
        shell("echo fine; exit 0", "good", termination_policy="FallbackToLogsOnError"),
    )
    assert [bench.ended(r).message for r in rows] == ["why\n", ""]


def test_cm2_working_directory_is_made_inside(bench: Bench) -> None:
    assert bench.output("pwd", working_dir="/made/for/me") == "/made/for/me\n"


def test_en_environment_of_the_host_stays_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST_SECRET", "x")
    row = bench.ended(bench.run(ContainerPlan("c", IMAGE, command=("env",)))[0])
    names = {line.partition("=")[0] for line in bench.log(row).splitlines()}
    assert names == {"PATH", "HOSTNAME", "HOME"}


def test_cve_2024_21626_no_foreign_descriptor_reaches_a_container_or_its_conmon(bench: Bench, tmp_path: Path) -> None:
    fds = [os.open(tmp_path, os.O_RDONLY) for _ in range(5)]
    for fd in fds:
        os.set_inheritable(fd, True)
    try:
        row = bench.run(shell("sleep 100"))[0]
        wait_for(lambda: os.readlink(f"/proc/{row.pid}/exe").endswith("busybox"), "the runtime's init to become the program")
        assert sorted(os.listdir(f"/proc/{row.pid}/fd")) == ["0", "1", "2"]
        monitor = conmon.monitor_pid(bench.engine.paths.bundle(row.id))
        assert not [link for fd in os.listdir(f"/proc/{monitor}/fd") if str(tmp_path) == (link := os.readlink(f"/proc/{monitor}/fd/{fd}"))]
        assert bench.exec(row, "sh", "-c", "ls /proc/self/fd").split() == ["0", "1", "2", "3"]  # 3 is ls's own
    finally:
        for fd in fds:
            os.close(fd)


@pytest.mark.parametrize("path", ["/proc/self/fd/7", "/proc/1/root", "relative"])
def test_cve_2024_21626_working_directory_through_a_descriptor_is_refused(bench: Bench, path: str) -> None:
    plan, sandbox = bench.pod(shell("true", working_dir=path))
    with pytest.raises(ContainerError, match="working directory"):
        bench.create(plan, sandbox)


def test_conmon_stands_alone(bench: Bench) -> None:
    row = bench.run(shell("sleep 100"))[0]
    monitor = conmon.monitor_pid(bench.engine.paths.bundle(row.id))
    assert os.readlink(f"/proc/{monitor}/cwd") == "/" and os.getsid(monitor) == monitor
    environment = Path(f"/proc/{monitor}/environ").read_bytes()
    assert b"HOME=" not in environment and b"PATH=" in environment
    assert not Path(f"/proc/{monitor}/status").read_text().partition("Groups:")[2].split("\n")[0].split() or not machine().rootless
    for line in Path(f"/proc/{monitor}/cgroup").read_text().splitlines() if bench.engine.cgroups.hierarchies else []:
        assert line.split(":", 2)[2] in ("/", f"/{bench.settings.cgroup_parent}/monitors")


def test_rs2_rs4_limits_reach_the_cgroups(bench: Bench) -> None:
    limits = Resources(cpu_request=250, cpu_limit=500, memory_request=32 << 20, memory_limit=64 << 20)
    needs_cgroups(bench.engine)
    row = bench.run(shell("sleep 100", resources=limits))[0]
    group = _group(bench, row)
    assert "/kubepods/burstable/pod" in group
    if bench.engine.cgroups.unified:
        pytest.skip("read by name on version 1 only")
    mounts = {c: h.mount for h in bench.engine.cgroups.hierarchies for c in h.controllers}

    def value(controller: str, name: str, path: str) -> int:
        return int(Path(mounts[controller] + path, name).read_text())

    for path in (group, os.path.dirname(group)):
        assert value("cpu", "cpu.shares", path) == 256
        assert value("cpu", "cpu.cfs_quota_us", path) == 50_000
        assert value("memory", "memory.limit_in_bytes", path) == 64 << 20


def test_rs6_oom_score(bench: Bench) -> None:
    row = bench.run(shell("sleep 100"))[0]
    assert Path(f"/proc/{row.pid}/oom_score_adj").read_text() == "1000\n"


def test_rs7_oom_kill_is_seen(bench: Bench) -> None:
    needs_cgroups(bench.engine)
    limit = Resources(memory_request=16 << 20, memory_limit=16 << 20)
    row = bench.run(ContainerPlan("c", IMAGE, command=("dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"), resources=limit))[0]
    ended = bench.ended(row)
    assert (ended.exit_code, ended.reason) == (137, "OOMKilled")


def test_dn3_hostname(bench: Bench) -> None:
    row = bench.run(shell("hostname; cat /etc/hostname; echo $HOSTNAME; sleep 100"), sandbox=SandboxPlan("web-1"))[0]
    wait_for(lambda: bench.log(row) == "web-1\nweb-1\nweb-1\n", "the names")


def test_dn3_fqdn_too_long_fails_the_sandbox_and_leaves_nothing(bench: Bench) -> None:
    with pytest.raises(SandboxError, match="is too long"):
        bench.pod(shell("true"), sandbox=SandboxPlan("x" * 40, domain="y" * 40, fqdn_hostname=True))
    assert bench.engine.store.runtime.sandboxes() == [] and bench.engine.leftovers() == []


def test_network_address_is_the_rows(bench: Bench) -> None:
    row = bench.run(shell("sleep 100"), sandbox=SandboxPlan("p", attachments=(Attachment(""),)))[0]
    sandbox = bench.engine.store.runtime.sandboxes(row.pod_uid)[0]
    assert sandbox.state == READY and sandbox.addresses[0] in bench.exec(row, "ip", "-4", "addr")
    assert f"{sandbox.addresses[0]}\tp\n" in bench.exec(row, "cat", "/etc/hosts")


def test_conmon_killed_ends_the_container_as_unknown(bench: Bench) -> None:
    row = bench.run(shell("sleep 100"))[0]
    os.kill(conmon.monitor_pid(bench.engine.paths.bundle(row.id)), signal.SIGKILL)
    ended = bench.ended(row)
    assert (ended.exit_code, ended.reason) == (137, "ContainerStatusUnknown")
    assert processes.identify(row.pid) is None


def test_container_killed_from_outside_is_an_error_137(bench: Bench) -> None:
    row = bench.run(shell("sleep 100"))[0]
    os.kill(row.pid, signal.SIGKILL)
    ended = bench.ended(row)
    assert (ended.exit_code, ended.reason) == (137, "Error")


def test_another_boot_voids_what_ran(bench: Bench) -> None:
    row = bench.run(shell("sleep 100"))[0]
    Path(bench.engine.paths.boot_id).write_text("00000000-0000-0000-0000-000000000000")
    again = Engine(bench.settings)
    assert again.renewed and processes.identify(row.pid) is None
    again.refresh(row.pod_uid)
    found = again.store.runtime.container(row.id)
    assert found is not None and (found.state, found.reason) == (EXITED, "ContainerStatusUnknown")
    assert again.store.runtime.sandboxes(row.pod_uid)[0].state == NOTREADY
    again.close()


def test_a_process_that_died_between_start_and_its_note(bench: Bench) -> None:
    plan, sandbox = bench.pod(shell("sleep 100"))
    row = bench.create(plan, sandbox)
    before = time.time()
    bench.engine.runtime.start(row.id)
    after = time.time()
    bench.engine.refresh(row.pod_uid)
    found = bench.engine.store.runtime.container(row.id)
    assert found is not None and found.state == RUNNING and before - 0.1 <= (found.started or 0) <= after  # a file's time is a tick late


def test_remove_twice_and_collect_without_rows(bench: Bench) -> None:
    row = bench.run(shell("sleep 100"))[0]
    bench.engine.store.runtime.delete_container(row.id)
    assert [line for line in bench.engine.leftovers() if row.id in line]
    bench.engine.collect()
    assert bench.engine.leftovers() == [] and processes.identify(row.pid) is None
    bench.engine.remove_container(row)


def test_long_runroot_paths_work(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    bench = Bench(deep)
    try:
        assert bench.output("echo far") == "far\n"
    finally:
        bench.close()


def test_host_rootfs_runs_the_hosts_programs_read_only(bench: Bench) -> None:
    script = "test -x /usr/bin/env && ! touch /usr/x 2>/dev/null && echo ok"
    container = ContainerPlan("c", "", command=("/bin/sh", "-c", script), host_rootfs=True)
    row = bench.ended(bench.run(container)[0])
    assert bench.log(row) == "ok\n"


def test_tty(bench: Bench) -> None:
    row = bench.ended(bench.run(ContainerPlan("c", IMAGE, command=("tty",), tty=True))[0])
    assert bench.log(row).strip() == "/dev/pts/0" and row.exit_code == 0


def test_a_full_disk_is_a_clear_error_that_leaves_nothing(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,nr_inodes=700", "small", str(tmp_path)], check=True)
    try:
        bench = Bench(tmp_path)
        try:
            plan, sandbox = bench.pod(shell("true"))
            filler = tmp_path / "filler"
            filler.mkdir()
            with pytest.raises(OSError):
                for number in range(1000):
                    (filler / str(number)).mkdir()
            with pytest.raises(Exhausted, match="no space left"):
                bench.create(plan, sandbox)
            assert bench.engine.store.runtime.containers() == [] and bench.engine.leftovers() == []
            for number in range(40):
                (filler / str(number)).rmdir()
            assert bench.ended(bench.engine.start_container(bench.create(plan, sandbox))).exit_code == 0
        finally:
            bench.close()
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_killed_callers_session_and_cgroup_do_no_harm(bench: Bench) -> None:
    """The caller sits in a cgroup of its own, which is emptied by SIGKILL once it has started a pod."""
    needs_cgroups(bench.engine)
    if bench.engine.cgroups.unified:
        pytest.skip("written for version 1")
    mount = next(h.mount for h in bench.engine.cgroups.hierarchies if "memory" in h.controllers)
    group = Path(mount, f"{bench.settings.cgroup_parent}-caller")
    group.mkdir()
    program = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})
open({str(group / "cgroup.procs")!r}, "w").write("0")
from kubeplay.config import Settings
from kubeplay.engine.engine import Engine
from kubeplay.plan.container import ContainerPlan, Resolved
from kubeplay.plan.pod import PodPlan, SandboxPlan
engine = Engine(Settings(*{tuple(bench.settings)!r}))
container = ContainerPlan("c", {IMAGE!r}, command=("sleep", "100"))
plan = PodPlan("default", "p", SandboxPlan("p"), (container,))
uid = "c0ffee00-1111-2222-3333-444455556666"
row = engine.create_container(uid, engine.create_sandbox(uid, plan), plan, container, Resolved(command=container.command), 0)
engine.start_container(row)
print(row.id, flush=True)
import time; time.sleep(100)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert child.stdout is not None
        container_id = child.stdout.readline().strip()
        members = [int(p) for p in (group / "cgroup.procs").read_text().split()]
        assert members == [child.pid]
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        time.sleep(0.3)
        bench.engine.refresh()
        row = bench.engine.store.runtime.container(container_id)
        assert row is not None and row.state == RUNNING
    finally:
        child.kill()
        child.wait()
        group.rmdir()
