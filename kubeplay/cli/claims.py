"""Claims, volumes and classes as a cluster would show them: what binding has given them is in their spec there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kubeplay.kube import storage
from kubeplay.plan.stack import ObjectKey
from kubeplay.reconcile.claims import CLAIM, CLASS, VOLUME

if TYPE_CHECKING:
    from kubeplay.cli.app import App

Json = dict[str, Any]
KINDS = (CLAIM, VOLUME, CLASS)
_PROTECTION = {CLAIM: "kubernetes.io/pvc-protection", VOLUME: "kubernetes.io/pv-protection"}  # PV3


def complete(app: App, kind: str, bodies: Iterable[Json]) -> None:
    """Put into claims their volume and class, into volumes their claim."""
    if kind == CLASS:
        return
    rows = app.store.resources.bindings()
    default = _default(app)
    for body in bodies:
        meta, spec = dict(body["metadata"]), dict(body.get("spec") or {})
        meta["finalizers"] = sorted({*(meta.get("finalizers") or []), _PROTECTION[kind]})
        status = body.get("status") or {"phase": "Pending"}
        if kind == CLAIM:  # why it waits is not for its status: events say it
            status = {field: value for field, value in status.items() if field in _CLAIM}
        if kind == CLAIM:
            row = next((one for one in rows if one.claim_uid == meta.get("uid")), None)
            volume = app.store.objects.find(ObjectKey(VOLUME, "", row.volume)) if row else None
            if row is not None:
                spec["volumeName"] = row.volume
            given = json.loads(volume.body)["spec"].get("storageClassName") or "" if volume else default
            spec.setdefault("storageClassName", given)
        else:
            row = next((one for one in rows if one.volume == meta["name"]), None)
            if row is not None:
                spec["claimRef"] = {"apiVersion": "v1", "kind": CLAIM, "namespace": row.namespace, "name": row.claim, "uid": row.claim_uid}
        body.update(metadata=meta, spec=spec, status=status)


_CLAIM = ("phase", "accessModes", "capacity")


def _default(app: App) -> str:
    """The class of a claim that names none (PV2)."""
    found = [one for one in app.store.objects.list(CLASS) if storage.storage_class(json.loads(one.body)).default]
    return max(found, key=lambda one: (one.created, one.key.name)).key.name if found else storage.DEFAULT_CLASS


def with_built_in(app: App, bodies: list[Json]) -> list[Json]:
    """Classes, with the one that is always there (PV4); the default as long as nobody has made another so."""
    if any(body["metadata"]["name"] == storage.DEFAULT_CLASS for body in bodies):
        return bodies
    marks = {"annotations": {storage.DEFAULT_MARK: "true"}} if _default(app) == storage.DEFAULT_CLASS else {}
    ours = {
        "apiVersion": "storage.k8s.io/v1", "kind": CLASS, "metadata": {"name": storage.DEFAULT_CLASS, **marks},
        "provisioner": storage.PROVISIONER, "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate", "allowVolumeExpansion": True,
    }  # fmt: skip
    return sorted([*bodies, ours], key=lambda body: str(body["metadata"]["name"]))
