"""Entering and looking at a hostile container: nothing of it runs, opens or overwrites anything on the host."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from kubeplay.cli import processes as tops
from kubeplay.engine import copy, logs
from kubeplay.engine import exec as execs
from kubeplay.engine.engine import Engine
from kubeplay.engine.store.runtime import ContainerRow
from kubeplay.errors import Conflict, InvalidInput, KubeplayError, NotFound, NotRunning
from tests.support.engines import Bench, bench_fixture, shell, wait_for  # noqa: F401

pytestmark = pytest.mark.root
_libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    made = tmp_path / "victim"
    made.mkdir()
    (made / "passwd").write_text("of-the-host:x:0:0::/:\n")
    return made


def meanwhile(bench: Bench, row: ContainerRow, script: str) -> threading.Thread:
    """Run a script in the container until that is stopped."""

    def run() -> None:
        try:
            execs.capture(bench.engine, row, ["sh", "-c", script], 600.0)
        except KubeplayError:
            pass  # killed with its container

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def ended(bench: Bench, row: ContainerRow, thread: threading.Thread) -> None:
    bench.engine.stop_container(row, 0)
    thread.join(100)
    assert not thread.is_alive()


def libraries(program: Path) -> list[str]:
    """What the program needs to start: an attacker's image has it."""
    words = subprocess.run(["ldd", str(program)], capture_output=True, text=True).stdout.split()
    return [word for word in words if word.startswith("/")]


def test_cve_2019_5736_the_runtime_cannot_be_overwritten(bench: Bench, tmp_path: Path) -> None:
    """What exec starts is the runtime itself (#!/proc/self/exe), held at a FIFO while another process of the container writes to it.

    The runtime is a copy: should the attack succeed, the machine's own stays as it is.
    """
    target = tmp_path / "runc"
    shutil.copy2(bench.engine.runtime.choice.path, target)
    before = hashlib.sha256(target.read_bytes()).digest()
    bench.settings = bench.settings._replace(runtime=str(target))
    bench.engine.close()
    bench.engine = Engine(bench.settings)
    row = bench.run(shell("mkfifo /fifo; printf '#!/proc/self/exe --log=/fifo\\n' > /trap; chmod 755 /trap; sleep 100"))[0]
    wait_for(lambda: bench.exec(row, "ls", "-l", "/").count("-rwxr-xr-x"), "the trap")
    for library in libraries(target):
        bench.exec(row, "mkdir", "-p", os.path.dirname(library))
        copy.into(bench.engine, row, library, library)
    thread = threading.Thread(target=lambda: execs.capture(bench.engine, row, ["/trap"], 600.0), daemon=True)
    thread.start()
    writing = "exec 9<$p/exe; echo evil >>$p/exe; kill -9 ${p#/proc/}; sleep 0.2; echo evil >>/proc/self/fd/9; echo tried; exit 0"
    script = f"for p in /proc/[0-9]*; do case $(readlink $p/exe) in ''|*busybox*) ;; *) {writing};; esac; done"
    said = wait_for(lambda: execs.capture(bench.engine, row, ["sh", "-c", script], 100.0).stdout, "the runtime to run in the container")
    assert said == b"tried\n" and hashlib.sha256(target.read_bytes()).digest() == before
    ended(bench, row, thread)


def test_cve_2022_1227_top_runs_and_follows_nothing_of_the_container(bench: Bench, victim: Path) -> None:
    row = bench.run(shell("sleep 100"))[0]
    for name in ("ps", "nsenter", "sh", "sed"):
        program = f"rm -f /bin/{name}; printf '#!/bin/busybox sh\\ntouch /ran\\n' > /bin/{name}; chmod 755 /bin/{name}"
        bench.exec(row, "busybox", "sh", "-c", program)
    bench.exec(row, "ln", "-sf", f"{victim}/passwd", "/etc/passwd")
    text = tops.table(None, [row], ["user", "pid", "args"])  # type: ignore[arg-type]
    assert "sleep 100" in text and "of-the-host" not in text
    bench.exec(row, "test", "!", "-e", "/ran")
    for link in ("/proc/1/root/etc/passwd", "../../../../../../../../etc/passwd"):
        bench.exec(row, "ln", "-sf", link, "/etc/passwd")
        assert tops._accounts(row.pid, "etc/passwd") == ""


def test_names_of_processes_do_not_drive_the_terminal(bench: Bench) -> None:
    row = bench.run(shell("sh -c 'sleep 100; true' \"$(printf '\\033]0;evil\\007\\n\\302\\233')\""))[0]
    wait_for(lambda: "evil" in tops.table(None, [row], ["args"]), "the process to have its name")  # type: ignore[arg-type]
    text = tops.table(None, [row], ["args"])  # type: ignore[arg-type]
    assert "\x1b" not in text and "\x07" not in text and "\x9b" not in text


def opened(watch: int) -> int:
    """How often what is watched has been opened since the last look (inotify(7), IN_OPEN)."""
    try:
        return len(os.read(watch, 65536)) // 16
    except BlockingIOError:
        return 0


@pytest.mark.rootful("a user namespace makes no device nodes")
def test_devices_a_container_made_are_not_opened(bench: Bench, tmp_path: Path) -> None:
    """For some devices opening is doing (a watchdog starts, a tape rewinds), and the host is not held by the container's device rules."""
    row = bench.run(shell("mkdir /t; mknod /dev/mine c 1 3 && ln -s /dev/mine /t/link; ln -sf /dev/mine /etc/passwd; sleep 100"))[0]
    wait_for(lambda: os.path.lexists(f"/proc/{row.pid}/root/t/link"), "the device")
    watch = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert _libc.inotify_add_watch(watch, f"/proc/{row.pid}/root/dev/mine".encode(), 0x20) > 0
    bench.exec(row, "sh", "-c", ": < /dev/mine")
    assert opened(watch) == 1  # so an opening is seen
    for path in ("/dev/mine", "/t/link"):
        with pytest.raises(InvalidInput):
            copy.out(bench.engine, row, path, str(tmp_path / "out"))
    copy.out(bench.engine, row, "/dev", str(tmp_path / "tree"))
    assert tops._accounts(row.pid, "etc/passwd") == "" and opened(watch) == 0 and not (tmp_path / "tree/mine").exists()
    os.close(watch)


def test_cve_2018_15664_copy_into_a_directory_that_becomes_a_link(bench: Bench, victim: Path, tmp_path: Path) -> None:
    source = tmp_path / "src"
    (source / "d").mkdir(parents=True)
    (source / "d/passwd").write_text("new\n")
    row = bench.run(shell("mkdir -p /t/d; sleep 100"))[0]
    wait_for(lambda: "d" in bench.exec(row, "ls", "/t"), "the directory")
    thread = meanwhile(bench, row, f"while :; do rm -rf /t/d; ln -s {victim} /t/d; rm -rf /t/d; mkdir /t/d; done")
    copied = 0
    for _ in range(300):
        try:
            copy.into(bench.engine, row, f"{source}/.", "/t")
            copied += 1
        except (NotFound, Conflict):
            continue
        except NotADirectoryError:
            continue
    assert copied and [(p.name, p.read_text()) for p in victim.iterdir()] == [("passwd", "of-the-host:x:0:0::/:\n")]
    ended(bench, row, thread)


def test_ghsa_rgh6_rfwx_v388_a_log_replaced_by_a_link_shows_nothing_else(bench: Bench, victim: Path) -> None:
    (victim / "log").write_text("2026-01-01T00:00:00Z stdout F of-the-host\n")
    row = bench.run(shell("echo mine; sleep 100"))[0]
    wait_for(lambda: bench.log(row) == "mine\n", "the log")
    os.rename(row.log_path, f"{row.log_path}.20260101-000000-000000000")
    for target in (victim / "log", Path("/proc/self/environ")):
        os.symlink(target, row.log_path)
        os.symlink(victim / "log", f"{row.log_path}.older")
        assert bench.log(row) == "mine\n" and logs.last_text(row.log_path, 10, 1000) == ""
        os.unlink(row.log_path)
        os.unlink(f"{row.log_path}.older")
    os.mkfifo(row.log_path)
    assert bench.log(row) == "mine\n"


def test_exec_output_is_bounded(bench: Bench) -> None:
    """CVE-2022-1708: what hooks and probes keep of a command's output; `kubeplay exec` passes it on and keeps nothing."""
    row = bench.run(shell("sleep 100"))[0]
    result = execs.capture(bench.engine, row, ["sh", "-c", "yes | head -c 20000000"], 200.0)
    assert result.status == 0 and len(result.stdout) <= 1 << 20


def test_a_container_that_ended_is_not_entered_by_its_number(bench: Bench, tmp_path: Path) -> None:
    """Its number may be another process's by now: everything goes by number and start time."""
    row = bench.run(shell("sleep 100"))[0]
    with pytest.raises(NotRunning):
        copy.out(bench.engine, row._replace(pid=os.getpid()), "/etc/passwd", str(tmp_path / "x"))
    assert not bench.engine.signal_container(row._replace(pid=os.getpid()), 0)
