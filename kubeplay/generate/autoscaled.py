"""Workloads that an autoscaler sizes: how many pods there are now is its business, and no part of the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubeplay.generate.options import Wanted
from kubeplay.plan.stack import ObjectKey

if TYPE_CHECKING:
    from kubeplay.engine.store.db import Store

Object = dict[str, Any]
AUTOSCALER = "HorizontalPodAutoscaler"
_SIZED = ("Deployment", "ReplicaSet", "StatefulSet")


def written(store: Store, wanted: Wanted) -> Wanted:
    """With the replicas of the files for what a stored autoscaler scales; without any where the files name none."""
    targets = _targets(store)
    if not targets:
        return wanted
    return wanted._replace(objects=tuple(_written(store, obj) if _key(obj) in targets else obj for obj in wanted.objects))


def _targets(store: Store) -> set[ObjectKey]:
    found = set()
    for row in store.objects.list(AUTOSCALER):
        target = json.loads(row.body)["spec"]["scaleTargetRef"]
        found.add(ObjectKey(target["kind"], row.key.namespace, target["name"]))
    return found


def _key(obj: Object) -> ObjectKey:
    return ObjectKey(obj["kind"], obj["metadata"].get("namespace") or "default", obj["metadata"]["name"])


def _written(store: Store, obj: Object) -> Object:
    from kubeplay.engine.store.applied import Applied

    row = store.objects.find(_key(obj))
    if row is None or obj["kind"] not in _SIZED:
        return obj
    text = Applied(store).given(row.uid)
    replicas = (json.loads(text).get("spec") or {}).get("replicas") if text else None
    spec = {field: value for field, value in obj["spec"].items() if field != "replicas"}
    return {**obj, "spec": {**spec, "replicas": replicas} if replicas is not None else spec}
