"""One level-triggered `reconcile`: observe, decide, act, until nothing is due now. Same code in `play` and in the supervisor.

The pod's lock makes its holder the only one to act. An exit that happens meanwhile leaves `locks/UID.dirty` (engine/host/on_exit.py):
the holder removes the mark before it looks and looks for it again after letting go, so no exit is lost.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kubeplay.engine.host import faults
from kubeplay.engine.host.trace import trace
from kubeplay.engine.store.locks import Lock
from kubeplay.engine.store.runtime import DELETE
from kubeplay.errors import NotFound
from kubeplay.kube.status import FAILED, TERMINAL, pod_status
from kubeplay.plan.container import APP, INIT
from kubeplay.reconcile import autoremove, room, rouse, terminate
from kubeplay.reconcile import decide as brain
from kubeplay.reconcile.act import Actor
from kubeplay.reconcile.model import (
    FILES,
    REJECTED,
    SANDBOX,
    START,
    UNSCHEDULED,
    VOLUMES,
    Failure,
    KillPod,
    MakeSandbox,
    Outcome,
    Seen,
)
from kubeplay.reconcile.observe import Look, key_of, look, view

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

KEPT = 2  # CS8: the last two instances of a container
_MAX_ROUNDS = 1000  # a decision that never settles is a bug, not a reason to spin


def reconcile(engine: Engine, uid: str, *, wait_lock: bool = True, wait_net: bool = True, grace: float | None = None) -> Outcome:
    """Bring one pod towards its plan as far as it goes now; `grace` replaces the pod's own where it is stopped.

    `wait_lock` False: Outcome.busy when somebody else holds the pod. `wait_net` False: its devices may vanish a moment
    after the call. Gone pods give Outcome.gone. `Outcome.routes` asks the caller for services.refresh and net.sync.
    """
    lock = Lock(engine.paths.lock(uid))
    routes = False
    while True:
        if wait_lock:
            lock.take()
        elif not lock.try_take():
            return Outcome(busy=True)
        try:
            outcome = _locked(engine, uid, wait_net, grace)
        finally:
            lock.release()
        routes = routes or outcome.routes
        if outcome.pulls:
            from kubeplay.reconcile import pulls

            pulls.of(engine).run(outcome.pulls)
            continue
        if outcome.gone or not os.path.exists(_mark(engine, uid)):
            return outcome._replace(routes=routes)


def _mark(engine: Engine, uid: str) -> str:
    return engine.paths.lock(uid) + ".dirty"


def _unmark(engine: Engine, uid: str) -> None:
    try:
        os.unlink(_mark(engine, uid))
    except FileNotFoundError:
        pass


def _locked(engine: Engine, uid: str, wait_net: bool, grace: float | None) -> Outcome:
    routes = False
    for _ in range(_MAX_ROUNDS):
        _unmark(engine, uid)
        try:
            found = _observe(engine, uid)
        except NotFound:
            _unlock_for_ever(engine, uid)
            return Outcome(gone=True, routes=routes)
        files_at = _live(engine, found)
        decision = brain.decide(found.seen, engine.clock.now())
        routes = _write_status(engine, found) or routes
        if decision.actions:  # a note changes what is shown, so it too is followed by another look (CS6, record 204)
            actor = Actor(engine, found, wait_net, grace)
            actor.carry_out(decision.actions)
            routes = routes or any(isinstance(a, (MakeSandbox, KillPod)) for a in decision.actions)
            if actor.wanted:
                return Outcome(pulls=tuple(actor.wanted), routes=routes)
            if any(isinstance(a, KillPod) and a.finish for a in decision.actions) and found.row.desired != DELETE:
                _finish(engine, uid)
            continue
        if found.row.desired == DELETE:
            terminate.forget(engine, found)
            _unlock_for_ever(engine, uid)
            return Outcome(gone=True, routes=True)
        wake_at = min((time for time in (decision.wake_at, files_at) if time is not None), default=None)
        if autoremove.wanted(found):
            if autoremove.begin(engine, found):
                continue
            wake_at = engine.clock.now() + autoremove.AGAIN
        return _settle(engine, uid, found, wake_at, routes)
    raise AssertionError(f"pod {uid}: decisions do not settle")


def _live(engine: Engine, found: Look) -> float | None:
    """Bring the files of its volumes up to date; when that is to be done next (VO5)."""
    if FILES not in found.seen.backoffs:
        return None
    from kubeplay.reconcile import live

    return live.refresh(engine, found)


def _observe(engine: Engine, uid: str) -> Look:
    with trace("observe"):
        engine.refresh(uid)
        found = look(engine, uid)
    if _tidy(engine, found):
        found = look(engine, uid)
    return found


def _tidy(engine: Engine, found: Look) -> bool:
    """Release replaced instances and drop all but the last two (CS8); True when rows changed."""
    changed = False
    for rows in found.rows.values():
        for row in rows[:-KEPT]:
            engine.remove_container(row)
            changed = True
        for row in rows[-KEPT:-1]:
            if terminate.holds(engine, row):
                engine.remove_container(row, keep_row=True)
    return changed


def _write_status(engine: Engine, found: Look, finished: bool = False) -> bool:
    """Store the status when it differs; True when its address, readiness or end changed, which Services care about (EP1)."""
    if found.stored is None:
        return False
    new = pod_status(view(found, finished=finished), engine.clock.now(), found.status or None)
    if new == found.status:
        return False
    import json

    engine.store.objects.set_status(key_of(found.row), json.dumps(new, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    if found.stored.owner_uid:  # its controller may be waiting for this, and the command that does this work may wait for the controller
        rouse.wake(engine)
    faults.point("reconcile:status")
    return routing(new) != routing(found.status)


def routing(status: dict[str, Any]) -> tuple[str, bool, bool]:
    """The part of a status that decides on endpoints: address, Ready, ended (EP1)."""
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))
    return str(status.get("podIP", "")), ready, status.get("phase") in TERMINAL


def _finish(engine: Engine, uid: str) -> None:
    """Everything is torn down: show the terminal phase (PH1, PH3)."""
    found = look(engine, uid)
    with engine.store.write():  # a kill in between would leave an ended pod with its part of the machine
        _write_status(engine, found, finished=True)
        room.give_back(engine, uid)
    faults.point("reconcile:finished")


def _settle(engine: Engine, uid: str, found: Look, wake_at: float | None, routes: bool) -> Outcome:
    if found.row.wake_at != wake_at:
        engine.store.runtime.set_pod(uid, wake_at=wake_at)
    return outcome(engine, look(engine, uid) if found.stored is None else found, wake_at, routes)


def outcome(engine: Engine, found: Look, wake_at: float | None = None, routes: bool = False) -> Outcome:
    """How the pod stands, from one look at it."""
    stored = engine.store.objects.find(key_of(found.row))
    import json

    status = json.loads(stored.status) if stored and stored.status else found.status
    conditions = {c["type"]: c["status"] == "True" for c in status.get("conditions", [])}
    app = [c for c in found.seen.containers if c.plan.kind == APP]
    return Outcome(
        phase=status.get("phase", ""), ready=conditions.get("Ready", False), initialized=conditions.get("Initialized", False),
        started=bool(app) and all(c.current is not None and _ever_started(c) for c in app),
        wake_at=wake_at, failures=_failures(found, status), routes=routes, unscheduled=_unscheduled(found),
    )  # fmt: skip


def _unscheduled(found: Look) -> str:
    why = found.seen.backoffs.get(UNSCHEDULED)
    return why.message if why and not found.seen.bound else ""


def _ever_started(container: Seen) -> bool:
    return any(instance is not None and bool(instance.started) for instance in (container.current, container.previous))


def _failures(found: Look, status: dict[str, Any]) -> tuple[Failure, ...]:
    """Everything that keeps the pod or a container from starting."""
    backoffs = found.seen.backoffs
    made = [Failure("", backoffs[key].reason, backoffs[key].message) for key in (SANDBOX, VOLUMES, REJECTED) if key in backoffs]
    for container in found.seen.containers:
        why = backoffs.get(START + container.plan.name)
        if why is not None:
            made.append(Failure(container.plan.name, why.reason, why.message))
        elif container.plan.kind == INIT and status.get("phase") == FAILED and container.current and container.current.exit_code:
            made.append(Failure(container.plan.name, "Error", f"exit code {container.current.exit_code}"))
    return tuple(made)


def _unlock_for_ever(engine: Engine, uid: str) -> None:
    _unmark(engine, uid)
    try:
        os.unlink(engine.paths.lock(uid))  # held by us: whoever waits for it sees that the file is another one (locks.py)
    except FileNotFoundError:
        pass


def sweep(engine: Engine) -> None:
    """Remove locks and marks of pods that are gone: what a kill right after a pod's removal leaves."""
    directory = os.path.dirname(engine.paths.lock("x"))
    uids = {row.uid for row in engine.store.runtime.pods()}
    for name in os.listdir(directory):
        uid = name.removesuffix(".dirty")
        if len(uid) == 36 and uid.count("-") == 4 and uid not in uids:
            lock = Lock(engine.paths.lock(uid))
            if lock.try_take():
                _unlock_for_ever(engine, uid)
                lock.release()
