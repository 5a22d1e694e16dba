"""postStart and preStop: run what a container's `lifecycle` asks for, and say of a failure what a kubelet says (LH1-LH3)."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from typing import TYPE_CHECKING

from kubeplay.engine.host import processes
from kubeplay.engine.host.threads import Task
from kubeplay.engine.store.runtime import DELETE, STOP, ContainerRow
from kubeplay.errors import KubeplayError
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.probe import ExecAction, Handler, HttpGet, Sleep
from kubeplay.reconcile import patience
from kubeplay.reconcile.observe import Look

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

FAILED_POST_START, FAILED_PRE_STOP = "FailedPostStartHook", "FailedPreStopHook"  # CS10
POST_START_FAILED, PRE_STOP_FAILED = "PostStartHook failed", "PreStopHook failed"  # all that a kubelet's event says (record 157, 204)
POST_START_ERROR = "PostStartHookError"
FOR_EVER = 2_000_000.0  # seconds: an exec hook has no limit of its own (LH3); poll(2) counts milliseconds in 31 bits
HTTP_SECONDS = 600.0
LOOK_SECONDS = 0.2  # how soon a hook in progress makes way for the pod's end


class HookFailed(Exception):
    """The hook did not succeed; the text is what the container's status shows."""


def pre_stop(engine: Engine, look: Look, row: ContainerRow, plan: ContainerPlan, seconds: float) -> None:
    """Run the preStop hook to its end; the caller decides how long that is worth waiting for. Raises HookFailed."""
    if plan.pre_stop is not None:
        _run(engine, look, row, plan, plan.pre_stop, seconds)


def post_start(engine: Engine, look: Look, row: ContainerRow, plan: ContainerPlan) -> bool:
    """Run the postStart hook and wait for it; False when the pod is to end meanwhile (LH1). Raises HookFailed."""
    handler = plan.post_start
    if handler is None:
        return True
    from kubeplay.engine.host import threads

    done_read, done_write = os.pipe2(os.O_CLOEXEC)
    task = threads.start(lambda: _closing(done_write, lambda: _run(engine, look, row, plan, handler, FOR_EVER)))
    try:
        with patience.resting(row.pod_uid):
            while not _readable(done_read):
                if engine.store.runtime.pod(row.pod_uid).desired in (STOP, DELETE):
                    return False
    finally:
        os.close(done_read)
    _raise(task)
    return True


def _readable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(LOOK_SECONDS * 1000))


def _closing(fd: int, work: Callable[[], None]) -> None:
    try:
        work()
    finally:
        os.close(fd)


def _raise(task: Task) -> None:
    error = task.wait()
    if error is not None:
        raise error


def _run(engine: Engine, look: Look, row: ContainerRow, plan: ContainerPlan, handler: Handler, seconds: float) -> None:
    try:
        if isinstance(handler, ExecAction):
            _exec(engine, row, handler)
        elif isinstance(handler, HttpGet):
            _http(engine, look, plan, handler, min(seconds, HTTP_SECONDS))
        elif isinstance(handler, Sleep):
            _sleep(row, handler.seconds)
        else:
            raise _Wrong("invalid handler: a hook is one of exec, httpGet and sleep")
    except (_Wrong, KubeplayError, OSError) as error:
        where = f'Container "{plan.name}" in Pod "{look.row.name}_{look.row.namespace}({look.row.uid})"'
        raise HookFailed(f"{_title(handler)} for {where} failed - error: {error}") from error


class _Wrong(Exception):
    """What a handler ran into."""


def _title(handler: Handler) -> str:
    if isinstance(handler, ExecAction):
        return f"Exec lifecycle hook ([{' '.join(handler.command)}])"
    if isinstance(handler, HttpGet):
        return f"HTTP lifecycle hook ({handler.path})"
    return f"Sleep lifecycle hook ({handler.seconds})" if isinstance(handler, Sleep) else "Lifecycle hook"


def _exec(engine: Engine, row: ContainerRow, action: ExecAction) -> None:
    import json

    from kubeplay.engine import exec as execs

    result = execs.capture(engine, row, action.command, FOR_EVER)
    if result.status:
        said, errors = (text.decode(errors="replace")[:_SAID] for text in (result.stdout, result.stderr))
        quoted = json.dumps(said + errors, ensure_ascii=False)  # as Go's %q for all but rare characters
        raise _Wrong(f"command '{' '.join(action.command)}' exited with {result.status}: {errors}, message: {quoted}")


_SAID = 10 * 1024  # bytes of output that a message keeps, as of a probe (PR6)


def _http(engine: Engine, look: Look, plan: ContainerPlan, action: HttpGet, seconds: float) -> None:
    """LH3: any answer will do, only one that does not come is a failure."""
    from kubeplay.reconcile.handlers import http
    from kubeplay.reconcile.handlers.dial import here
    from kubeplay.reconcile.probes import asking

    host = address(look)
    make = asking.place(engine, look.seen.plan) if action.host in ("", host) else here
    answer = http.get(host, action, plan.ports, seconds, http.HOOK, status_counts=False, make=make)
    if not answer.ok:
        raise _Wrong(answer.text)


def address(look: Look) -> str:
    """The pod's, or the machine's where it has the machine's network (PR12)."""
    return look.seen.addresses[0] if look.seen.addresses else look.seen.host_ip


def _sleep(row: ContainerRow, seconds: int) -> None:
    """Until the time is over or the container has ended."""
    processes.await_end(processes.Process(row.pid, row.pid_start), min(seconds, FOR_EVER))
