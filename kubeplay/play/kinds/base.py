"""What every kind's file shares: an object becomes a Part of the Stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubeplay.errors import Forbidden
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.service import ServicePlan
from kubeplay.plan.stack import CLUSTER_WIDE, ClaimPlan, ObjectKey, PlannedObject
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.play.compile import CompileOptions

Object = dict[str, Any]


# A label's value that is known when the owner is stored: its uid. No file can hold it, since it is no label's value.
OWNER_UID = "<owner uid>"


class Part(Record):
    """One object's share of a Stack."""

    objects: tuple[PlannedObject, ...]
    claims: tuple[ClaimPlan, ...] = ()
    services: tuple[ServicePlan, ...] = ()
    pods: tuple[PodPlan, ...] = ()


def body(obj: Object) -> str:
    """Canonical JSON text of an object, without what only a server may say (VL9)."""
    import json

    return json.dumps({k: v for k, v in obj.items() if k != "status"}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def key(obj: Object) -> ObjectKey:
    meta = obj["metadata"]
    namespace = "" if obj["kind"] in CLUSTER_WIDE else meta.get("namespace") or "default"
    return ObjectKey(obj["kind"], namespace, meta["name"])


# Set by a server only; a manifest taken from a cluster carries them (VL9).
SERVER_SET = (
    "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
    "managedFields", "selfLink",
)  # fmt: skip


def cleaned(obj: Object) -> Object:
    """The object as a create would store it: no status, no metadata that is not the author's to set."""
    meta = obj["metadata"]
    if "status" not in obj and not any(field in meta for field in SERVER_SET):
        return obj
    made = {name: value for name, value in obj.items() if name != "status"}
    made["metadata"] = {name: value for name, value in meta.items() if name not in SERVER_SET}
    return made


def admitted(pod: Object, options: CompileOptions) -> Object:
    """A new Pod as the rules of its namespace make it. Raises Forbidden where it breaks one."""
    if options.policies is None:
        return pod
    made = options.policies.admitted(pod)
    why = options.policies.broken(made)
    if why:
        raise Forbidden(why, hint="kubeplay describe limits says what the namespace allows")
    return made


def planned(obj: Object, owner: ObjectKey | None = None) -> PlannedObject:
    return PlannedObject(key(obj), body(obj), owner)
