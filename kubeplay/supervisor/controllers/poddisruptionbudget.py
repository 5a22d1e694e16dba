"""PodDisruptionBudget: how many of its pods may be taken away just now, kept in its status [K: controller/disruption]."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubeplay.clock import rfc3339
from kubeplay.kube import labels, rollout
from kubeplay.plan.stack import ObjectKey
from kubeplay.supervisor.controllers import pods
from kubeplay.supervisor.controllers.model import Decision, Status, Thing, World

KIND = "PodDisruptionBudget"
SCALED = ("Deployment", "ReplicaSet", "StatefulSet")  # who can say how many pods there should be
DISRUPTED = 120.0  # an eviction that has not shown as a deletion by then is forgotten [K: disruption.go DeletionTimeout]
Json = dict[str, Any]


def decide(world: World, own: Thing, now: float) -> Decision:
    """The status; `disruptedPods` are those just evicted whose deletion is not seen yet."""
    mine = chosen(world, own)
    disrupted, wake = _disrupted(own, mine, now)
    wanted, expected, why = _wanted(world, own, mine)
    healthy = sum(1 for pod in mine if pod.deleted is None and pods.ready(pod) and pod.key.name not in disrupted)
    allowed = max(0, healthy - wanted) if expected else 0
    made: Json = {
        "observedGeneration": own.generation, "disruptionsAllowed": 0 if why else allowed, "currentHealthy": healthy,
        "desiredHealthy": wanted, "expectedPods": expected,
    }  # fmt: skip
    if disrupted:
        made["disruptedPods"] = disrupted
    made["conditions"] = [_condition(own, allowed, why, now)]
    return Decision((Status(own.key, made),), wake)


def concerns(world: World, changed: Thing) -> Iterable[ObjectKey]:
    """The budgets that choose a pod, and all of its namespace when a workload changes its size."""
    if changed.key.kind == "Pod":
        have = changed.body["metadata"].get("labels")
        return [one.key for one in world.list(KIND, changed.key.namespace) if labels.matches(one.body["spec"].get("selector"), have)]
    return [one.key for one in world.list(KIND, changed.key.namespace)] if changed.key.kind in SCALED else []


def chosen(world: World, own: Thing) -> list[Thing]:
    """The pods of a budget that have not ended; a null selector chooses none, an empty one all."""
    selector = own.body["spec"].get("selector")
    here = world.list("Pod", own.key.namespace)
    found = [pod for pod in here if labels.matches(selector, pod.body["metadata"].get("labels"))]
    return [pod for pod in found if pods.phase(pod) not in ("Succeeded", "Failed")]


def _wanted(world: World, own: Thing, mine: list[Thing]) -> tuple[int, int, str]:
    """(how many must be healthy, of how many, why that cannot be said)."""
    spec = own.body["spec"]
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if most is None and not str(least or 0).endswith("%"):
        return int(least or 0), len(mine), ""
    expected, why = _expected(world, mine)
    if most is not None:
        return max(0, expected - rollout.scaled(most, expected, up=True)), expected, why
    return rollout.scaled(least, expected, up=True), expected, why


def _expected(world: World, mine: list[Thing]) -> tuple[int, str]:
    """The replicas of the workloads above the pods, each counted once."""
    above: dict[str, Thing] = {}
    for pod in mine:
        owner = world.by_uid(pod.owner_uid) if pod.owner_uid else None
        if owner is None:
            continue  # no controller: not counted [K: disruption.go getExpectedScale]
        while owner is not None and owner.owner_uid and (higher := world.by_uid(owner.owner_uid)) is not None:
            owner = higher
        if owner.key.kind not in SCALED:
            return 0, f"{owner.key.kind.lower()}s.{owner.body['apiVersion'].partition('/')[0]} does not implement the scale subresource"
        above[owner.uid] = owner
    return sum(rollout.replicas(one.body["spec"]) for one in above.values()), ""


def _disrupted(own: Thing, mine: list[Thing], now: float) -> tuple[dict[str, str], float | None]:
    living = {pod.key.name for pod in mine if pod.deleted is None}
    left, dues = {}, []
    for name, stamp in (own.status.get("disruptedPods") or {}).items():
        due = (pods.seconds(stamp) or 0.0) + DISRUPTED
        if name in living and due > now:
            left[name] = stamp
            dues.append(due)
    return left, min(dues, default=None)


def _condition(own: Thing, allowed: int, why: str, now: float) -> Json:
    state, reason = ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
    if why:
        state, reason = "False", "SyncFailed"
    before: Json = next((c for c in own.status.get("conditions") or () if c.get("type") == "DisruptionAllowed"), {})
    since = before.get("lastTransitionTime") if before.get("status") == state else rfc3339(now)
    made = {"type": "DisruptionAllowed", "status": state, "reason": reason, "message": why, "lastTransitionTime": since}
    return {**made, "observedGeneration": own.generation}
