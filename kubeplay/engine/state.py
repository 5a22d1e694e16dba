"""What became of containers: exit files, processes and boot id compared with the rows.

Cheap on purpose, `ps` calls it for everything: one listing of exits/, then two small reads of /proc and the runroot per container that
should be running. No runtime is asked.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

from kubeplay.engine.host import processes
from kubeplay.engine.host.machine import boot_id
from kubeplay.engine.host.processes import Process
from kubeplay.engine.store.runtime import CREATED, EXITED, NOTREADY, READY, RUNNING, ContainerRow

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

CREATING = "creating"  # being made by a process that holds the pod's lock; the half of one that died
UNKNOWN_REASON, UNKNOWN_CODE = "ContainerStatusUnknown", 137  # CS7
UNKNOWN_MESSAGE = "The container could not be located when the pod was terminated"
TERMINATION_BYTES = 4096  # TM1
_FALLBACK_BYTES, _FALLBACK_LINES = 2048, 80  # TM2
_MONITOR_SECONDS = 5.0


def refresh(engine: Engine, uid: str = "") -> None:
    """See Engine.refresh."""
    boot = boot_id()
    try:
        ended = set(os.listdir(engine.paths.exits))
    except FileNotFoundError:
        ended = set()
    for row in engine.store.runtime.containers(uid):
        if row.state == EXITED:
            continue
        if row.state == CREATING:
            _clear_half(engine, row, uid)
        elif row.boot != boot:
            lost(engine, row)
        elif row.id in ended:
            finish(engine, row)
        else:
            _check(engine, row)
    for sandbox in engine.store.runtime.sandboxes(uid):
        if sandbox.state == READY and (
            sandbox.boot != boot or sandbox.id in ended or _unpaused(engine, sandbox.id) or (uid and not pins_hold(engine, sandbox.id))
        ):
            engine.store.runtime.set_sandbox(sandbox.id, state=NOTREADY)


def pins_hold(engine: Engine, sandbox_id: str) -> bool:
    """Whether every pin of a sandbox is a namespace still: after the runroot was wiped they are ordinary files, or not there."""
    directory = f"{engine.paths.sandbox(sandbox_id)}/ns"
    try:
        nsfs = os.stat("/proc/self/ns/mnt").st_dev
        return all(os.stat(f"{directory}/{name}").st_dev == nsfs for name in os.listdir(directory))
    except OSError:
        return False


def _unpaused(engine: Engine, sandbox_id: str) -> bool:
    """Whether the pod's PID 1 was killed together with its monitor, so that no exit was noted; its PID namespace is dead then."""
    from kubeplay.engine.oci.conmon import monitor_pid

    bundle = engine.paths.bundle(sandbox_id)
    return os.path.exists(bundle) and not is_monitor(monitor_pid(bundle))


def _clear_half(engine: Engine, row: ContainerRow, uid: str) -> None:
    """Its maker died, if we hold the pod's lock (a caller that names the pod does) and are not making it ourselves."""
    if uid and row.id not in engine.creating:
        from kubeplay.engine import container

        container.remove(engine, row)


def _check(engine: Engine, row: ContainerRow) -> None:
    """A container without exit file: alive under its monitor, or something has been killed."""
    from kubeplay.engine.oci.conmon import monitor_pid

    found, parent = processes.stat(row.pid)
    monitor = monitor_pid(engine.paths.bundle(row.id))
    if found == Process(row.pid, row.pid_start):
        if parent == monitor:
            if row.state == CREATED and not os.path.exists(f"{engine.paths.runroot}/runtime/{row.id}/exec.fifo"):
                _note_start(engine, row)
        else:
            _unwatched(engine, row)
    elif not is_monitor(monitor):
        settle(engine, row)


def _note_start(engine: Engine, row: ContainerRow) -> None:
    """Started by a process that died before it could say so; the runtime's directory changed at that moment."""
    try:
        started = os.stat(f"{engine.paths.runroot}/runtime/{row.id}").st_mtime
    except FileNotFoundError:
        return
    engine.store.runtime.set_container(row.id, state=RUNNING, started=started)


def _unwatched(engine: Engine, row: ContainerRow) -> None:
    """Its conmon is dead: nobody will reap it or read its output, so it is ended (design: containers belong to their monitor)."""
    from kubeplay.engine import container

    container.kill_all(engine, row, container.read_facts(engine, row.id))
    settle(engine, row)


def settle(engine: Engine, row: ContainerRow) -> ContainerRow:
    """The row of a container that should have ended: from its exit file, else unknown; unchanged while its process lives."""
    if row.state == EXITED:
        return row
    if os.path.exists(f"{engine.paths.exits}/{row.id}"):
        return finish(engine, row)
    if row.boot == boot_id() and processes.alive(Process(row.pid, row.pid_start)):
        return row
    return lost(engine, row)


def lost(engine: Engine, row: ContainerRow) -> ContainerRow:
    """Ended without a witness: another boot, or conmon was killed."""
    return _ended(engine, row, UNKNOWN_CODE, UNKNOWN_REASON, UNKNOWN_MESSAGE, engine.clock.now())


def finish(engine: Engine, row: ContainerRow) -> ContainerRow:
    """The row of a container whose exit conmon noted (CS7, TM1, TM2)."""
    from kubeplay.engine import container

    path = f"{engine.paths.exits}/{row.id}"
    try:
        with open(path, "rb") as file:
            code = int(file.read(16) or b"0")
            finished = os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return engine.store.runtime.container(row.id) or row
    except ValueError:
        code, finished = UNKNOWN_CODE, engine.clock.now()
    facts = container.read_facts(engine, row.id)
    reason = "Completed" if code == 0 else "Error"
    if code and facts and (_oom_noted(engine, row.id) or engine.cgroups.oom_killed(facts.cgroup)):
        reason = "OOMKilled"
    message = termination_message(facts.termination_log, facts.termination_policy, row.log_path, code) if facts else ""
    row = row._replace(started=row.started if row.started is not None else finished)
    return _ended(engine, row, code, reason, message, finished)


def _oom_noted(engine: Engine, container_id: str) -> bool:
    """conmon writes this file when the kernel tells it about memory (conmon(8), --persist-dir)."""
    return os.path.exists(f"{engine.paths.bundle(container_id)}/oom")


def termination_message(path: str, policy: str, log_path: str, code: int) -> str:
    """The end of the termination log; with FallbackToLogsOnError the end of the log of a failed container (TM1, TM2)."""
    text = _tail(path, TERMINATION_BYTES).decode(errors="replace") if path else ""
    if text or policy != "FallbackToLogsOnError" or code == 0 or not log_path:
        return text
    from kubeplay.engine import logs

    return logs.last_text(log_path, _FALLBACK_LINES, _FALLBACK_BYTES)


def _tail(path: str, size: int) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        end = os.fstat(fd).st_size
        return os.pread(fd, size, max(0, end - size))
    finally:
        os.close(fd)


def is_monitor(pid: int) -> bool:
    """Whether this process is a conmon: numbers are given anew."""
    if pid <= 0 or processes.identify(pid) is None:
        return False
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return file.read(16).strip() == b"conmon"
    except OSError:
        return False


def end_monitor(pid: int) -> None:
    """Wait for a conmon whose container is gone to finish its last duties; kill it when it does not."""
    deadline = time.monotonic() + _MONITOR_SECONDS
    found = processes.identify(pid) if is_monitor(pid) else None
    if found is not None and not processes.await_end(found, deadline - time.monotonic()):
        processes.send(found, signal.SIGKILL)
        processes.await_end(found, _MONITOR_SECONDS)


def _ended(engine: Engine, row: ContainerRow, code: int, reason: str, message: str, finished: float) -> ContainerRow:
    values: dict[str, Any] = {
        "state": EXITED, "exit_code": code, "reason": reason, "message": message,
        "started": row.started, "finished": finished, "pid": 0, "pid_start": 0,
    }  # fmt: skip
    with engine.store.write():
        now = engine.store.runtime.container(row.id)
        if now is not None and now.state == EXITED:  # somebody else saw it end, and cleared away what we looked for
            return now
        engine.store.runtime.set_container(row.id, **values)
    return row._replace(**values)
