"""What becomes of every field: the field table as a tree, and the walks over an object that ask it.

The table (field_table.py) drives the errors and notices of `play`, the generated support matrix, and the tests of the way
back; so the way in and the way out cannot drift apart. A walk visits only what the object has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubeplay.errors import Fault
from kubeplay.play import field_table as table
from kubeplay.play import field_table_batch as batch
from kubeplay.play import field_table_networking as networking
from kubeplay.play import field_table_policy as policy
from kubeplay.play import field_table_services as services
from kubeplay.play import field_table_sets as sets
from kubeplay.record import Record

WORKS, NO_EFFECT, NOT_SUPPORTED = "works", "no effect", "not supported"
BOTH, IN, NEITHER = "in, out", "in", "-"
_SUPPORT = {"+": WORKS, "+i": WORKS, "o": NO_EFFECT, "oi": NO_EFFECT, "-": NOT_SUPPORTED, "!": NOT_SUPPORTED}


class Row(Record):
    """One line of the table. `direction`: read by play and written by generate, only read, or neither.

    `only` holds the values that work where not all do, `never` the beginnings of those that do not.
    """

    path: str
    support: str
    direction: str
    note: str
    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    when_empty: bool = False

    def of(self, value: Any) -> str:
        """The support of this very value."""
        if isinstance(value, list) and (self.only or self.never):
            return next((s for s in map(self.of, value) if s != WORKS), WORKS)
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if (self.only and text not in self.only and text != "") or (self.never and text.startswith(self.never)):
            return NOT_SUPPORTED
        return self.support


class Node:
    """A field in the tree: its row, the fields below it, and what any key of a map is."""

    __slots__ = ("row", "fields", "any")

    def __init__(self) -> None:
        self.row: Row | None = None
        self.fields: dict[str, Node] = {}
        self.any: Node | None = None


class Hit(Record):
    """A field of an object that does not simply work."""

    path: tuple[str | int, ...]
    row: Row
    support: str


def parse(text: str, prefix: str = "") -> list[Row]:
    """The rows of a table text."""
    rows = []
    for line in filter(None, text.splitlines()):
        path, code, note = [part.strip() for part in line.split("|", 2)]
        only = tuple(code[1:].split(",")) if code[0] == "=" else ()
        never = tuple(code[1:].split(",")) if code[0] == "~" else ()
        support = _SUPPORT.get(code, WORKS)
        direction = NEITHER if support == NOT_SUPPORTED else IN if code.endswith("i") else BOTH
        rows.append(Row(prefix + path, support, direction, note, only, never, code == "!"))
    return rows


_SPECS = {"Deployment": table.DEPLOYMENT, "ReplicaSet": table.REPLICAS, "Service": services.SERVICE, "PersistentVolumeClaim": table.CLAIM,
          "PersistentVolume": table.PERSISTENT_VOLUME, "Namespace": table.NAMESPACE, "StatefulSet": sets.STATEFUL_SET,
          "DaemonSet": sets.DAEMON_SET, "PodDisruptionBudget": sets.BUDGET, "HorizontalPodAutoscaler": sets.AUTOSCALER,
          "Job": batch.JOB, "CronJob": batch.CRON_JOB,
          "LimitRange": policy.LIMIT_RANGE, "ResourceQuota": policy.RESOURCE_QUOTA,
          "Ingress": networking.INGRESS, "IngressClass": networking.INGRESS_CLASS, "NetworkPolicy": networking.NETWORK_POLICY}  # fmt: skip
# Where a kind has its pod template.
TEMPLATES = {**dict.fromkeys(("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"), "spec.template"),
             "CronJob": "spec.jobTemplate.spec.template"}  # fmt: skip
KINDS = ("Pod", "Deployment", "ReplicaSet", "ConfigMap", "Secret", "PersistentVolumeClaim", "PersistentVolume", "StorageClass", "Namespace",
         "Service", "Endpoints", "EndpointSlice", "StatefulSet", "DaemonSet", "PodDisruptionBudget", "HorizontalPodAutoscaler",
         "Job", "CronJob", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "PriorityClass", "LimitRange",
         "ResourceQuota", "Ingress", "IngressClass", "NetworkPolicy")  # fmt: skip

# Kinds without spec and status.
_WHOLE = {"Endpoints": services.ENDPOINTS, "EndpointSlice": services.ENDPOINT_SLICE, "StorageClass": table.STORAGE_CLASS,
          "PriorityClass": policy.PRIORITY_CLASS, "ServiceAccount": policy.SERVICE_ACCOUNT, "Role": policy.ROLE,
          "ClusterRole": policy.CLUSTER_ROLE, "RoleBinding": policy.BINDING, "ClusterRoleBinding": policy.BINDING}  # fmt: skip
_NO_STATUS = (*_WHOLE, "LimitRange", "NetworkPolicy", "IngressClass")

CLAIM_TEMPLATE = "volumes[].ephemeral.volumeClaimTemplate."


def rows(kind: str) -> list[Row]:
    """All rows of a kind with their whole paths. Those of a pod's template are the Pod's, under `spec.template`."""
    found = parse(table.ROOT) + parse(table.META, "metadata.")
    if kind in ("ConfigMap", "Secret"):
        return [row for row in found + parse(table.DATA) if row.path not in _foreign(kind)]
    if kind in _NO_STATUS:
        found = [row for row in found if row.path != "status"]
    if kind in _WHOLE:
        return found + parse(_WHOLE[kind])
    found.append(Row("spec", WORKS, BOTH, ""))
    if kind == "Pod":
        return found + pod_rows("spec.")
    found += _spec_rows(kind)
    if kind in TEMPLATES:
        found += parse(table.META, f"{TEMPLATES[kind]}.metadata.")
        found.append(Row(f"{TEMPLATES[kind]}.spec", WORKS, BOTH, ""))
        found += pod_rows(f"{TEMPLATES[kind]}.spec.")
    return found


def _spec_rows(kind: str) -> list[Row]:
    """The rows of a kind's own spec; those of a CronJob's Jobs are the Job's."""
    found = parse(_SPECS[kind], "spec.")
    if kind == "StatefulSet":
        found += _claim_templates()
    if kind == "CronJob":
        found += parse(table.META, "spec.jobTemplate.metadata.") + parse(batch.JOB, "spec.jobTemplate.spec.")
    return found


def _claim_templates() -> list[Row]:
    """A claim in each of a StatefulSet's volumeClaimTemplates."""
    prefix = f"spec.{sets.CLAIM_TEMPLATES}"
    return parse(table.META, f"{prefix}metadata.") + parse(table.CLAIM, f"{prefix}spec.")


def _foreign(kind: str) -> tuple[str, ...]:
    return ("stringData{}", "type", "status") if kind == "ConfigMap" else ("binaryData{}", "status")


def pod_rows(prefix: str) -> list[Row]:
    """The rows of a PodSpec."""
    found = parse(table.POD, prefix) + parse(table.VOLUME, f"{prefix}volumes[].")
    found += parse(table.CLAIM_META, f"{prefix}{CLAIM_TEMPLATE}metadata.") + parse(table.CLAIM, f"{prefix}{CLAIM_TEMPLATE}spec.")
    for field in ("containers[].", "initContainers[]."):
        found += parse(table.CONTAINER, prefix + field)
    return found


_trees: dict[str, Node] = {}
_pod_spec: list[Node] = []


def tree(kind: str) -> Node:
    """The tree of a kind; the part of a PodSpec is built once for all kinds."""
    if kind not in _trees:
        root = Node()
        for row in rows(kind) if kind != "Pod" and kind not in TEMPLATES else _outer(kind):
            _plant(root, row.path, row)
        if kind == "Pod":
            root.fields["spec"] = pod_spec()
        elif kind in TEMPLATES:
            node = root
            for step in TEMPLATES[kind].split("."):
                node = node.fields[step]
            node.fields["spec"] = pod_spec()
        _trees[kind] = root
    return _trees[kind]


def _outer(kind: str) -> list[Row]:
    found = parse(table.ROOT) + parse(table.META, "metadata.")
    if kind != "Pod":
        found += _spec_rows(kind) + parse(table.META, f"{TEMPLATES[kind]}.metadata.")
    return found


def pod_spec() -> Node:
    """The tree of a PodSpec; containers and init containers share theirs."""
    if not _pod_spec:
        node = Node()
        claim = ((table.CLAIM_META, f"{CLAIM_TEMPLATE}metadata."), (table.CLAIM, f"{CLAIM_TEMPLATE}spec."))
        parts = ((table.POD, ""), (table.VOLUME, "volumes[]."), *claim, (table.CONTAINER, "containers[]."))
        for text, prefix in parts:
            for row in parse(text):
                _plant(node, prefix + row.path, row)
        init = Node()
        init.row, init.fields = node.fields["initContainers"].row, node.fields["containers"].fields
        node.fields["initContainers"] = init
        _pod_spec.append(node)
    return _pod_spec[0]


def _plant(root: Node, path: str, row: Row) -> None:
    node = root
    for step in path.replace("{", ".{").split("."):
        if step == "{}" and node.fields:  # every other key than those named before
            node.any = node.any or Node()
            node = node.any
        elif step != "{}":
            name = step.strip("{}").removesuffix("[]")
            node = node.fields.setdefault(name, Node())
    node.row = row


def find(kind: str, path: tuple[str | int, ...]) -> Row | None:
    """The row that speaks for a field: its own, or that of the nearest ancestor whose row speaks for all below it."""
    node: Node | None = tree(kind)
    covering: Row | None = None
    for step in path:
        if isinstance(step, int):
            continue
        node = (node.fields.get(step) or node.any) if node else None
        if node is None:
            return covering
        row = node.row
        if row is not None and (row.support != WORKS or row.path.endswith("{}")):
            covering = row
    return node.row or covering if node else covering


def hits(obj: dict[str, Any], kind: str) -> Iterator[Hit]:
    """Fields of `obj` that have no effect or are not supported. Ask with the object as written, without defaults."""
    return _walk(obj, tree(kind), ())


def _walk(value: Any, node: Node, path: tuple[str | int, ...]) -> Iterator[Hit]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, (dict, list)):
                yield from _walk(item, node, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            child = node.fields.get(key) or node.any
            if child is None or item is None:
                continue
            row = child.row
            support = row.of(item) if row is not None else WORKS
            if row is not None and support != WORKS:
                if row.when_empty or (item != [] and item != {}):
                    yield Hit((*path, key), row, support)
            elif child.fields or child.any:
                yield from _walk(item, child, (*path, key))


def unsupported(obj: dict[str, Any], kind: str) -> list[Fault]:
    """A fault for each field of `obj` that this version does not support; places are added by the caller (places.placed)."""
    return [
        Fault(text(hit.path), "NotSupported", message(hit.row), _others(hit.row))
        for hit in hits(obj, kind)
        if hit.support == NOT_SUPPORTED
    ]


def message(row: Row) -> str:
    """What a person reads: whether it will come, and why it is not there."""
    what, _, issue = row.note.partition(": issue ")
    return f"not supported yet: {what}" if issue else f"not supported: {what}"


def _others(row: Row) -> str:
    return f"supported: {', '.join(row.only)}" if row.only else ""


def no_effect(obj: dict[str, Any], kind: str) -> list[tuple[str, str]]:
    """(field path, why) for each field of `obj` that is accepted and changes nothing."""
    return [(text(hit.path), hit.row.note) for hit in hits(obj, kind) if hit.support == NO_EFFECT]


def text(path: tuple[str | int, ...]) -> str:
    """A path as Kubernetes writes it: `spec.containers[0].env`, keys of maps in brackets."""
    made = ""
    for at, step in enumerate(path):
        if isinstance(step, int) or (at and path[at - 1] in ("limits", "requests", "labels", "annotations")):
            made += f"[{step}]"
        else:
            made += f".{step}" if made else step
    return made
