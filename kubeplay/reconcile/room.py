"""What of this machine has been promised to which pod: leases, taken when a pod is bound and given back at its end (LR1)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kubeplay.engine.store.leases import NODE
from kubeplay.plan import amounts
from kubeplay.plan.pod import PodPlan
from kubeplay.reconcile import schedule
from kubeplay.reconcile.model import RESIZE, UNSCHEDULED
from kubeplay.reconcile.schedule import Room, Verdict

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

CLAIMS = "claims"  # stands for a pod's claims, all of them: it was bound when they had their volumes, and that is not asked again


def room(engine: Engine, uid: str) -> Room:
    """The machine as the pod `uid` finds it: what is promised to others is used."""
    from kubeplay.engine.host import machine

    used: dict[str, int] = {}
    for lease in engine.store.leases.held(NODE):
        if lease.holder != uid:
            name = lease.key.partition(" ")[2]
            used[name] = used.get(name, 0) + int(lease.value)
    return Room(engine.node_name, machine.capacity(engine.paths.root), used)


def holds(engine: Engine, uid: str) -> bool:
    """Whether the pod was bound; one that asks for nothing never is, and need not be."""
    return bool(engine.store.leases.held(NODE, uid))


def book(engine: Engine, uid: str, plan: PodPlan) -> Verdict:
    """Promise the pod what it asks for, unless another was quicker: the look and the promise are one transaction."""
    with engine.store.write():
        verdict = schedule.verdict(plan, room(engine, uid))
        if not verdict.reason:
            engine.store.leases.release(uid, NODE)
            for name, amount in schedule.countable(amounts.demand(plan)).items():
                engine.store.leases.take(NODE, f"{uid} {name}", uid, str(amount))
            if schedule.has_claims(plan):
                engine.store.leases.take(NODE, f"{uid} {CLAIMS}", uid, "1")
        return verdict


def give_back(engine: Engine, uid: str) -> None:
    """The pod has ended: those that wait for room look again."""
    if not holds(engine, uid):
        return
    with engine.store.write():
        engine.store.leases.release(uid, NODE)
        wake(engine)


def wake(engine: Engine) -> None:
    """Have every pod that waits for room looked at, by whoever looks after timers."""
    for key in (UNSCHEDULED, RESIZE):
        for uid in engine.store.runtime.wake(key, engine.clock.now()):
            mark(engine, uid)


def mark(engine: Engine, uid: str) -> None:
    """For who is looking at the pod just now: it has to look again."""
    os.close(os.open(engine.paths.lock(uid) + ".dirty", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
