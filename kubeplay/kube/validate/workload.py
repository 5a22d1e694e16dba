"""Deployment and ReplicaSet (DE1, RP1; VL3: the selector must match the template's labels)."""

from __future__ import annotations

from typing import Any

from kubeplay.kube import labels, names
from kubeplay.kube.validate import metadata, pod
from kubeplay.kube.validate.report import Faults, Object, record


def deployment(faults: Faults, obj: Object) -> None:
    """A Deployment."""
    metadata.check(faults, obj["metadata"], names.dns_subdomain)
    spec = obj.get("spec") or {}
    faults.not_negative("spec.replicas", spec.get("replicas"))
    _selected(faults, spec)
    _strategy(faults, spec.get("strategy") or {})
    ready = spec.get("minReadySeconds") or 0
    faults.not_negative("spec.minReadySeconds", ready)
    faults.not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        faults.not_negative("spec.progressDeadlineSeconds", deadline)
        if deadline <= ready:
            faults.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def replica_set(faults: Faults, obj: Object) -> None:
    """A ReplicaSet."""
    metadata.check(faults, obj["metadata"], names.dns_subdomain)
    spec = obj.get("spec") or {}
    faults.not_negative("spec.replicas", spec.get("replicas"))
    faults.not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    _selected(faults, spec)


def _selected(faults: Faults, spec: Object) -> None:
    """The selector, and the template unless the selector cannot be used at all."""
    selector = record(spec, "selector")
    before = len(faults)
    if selector is None:
        faults.required("spec.selector", hint="matchLabels with the labels of the template")
        before = len(faults)
    else:
        metadata.check_selector(faults, "spec.selector", selector)
    bad = len(faults) > before
    if selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions"):
        faults.invalid("spec.selector", selector, "empty selector is invalid for deployment")
    if bad:
        faults.invalid("spec.selector", selector, "invalid label selector")
        return
    _template(faults, record(spec, "template") or {}, selector, spec.get("replicas") or 0)


def _template(faults: Faults, template: Object, selector: Object | None, replicas: int) -> None:
    path = "spec.template"
    meta, spec = record(template, "metadata") or {}, record(template, "spec") or {}
    if not labels.matches(selector, meta.get("labels")):
        hint = "the template's labels must contain all of the selector's"
        faults.invalid(f"{path}.metadata.labels", meta.get("labels"), "`selector` does not match template `labels`", hint)
    pod.template(faults, path, meta, spec)
    if replicas > 1:
        _shared_disks(faults, f"{path}.spec.volumes", spec)
    if spec.get("restartPolicy") != "Always":
        faults.unsupported(f"{path}.spec.restartPolicy", spec.get("restartPolicy") or "", ("Always",))
    if spec.get("activeDeadlineSeconds") is not None:
        faults.forbidden(f"{path}.spec.activeDeadlineSeconds", "activeDeadlineSeconds in ReplicaSet is not Supported")


def _shared_disks(faults: Faults, path: str, spec: Object) -> None:
    """A cloud disk can be attached once only, unless read-only."""
    for index, volume in enumerate(spec.get("volumes") or []):
        for field, detail in (("gcePersistentDisk", "GCE PD"), ("awsElasticBlockStore", "AWS EBS")):
            disk = volume.get(field) if isinstance(volume, dict) else None
            if isinstance(disk, dict) and not disk.get("readOnly"):
                text = f"must be true for replicated pods > 1; {detail} can only be mounted on multiple machines if it is read-only"
                faults.invalid(f"{path}[{index}].{field}.readOnly", False, text)


def _strategy(faults: Faults, strategy: Object) -> None:
    kind, rolling = strategy.get("type"), record(strategy, "rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            faults.forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    elif kind == "RollingUpdate":
        _rolling(faults, "spec.strategy.rollingUpdate", rolling or {})
    else:
        shown = {"Type": kind, "RollingUpdate": rolling}
        faults.unsupported("spec.strategy", shown, ("Recreate", "RollingUpdate"))


def _rolling(faults: Faults, path: str, rolling: Object) -> None:
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    for field, value in (("maxUnavailable", unavailable), ("maxSurge", surge)):
        if isinstance(value, str):
            faults.each(f"{path}.{field}", value, names.percent(value))
        else:
            faults.not_negative(f"{path}.{field}", value)
    if _amount(unavailable) == 0 and _amount(surge) == 0:
        faults.invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0", "no pod could ever be replaced")
    if isinstance(unavailable, str) and not names.percent(unavailable) and int(unavailable[:-1]) > 100:
        faults.invalid(f"{path}.maxUnavailable", unavailable, "must not be greater than 100%")


def _amount(value: Any) -> int:
    """The number in `25%`, `"3"` or 3; what is none of these counts as 0."""
    if not isinstance(value, str):
        return value if isinstance(value, int) else 0
    digits = value[:-1] if value.endswith("%") else value
    return int(digits) if digits.isdecimal() and digits.isascii() and len(digits) < 12 else 0
