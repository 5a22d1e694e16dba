"""What a person does to pods and containers that exist: stop, start, restart, kill, remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.engine.host.machine import boot_id
from kubeplay.engine.store.runtime import RUN, RUNNING, STOP, BackoffRow, ContainerRow, PodRow
from kubeplay.errors import NotFound, NotRunning, PodError
from kubeplay.kube.status import TERMINAL
from kubeplay.plan.container import EPHEMERAL
from kubeplay.reconcile import grace, ingress, parallel, services, system, terminate
from kubeplay.reconcile.model import ACCEPTED, AGAIN, HOLD, REJECTED, Outcome
from kubeplay.reconcile.observe import Look, key_of, look, plan_of
from kubeplay.reconcile.pod import reconcile

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine


# pods
def stop_pods(engine: Engine, uids: Sequence[str], timeout: float | None = None) -> None:
    """End the pods' containers and give back their networks; pods, logs and containers' rows stay. `timeout` replaces their grace."""
    for uid in uids:
        row = engine.store.runtime.pod(uid)
        with engine.store.write():
            grace.remember(engine, uid, plan_of(row).grace_seconds if timeout is None else timeout)
            engine.store.runtime.set_pod(uid, desired=STOP)
    parallel.each(lambda uid: _quiet(reconcile(engine, uid, grace=timeout)), list(uids))
    _after(engine)


def start_pods(engine: Engine, uids: Sequence[str], *, tolerant: bool = False) -> list[Outcome]:
    """Start pods that were stopped, have ended, or belong to another boot (issue 2); running ones stay as they are.

    Init containers run again (IN7). Raises PodError when one does not start, unless `tolerant`; the pod stays.
    """
    found = [look(engine, uid) for uid in uids]
    for each in found:
        if each.seen.void or each.row.desired != RUN or each.seen.phase in TERMINAL:
            prepare_start(engine, each)
    return _bring_up(engine, found, tolerant)


def restart_pods(engine: Engine, uids: Sequence[str], timeout: float | None = None) -> list[Outcome]:
    """Stop and start again; volumes of the pod begin empty, as for a new pod."""
    stop_pods(engine, uids, timeout)
    return start_pods(engine, uids)


def kill_pods(engine: Engine, uids: Sequence[str], signal: int) -> None:
    """Signal every running container of the pods; what follows is up to their restart policy. Raises NotRunning when none runs."""
    hit = 0
    for uid in uids:
        engine.refresh(uid)
        for row in engine.store.runtime.containers(uid):
            hit += row.state == RUNNING and bool(engine.signal_container(row, signal))
    if not hit:
        raise NotRunning("no container of the pod is running")


def remove_pods(engine: Engine, uids: Sequence[str], *, force: bool = False, timeout: float | None = None) -> None:
    """Delete pods. Raises NotRunning's opposite, a PodError, for a running one unless `force`."""
    from kubeplay.play import down

    found = [look(engine, uid) for uid in uids]
    for each in found:
        running = [r.name for rows in each.rows.values() for r in rows if r.state == RUNNING]
        if running and not force:
            raise PodError("Running", f"pod {each.row.namespace}/{each.row.name} is running", hint="stop it first, or use --force")
    down.down(engine, [key_of(each.row) for each in found], timeout=timeout)


def prepare_start(engine: Engine, found: Look) -> None:
    """Set a pod that rests to be started: its end is forgotten, what another boot left is cleared away."""
    uid = found.row.uid
    created = found.row.desired == "create" and not found.seen.void
    for sandbox in found.sandboxes if found.seen.void else ():
        for rows in found.rows.values():
            for row in rows:
                engine.remove_container(row, keep_row=True)
        engine.remove_sandbox(sandbox)
    with engine.store.write():
        for name, rows in found.rows.items():
            if rows and not created:
                if rows[-1].kind != EPHEMERAL:  # who looked once has seen it
                    _flag(engine, uid, AGAIN + name)
                if rows[-1].boot != boot_id():
                    engine.store.runtime.set_container(rows[-1].id, boot=boot_id())
        for key in found.seen.backoffs:
            if not key.startswith(AGAIN) and key != REJECTED:
                engine.store.runtime.clear_backoff(uid, key)
        if found.seen.plan.deadline_seconds is not None:  # counts from now on (AD1)
            _flag(engine, uid, ACCEPTED)
        engine.store.runtime.set_pod(uid, desired=RUN)
        if found.seen.phase in TERMINAL and REJECTED not in found.seen.backoffs:
            engine.store.objects.set_status(key_of(found.row), "")


def _bring_up(engine: Engine, found: Sequence[Look], tolerant: bool = False) -> list[Outcome]:
    from kubeplay.play.runner import Job, Runner
    from kubeplay.reconcile.pod import outcome

    empty = {each.row.uid: outcome(engine, each) for each in found if not each.seen.containers}
    found = [each for each in found if each.row.uid not in empty]
    if not found:
        return list(empty.values())
    jobs = [Job(each.row.uid, f"{each.row.namespace}/{each.row.name}", tolerant or each.seen.plan.controlled) for each in found]
    if any(system.needs_dns(each.seen.plan) for each in found):
        uid = system.ensure_dns(engine)
        jobs += [Job(uid, "kube-dns", True, True)] if uid else []
    proxy = ingress.ensure(engine, keep=True)
    jobs += [Job(proxy, ingress.NAME, True, True)] if proxy else []
    runner = Runner(engine, jobs, _check, lambda job, outcome: None)
    try:
        runner.run(lambda job, o: o.gone or o.started or bool(o.unscheduled) or o.phase in TERMINAL or (job.tolerant and bool(o.failures)))
        return [runner.outcomes[each.row.uid] for each in found]
    finally:
        runner.close()


def _check(job: object, outcome: Outcome) -> None:
    from kubeplay.play.runner import Job

    assert isinstance(job, Job)
    if not job.tolerant and outcome.failures and not outcome.started:
        failure = outcome.failures[0]
        where = f"pod {job.name}" + (f", container {failure.container}" if failure.container else "")
        raise PodError(failure.reason, f"{where}: {failure.reason}: {failure.message}")


# containers
def stop_container(engine: Engine, row: ContainerRow, timeout: float | None = None) -> None:
    """Stop one container and keep it from being restarted until `start_container`; its pod lives on."""
    found = look(engine, row.pod_uid)
    _flag(engine, row.pod_uid, HOLD + row.name)
    terminate.stop_by_hand(engine, found, row, timeout)
    _settle(engine, row.pod_uid)


def start_container(engine: Engine, uid: str, name: str) -> Outcome:
    """Start one container of a pod again; of a pod that has ended, the whole pod. Raises NotFound, PodError."""
    found = look(engine, uid)
    if name not in {c.name for c in found.seen.plan.containers}:
        raise NotFound(f"pod {found.row.namespace}/{found.row.name} has no container {name}")
    if found.seen.void or found.row.desired != RUN or found.seen.phase in TERMINAL:
        return start_pods(engine, [uid])[0]
    engine.store.runtime.clear_backoff(uid, HOLD + name)
    rows = found.rows.get(name, [])
    if not rows or rows[-1].state != RUNNING:
        engine.store.runtime.clear_backoff(uid, name)
        _flag(engine, uid, AGAIN + name)
    return _settle(engine, uid)


def restart_container(engine: Engine, row: ContainerRow, timeout: float | None = None) -> Outcome:
    """A new instance of one container, without back-off."""
    stop_container(engine, row, timeout)
    return start_container(engine, row.pod_uid, row.name)


def kill_container(engine: Engine, row: ContainerRow, signal: int) -> None:
    """Signal one container. Raises NotRunning."""
    if not engine.signal_container(row, signal):
        raise NotRunning(f"container {row.name} ({row.id[:12]}) is not running")


def _flag(engine: Engine, uid: str, key: str) -> None:
    engine.store.runtime.set_backoff(BackoffRow(uid, key, 0.0, engine.clock.now()))


def _settle(engine: Engine, uid: str) -> Outcome:
    outcome = reconcile(engine, uid)
    if outcome.routes:
        services.refresh(engine)
    return outcome


def _after(engine: Engine) -> None:
    """Rules and names follow; the DNS server goes with the last pod that asks it."""
    if not any(_asks(row, engine) for row in engine.store.runtime.pods()):
        row = engine.store.runtime.find_pod(system.NAMESPACE, system.NAME)
        if row is not None:
            system.remove(engine, row)
    if not engine.net.teardown_if_idle():
        services.refresh(engine)


def _asks(row: PodRow, engine: Engine) -> bool:
    at_rest = row.desired == STOP and not engine.store.runtime.sandboxes(row.uid)
    return row.namespace != system.NAMESPACE and not at_rest and system.needs_dns(plan_of(row))


def _quiet(outcome: Outcome) -> None:
    """parallel.each wants a call that returns nothing."""
