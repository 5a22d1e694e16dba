"""End a pod: its containers in their order within one grace period (order.py, stopping.py), then the sandbox (TE2-TE4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.engine.host import faults
from kubeplay.engine.store.runtime import DELETE, RUNNING, ContainerRow
from kubeplay.plan.volumes import Claim
from kubeplay.reconcile import grace as graces
from kubeplay.reconcile import parallel, room
from kubeplay.reconcile.observe import REMOVING, Look, key_of

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine


def stop_all(engine: Engine, look: Look, given: float | None = None, own: float | None = None) -> None:
    """Stop every running container of the pod; `given` seconds by a person, `own` by what ends it (TE3), instead of the pod's grace."""
    rows = [row for rows in look.rows.values() for row in rows if row.state == RUNNING]
    _stop(engine, look, rows, {row.name: f"Stopping container {row.name}" for row in rows}, given, own)
    faults.point("terminate:stopped")


def stop_one(engine: Engine, look: Look, row: ContainerRow, grace: float | None = None, message: str = "") -> None:
    """Stop one running container, with its preStop hook (LH2). `grace` is a probe's own (TE3), `message` the event's text."""
    if row.state == RUNNING:
        _stop(engine, look, [row], {row.name: message or f"Stopping container {row.name}"}, None, grace)
        faults.point("terminate:stopped-one")


def stop_by_hand(engine: Engine, look: Look, row: ContainerRow, given: float | None) -> None:
    """As `stop_one`, for a person who gave a time (or None) just now."""
    if row.state == RUNNING:
        _stop(engine, look, [row], {row.name: f"Stopping container {row.name}"}, given, None)


def _stop(engine: Engine, look: Look, rows: list[ContainerRow], messages: dict[str, str], given: float | None, own: float | None) -> None:
    if not rows:
        return
    from kubeplay.reconcile.stopping import Stopping

    with engine.store.write():
        for row in rows:
            engine.store.events.add(key_of(look.row), look.row.uid, "Killing", messages[row.name])
    seconds = graces.seconds(look, own) if given is None else given
    Stopping(engine, look, rows, seconds, given is not None).run()


def release(engine: Engine, look: Look, *, wait_net: bool = True) -> None:
    """Give back what containers and sandboxes hold; their rows and logs stay, to be shown."""
    rows = [row for instances in look.rows.values() for row in instances]
    files = _files_kept(look)
    parallel.each(lambda row: _let_go(engine, row, row.id in files), [row for row in rows if holds(engine, row)])
    faults.point("terminate:containers")
    for sandbox in look.sandboxes:
        engine.store.runtime.set_sandbox(sandbox.id, state=REMOVING)
        engine.remove_sandbox(sandbox, wait_net=wait_net)
    faults.point("terminate:sandbox")


def _files_kept(look: Look) -> set[str]:
    """Of a container made by hand (`run`) the files stay when it has ended, for `diff`, `commit` and `cp`, until it is made anew."""
    if look.seen.plan.container_prefix or look.row.desired == DELETE:
        return set()
    return {instances[-1].id for instances in look.rows.values() if instances}


def _let_go(engine: Engine, row: ContainerRow, files: bool) -> None:
    if files:
        engine.rest_container(row)
    else:
        engine.remove_container(row, keep_row=True)


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
    if any(isinstance(volume.source, Claim) for volume in look.seen.plan.volumes):
        from kubeplay.reconcile import claims

        claims.forget_pod(engine, look)
    engine.remove_pod_files(look.row.uid, look.row.namespace, look.row.name)
    faults.point("delete:files")
    with engine.store.write():
        room.give_back(engine, look.row.uid)
        engine.store.leases.release(look.row.uid)
        engine.store.runtime.delete_pod(look.row.uid)
        engine.store.objects.delete(key_of(look.row))
    faults.point("delete:object")
