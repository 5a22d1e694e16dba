"""End a pod: all containers in parallel, each with its stop signal and the grace period, then the sandbox (TE2-TE4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.engine.host import faults
from kubeplay.engine.store.runtime import RUNNING, UNKNOWN, ContainerRow
from kubeplay.plan.pod import PodPlan
from kubeplay.reconcile import claims, parallel
from kubeplay.reconcile.observe import REMOVING, Look, key_of

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

MINIMUM = 2.0  # TE2: the least a container gets, unless it asks for nothing
NOTHING = 0.03  # seconds from TERM to KILL where the grace is 0


def grace(look: Look) -> float:
    """TE3: what the deletion says, else the pod; negative counts as 1 (TE1).

    With 0 a cluster's object is gone at once while the node still gives the container TERM and 2 s (record 159). Here the command that
    waits is the node, so a container that asks for no grace gets TERM and just the time to act on it.
    """
    stored, seconds = look.stored, look.seen.plan.grace_seconds
    if stored and stored.deleted is not None and stored.grace_seconds is not None:
        seconds = stored.grace_seconds
    return max(float(seconds if seconds > 0 else 1), MINIMUM) if seconds else NOTHING


def stop_all(engine: Engine, look: Look, given: float | None = None) -> None:
    """Stop every running container of the pod; `given` seconds instead of the pod's own grace."""
    seconds = grace(look) if given is None else given
    running = [row for rows in look.rows.values() for row in rows if row.state in (RUNNING, UNKNOWN)]
    plan: PodPlan = look.seen.plan
    signals = {c.name: c.stop_signal for c in plan.containers}

    def stop(row: ContainerRow) -> None:
        engine.store.events.add(key_of(look.row), look.row.uid, "Killing", f"Stopping container {row.name}")
        engine.stop_container(row, seconds, signals.get(row.name, ""))

    parallel.each(stop, running)
    faults.point("terminate:stopped")


def stop_one(engine: Engine, look: Look, row: ContainerRow, given: float | None, message: str) -> None:
    """Stop one running container of a pod that goes on; `given` seconds instead of the pod's own grace, `message` the event's text."""
    seconds = max(float(look.seen.plan.grace_seconds if given is None else given), MINIMUM)
    signal = next((c.stop_signal for c in look.seen.plan.containers if c.name == row.name), "")
    engine.store.events.add(key_of(look.row), look.row.uid, "Killing", message)
    engine.stop_container(row, seconds, signal)
    faults.point("terminate:stopped-one")


def release(engine: Engine, look: Look, *, wait_net: bool = True) -> None:
    """Give back what containers and sandboxes hold; their rows and logs stay, to be shown."""
    rows = [row for instances in look.rows.values() for row in instances]
    parallel.each(lambda row: engine.remove_container(row, keep_row=True), [row for row in rows if holds(engine, row)])
    faults.point("terminate:containers")
    for sandbox in look.sandboxes:
        engine.store.runtime.set_sandbox(sandbox.id, state=REMOVING)
        engine.remove_sandbox(sandbox, wait_net=wait_net)
    faults.point("terminate:sandbox")


def holds(engine: Engine, row: ContainerRow) -> bool:
    """Whether an instance still has mounts and runtime state."""
    import os

    return os.path.isdir(engine.paths.bundle(row.id))


def forget(engine: Engine, look: Look) -> None:
    """Remove the last traces of a deleted pod: instances, files, rows, the object."""
    for instances in look.rows.values():
        for row in instances:
            engine.remove_container(row)
    faults.point("delete:rows")
    engine.volumes.teardown(look.row.uid)
    claims.forget_owned(engine, look)
    engine.remove_pod_files(look.row.uid, look.row.namespace, look.row.name)
    faults.point("delete:files")
    with engine.store.write():
        engine.store.leases.release(look.row.uid)
        engine.store.runtime.delete_pod(look.row.uid)
        engine.store.objects.delete(key_of(look.row))
    faults.point("delete:object")
