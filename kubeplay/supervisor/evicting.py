"""Eviction: a pod's deletion that its disruption budget may refuse [K: pkg/registry/core/pod/storage/eviction.go].

The budget is asked as it is this very moment, not as its status was last written, and charged in the same transaction: of two who ask at
once for the last pod that may go, one is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kubeplay.clock import rfc3339
from kubeplay.errors import Conflict, NotFound
from kubeplay.kube import labels
from kubeplay.plan.stack import ObjectKey
from kubeplay.record import Record
from kubeplay.supervisor.controllers import poddisruptionbudget, pods
from kubeplay.supervisor.controllers.mirror import Mirror
from kubeplay.supervisor.controllers.model import Json, Status, Thing, World

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
SEVERAL = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
BUDGET = poddisruptionbudget.KIND
RETRY = 1.0  # seconds until budgets are asked again; kubectl's 5 s are for clusters


class Verdict(Record):
    """`budget` is charged when the pod goes; `why` it may not, "" = it may."""

    budget: Thing | None = None
    status: Json = {}
    why: str = ""


def verdict(world: World, pod: Thing, now: float) -> Verdict:
    """Whether a pod may be evicted just now. Pure."""
    if pod.deleted is not None or pods.phase(pod) in ("Succeeded", "Failed", "Pending"):
        return Verdict()
    have = pod.body["metadata"].get("labels")
    found = [one for one in world.list(BUDGET, pod.key.namespace) if labels.matches(one.body["spec"].get("selector"), have)]
    if not found:
        return Verdict()
    if len(found) > 1:
        return Verdict(why=SEVERAL)
    (own,) = found
    (status,) = [one.status for one in poddisruptionbudget.decide(world, own, now).actions if isinstance(one, Status)]
    if not pods.ready(pod):
        enough = status["currentHealthy"] >= status["desiredHealthy"] > 0
        if enough or own.body["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
            return Verdict()
    if status["disruptionsAllowed"] <= 0:
        needs = f"The disruption budget {own.key.name} needs {status['desiredHealthy']} healthy pods and has {status['currentHealthy']}"
        return Verdict(why=f"{REFUSED} {needs} currently")
    return Verdict(own, status)


def evict(engine: Engine, key: ObjectKey, grace: float | None = None) -> None:
    """Have a pod end, with its grace or `grace` seconds; nobody waits for it here. Raises NotFound, Conflict when its budget forbids it."""
    from kubeplay.play import deletion

    with engine.store.write():
        world = Mirror(engine.store)
        world.refresh()
        pod = world.find(key)
        if pod is None:
            raise NotFound(f"{key} not found")
        now = engine.clock.now()
        found = verdict(world, pod, now)
        if found.why:
            raise Conflict(f"{key}: {found.why}", hint="it may go when more of its pods are ready, or the budget allows fewer")
        if found.budget is not None:
            status = {**found.status, "disruptionsAllowed": found.status["disruptionsAllowed"] - 1}
            status["disruptedPods"] = {**(status.get("disruptedPods") or {}), key.name: rfc3339(now)}
            text = json.dumps(status, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            engine.store.objects.set_status(found.budget.key, text)
        deletion.delete(engine, [key], grace=grace, wait=False)


class Drained(Record):
    """What a drain did: `refused` as (pod, why) of those that budgets kept to the end."""

    evicted: tuple[ObjectKey, ...] = ()
    refused: tuple[tuple[ObjectKey, str], ...] = ()


def drain(
    engine: Engine,
    keys: Sequence[ObjectKey],
    grace: float | None = None,
    deadline: float | None = None,
    told: Callable[[ObjectKey, str], None] = lambda key, why: None,
    look: Callable[[], None] = lambda: None,
) -> Drained:
    """Evict every one of these pods, again and again until the budgets have let each go or `deadline` (monotonic) has come.

    `told` hears of each refusal once; `look` is called after each round, so that somebody sees to the pods that end.
    """
    waiting: dict[ObjectKey, str] = dict.fromkeys(keys, "")
    gone: list[ObjectKey] = []
    while waiting:
        for key in list(waiting):
            try:
                evict(engine, key, grace)
            except NotFound:
                del waiting[key]
            except Conflict as error:
                if not waiting[key]:
                    told(key, error.message)
                waiting[key] = error.message
            else:
                del waiting[key]
                gone.append(key)
        look()
        if deadline is not None and engine.clock.monotonic() >= deadline:
            break
        if waiting:
            engine.clock.sleep(RETRY)
    return Drained(tuple(gone), tuple(waiting.items()))
