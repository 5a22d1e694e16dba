"""One change of a stored object: the door of label, annotate, scale and set.

The new body goes the way of an update of a cluster: defaults, validation, what may not change (VL6); then it is stored, pods that show
it are brought up to date, and the controllers see it in the watch log.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubeplay.errors import Conflict, InvalidInput, NotFound
from kubeplay.kube import kinds
from kubeplay.plan.stack import ObjectKey
from kubeplay.play.children import WORKLOADS
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.store.objects import StoredObject
    from kubeplay.plan.pod import PodPlan

Json = dict[str, Any]
Change = Callable[[Json], Json | None]  # of a body that is its own: in place (None), or another one


class Edited(Record):
    """The body as it is now; `changed` whether it was another one before."""

    key: ObjectKey
    body: Json
    changed: bool


def edit(engine: Engine, key: ObjectKey, change: Change, *, expect_version: int | None = None, dry: bool = False) -> Edited:
    """Change one stored object; with `dry` only say what would come out. Raises NotFound, InvalidInput, Conflict."""
    from kubeplay.play import update
    from kubeplay.reconcile import live, services

    with engine.store.write():
        stored = engine.store.objects.get(key)
        if stored.deleted is not None and key.kind in WORKLOADS:
            raise NotFound(f"{key} is being removed")
        if expect_version is not None and stored.resource_version != expect_version:
            raise Conflict(f"{key} was changed by someone else: its resourceVersion is {stored.resource_version}, not {expect_version}")
        new = edited(stored, change)
        text = written(new)
        if text == stored.body or dry:
            return Edited(key, new, text != stored.body)
        spec = {**json.loads(stored.body), "metadata": None} != {**new, "metadata": None}
        plan = _plan(engine, stored, new) if key.kind == "Pod" else None
        touched = update.store(engine, [update.Update(key, text, spec, plan)])
    live.bring(engine, touched)
    if key.kind in ("Pod", "Service"):
        services.refresh(engine)
    return Edited(key, new, True)


def edited(stored: StoredObject, change: Change) -> Json:
    """The stored object's body after the change, as a server would take it: pure. Raises InvalidInput, Conflict."""
    from kubeplay.kube import defaults
    from kubeplay.kube.validate import validate

    old: Json = json.loads(stored.body)
    new: Json = json.loads(stored.body)
    new = change(new) or new
    kind = kinds.find(old.get("apiVersion", ""), stored.key.kind)
    if kind is not None and kind.support == "slice":
        old, new = defaults.apply(old, kind), defaults.apply(new, kind)
        known = {(fault.path, fault.message) for fault in validate(old, kind)}
        faults = [fault for fault in validate(new, kind) if (fault.path, fault.message) not in known]
        if faults:
            raise InvalidInput(f"{stored.key} cannot become what is asked for", faults)
    fixed = refused(stored.key.kind, old, new)
    if fixed:
        raise Conflict("\n".join([f"{stored.key} cannot be changed so:", *(f"  {line}" for line in fixed)]))
    return new


def refused(kind: str, old: Json, new: Json) -> list[str]:
    """What of the change a cluster refuses as it may never change; labels and annotations always may."""
    from kubeplay.play import update

    before, after = ({name: value for name, value in body.items() if name != "metadata"} for body in (old, new))
    return [] if before == after else update.faults(kind, written(old), written(new))


def written(body: Json) -> str:
    """Canonical text, as play stores it."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _plan(engine: Engine, stored: StoredObject, new: Json) -> PodPlan | None:
    """The pod's plan with the labels, annotations and images of the new body."""
    from kubeplay.plan import codec

    row = engine.store.runtime.find_pod(stored.key.namespace, stored.key.name)
    if row is None or row.uid != stored.uid:
        return None
    plan: PodPlan = codec.loads(row.plan)
    meta, spec = new["metadata"], new["spec"]
    steering = _steering(json.loads(stored.body)["metadata"], meta)
    if steering:
        raise Conflict(f"{stored.key} cannot be changed so: {', '.join(steering)} says how the pod runs", hint="that needs a new pod")
    images = {one["name"]: one.get("image") or "" for one in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]}
    return plan._replace(
        labels=tuple(sorted((meta.get("labels") or {}).items())),
        annotations=tuple(sorted((meta.get("annotations") or {}).items())),
        containers=tuple([one._replace(image=images.get(one.name, one.image)) for one in plan.containers]),
    )


def _steering(old: Json, new: Json) -> list[str]:
    """Annotations that change what runs (play/compile/marks.py) and are others now."""
    from kubeplay.play.compile import marks

    before, after = old.get("annotations") or {}, new.get("annotations") or {}
    changed = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    return [key for key in changed if key in marks.OWN or key.startswith(marks.PODMAN)]
