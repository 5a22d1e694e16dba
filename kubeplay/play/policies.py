"""Namespaces' rules as the store has them: for pods when they are compiled, for quotas when objects are about to be stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubeplay.errors import Forbidden
from kubeplay.kube import kinds, quota
from kubeplay.kube.policies import KINDS, Policies
from kubeplay.plan.stack import ObjectKey, PlannedObject, Stack
from kubeplay.play.progress import Progress, ProgressEvent

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.store.db import Store

Object = dict[str, Any]
QUOTA = "ResourceQuota"


def stored(store: Store) -> Policies | None:
    """What pods are to be made by; None where nothing rules."""
    if not store.controllers.any(KINDS):
        return None
    return Policies(tuple([json.loads(one.body) for kind in KINDS for one in store.objects.list(kind)]))


def within_quota(engine: Engine, stack: Stack, replace: bool, progress: Progress) -> Stack:
    """The stack without the workloads' pods that a ResourceQuota forbids: their controllers try again.

    Raises Forbidden for other objects.
    """
    asked = [one for one in stack.objects if one.key.kind == QUOTA]
    if not asked and not engine.store.controllers.any((QUOTA,)):
        return stack
    own = {one.key for one in stack.objects}
    quotas = {one.key: json.loads(one.body) for one in engine.store.objects.list(QUOTA)}
    quotas.update({one.key: json.loads(one.body) for one in asked})
    refused: set[ObjectKey] = set()
    there: dict[str, list[Object]] = {}
    for planned in stack.objects:
        place = planned.key.namespace
        rules = [body for key, body in quotas.items() if key.namespace == place]
        if not rules or (not replace and engine.store.objects.find(planned.key) is not None):
            continue
        objects = there.setdefault(place, _objects(engine.store, place, own if replace else set()))
        _admit(planned, rules, objects, refused, progress)
    return _without(stack, refused)


def _admit(planned: PlannedObject, rules: list[Object], objects: list[Object], refused: set[ObjectKey], progress: Progress) -> None:
    if planned.owner in refused:
        refused.add(planned.key)
        return
    obj = json.loads(planned.body)
    why = next((why for rule in rules if (why := quota.refusal(rule, objects, obj))), "")
    if not why:
        objects.append(obj)
        return
    text = f"{_plural(planned.key.kind)} \"{planned.key.name}\" is forbidden: {why}"
    if planned.owner is None:
        raise Forbidden(text, hint="raise the quota, or remove what uses it up: kubeplay describe quota")
    refused.add(planned.key)
    progress(ProgressEvent("warning", "FailedCreate", str(planned.owner), message=text))


def refusal(store: Store, obj: Object) -> str:
    """Why a quota does not let one more object in; "" when none objects."""
    if not store.controllers.any((QUOTA,)):
        return ""
    place = obj["metadata"].get("namespace") or "default"
    rules = [json.loads(one.body) for one in store.objects.list(QUOTA, place)]
    objects = _objects(store, place, set()) if rules else []
    why = next((why for rule in rules if (why := quota.refusal(rule, objects, obj))), "")
    return f"{_plural(obj['kind'])} \"{obj['metadata']['name']}\" is forbidden: {why}" if why else ""


def status(store: Store, body: Object) -> Object:
    """A ResourceQuota's status."""
    place = body["metadata"].get("namespace") or "default"
    return {"hard": dict((body.get("spec") or {}).get("hard") or {}), "used": quota.used(body, _objects(store, place, set()))}


def _objects(store: Store, namespace: str, but: set[ObjectKey]) -> list[Object]:
    return [{**json.loads(one.body), "status": json.loads(one.status or "{}")} for one in store.objects.list(namespace=namespace)
            if one.key not in but]  # fmt: skip


def _plural(kind: str) -> str:
    return next((one.plural for one in kinds.table().values() if one.kind == kind), kind.lower())


def _without(stack: Stack, refused: set[ObjectKey]) -> Stack:
    if not refused:
        return stack
    return stack._replace(
        objects=tuple([one for one in stack.objects if one.key not in refused]),
        pods=tuple([plan for plan in stack.pods if ObjectKey("Pod", plan.namespace, plan.name) not in refused]),
        claims=tuple([one for one in stack.claims if ObjectKey("PersistentVolumeClaim", one.namespace, one.name) not in refused]),
    )
