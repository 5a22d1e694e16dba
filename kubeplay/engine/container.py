"""One container: create, start, signal, stop, remove. The row comes first and goes last, so that a crash leaves nothing nameless."""

from __future__ import annotations

import _thread
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from kubeplay.engine import state
from kubeplay.engine.host import faults, processes
from kubeplay.engine.host.ids import new_id
from kubeplay.engine.host.machine import boot_id
from kubeplay.engine.host.paths import component
from kubeplay.engine.host.processes import Process
from kubeplay.engine.host.trace import trace
from kubeplay.engine.store.runtime import CREATED, EXITED, PAUSED, RUNNING, ContainerRow, SandboxRow
from kubeplay.errors import ContainerError, Exhausted, KubeplayError, NotRunning, RuntimeFailed
from kubeplay.plan.container import ContainerPlan, Resolved
from kubeplay.plan.pod import PodPlan
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

CREATING = state.CREATING
START_ERROR = "StartError"  # CS7, exit 128
_ENOSPC = 28
_EXIT_NOTE_SECONDS = 10.0  # conmon writes the exit file within milliseconds; it may first have to drain a full log pipe
_KILL_SECONDS = 10.0


class Facts(Record):
    """What later steps need to know of a container, kept in its bundle. `cgroup` "" = it has none of its own; `shared_pids`: nor PIDs.

    `user`: uid, gid and supplementary groups of its first process.
    """

    cgroup: str
    stop_signal: str
    termination_log: str
    termination_policy: str
    log_path: str
    shared_pids: bool = False
    user: str = ""


def create(
    engine: Engine, uid: str, sandbox: SandboxRow, pod: PodPlan, plan: ContainerPlan, resolved: Resolved, attempt: int
) -> ContainerRow:
    """See Engine.create_container."""
    image_id, layers = _image(engine, plan)
    log = "" if pod.log.driver == "none" else log_path(engine, uid, pod, plan.name, attempt)
    row = ContainerRow(
        new_id(),
        uid,
        sandbox.id,
        plan.name,
        plan.kind,
        attempt,
        CREATING,
        boot_id(),
        0,
        0,
        plan.image,
        image_id,
        engine.clock.now(),
        log_path=log,
    )
    engine.creating.add(row.id)
    turn = _Turn()
    try:
        engine.store.runtime.add_container(row)
        faults.point("create:row")
        return _create(engine, row, sandbox, pod, plan, resolved, layers, turn)
    except RuntimeFailed as error:
        return _refused(engine, row, error)
    except BaseException as error:
        clear(engine, row.id, uid)
        engine.store.runtime.delete_container(row.id)
        raise _translated(error, plan.name) from error
    finally:
        turn.end()
        engine.creating.discard(row.id)


class _Turn:
    """Containers made side by side are prepared one after the other, from `__init__` to `end`: threads that share the interpreter would
    all be done at the same late moment, and the first runtime could have been at work since the first of them.
    """

    _lock = _thread.allocate_lock()

    def __init__(self) -> None:
        self._mine = self._lock.acquire()

    def end(self) -> None:
        if self._mine:
            self._mine = False
            self._lock.release()


def _image(engine: Engine, plan: ContainerPlan) -> tuple[str, tuple[str, ...]]:
    if plan.imageless:
        return "", ()
    image = engine.images.resolve(plan.image)
    if image is None:
        raise ContainerError("CreateContainerError", f'image "{plan.image}" is not present')
    return image.id, image.layers


def _directory(pod: PodPlan, plan: ContainerPlan) -> str:
    """A directory of the host as the root file system: used in place, and left there. Raises ContainerError."""
    if pod.sandbox.users:
        raise ContainerError("CreateContainerError", f'container "{plan.name}": a directory as root and users of the pod\'s own: not both')
    if not os.path.isdir(plan.rootfs):
        raise ContainerError("CreateContainerError", f'container "{plan.name}": {plan.rootfs} is not a directory')
    return plan.rootfs


def log_path(engine: Engine, uid: str, pod: PodPlan, container: str, attempt: int) -> str:
    """CS12."""
    return f"{engine.paths.pod_logs(pod.namespace, pod.name, uid)}/{component(container)}/{attempt}.log"


def _create(
    engine: Engine,
    row: ContainerRow,
    sandbox: SandboxRow,
    pod: PodPlan,
    plan: ContainerPlan,
    resolved: Resolved,
    layers: tuple[str, ...],
    turn: _Turn,
) -> ContainerRow:
    from kubeplay.engine import bundle as bundles
    from kubeplay.engine import logfiles
    from kubeplay.engine.oci import conmon, dev, spec

    bundle = engine.paths.bundle(row.id)
    os.makedirs(bundle, mode=0o700)
    with trace(f"{plan.name}: rootfs"):
        rootfs = _directory(pod, plan) if plan.rootfs else bundles.rootfs(engine, row, pod, layers, host=plan.host_rootfs)
    faults.point("create:rootfs")
    with bundles.opened(engine, row, sandbox, pod, plan, resolved) as parts:
        with trace(f"{plan.name}: spec"):
            facts = bundles.write(engine, row, sandbox, pod, plan, resolved, rootfs, parts)
        faults.point("create:bundle")
        if row.log_path:
            os.makedirs(os.path.dirname(row.log_path), mode=0o755, exist_ok=True)
            if pod.log.max_size:
                logfiles.create(row.log_path)
        monitor = conmon.Monitor(
            row.id, row.pod_uid, bundle, row.log_path, logfiles.own_bound(pod.log), plan.tty, plan.stdin, plan.stdin and not plan.stdin_once
        )
        turn.end()
        with trace(f"{plan.name}: conmon and runtime"):
            pid = conmon.create(engine.runtime, engine.cgroups, engine.paths, monitor)
    faults.point("create:created")
    dev.check_masks(pid, spec.masked(plan.security))
    process = processes.identify(pid)
    if process is None:
        raise RuntimeFailed([engine.runtime.choice.path], 1, "the container's init has died before its program was started")
    engine.store.runtime.set_container(row.id, state=CREATED, pid=process.pid, pid_start=process.start, user=facts.user)
    faults.point("create:done")
    return row._replace(state=CREATED, pid=process.pid, pid_start=process.start, user=facts.user)


def _refused(engine: Engine, row: ContainerRow, error: RuntimeFailed) -> ContainerRow:
    """The runtime said no: on a kubelet that is the start, so the instance stays visible as terminated (CS7)."""
    from kubeplay.engine.oci.runtime import said

    clear(engine, row.id, row.pod_uid)
    message = f"failed to create container task: OCI runtime create failed: {said(error.stderr)}"
    now = engine.clock.now()
    values: dict[str, Any] = {"state": EXITED, "exit_code": 128, "reason": START_ERROR, "message": message, "started": 0.0, "finished": now}
    engine.store.runtime.set_container(row.id, **values)
    return row._replace(**values)


def _translated(error: BaseException, name: str) -> BaseException:
    if isinstance(error, OSError) and not isinstance(error, KubeplayError):
        if error.errno == _ENOSPC:
            return Exhausted(f'container "{name}": {error.filename or "write"}: no space left', hint="free some space and try again")
        return ContainerError("CreateContainerError", f'container "{name}": {error.filename}: {error.strerror}')
    return error


def start(engine: Engine, row: ContainerRow) -> ContainerRow:
    """See Engine.start_container."""
    if row.state == EXITED and row.reason == START_ERROR:
        raise ContainerError("RunContainerError", row.message)
    if row.state != CREATED:
        raise NotRunning(f"container {row.id[:12]} ({row.name}) is {row.state}, not created")
    faults.point("start:before")
    try:
        with trace(f"{row.name}: start"):
            engine.runtime.start(row.id)
    except RuntimeFailed as error:
        refused = _refused(engine, row, error)
        raise ContainerError("RunContainerError", refused.message) from error
    faults.point("start:started")
    now = engine.clock.now()
    engine.store.runtime.set_container(row.id, state=RUNNING, started=now)
    return row._replace(state=RUNNING, started=now)


def process(row: ContainerRow) -> Process:
    """The container's first process, by number and start time; of another boot it is none."""
    return Process(row.pid if row.boot == boot_id() else 0, row.pid_start)


def send(row: ContainerRow, number: int) -> bool:
    """See Engine.signal_container."""
    return row.state == RUNNING and processes.send(process(row), number)


def stop(engine: Engine, row: ContainerRow, seconds: float, wanted: str = "") -> ContainerRow:
    """See Engine.stop_container."""
    if row.state not in (CREATED, RUNNING):
        return engine.store.runtime.container(row.id) or row
    facts = read_facts(engine, row.id)
    first = process(row)
    if row.reason == PAUSED and facts:  # what stands still cannot end: not by a signal it handles, and under version 1 not by any
        from kubeplay.engine import pausing

        pausing.thaw(engine, row, facts)
    if row.state == RUNNING and seconds > 0:
        number = stop_signal(engine, row, wanted)
        with trace(f"{row.name}: stop signal"):
            if processes.send(first, number):
                processes.await_end(first, seconds)
    faults.point("stop:signalled")
    kill_all(engine, row, facts)
    _await_note(engine, row.id)
    return state.settle(engine, engine.store.runtime.container(row.id) or row)


def stop_signal(engine: Engine, row: ContainerRow, wanted: str = "") -> int:
    """The signal that asks a container to end: `wanted`, else its image's, else SIGTERM (LH4)."""
    facts = None if wanted else read_facts(engine, row.id)
    return signal_number(wanted or (facts.stop_signal if facts else "") or "SIGTERM")


def kill_all(engine: Engine, row: ContainerRow, facts: Facts | None) -> None:
    """SIGKILL the first process and everything else of the container, and wait until it is gone."""
    first = process(row)
    processes.send(first, signal.SIGKILL)
    if facts is not None:
        _kill_members(engine, row.id, facts)
    processes.await_end(first, _KILL_SECONDS)


def _kill_members(engine: Engine, container_id: str, facts: Facts) -> None:
    """By its cgroup, or where it has none by what else is known of its processes."""
    if facts.cgroup:
        engine.cgroups.kill(facts.cgroup, _KILL_SECONDS)
        return
    from kubeplay.engine.oci import members

    members.kill(engine.paths.bundle(container_id), _KILL_SECONDS, shared=facts.shared_pids)


def _await_note(engine: Engine, container_id: str) -> None:
    """Wait for conmon to note the exit, as long as there is a conmon."""
    from kubeplay.engine.oci import conmon

    deadline = time.monotonic() + _EXIT_NOTE_SECONDS
    pause = 0.0005
    path = f"{engine.paths.exits}/{container_id}"
    monitor = conmon.monitor_pid(engine.paths.bundle(container_id))
    while not os.path.exists(path) and time.monotonic() < deadline:
        if not state.is_monitor(monitor):
            return
        time.sleep(pause)
        pause = min(pause * 2, 0.02)


def remove(engine: Engine, row: ContainerRow, *, keep_row: bool = False) -> None:
    """See Engine.remove_container."""
    if keep_row and row.state in (CREATED, RUNNING):
        row = stop(engine, row, 0)
    with trace(f"{row.name}: remove"):
        clear(engine, row.id, row.pod_uid)
    if not keep_row:
        engine.store.runtime.delete_container(row.id)


def rest(engine: Engine, row: ContainerRow) -> None:
    """See Engine.rest_container."""
    if row.state in (CREATED, RUNNING):
        row = stop(engine, row, 0)
    with trace(f"{row.name}: rest"):
        clear(engine, row.id, row.pod_uid, files=True)


def clear(engine: Engine, container_id: str, uid: str, *, files: bool = False) -> None:
    """Remove everything of a container in the kernel and on disk except its log and row, whatever state a crash left it in.

    With `files` its root file system stays, mounted, and its bundle.
    """
    from kubeplay.engine import bundle as bundles
    from kubeplay.engine.layers import overlay
    from kubeplay.engine.oci import conmon
    from kubeplay.engine.oci.runtime import remove_tree

    bundle = engine.paths.bundle(container_id)
    bundles.unstage(bundle)
    facts = read_facts(engine, container_id)
    if facts:
        groups = [facts.cgroup] if facts.cgroup else []
        _kill_members(engine, container_id, facts)
    else:
        groups = [f"{engine.cgroups.pod(uid, q)}/{container_id}" for q in ("Guaranteed", "Burstable", "BestEffort")]
        _kill_half(engine, container_id, groups)
    faults.point("remove:killed")
    state.end_monitor(conmon.monitor_pid(bundle))
    faults.point("remove:monitor")
    engine.runtime.forget(container_id)
    if not files:
        overlay.remove_rootfs(container_id, engine.paths)
    faults.point("remove:rootfs")
    for group in groups:
        engine.cgroups.remove(group)
    faults.point("remove:cgroup")
    for path in (f"{engine.paths.exits}/{container_id}", facts.termination_log if facts else ""):
        if path and os.path.lexists(path):
            os.unlink(path)
    if not files:
        remove_tree(bundle)
    faults.point("remove:bundle")


def _kill_half(engine: Engine, container_id: str, groups: list[str]) -> None:
    """Of a container whose making was cut off before its facts were written; a pause container has none at all."""
    for group in groups:
        engine.cgroups.kill(group, _KILL_SECONDS)
    if not engine.cgroups.hierarchies:
        from kubeplay.engine.oci import members

        members.kill(engine.paths.bundle(container_id), _KILL_SECONDS, shared=False)


def write_facts(engine: Engine, container_id: str, facts: Facts) -> None:
    """Keep what stop, refresh and remove need to know, so that none of them reads a plan."""
    with open(f"{engine.paths.bundle(container_id)}/facts", "w", encoding="utf-8") as file:
        file.write(json.dumps(facts))


def read_facts(engine: Engine, container_id: str) -> Facts | None:
    """The facts of a container; None when it never came so far or its runroot is gone."""
    try:
        with open(f"{engine.paths.bundle(container_id)}/facts", encoding="utf-8") as file:
            return Facts(*json.loads(file.read()))
    except (OSError, ValueError, TypeError):
        return None


def signal_number(text: str) -> int:
    """`SIGTERM`, `TERM`, `15` or `SIGRTMIN+3` as a number; SIGTERM for what is none (an image may say anything)."""
    name = text.strip().upper()
    if name.isascii() and name.isdigit():
        return int(name) if 1 <= int(name) <= 64 else int(signal.SIGTERM)
    name = name.removeprefix("SIG")
    base, _, plus = name.partition("+")
    if base == "RTMIN" and (not plus or plus.isdigit()):
        return min(int(signal.SIGRTMIN) + int(plus or 0), int(signal.SIGRTMAX))
    found = getattr(signal, f"SIG{name}", None)
    return int(found) if isinstance(found, int) and name[:1] != "_" else int(signal.SIGTERM)
