"""Whole stacks: every object that a person wrote in a namespace, by label or by applyset. What controllers made comes from its maker."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kubeplay.errors import NotFound
from kubeplay.generate import lookup, pod
from kubeplay.generate.documents import loaded
from kubeplay.generate.options import Volume, Wanted
from kubeplay.kube import kinds, selector
from kubeplay.kube.storage import PROVISIONED
from kubeplay.plan.stack import CLUSTER_WIDE, ObjectKey

if TYPE_CHECKING:
    from kubeplay.engine.store.db import Store
    from kubeplay.engine.store.objects import StoredObject

Object = dict[str, Any]
# Namespaces of the machine itself, as of a cluster.
SYSTEM = ("kube-system", "kube-public", "kube-node-lease")
# kubectl's --applyset (KEP-3659): the label of the members, and that of the parent object, whose value is the members'.
PART_OF, ID = "applyset.kubernetes.io/part-of", "applyset.kubernetes.io/id"
_PARENTS = ("Secret", "ConfigMap")
_MADE = ("ControllerRevision", "Event")  # of controllers, whatever their owner
_DEFAULT = "default"  # every cluster has that namespace


def everything(store: Store, namespace: str, labels: str = "", applyset: str = "") -> Wanted:
    """All that was written in `namespace` ("" = all but the system's), with these labels, of this applyset.

    Cluster-wide objects come with "" and, where they are referred to, by what refers to them; a Namespace comes with what is in it.
    What no manifest can say is told in `left`. Raises NotFound when nothing is there, InvalidInput for a selector that is none.
    """
    fits = selector.labels(labels)
    member = applyset_id(store, applyset, namespace or _DEFAULT) if applyset else ""
    rows = [
        row for row in _rows(store, namespace) if fits(row_labels := _labels(row)) and (not member or row_labels.get(PART_OF) == member)
    ]
    objects = [loaded(row.body) for row in rows]
    volumes = () if labels or applyset else _volumes(store, namespace)
    if not objects and not volumes:
        raise NotFound(_nothing(namespace, labels, applyset))
    left = tuple(filter(None, [pod.unwritable(obj) for obj in objects if obj["kind"] == "Pod"]))
    objects = [obj for obj in objects if obj["kind"] != "Pod" or not pod.unwritable(obj)]
    wanted = Wanted(objects=(*_namespaces(store, namespace, objects, volumes), *objects), volumes=volumes, left=left)
    return lookup.as_written(store, wanted)


def applyset_id(store: Store, text: str, namespace: str) -> str:
    """The id that the members of an applyset bear: an id itself, or of the parent `KIND/NAME` or `NAME`. Raises NotFound."""
    if text.startswith("applyset-"):
        return text
    word, _, name = text.rpartition("/")
    kind = kinds.named(word) if word else None
    for parent in (kind.kind,) if kind else _PARENTS:
        row = store.objects.find(ObjectKey(parent, "" if parent in CLUSTER_WIDE else namespace, name))
        found = _labels(row).get(ID) if row else None
        if found:
            return found
    raise NotFound(f"no applyset {text} in namespace {namespace}", hint=f"its parent is a Secret or ConfigMap with the label {ID}")


def _rows(store: Store, namespace: str) -> Iterator[StoredObject]:
    """What a person wrote and nobody has begun to delete, kind by kind and by name."""
    claims = _claim_names(store, namespace)
    for kind in dict.fromkeys(kind.kind for kind in kinds.table().values() if kind.support == "slice"):
        if kind in _MADE or (kind in CLUSTER_WIDE and namespace) or kind == "Namespace":
            continue
        for row in store.objects.list(kind, "" if kind in CLUSTER_WIDE else namespace):
            if not row.owner_uid and row.deleted is None and _written(row, namespace, claims):
                yield row


def _written(row: StoredObject, namespace: str, claims: Mapping[str, re.Pattern[str]]) -> bool:
    key = row.key
    if (not namespace and key.namespace in SYSTEM) or key in _machines_own():
        return False
    if key.kind in _PARENTS and _is_parent(loaded(row.body)):
        return False
    if key.kind == "PersistentVolume":
        return PROVISIONED not in (loaded(row.body)["metadata"].get("annotations") or {})
    return key.kind != "PersistentVolumeClaim" or key.namespace not in claims or not claims[key.namespace].fullmatch(key.name)


def _machines_own() -> tuple[ObjectKey, ...]:
    """The pods of the DNS server and of the ingress proxy: they run from the host's programs, and every cluster has its own."""
    from kubeplay.reconcile import ingress, system

    return system.KEY, ingress.KEY


def _is_parent(obj: Object) -> bool:
    """Whether it was made to be an applyset's parent: whoever applies the set makes it again."""
    return ID in (obj["metadata"].get("labels") or {}) and not obj.get("data")


def _claim_names(store: Store, namespace: str) -> dict[str, re.Pattern[str]]:
    """By namespace: the names of claims that StatefulSets make of their templates (ST1)."""
    found: dict[str, list[str]] = {}
    for row in store.objects.list("StatefulSet", namespace):
        for template in loaded(row.body)["spec"].get("volumeClaimTemplates") or []:
            found.setdefault(row.key.namespace, []).append(re.escape(f"{template['metadata']['name']}-{row.key.name}-") + "[0-9]+")
    return {where: re.compile("|".join(names)) for where, names in found.items()}


def _volumes(store: Store, namespace: str) -> tuple[Volume, ...]:
    """Named volumes that no claim stands for (`volume create`)."""
    return tuple(
        Volume(row.namespace, row.name, tuple(sorted(row.options)))
        for row in store.resources.volumes(namespace)
        if not row.path
        and row.namespace not in SYSTEM
        and store.objects.find(ObjectKey("PersistentVolumeClaim", row.namespace, row.name)) is None
        and store.objects.find(ObjectKey("PersistentVolume", "", row.name)) is None
    )


def _namespaces(store: Store, namespace: str, objects: list[Object], volumes: tuple[Volume, ...]) -> list[Object]:
    """The Namespaces that a cluster has to have first; for all namespaces, also those with nothing in them."""
    names = dict.fromkeys(obj["metadata"]["namespace"] for obj in objects if obj["kind"] not in CLUSTER_WIDE)
    names |= dict.fromkeys(volume.namespace for volume in volumes)
    stored = {row.key.name: loaded(row.body) for row in store.objects.list("Namespace", "") if row.deleted is None}
    names |= dict.fromkeys(stored if not namespace else ())
    return [
        stored.get(name) or {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        for name in sorted(names)
        if name != _DEFAULT and name not in SYSTEM
    ]


def _labels(row: StoredObject) -> dict[str, str]:
    return loaded(row.body)["metadata"].get("labels") or {}


def _nothing(namespace: str, labels: str, applyset: str) -> str:
    where = f"in namespace {namespace}" if namespace else "in any namespace"
    which = f" with labels {labels}" if labels else f" of applyset {applyset}" if applyset else ""
    return f"nothing{which} is stored {where}"
