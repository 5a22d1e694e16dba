"""ApplySets: who belongs together says a label, and a parent object says what the label means (KEP-3659). Pure.

The same labels, annotations and ids as kubectl's `apply --applyset`: a set that was applied here is understood there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kubeplay import __version__
from kubeplay.errors import Conflict, InvalidInput
from kubeplay.kube import kinds
from kubeplay.kube.check import Manifest
from kubeplay.kube.defaults import apply as with_defaults
from kubeplay.plan.stack import ObjectKey
from kubeplay.play import change, given
from kubeplay.record import Record

Json = dict[str, Any]
PART_OF = change.PART_OF
ID, TOOLING, OURS = given.SET_ID, given.TOOLING, given.OURS
KINDS = "applyset.kubernetes.io/contains-group-kinds"
NAMESPACES = "applyset.kubernetes.io/additional-namespaces"
PARENTS = {"secret": "Secret", "secrets": "Secret", "configmap": "ConfigMap", "configmaps": "ConfigMap", "cm": "ConfigMap"}


class ApplySet(Record):
    """A set by its parent object; `id` is what members have as their label."""

    kind: str
    namespace: str
    name: str
    id: str

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, self.namespace, self.name)


def named(text: str, namespace: str) -> ApplySet:
    """The set of `NAME`, `secret/NAME` or `configmap/NAME`. Raises InvalidInput."""
    from kubeplay.kube import names

    word, _, name = text.rpartition("/")
    kind = PARENTS.get(word.lower() or "secret")
    if kind is None:
        raise InvalidInput(f"--applyset {text}: a parent is a Secret or a ConfigMap", hint="--applyset NAME, --applyset configmap/NAME")
    wrong = names.dns_subdomain(name)
    if wrong:
        raise InvalidInput(f"--applyset {text}: {name!r} cannot name an object: {wrong[0]}")
    return ApplySet(kind, namespace, name, _id(name, namespace, kind, ""))


def _id(*parts: str) -> str:
    """KEP-3659: applyset-<base64url(sha256(name.namespace.kind.group))>-v1, without padding."""
    from base64 import urlsafe_b64encode
    from hashlib import sha256

    digest = sha256(".".join(parts).encode()).digest()
    return f"applyset-{urlsafe_b64encode(digest).decode().rstrip('=')}-v1"


def labelled(manifests: Iterable[Manifest], wanted: ApplySet, lives: Iterable[tuple[ObjectKey, Json]]) -> list[Manifest]:
    """The manifests with the members' label. Raises Conflict where a live object is another set's."""
    taken = [(key, label) for key, body in lives if (label := label_of(body)) and label != wanted.id]
    if taken:
        lines = [f'  {key} is already part of another ApplySet "{label}"' for key, label in taken]
        raise Conflict("these objects belong to another set:\n" + "\n".join(lines), hint=f"take the label {PART_OF} off them first")
    made = []
    for manifest in manifests:
        meta = manifest.object["metadata"]
        labels = {**(meta.get("labels") or {}), PART_OF: wanted.id}
        made.append(manifest._replace(object={**manifest.object, "metadata": {**meta, "labels": labels}}))
    return made


def label_of(body: Json) -> str:
    """The set that an object says it is of; "" = none."""
    return str(((body.get("metadata") or {}).get("labels") or {}).get(PART_OF) or "")


def parent(wanted: ApplySet, keys: Sequence[ObjectKey], old: Json | None) -> Json:
    """The parent object of these members; `old` is what is stored of it. Raises Conflict for one that another program looks after."""
    meta = dict((old or {}).get("metadata") or {})
    marks, labels = dict(meta.get("annotations") or {}), dict(meta.get("labels") or {})
    tool = str(marks.get(TOOLING) or OURS).partition("/")[0]
    if tool != OURS:
        raise Conflict(f'ApplySet parent object "{wanted.name}" already exists and is managed by tooling "{tool}" instead of "{OURS}"')
    labels[ID] = wanted.id
    marks[TOOLING] = f"{OURS}/{__version__}"
    marks[KINDS] = ",".join(sorted({_group_kind(key.kind) for key in keys}))
    marks[NAMESPACES] = ",".join(sorted({key.namespace for key in keys} - {"", wanted.namespace}))
    found = old or {"apiVersion": "v1", "kind": wanted.kind}
    made = {**found, "metadata": {**meta, "name": wanted.name, "namespace": wanted.namespace, "labels": labels, "annotations": marks}}
    kind = kinds.find("v1", wanted.kind)
    assert kind is not None
    return with_defaults(made, kind)


def _group_kind(name: str) -> str:
    group = next((one.group for one in kinds.table().values() if one.kind == name), "")
    return f"{name}.{group}" if group else name
