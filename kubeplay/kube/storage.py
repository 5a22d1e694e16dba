"""PersistentVolumes, claims and classes as binding sees them, read from their objects (PV1, PV2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeplay.record import Record

DEFAULT_CLASS = "local"  # PV4: the built-in one
DEFAULT_MARK = "storageclass.kubernetes.io/is-default-class"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
PROVISIONER = "kubeplay.io/local"
PROVISIONED = "pv.kubernetes.io/provisioned-by"
ONE_POD = "ReadWriteOncePod"

Object = dict[str, Any]


class Meta(Record):
    """What the store says of an object beside its body."""

    uid: str = ""
    created: float = 0.0
    deleted: bool = False


class VolumeView(Record):
    """A PersistentVolume; `claim` is spec.claimRef as (namespace, name); `kind` hostPath or local; `ours`: made for a claim."""

    name: str
    capacity: int
    modes: tuple[str, ...]
    storage_class: str = ""
    mode: str = "Filesystem"
    labels: Mapping[str, str] = {}
    claim: tuple[str, str] | None = None
    policy: str = "Retain"
    kind: str = "hostPath"
    path: str = ""
    type: str = ""
    ours: bool = False
    meta: Meta = Meta()


class ClaimView(Record):
    """A claim; `storage_class` None = the default one; `volume` is spec.volumeName."""

    namespace: str
    name: str
    request: int
    modes: tuple[str, ...]
    storage_class: str | None = None
    mode: str = "Filesystem"
    selector: Mapping[str, Any] | None = None
    volume: str = ""
    meta: Meta = Meta()

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name


class ClassView(Record):
    """A StorageClass; `waits`: WaitForFirstConsumer."""

    name: str
    provisioner: str = PROVISIONER
    policy: str = "Delete"
    waits: bool = False
    expands: bool = True
    default: bool = False
    meta: Meta = Meta()


BUILT_IN = ClassView(DEFAULT_CLASS)


def volume(body: Object, meta: Meta = Meta()) -> VolumeView:  # noqa: B008
    spec = body["spec"]
    kind = "local" if spec.get("local") else "hostPath"
    source, claim = spec.get(kind) or {}, spec.get("claimRef") or {}
    return VolumeView(
        body["metadata"]["name"], amount((spec.get("capacity") or {}).get("storage")), tuple(spec.get("accessModes") or ()),
        spec.get("storageClassName") or "", spec.get("volumeMode") or "Filesystem", body["metadata"].get("labels") or {},
        (claim.get("namespace") or "default", claim["name"]) if claim.get("name") else None,
        spec.get("persistentVolumeReclaimPolicy") or "Retain", kind, source.get("path") or "", source.get("type") or "",
        (body["metadata"].get("annotations") or {}).get(PROVISIONED) == PROVISIONER, meta,
    )  # fmt: skip


def claim(body: Object, meta: Meta = Meta()) -> ClaimView:  # noqa: B008
    spec = body["spec"]
    return ClaimView(
        body["metadata"].get("namespace") or "default", body["metadata"]["name"],
        amount(((spec.get("resources") or {}).get("requests") or {}).get("storage")), tuple(spec.get("accessModes") or ()),
        spec.get("storageClassName"), spec.get("volumeMode") or "Filesystem", spec.get("selector"), spec.get("volumeName") or "", meta,
    )  # fmt: skip


def storage_class(body: Object, meta: Meta = Meta()) -> ClassView:  # noqa: B008
    marks = body["metadata"].get("annotations") or {}
    return ClassView(
        body["metadata"]["name"], body["provisioner"], body.get("reclaimPolicy") or "Delete",
        body.get("volumeBindingMode") == "WaitForFirstConsumer", bool(body.get("allowVolumeExpansion")),
        marks.get(DEFAULT_MARK) == "true", meta,
    )  # fmt: skip


def amount(text: Any) -> int:
    from kubeplay.kube import quantity

    return quantity.parse(text).value() if text is not None else 0


IMMUTABLE = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def claim_changes(old: Object, new: Object) -> list[str]:
    """PV3: why a claim's spec cannot become `new`: only its request may change, and only grow."""

    def rest(spec: Object) -> Object:
        return {**spec, "resources": {**(spec.get("resources") or {}), "requests": None}}

    if rest(old) != rest(new):
        return [f"spec: {IMMUTABLE}"]
    before, after = (amount(((spec.get("resources") or {}).get("requests") or {}).get("storage")) for spec in (old, new))
    return ["spec.resources.requests.storage: field can not be less than status.capacity"] if after < before else []
