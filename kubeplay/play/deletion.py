"""`delete`: objects with what they own (TE6: in the background, in the foreground, or left as orphans), namespaces with their content."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.errors import Forbidden, InvalidInput
from kubeplay.plan.stack import ObjectKey
from kubeplay.play import down as downs
from kubeplay.play.kinds import base
from kubeplay.play.progress import Progress, silent

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

BACKGROUND, FOREGROUND, ORPHAN = "background", "foreground", "orphan"
CASCADES = (BACKGROUND, FOREGROUND, ORPHAN)
# What the API server refuses to delete (plugin/pkg/admission/namespace/lifecycle).
IMMORTAL = ("default", "kube-system", "kube-public")


def delete(
    engine: Engine,
    keys: Sequence[ObjectKey],
    *,
    cascade: str = BACKGROUND,
    grace: float | None = None,
    wait: bool = True,
    progress: Progress = silent,
) -> downs.DownResult:
    """Delete the objects; `grace` seconds replaces each pod's. What is not there is not an error.

    Without `wait` pods end and dependants go while nobody waits: the caller must see to it that the supervisor runs.
    Raises InvalidInput for an unknown cascade, Forbidden for a namespace that stays.
    """
    if cascade not in CASCADES:
        raise InvalidInput(f"cascade {cascade!r} is not known", hint=f"one of {', '.join(CASCADES)}")
    wanted = _with_content(engine, keys)
    if cascade == ORPHAN:
        for key in keys:
            orphan(engine, key)
    if wait:
        return downs.down(engine, wanted, timeout=grace, progress=progress)
    return _begin(engine, wanted, cascade, grace, progress)


def _with_content(engine: Engine, keys: Sequence[ObjectKey]) -> list[ObjectKey]:
    """The keys, and before each namespace everything in it."""
    found: dict[ObjectKey, None] = {}
    for key in keys:
        if key.kind == "Namespace":
            if key.name in IMMORTAL:
                raise Forbidden(f'namespaces "{key.name}" is forbidden: this namespace may not be deleted')
            # owned objects go with their owners: so every stage has its order
            found.update({one.key: None for one in engine.store.objects.list(namespace=key.name) if not one.owner_uid})
        found[key] = None
    return list(found)


def orphan(engine: Engine, key: ObjectKey) -> None:
    """Let go of what an object controls: it lives on without an owner. A workload begins to go at once, so as not to adopt it again."""
    with engine.store.write():
        stored = engine.store.objects.find(key)
        if stored is None:
            return
        if key.kind in downs.WORKLOADS:
            engine.store.objects.mark_deleted(key, 0)
        for one in engine.store.objects.list(owner_uid=stored.uid):
            body = json.loads(one.body)
            body["metadata"].pop("ownerReferences", None)
            engine.store.objects.set_owner(one.key, "", base.body(body))


def _begin(
    engine: Engine, keys: Sequence[ObjectKey], cascade: str, grace: float | None, progress: Progress
) -> downs.DownResult:
    """Mark what takes time, remove the rest: the supervisor goes on from there."""
    slow = [key for key in keys if key.kind == "Pod" or key.kind in downs.WORKLOADS]
    found = [stored for key in slow if (stored := engine.store.objects.find(key)) is not None]
    with engine.store.write():
        downs.mark(engine, found, grace)
        for stored in found:
            if stored.key.kind == "Pod":
                engine.store.runtime.set_pod(stored.uid, wake_at=engine.clock.now())
            elif cascade == BACKGROUND:
                engine.store.objects.delete(stored.key)
    rest = [key for key in keys if key not in slow]
    result = downs.down(engine, rest, timeout=grace, progress=progress) if rest else downs.DownResult()
    begun = [stored.key for stored in found]
    pods = tuple([key for key in begun if key.kind == "Pod"])
    return result._replace(pods=(*result.pods, *pods), objects=(*result.objects, *[key for key in begun if key not in pods]))
