"""What a change means for pods that run: which containers restart, which pods are made anew, which see new files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kubeplay.apply.model import REMOVE, REPLACE, UPDATE, Effect
from kubeplay.plan.env import EnvFrom, EnvKeyRef
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.stack import ObjectKey, Stack
from kubeplay.plan.volumes import objects
from kubeplay.play import children
from kubeplay.reconcile import live
from kubeplay.reconcile.observe import plan_of
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.store.runtime import PodRow

Json = dict[str, Any]
_ROLLED = ("Deployment", "StatefulSet", "DaemonSet")  # a changed template brings new pods (DE1, ST1, DS1)


class Outcome(Record):
    """Effects on pods, and sentences about what they do not show."""

    effects: tuple[Effect, ...] = ()
    why: tuple[str, ...] = ()


def created(key: ObjectKey, stack: Stack) -> tuple[Effect, ...]:
    """The pods that come with a new object."""
    if key.kind == "Pod":
        return (Effect(key, "create"),)
    if key.kind not in children.WORKLOADS:
        return ()
    return _each([ObjectKey("Pod", plan.namespace, plan.name) for plan in children.pods_of(stack, {key})], "create")


def of(engine: Engine, key: ObjectKey, action: str, old: Json, new: Json, stack: Stack) -> Outcome:
    """What the update, replacement or removal of a stored object brings about; `new` is {} where it goes."""
    if key.kind == "Pod":
        return _pod(key, action, old, new)
    if key.kind in live.KINDS:
        return _data(engine, key) if action in (UPDATE, REPLACE) else Outcome()
    if key.kind not in children.WORKLOADS:
        return Outcome()
    standing = [_key(row) for row in children.standing(engine, key)]
    if action == REMOVE:
        return Outcome(_each(standing, "remove"))
    if action == REPLACE:
        return Outcome((*_each(standing, "remove"), *created(key, stack)))
    return _workload(key.kind, old, new, standing)


def _pod(key: ObjectKey, action: str, old: Json, new: Json) -> Outcome:
    if action != UPDATE:
        return Outcome((Effect(key, "remove" if action == REMOVE else "replace"),))
    before, after = (_images(one) for one in (old, new))
    changed = tuple([name for name in after if name in before and before[name] != after[name]])
    return Outcome((Effect(key, "restart", changed),) if changed else ())


def _images(pod: Json) -> dict[str, str]:
    spec = pod.get("spec") or {}
    return {one["name"]: one.get("image") or "" for one in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]}


def _workload(kind: str, old: Json, new: Json, standing: list[ObjectKey]) -> Outcome:
    """An update in place: new pods where the template is another, more or fewer where their number is."""
    was, now = old["spec"], new["spec"]
    why: list[str] = []
    effects: tuple[Effect, ...] = ()
    if was.get("template") != now.get("template") or (kind == "CronJob" and was.get("jobTemplate") != now.get("jobTemplate")):
        if kind not in _ROLLED:
            why.append("the pods that run stay as they are; the next ones are made from the new template")
        elif now.get("paused"):
            why.append("its rollout is paused: pods stay until `kubeplay rollout resume`")
        elif _strategy(kind, now) == "OnDelete":
            why.append("its strategy is OnDelete: each pod stays until it is deleted")
        else:
            effects = _each(standing, "replace")
            why += [f"its pods are made anew by {_strategy(kind, now)}"] if standing else []
    had, has = was.get("replicas"), now.get("replicas")
    if had != has and had is not None and has is not None:
        why.append(f"{abs(has - had)} {'more' if has > had else 'fewer'} pod{'s' if abs(has - had) > 1 else ''}")
    return Outcome(effects, tuple(why))


def _strategy(kind: str, spec: Json) -> str:
    found = spec.get("strategy" if kind == "Deployment" else "updateStrategy") or {}
    return str(found.get("type") or "RollingUpdate")


def _data(engine: Engine, key: ObjectKey) -> Outcome:
    """A ConfigMap's or Secret's: files change in running pods (VO5), variables do not (EN5)."""
    shown, held = [], []
    for row in engine.store.runtime.pods():
        if row.namespace != key.namespace or f'"{key.name}"' not in row.plan:
            continue
        plan = plan_of(row)
        if any((one.kind, one.object_name) == (key.kind, key.name) for volume in plan.volumes for one in objects(volume.source)):
            shown.append(_key(row))
        if _in_env(plan, key):
            held.append(row.name)
    text = f"containers of {', '.join(sorted(held))} keep their variables until they restart"
    return Outcome(_each(shown, "refresh"), (text,) if held else ())


def _in_env(plan: PodPlan, key: ObjectKey) -> bool:
    found = [one for container in plan.containers for one in (*container.env, *container.env_from)]
    return any(isinstance(one, (EnvKeyRef, EnvFrom)) and (one.kind, one.object_name) == (key.kind, key.name) for one in found)


def _each(pods: Iterable[ObjectKey], action: str) -> tuple[Effect, ...]:
    return tuple([Effect(pod, action) for pod in sorted(pods)])


def _key(row: PodRow) -> ObjectKey:
    return ObjectKey("Pod", row.namespace, row.name)


def loaded(text: str) -> Json:
    """A body as an object; {} where there is none."""
    found: Json = json.loads(text) if text else {}
    return found
