"""conmon: one small process per container that owns its stdio, writes its log, reaps it and notes its exit.

It outlives us: own session and cgroup, `/` as directory, nothing of ours but the descriptors it is told about. The protocol
(conmon(8)): it waits for a byte on the start pipe, so that it can be moved to its cgroup first, runs the runtime's `create` and answers
with one line of JSON on the sync pipe: {"pid": N}, or {"pid": -1, "message": ...}.
"""

from __future__ import annotations

import json
import os
import select
import time

from kubeplay.engine.host import faults, processes
from kubeplay.engine.host.credentials import shed
from kubeplay.engine.host.machine import machine
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.host.threads import in_thread
from kubeplay.engine.host.trace import trace
from kubeplay.engine.oci.cgroup import Cgroups
from kubeplay.engine.oci.runtime import Runtime
from kubeplay.errors import RuntimeFailed
from kubeplay.record import Record

CREATE_SECONDS = 120.0  # containerd's and cri-o's runtime request timeout
_LINE = 1 << 16


class Monitor(Record):
    """What conmon is told about one container; `log_path` "" = output is thrown away; `log_bound` bytes of one log file, 0 = no bound."""

    container_id: str
    pod_uid: str
    bundle: str
    log_path: str
    log_bound: int
    terminal: bool = False
    stdin: bool = False
    leave_stdin_open: bool = False


def create(runtime: Runtime, cgroups: Cgroups, paths: Paths, monitor: Monitor) -> int:
    """Start conmon, have it create the container, and return the container's pid. Raises RuntimeFailed with the runtime's words."""
    sync, sync_child = os.pipe2(os.O_CLOEXEC)
    start_child, start = os.pipe2(os.O_CLOEXEC)
    errors = os.open(f"{monitor.bundle}/conmon.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    argv = command(runtime, paths, monitor)
    env = {**processes.CLEAN_ENV, "_OCI_SYNCPIPE": "3", "_OCI_STARTPIPE": "4"}
    try:
        try:
            with trace("conmon: spawn"):
                pid = _spawn(argv, env, {2: errors, 3: sync_child, 4: start_child}, cgroups)
        finally:
            for fd in (sync_child, start_child, errors):
                os.close(fd)
        faults.point("create:conmon")
        with trace("conmon: own cgroup"):
            cgroups.adopt_monitor(pid)
        os.write(start, b"\0")
        with trace("conmon: runtime create"):
            line = _line(sync, time.monotonic() + CREATE_SECONDS)
        processes.wait(pid)  # the first process only forked the one that stays
    finally:
        os.close(sync)
        os.close(start)
    return _answer(argv, line, monitor.bundle)


def _spawn(argv: list[str], env: dict[str, str], fds: dict[int, int], cgroups: Cgroups) -> int:
    """Start conmon from a thread that has left the caller's cgroups and ends here."""

    def work() -> int:
        cgroups.leave()
        shed()
        return processes.spawn(argv, env=env, fds=fds)

    return in_thread(work)


def command(runtime: Runtime, paths: Paths, monitor: Monitor) -> list[str]:
    """conmon's command line."""
    bundle = monitor.bundle
    log = f"k8s-file:{monitor.log_path}" if monitor.log_path else "none"
    argv = [
        processes.program("conmon"), "--api-version", "1",
        "-c", monitor.container_id, "-u", monitor.container_id, "-n", monitor.container_id[:12],
        "-r", runtime.choice.path, "--runtime-arg", "--root", "--runtime-arg", runtime.root,
        "-b", bundle, "-p", f"{bundle}/pidfile", "-P", f"{bundle}/conmon.pid", "--exit-dir", paths.exits, "--persist-dir", bundle,
        "--full-attach", "--no-sync-log", "--log-level", "error", "-l", log,
        "--exit-command", "/bin/sh", *_arguments(paths.on_exit, monitor.pod_uid, monitor.container_id),
    ]  # fmt: skip
    if monitor.log_path and monitor.log_bound:  # a backstop: engine/logfiles.py keeps files smaller, this bounds what nobody rotates
        argv += ["--log-size-max", str(monitor.log_bound)]
    argv += ["--no-new-keyring"] if machine().user_namespace else []  # a keyring per container would use up the user's quota of keys
    argv += ["-t"] if monitor.terminal else []
    argv += ["-i"] if monitor.stdin else []
    argv += ["--leave-stdin-open"] if monitor.leave_stdin_open else []
    return argv


def _arguments(*words: str) -> list[str]:
    return [part for word in words for part in ("--exit-command-arg", word)]


def _line(fd: int, deadline: float) -> bytes:
    """One line, or what came before the end of the pipe or the deadline."""
    data = b""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while not data.endswith(b"\n") and len(data) < _LINE:
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            break
        piece = os.read(fd, 4096)
        if not piece:
            break
        data += piece
    return data


def _answer(argv: list[str], line: bytes, bundle: str) -> int:
    try:
        answer = json.loads(line)
        pid = int(answer.get("data", answer.get("pid", -1)))
        message = str(answer.get("message", ""))
    except (ValueError, AttributeError):
        pid, message = -1, ""
    if pid > 0:
        return pid
    raise RuntimeFailed(argv, 1, message or _errors(bundle) or "no answer from conmon")


def _errors(bundle: str) -> str:
    try:
        with open(f"{bundle}/conmon.err", encoding="utf-8", errors="replace") as file:
            return file.read(4096).strip()
    except OSError:
        return ""


def is_monitor_of(pid: int, bundle: str) -> bool:
    """Whether this process is the conmon of this bundle: numbers are given anew, command lines are not."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(1 << 16).split(b"\0")
    except OSError:
        return False
    return os.path.basename(words[0]) == b"conmon" and os.fsencode(bundle) in words


def monitor_pid(bundle: str) -> int:
    """The pid of a container's conmon, 0 when unknown."""
    try:
        with open(f"{bundle}/conmon.pid", "rb") as file:
            return int(file.read(32) or b"0")
    except (OSError, ValueError):
        return 0
