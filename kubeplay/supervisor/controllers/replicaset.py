"""ReplicaSet: as many pods as it says, those that end replaced, the least useful ones removed first (RP1, RP2).

Pods are made at once, not in batches of 1, 2, 4: on one machine they are made by one transaction, and a refused one stops the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kubeplay.clock import rfc3339
from kubeplay.kube import rollout
from kubeplay.plan.stack import ObjectKey
from kubeplay.record import Record
from kubeplay.supervisor.controllers import adoption, pods
from kubeplay.supervisor.controllers.model import Action, Create, Decision, Delete, Note, Status, Thing, World

KIND = "ReplicaSet"
Json = dict[str, Any]
COST = "controller.kubernetes.io/pod-deletion-cost"
# Ours: a pod that fails at once (a forbidden sysctl) would be made anew without end and as fast as the machine can. Its replacement
# waits as a DaemonSet's does (DS1), and of the failed ones as many are kept as tell why.
BACKOFF, BACKOFF_MOST, FAILED_KEPT, FORGIVEN = 1.0, 900.0, 10, 1800.0


class Counts(Record):
    """A ReplicaSet's pods, as its status counts them."""

    replicas: int = 0
    labelled: int = 0
    ready: int = 0
    available: int = 0
    terminating: int = 0


def decide(world: World, own: Thing, now: float) -> Decision:
    """What is to be made and removed, and its status."""
    claimed = adoption.claim(world, own, "Pod")
    if claimed.changes:
        return Decision(claimed.changes)  # with them it looks again
    mine = claimed.mine
    there = [pod for pod in mine if pods.active(pod)]
    lacking = rollout.replicas(own.body["spec"]) - len(there)
    actions: list[Action] = []
    wakes: list[float] = []
    if not own.status:  # what play has made in our name
        actions += [Note(own.key, "Normal", "SuccessfulCreate", f"Created pod: {pod.key.name}") for pod in there]
    if lacking > 0:
        wait = _backoff(mine, now)
        if wait is None:
            actions += _created(world, own, lacking)
        else:
            wakes.append(wait)
    elif lacking < 0:
        for pod in sorted(there, key=_worth)[:-lacking]:
            actions += [Delete(pod.key, pod.uid), Note(own.key, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.key.name}")]
    actions += [Delete(pod.key, pod.uid) for pod in _superfluous(mine)]
    min_ready = own.body["spec"].get("minReadySeconds") or 0
    dues = [pods.available_at(pod, min_ready) for pod in there] if min_ready else []
    wakes += [due for due in dues if due is not None and due > now]
    status = _status(own, _count(own, mine, min_ready, now), world.failed(own.uid) if lacking > 0 else "", now)
    return Decision((*actions, Status(own.key, status)), min(wakes, default=None))


def concerns(world: World, changed: Thing) -> Iterable[ObjectKey]:
    """A pod that nobody owns may be adopted."""
    return [one.key for one in adoption.concerned(world, changed, KIND)] if changed.key.kind == "Pod" else []


def _created(world: World, own: Thing, count: int) -> list[Action]:
    """One only after a refusal: what refused it may refuse them all (RP2: slow start)."""
    from kubeplay.play.kinds import workload

    body = workload.pod_body(own.body)
    return [Create(body, own.uid)] * (1 if world.failed(own.uid) else count)


def _backoff(mine: Sequence[Thing], now: float) -> float | None:
    """Until when no pod is made, as the last ones failed one after the other; None = now."""
    ends = [end for pod in mine if pods.failed(pod) and (end := pods.ended_at(pod)) > now - FORGIVEN]
    if not ends:
        return None
    until: float = max(ends) + min(BACKOFF * 2 ** (len(ends) - 1), BACKOFF_MOST)
    return until if until > now else None


def _superfluous(mine: Sequence[Thing]) -> list[Thing]:
    """Failed pods beyond those that are kept, the oldest first."""
    ended = sorted((pod for pod in mine if pods.failed(pod)), key=lambda pod: (pod.created, pod.uid))
    return ended[: max(0, len(ended) - FAILED_KEPT)]


def _worth(pod: Thing) -> tuple[Any, ...]:
    """RP1: the least goes first."""
    ready_since = pods.ready_since(pod)
    return (
        bool(pod.body["spec"].get("nodeName")) or "PodScheduled" in _true(pod),
        {"Pending": 0, "Unknown": 1}.get(pods.phase(pod), 2),
        ready_since is not None,
        _cost(pod),
        -(ready_since or 0.0),
        -pods.restarts(pod),
        -pod.created,
        pod.uid,
    )


def _true(pod: Thing) -> list[str]:
    return [one["type"] for one in pod.status.get("conditions") or () if one.get("status") == "True"]


def _cost(pod: Thing) -> int:
    """An annotation that is no number counts as none."""
    text = str((pod.body["metadata"].get("annotations") or {}).get(COST, "0"))
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdecimal() and len(digits) < 11 else 0


# counting
def count(world: World, own: Thing, now: float, min_ready: float | None = None) -> Counts:
    """The pods of a ReplicaSet as they are now."""
    least = own.body["spec"].get("minReadySeconds") or 0 if min_ready is None else min_ready
    return _count(own, world.owned(own.uid, "Pod"), least, now)


def _count(own: Thing, mine: Iterable[Thing], min_ready: float, now: float) -> Counts:
    wanted = (own.body["spec"]["template"].get("metadata") or {}).get("labels") or {}
    replicas = labelled = ready = available = terminating = 0
    for pod in mine:
        if pod.deleted is not None:
            terminating += 1
        elif pods.active(pod):
            replicas += 1
            labelled += wanted.items() <= (pod.body["metadata"].get("labels") or {}).items()
            if pods.ready(pod):
                ready += 1
                available += pods.available(pod, min_ready, now)
    return Counts(replicas, labelled, ready, available, terminating)


def _status(own: Thing, found: Counts, refused: str, now: float) -> Json:
    """Counts of nothing are left out, as Kubernetes does."""
    status: Json = {"replicas": found.replicas, "observedGeneration": own.generation}
    counts = {
        "fullyLabeledReplicas": found.labelled, "readyReplicas": found.ready, "availableReplicas": found.available,
    }  # fmt: skip
    status.update({name: number for name, number in counts.items() if number})
    status["terminatingReplicas"] = found.terminating
    if refused:
        before = next((one for one in own.status.get("conditions") or () if one["type"] == "ReplicaFailure"), None)
        since = before["lastTransitionTime"] if before else rfc3339(now)
        condition = {"type": "ReplicaFailure", "status": "True", "lastTransitionTime": since, "reason": "FailedCreate", "message": refused}
        status["conditions"] = [condition]
    return status
