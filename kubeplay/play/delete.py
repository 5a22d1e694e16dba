"""Delete stored objects one by one, as a cluster does: the object goes at once, what it owns goes in the background, after it, or stays.

`down` takes a whole file away with everything in it; here an owner's pods are left to the garbage collection (TE6), pods get their grace
and are ended by who waits for them or by the supervisor.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.engine.host import faults
from kubeplay.errors import InvalidInput, NotFound
from kubeplay.plan.stack import ObjectKey
from kubeplay.play import down as downs
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.store.objects import StoredObject

BACKGROUND, FOREGROUND, ORPHAN = "background", "foreground", "orphan"
VIEWS = ("Event", "Node", "Endpoints", "EndpointSlice")  # kinds of which some are only shown: nothing is stored of those


class Deleted(Record):
    """What is asked to go: `uid` tells whether it has gone, another one may take its name."""

    key: ObjectKey
    uid: str


def request(engine: Engine, key: ObjectKey, *, cascade: str = BACKGROUND, grace: float | None = None) -> Deleted:
    """Ask for one deletion. A workload or anything else without containers has gone with it; pods and what is in use go later.

    Raises NotFound, InvalidInput.
    """
    stored = engine.store.objects.find(key)
    if stored is None:
        if key.kind in VIEWS:
            raise InvalidInput(f"{key} is shown, not stored: it cannot be deleted")
        raise NotFound(f"{key} not found")
    if key.kind == "Pod":
        downs.mark(engine, [stored], grace)
    elif key.kind in downs.WORKLOADS:
        _workload(engine, stored, cascade)
    return Deleted(key, stored.uid)


def _workload(engine: Engine, stored: StoredObject, cascade: str) -> None:
    with engine.store.write():
        if cascade == FOREGROUND:
            engine.store.objects.mark_deleted(stored.key, 0)
            return
        if cascade == ORPHAN:
            for one in engine.store.objects.list(owner_uid=stored.uid):
                engine.store.objects.set_owner(one.key, "", _free(one, stored.uid))
        engine.store.objects.delete(stored.key)
    faults.point("delete:owner")


def _free(one: StoredObject, owner: str) -> str:
    """The body of a dependant without the reference to its owner; play leaves the uid out of it, so the controller is meant."""
    body = json.loads(one.body)
    left = [ref for ref in body["metadata"].pop("ownerReferences", None) or [] if not ref.get("controller") and ref.get("uid") != owner]
    if left:
        body["metadata"]["ownerReferences"] = left
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def finish(engine: Engine, asked: Sequence[Deleted], *, grace: float | None = None, wait: bool = True) -> None:
    """Carry out what was asked. Without `wait` pods are left to the supervisor."""
    keys = [one.key for one in asked if one.key.kind not in downs.WORKLOADS and (wait or one.key.kind != "Pod")]
    left = [key for key, one in zip(keys, map(engine.store.objects.find, keys)) if one is not None]
    if left:
        downs.down(engine, left, timeout=grace)


def gone(engine: Engine, one: Deleted) -> bool:
    """Whether it is no longer there; another one of its name is another one."""
    stored = engine.store.objects.find(one.key)
    return stored is None or stored.uid != one.uid
