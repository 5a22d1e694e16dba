"""`wait`: until a pod or container has come to a state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.cli import resolve
from kubeplay.cli.resolve import Found
from kubeplay.engine.store import runtime
from kubeplay.engine.store.runtime import ContainerRow, PodRow
from kubeplay.errors import InvalidInput, NotFound, NotRunning, Timeout
from kubeplay.plan.container import APP, INIT, SIDECAR

if TYPE_CHECKING:
    from kubeplay.cli.app import App

CONDITIONS = ("created", "running", "ready", "exited", "stopped", "removed")
ENDED = ("exited", "stopped")
GONE = -1  # podman prints -1 for a container that was removed while it waited


def wait_for(app: App, target: PodRow | Found, conditions: Sequence[str], interval: float, timeout: float | None) -> int:
    """The exit status of the container, or the highest one of the pod's, once a condition holds. Raises Timeout."""
    for condition in conditions:
        if condition not in CONDITIONS:
            raise InvalidInput(f"--condition {condition!r} is not known", hint="conditions: " + ", ".join(CONDITIONS))
    deadline = app.engine.clock.monotonic() + timeout if timeout is not None else None
    while True:
        app.engine.refresh()
        status = _met(app, target, conditions)
        if status is not None:
            return status
        if set(conditions) == {"ready"}:
            _check_ended(app, target)
        if deadline is not None and app.engine.clock.monotonic() >= deadline:
            name = target.name if isinstance(target, PodRow) else f"{target.pod.name}-{target.name}"
            raise Timeout(f"{name} is not {' or '.join(conditions)} after {timeout:g} s")
        app.engine.clock.sleep(max(0.01, interval))


def _check_ended(app: App, target: PodRow | Found) -> None:
    """A pod in a terminal phase stays unready (its Ready condition is False, PodCompleted): nobody should wait for it for ever."""
    from kubeplay.cli.podstatus import statuses
    from kubeplay.kube.status import TERMINAL

    pod = target if isinstance(target, PodRow) else target.pod
    phase = statuses(app, [pod])[pod.uid].get("phase")
    if phase in TERMINAL:
        raise NotRunning(f"pod {pod.namespace}/{pod.name} has ended ({phase}) and will not be ready", hint="wait for --condition exited")


def _met(app: App, target: PodRow | Found, conditions: Sequence[str]) -> int | None:
    pod = target if isinstance(target, PodRow) else target.pod
    try:
        pod = app.store.runtime.pod(pod.uid)
    except NotFound:
        if set(conditions) & {"removed", "exited", "stopped"}:
            return GONE
        raise
    newest = resolve.newest(app.store.runtime.containers(pod.uid))
    for condition in conditions:
        names = _names(pod, condition) if isinstance(target, PodRow) else [target.name]
        rows = [newest.get((pod.uid, name)) for name in names]
        if _holds(app, pod, rows, condition) or (isinstance(target, PodRow) and condition in ENDED and _ended(app, pod)):
            return _exit_status(rows)
    return None


def _names(pod: PodRow, condition: str) -> list[str]:
    """The containers of a pod that a condition is about: sidecars go with the pod (IN3), whoever looks into it decides nothing."""
    kinds = {"running": (APP, SIDECAR), "created": (APP, SIDECAR, INIT)}.get(condition, (APP, INIT))
    return [c.name for c in resolve.plan(pod).containers if c.kind in kinds]


def _ended(app: App, pod: PodRow) -> bool:
    """Whether its phase is final (PH3): then also what never ran will not."""
    import json

    from kubeplay.kube.status import TERMINAL

    stored = app.store.objects.by_uid(pod.uid)
    return bool(stored and stored.status and json.loads(stored.status).get("phase") in TERMINAL)


def _holds(app: App, pod: PodRow, rows: Sequence[ContainerRow | None], condition: str) -> bool:
    if condition == "ready":
        from kubeplay.cli.podstatus import statuses

        return any(c["type"] == "Ready" and c["status"] == "True" for c in statuses(app, [pod])[pod.uid].get("conditions", ()))
    if condition == "created":
        return all(rows)
    if condition == "running":
        return all(row is not None and row.state == runtime.RUNNING for row in rows)
    if condition == "removed":
        return False
    return all(row is not None and row.state in (runtime.EXITED, runtime.UNKNOWN) for row in rows) and _stays(pod, rows)


def _stays(pod: PodRow, rows: Sequence[ContainerRow | None]) -> bool:
    """A pod's containers that end may come back; a single one has ended when it has ended."""
    if len(rows) == 1 or pod.desired == runtime.STOP:
        return True
    policies = {c.name: c.restart_policy for c in resolve.plan(pod).containers}
    return all(
        policies[row.name] == "Never" or (policies[row.name] == "OnFailure" and row.exit_code == 0) or not pod.restarts_allowed
        for row in rows
        if row
    )


def _exit_status(rows: Sequence[ContainerRow | None]) -> int:
    return max((row.exit_code or 0 for row in rows if row is not None), default=0)
