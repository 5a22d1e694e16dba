"""What belongs to workloads that are stored already: their controllers have made it and go on with it, a play leaves it to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.engine.store.runtime import DELETE, PodRow
from kubeplay.plan.stack import ObjectKey, PlannedObject, Stack
from kubeplay.play import autoscaled
from kubeplay.play.kinds import base

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.plan.pod import PodPlan

WORKLOADS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob")


def owned_by(stack: Stack, keys: set[ObjectKey]) -> set[ObjectKey]:
    """What these objects own, themselves or through others."""
    found: set[ObjectKey] = set()
    for one in stack.objects:  # owners come first
        if one.owner in keys or one.owner in found:
            found.add(one.key)
    return found


def pods_of(stack: Stack, keys: set[ObjectKey]) -> list[PodPlan]:
    """The plans of their pods."""
    owned = owned_by(stack, keys) if keys else set()
    return [plan for plan in stack.pods if ObjectKey("Pod", plan.namespace, plan.name) in owned]


def left_out(engine: Engine, stack: Stack) -> Stack:
    """The stack without what stored workloads own: only the workload itself is compared with the store."""
    stack = autoscaled.sized(engine, stack)
    gone = {one.key for one in stack.objects if one.owner is None and one.key.kind in WORKLOADS and engine.store.objects.find(one.key)}
    if not gone:
        return stack
    owned = owned_by(stack, gone)
    return stack._replace(
        objects=tuple([one for one in stack.objects if one.key not in owned]),
        pods=tuple([plan for plan in stack.pods if ObjectKey("Pod", plan.namespace, plan.name) not in owned]),
        claims=tuple([one for one in stack.claims if ObjectKey("PersistentVolumeClaim", one.namespace, one.name) not in owned]),
    )


def standing(engine: Engine, key: ObjectKey) -> list[PodRow]:
    """The pods that a stored workload owns, itself or through others, those that are ending aside."""
    stored = engine.store.objects.find(key)
    queue = [stored.uid] if stored is not None else []
    found = []
    while queue:
        for one in engine.store.objects.list(owner_uid=queue.pop()):
            if one.key.kind != "Pod":
                queue.append(one.uid)
                continue
            row = engine.store.runtime.find_pod(one.key.namespace, one.key.name)
            if row is not None and row.uid == one.uid and row.desired != DELETE:
                found.append(row)
    return found


def adopted(one: PlannedObject, plan: PodPlan | None, uids: dict[ObjectKey, str]) -> tuple[str, str, PodPlan | None]:
    """The uid of an object's owner, and its body and plan with that where a pod's labels ask for it."""
    uid = uids.get(one.owner, "") if one.owner else ""
    if plan is None or base.OWNER_UID not in one.body:
        return uid, one.body, plan
    import json

    def told(labels: dict[str, str]) -> dict[str, str]:
        return {name: uid if value == base.OWNER_UID else value for name, value in labels.items()}

    obj = json.loads(one.body)
    obj["metadata"]["labels"] = told(obj["metadata"].get("labels") or {})
    return uid, base.body(obj), plan._replace(labels=tuple(sorted(told(dict(plan.labels)).items())))
