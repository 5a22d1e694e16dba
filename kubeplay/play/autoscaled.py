"""Workloads whose size an autoscaler has chosen: a later play of their file leaves it at that, as a cluster's `apply` does."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kubeplay.plan.stack import ObjectKey, PlannedObject, Stack

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

AUTOSCALER = "HorizontalPodAutoscaler"


def sized(engine: Engine, stack: Stack) -> Stack:
    """The stack with the stored number of replicas for whatever a stored autoscaler scales."""
    found = targets(engine)
    if not found:
        return stack
    return stack._replace(objects=tuple([_kept(engine, one) if one.key in found else one for one in stack.objects]))


def targets(engine: Engine, objects: Iterable[dict[str, Any]] = ()) -> frozenset[ObjectKey]:
    """What the stored autoscalers scale, and those among these objects of files."""
    found = {_target(json.loads(one.body), one.key.namespace) for one in engine.store.objects.list(AUTOSCALER)}
    new = [one for one in objects if one["kind"] == AUTOSCALER]
    return frozenset(found | {_target(one, one["metadata"].get("namespace") or "default") for one in new})


def _target(body: dict[str, Any], namespace: str) -> ObjectKey:
    reference = body["spec"]["scaleTargetRef"]
    return ObjectKey(reference["kind"], namespace, reference["name"])


def _kept(engine: Engine, planned: PlannedObject) -> PlannedObject:
    stored = engine.store.objects.find(planned.key)
    replicas = json.loads(stored.body)["spec"].get("replicas") if stored is not None else None
    if replicas is None:
        return planned
    body = json.loads(planned.body)
    body["spec"]["replicas"] = replicas
    return planned._replace(body=json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
