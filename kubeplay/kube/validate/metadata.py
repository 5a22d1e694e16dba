"""metadata of every object (VL1, VL2): names, namespace, labels, annotations, owners, finalizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubeplay.kube import labels as label_rules
from kubeplay.kube import names
from kubeplay.kube.validate.report import Faults, Object, records

NameRule = Callable[[str], list[str]]
_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")


def check(faults: Faults, metadata: Object, rule: NameRule, *, namespaced: bool = True) -> None:
    """All of metadata; `rule` is the kind's rule for names."""
    _names(faults, metadata, rule)
    namespace = metadata.get("namespace")
    if namespace and namespaced:
        faults.each("metadata.namespace", namespace, names.dns_label(namespace))
    faults.not_negative("metadata.generation", metadata.get("generation"))
    check_labels(faults, "metadata.labels", metadata.get("labels"))
    check_annotations(faults, "metadata.annotations", metadata.get("annotations"))
    _owners(faults, metadata)
    _finalizers(faults, metadata.get("finalizers") or [])


def _names(faults: Faults, metadata: Object, rule: NameRule) -> None:
    base, name = metadata.get("generateName") or "", metadata.get("name") or ""
    if base:
        faults.each("metadata.generateName", base, rule(names.generate_base(base)))
        name = name or names.generated(base)
    if not name:
        faults.required("metadata.name", "name or generateName is required")
    else:
        faults.each("metadata.name", name, rule(name), _name_hint(name, rule))


def _name_hint(name: str, rule: NameRule) -> str:
    better = name.lower().replace("_", "-").replace(" ", "-").strip("-.")
    return f'"{better}" would do' if better != name and better and not rule(better) else ""


def check_labels(faults: Faults, path: str, labels: dict[str, Any] | None) -> None:
    """A map of labels, or a plain selector."""
    for key, value in (labels or {}).items():
        faults.each(path, key, label_rules.key(key))
        faults.each(path, value, label_rules.value(value or ""), "free text belongs into annotations" if " " in (value or "") else "")


def check_annotations(faults: Faults, path: str, annotations: dict[str, Any] | None) -> None:
    """A map of annotations."""
    if not annotations:
        return
    for key in annotations:
        faults.each(path, key, label_rules.annotation_key(key))
    if label_rules.annotations_size(annotations) > label_rules.ANNOTATIONS_MAX:
        faults.too_long(path, label_rules.ANNOTATIONS_MAX)


def check_selector(faults: Faults, path: str, selector: Object | None) -> None:
    """A LabelSelector."""
    if selector is None:
        return
    check_labels(faults, f"{path}.matchLabels", selector.get("matchLabels"))
    for index, term in enumerate(records(selector, "matchExpressions")):
        _requirement(faults, f"{path}.matchExpressions[{index}]", term)


def _requirement(faults: Faults, path: str, term: Object) -> None:
    operator, values = term.get("operator") or "", term.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            faults.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            faults.forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    else:
        faults.invalid(f"{path}.operator", operator, "not a valid selector operator", "one of In, NotIn, Exists, DoesNotExist")
    name = term.get("key") or ""
    faults.each(f"{path}.key", name, label_rules.key(name))
    for index, value in enumerate(values):
        faults.each(f"{path}.values[{index}]", value, label_rules.value(value))


def _owners(faults: Faults, metadata: Object) -> None:
    path, controller = "metadata.ownerReferences", ""
    for owner in records(metadata, "ownerReferences"):
        version = (owner.get("apiVersion") or "").rpartition("/")[2]
        if not version:
            faults.invalid(f"{path}.apiVersion", owner.get("apiVersion") or "", "version must not be empty")
        for field in ("kind", "name", "uid"):
            if not owner.get(field):
                faults.invalid(f"{path}.{field}", "", "must not be empty")
        if (owner.get("apiVersion"), owner.get("kind")) in (("v1", "Event"), ("events.k8s.io/v1", "Event")):
            faults.invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner")
        if owner.get("controller"):
            this = f"{owner.get('kind')}/{owner.get('name')}"
            if controller:
                detail = f'Only one reference can have Controller set to true. Found "true" in references for {controller} and {this}'
                faults.invalid(path, metadata["ownerReferences"], detail)
            controller = controller or this


def _finalizers(faults: Faults, finalizers: list[str]) -> None:
    path = "metadata.finalizers"
    for name in finalizers:
        faults.each(path, name, names.qualified(name))
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        faults.invalid(path, finalizers, "finalizer orphan and foregroundDeletion cannot be both set")
    for index, name in enumerate(finalizers):
        if "/" not in name and name not in _STANDARD_FINALIZERS:
            faults.invalid(f"{path}[{index}]", name, "name is neither a standard finalizer name nor is it fully qualified")
