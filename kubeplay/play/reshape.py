"""Pods that change while they are there: a container joins, one leaves, another name. The stored object changes with the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubeplay.engine.host import faults
from kubeplay.engine.store.locks import Lock
from kubeplay.engine.store.runtime import CREATE, RUN, RUNNING, STOP, BackoffRow, ContainerRow
from kubeplay.errors import Conflict, ContainerError, NotRunning, PodError, VolumeError
from kubeplay.kube.status import TERMINAL
from kubeplay.plan import codec
from kubeplay.plan.pod import PodPlan
from kubeplay.reconcile import services, system
from kubeplay.reconcile.model import AGAIN, HOLD, KILLED, START, VOLUMES
from kubeplay.reconcile.observe import Look, key_of, look, remember
from kubeplay.reconcile.pod import reconcile

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine


def join(engine: Engine, uid: str, name: str, body: str, plan: PodPlan, was: str, *, start: bool) -> ContainerRow | None:
    """Make container `name`, which the pod had not when its object was `was`; `start_container` runs it.

    `start`: a pod that rests is woken. None where the pod itself is still to be started. Raises Conflict (changed meanwhile),
    NotRunning (a pod that rests), PodError; then the pod is as it was.
    """
    with Lock(engine.paths.lock(uid)):
        before = look(engine, uid)
        rests = before.seen.void or before.row.desired == STOP or before.seen.phase in TERMINAL
        if rests and not start:
            raise NotRunning(f"pod {before.row.namespace}/{before.row.name} does not run", hint="start it first, or use run --pod")
        _volumes(engine, before, plan)
        faults.point("join:volumes")
        with engine.store.write():
            _store(engine, before, body, plan, was)
            if rests:
                _wake(engine, before)
            if rests or before.row.desired == RUN:
                engine.store.runtime.set_backoff(BackoffRow(uid, HOLD + name, 0.0, engine.clock.now()))
        faults.point("join:stored")
    return _made(engine, uid, name, before)


def _store(engine: Engine, found: Look, body: str, plan: PodPlan, was: str) -> None:
    text, key = codec.dumps(plan), key_of(found.row)
    if engine.store.objects.get(key).body != was:
        raise Conflict(f"{key} was changed by someone else", hint="try again")
    engine.store.objects.update(key, body)
    engine.store.runtime.set_pod(found.row.uid, plan=text)
    remember(found.row.uid, text, plan)


def _wake(engine: Engine, found: Look) -> None:
    """A pod that has ended goes on with its new container; those that have ended for good stay so."""
    if found.seen.void:
        from kubeplay.play import lifecycle

        lifecycle.prepare_start(engine, found)
    engine.store.runtime.set_pod(found.row.uid, desired=RUN)
    engine.store.objects.set_status(key_of(found.row), "")


def _volumes(engine: Engine, found: Look, plan: PodPlan) -> None:
    """What the container brings; where there is no sandbox yet they come with it. Raises VolumeError."""
    from kubeplay.reconcile.act import Actor

    if not found.seen.sandbox_ready or plan.volumes == found.seen.plan.volumes:
        return
    actor = Actor(engine, found._replace(seen=found.seen._replace(plan=plan)))
    if not actor.volumes():
        entry = engine.store.runtime.backoffs(found.row.uid).get(VOLUMES)
        engine.store.runtime.clear_backoff(found.row.uid, VOLUMES)
        raise VolumeError(entry.message if entry else "a volume could not be set up")


def _made(engine: Engine, uid: str, name: str, before: Look) -> ContainerRow | None:
    if system.needs_dns(look(engine, uid).seen.plan):
        server = system.ensure_dns(engine)
        if server:
            reconcile(engine, server)
    outcome = reconcile(engine, uid)
    services.refresh(engine)
    rows = look(engine, uid).rows.get(name, [])
    failed = next((failure for failure in outcome.failures if failure.container in (name, "")), None)
    if failed is not None:
        _undo(engine, uid, name, before)
        where = f"pod {before.row.namespace}/{before.row.name}, container {name}"
        raise PodError(failed.reason, f"{where}: {failed.reason}: {failed.message}")
    return rows[-1] if rows else None


def _undo(engine: Engine, uid: str, name: str, before: Look) -> None:
    assert before.stored is not None
    leave(engine, uid, name, before.stored.body, before.seen.plan, engine.store.objects.get(key_of(before.row)).body)


def leave(engine: Engine, uid: str, name: str, body: str, plan: PodPlan, was: str, seconds: float = 0.0) -> None:
    """Remove container `name`: `body` and `plan` have it no more. Raises Conflict (changed meanwhile)."""
    with Lock(engine.paths.lock(uid)):
        found = look(engine, uid)
        engine.store.runtime.set_backoff(BackoffRow(uid, HOLD + name, 0.0, engine.clock.now()))
        for row in found.rows.get(name, []):
            if row.state == RUNNING:
                engine.stop_container(row, seconds)
            engine.remove_container(row)
        faults.point("leave:removed")
        with engine.store.write():
            _store(engine, found, body, plan, was)
            for key in (name, HOLD + name, AGAIN + name, START + name, KILLED + name):
                engine.store.runtime.clear_backoff(uid, key)
    if reconcile(engine, uid).routes:
        services.refresh(engine)


def rename(engine: Engine, uid: str, name: str, body: str, plan: PodPlan) -> None:
    """Give the pod the name that `body` and `plan` have; a container of the pod's old name goes with it. Raises AlreadyExists."""
    with Lock(engine.paths.lock(uid)):
        found = look(engine, uid)
        old, text = found.row.name, codec.dumps(plan)
        moved = old in found.rows and old not in {container.name for container in plan.containers}
        with engine.store.write():
            engine.store.objects.rename(key_of(found.row), name, body)
            engine.store.runtime.set_pod(uid, name=name, plan=text)
            for row in found.rows.get(old, []) if moved else ():
                engine.store.runtime.set_container(row.id, name=name)
            for key, entry in found.seen.backoffs.items() if moved else ():
                prefix = key.removesuffix(old)
                if prefix in ("", HOLD, AGAIN, START, KILLED) and prefix != key:
                    engine.store.runtime.clear_backoff(uid, key)
                    engine.store.runtime.set_backoff(entry._replace(key=prefix + name))
        remember(uid, text, plan)
        faults.point("rename:stored")
    reconcile(engine, uid)  # the status names the container
    services.refresh(engine)


def init(engine: Engine, uid: str) -> None:
    """Make the containers of a pod that rests, and do not start them. Raises Conflict for one that runs."""
    from kubeplay.play import lifecycle

    found = look(engine, uid)
    if found.row.desired == CREATE and not found.seen.void:
        return
    if found.row.desired == RUN and not found.seen.void and found.seen.phase not in TERMINAL:
        raise Conflict(f"pod {found.row.namespace}/{found.row.name} has been started: there is nothing to initialize")
    lifecycle.prepare_start(engine, found)
    engine.store.runtime.set_pod(uid, desired=CREATE)
    outcome = reconcile(engine, uid)
    services.refresh(engine)
    if outcome.failures:
        failure = outcome.failures[0]
        raise ContainerError(failure.reason, f"pod {found.row.namespace}/{found.row.name}: {failure.reason}: {failure.message}")


def compiled(stack_pods: tuple[Any, ...], old: PodPlan, name: str) -> PodPlan:
    """The old plan with the new container and volumes of a compiled one: what the others were compiled with stays theirs."""
    (new,) = stack_pods
    if not old.containers:
        return PodPlan(*new)
    joined = next(container for container in new.containers if container.name == name)
    return old._replace(containers=(*old.containers, joined), volumes=new.volumes, annotations=new.annotations)
