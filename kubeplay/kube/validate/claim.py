"""PersistentVolumeClaim, also as the template inside an ephemeral volume (PV1-PV3)."""

from __future__ import annotations

from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.kube import names, quantity
from kubeplay.kube.validate import metadata
from kubeplay.kube.validate.report import NEGATIVE, NOT_POSITIVE, Faults, Object, record

MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_TEMPLATE_METADATA = ("labels", "annotations")


def claim(faults: Faults, obj: Object) -> None:
    """A PersistentVolumeClaim."""
    metadata.check(faults, obj["metadata"], names.dns_subdomain)
    check_spec(faults, "spec", obj.get("spec") or {})


def template(faults: Faults, path: str, obj: Object) -> None:
    """volumeClaimTemplate of an ephemeral volume: labels, annotations and a spec."""
    meta = record(obj, "metadata") or {}
    metadata.check_labels(faults, f"{path}.metadata.labels", meta.get("labels"))
    metadata.check_annotations(faults, f"{path}.metadata.annotations", meta.get("annotations"))
    for field in meta:
        if field not in _TEMPLATE_METADATA:
            faults.forbidden(f"{path}.metadata.{field[0].upper() + field[1:]}", "cannot be set for an ephemeral volume")
    check_spec(faults, f"{path}.spec", obj.get("spec") or {})


def check_spec(faults: Faults, path: str, spec: Object) -> None:
    """The claim itself."""
    modes = spec.get("accessModes") or []
    if not modes:
        faults.required(f"{path}.accessModes", "at least 1 access mode is required", "ReadWriteOnce is the usual one")
    metadata.check_selector(faults, f"{path}.selector", record(spec, "selector"))
    for mode in modes:
        if mode not in MODES:
            faults.unsupported(f"{path}.accessModes", mode, MODES)
    if "ReadWriteOncePod" in modes and any(mode in MODES[:3] for mode in modes):
        faults.forbidden(f"{path}.accessModes", "may not use ReadWriteOncePod with other access modes")
    _size(faults, f"{path}.resources[storage]", spec)
    for field in ("storageClassName", "volumeAttributesClassName"):
        if spec.get(field):
            faults.each(f"{path}.{field}", spec[field], names.dns_subdomain(spec[field]))
    if spec.get("volumeMode") not in (None, "Block", "Filesystem"):
        faults.unsupported(f"{path}.volumeMode", spec["volumeMode"], ("Block", "Filesystem"))
    _sources(faults, path, spec)


def _size(faults: Faults, path: str, spec: Object) -> None:
    text = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if text is None:
        faults.required(path, hint="resources.requests.storage says how much, as 1Gi")
        return
    more_than_nothing(faults, path, text)


def more_than_nothing(faults: Faults, path: str, text: Any) -> None:
    """A size of storage, of a claim or of a volume."""
    try:
        amount = quantity.parse(text)
    except InvalidInput as error:
        faults.invalid(path, text, error.message)
        return
    if amount.nanos < 0:
        faults.invalid(path, amount.canonical(), NEGATIVE)
    if amount.nanos <= 0:
        faults.invalid(path, amount.canonical(), NOT_POSITIVE)


def _sources(faults: Faults, path: str, spec: Object) -> None:
    source, reference = record(spec, "dataSource"), record(spec, "dataSourceRef")
    for field, value in (("dataSource", source), ("dataSourceRef", reference)):
        if value is not None:
            _source(faults, f"{path}.{field}", value)
    if source and reference and any((source.get(f) or "") != (reference.get(f) or "") for f in ("apiGroup", "kind", "name")):
        faults.invalid(path, f"{path}.dataSource", "must match dataSourceRef")


def _source(faults: Faults, path: str, source: Object) -> None:
    for field in ("name", "kind"):
        if not source.get(field):
            faults.required(f"{path}.{field}")
    group = source.get("apiGroup") or ""
    if not group and source.get("kind") != "PersistentVolumeClaim":
        faults.invalid(path, source.get("kind") or "", "must be 'PersistentVolumeClaim' when referencing the default apiGroup")
    if group:
        faults.each(f"{path}.apiGroup", group, names.dns_subdomain(group))
