"""ControllerRevision: the templates that a StatefulSet or DaemonSet has had, each stored once under its hash (ST3, DS1)."""

from __future__ import annotations

from kubeplay.play.kinds import names, workload
from kubeplay.play.kinds.base import Object, key

HASH_LABEL = "controller-revision-hash"
_OWN_HASH = "controller.kubernetes.io/hash"


def template_of(revision: Object) -> Object:
    """The template that a revision keeps."""
    found = revision["data"]["spec"]["template"]
    return {field: value for field, value in found.items() if field != "$patch"}


def code(obj: Object, collisions: int = 0) -> str:
    """The hash of the present template."""
    template = obj["spec"]["template"]
    return names.template_hash([template, collisions] if collisions else template)


def body(obj: Object, number: int, collisions: int = 0) -> Object:
    """The revision of the object's present template; `number` orders them."""
    owner, hashed = key(obj), code(obj, collisions)
    given = (obj["spec"]["template"].get("metadata") or {}).get("labels") or {}
    hashes = {HASH_LABEL: hashed} if obj["kind"] == "DaemonSet" else {_OWN_HASH: hashed}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{owner.name}-{hashed}",
            "namespace": owner.namespace,
            "labels": {**given, **hashes},
            "ownerReferences": [workload.owner_reference(obj)],
        },
        "data": {"spec": {"template": {**obj["spec"]["template"], "$patch": "replace"}}},
        "revision": number,
    }
