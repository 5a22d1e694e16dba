"""HorizontalPodAutoscaler, autoscaling/v1 and v2 [K: pkg/apis/autoscaling/validation/validation.go].

The server turns v1 into v2 before it looks, so a bad targetCPUUtilizationPercentage is reported at the metric that it became.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.kube import names, quantity
from kubeplay.kube.validate import metadata
from kubeplay.kube.validate.report import Faults, Object, record, records

_PERIOD_MAX, _WINDOW_MAX = 1800, 3600  # [K: validation.go MaxPeriodSeconds, MaxStabilizationWindowSeconds]
_TARGETS = ("Utilization", "Value", "AverageValue")
_POLICIES = ("Pods", "Percent")
_SELECT = ("Disabled", "Max", "Min")


def autoscaler(faults: Faults, obj: Object) -> None:
    """A HorizontalPodAutoscaler."""
    metadata.check(faults, obj["metadata"], names.dns_subdomain)
    spec = obj.get("spec") or {}
    least, most = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if least is not None and least < 1:
        faults.invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        faults.invalid("spec.maxReplicas", most, "must be greater than 0")
    if least is not None and most < least:
        faults.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    _reference(faults, "spec.scaleTargetRef", record(spec, "scaleTargetRef") or {})
    for index, metric in enumerate(_metrics(obj, spec)):
        _metric(faults, f"spec.metrics[{index}]", metric)
    for field in ("scaleUp", "scaleDown"):
        rules = record(record(spec, "behavior"), field)
        if rules is not None:
            _rules(faults, f"spec.behavior.{field}", rules)


def _metrics(obj: Object, spec: Object) -> list[Object]:
    if obj.get("apiVersion") != "autoscaling/v1":
        return records(spec, "metrics")
    share = spec.get("targetCPUUtilizationPercentage")
    if share is None:
        return []
    return [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": share}}}]


def _reference(faults: Faults, path: str, reference: Object) -> None:
    for field in ("kind", "name"):
        value = reference.get(field) or ""
        if not value:
            faults.required(f"{path}.{field}")
        else:
            faults.each(f"{path}.{field}", value, _segment(value))
    version = reference.get("apiVersion") or ""
    if version.count("/") > 1:
        faults.invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}")


def _segment(text: str) -> list[str]:
    """What may be one part of a path [K: AM/api/validation/path]."""
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{bad}'" for bad in "/%" if bad in text]


def _metric(faults: Faults, path: str, metric: Object) -> None:
    kind = metric.get("type") or ""
    if not kind:
        faults.required(f"{path}.type", "must specify a metric source type")
    if kind not in _SOURCES:
        faults.unsupported(f"{path}.type", kind, sorted(_SOURCES))
    own = _SOURCES.get(kind, ("", None))[0]
    present = [field for field, _ in _SOURCES.values() if record(metric, field) is not None]
    if own and own not in present:
        faults.required(f"{path}.{own}", "must populate information for the given metric source")
    for field, check in _SOURCES.values():
        source = record(metric, field)
        if source is not None:
            check(faults, f"{path}.{field}", source)
    if len(present) != 1:
        for field in present:
            if field != own:
                faults.forbidden(f"{path}.{field}", "must populate the given metric source only")


def _target(faults: Faults, path: str, source: Object) -> Object:
    target = record(source, "target") or {}
    kind = target.get("type") or ""
    if not kind:
        faults.required(f"{path}.target.type", "must specify a metric target type")
    if kind not in _TARGETS:
        faults.invalid(f"{path}.target.type", kind, "must be either Utilization, Value, or AverageValue")
    share = target.get("averageUtilization")
    if share is not None and share < 1:
        faults.invalid(f"{path}.target.averageUtilization", share, "must be greater than 0")
    for field in ("value", "averageValue"):
        if target.get(field) is not None and not _above_zero(target[field]):
            faults.invalid(f"{path}.target.{field}", target[field], "must be positive")
    return target


def _above_zero(text: Any) -> bool:
    try:
        return quantity.parse(text).nanos > 0
    except InvalidInput:
        return False


def _resource(faults: Faults, path: str, source: Object) -> None:
    if not source.get("name"):
        faults.required(f"{path}.name", "must specify a resource name")
    target = _target(faults, path, source)
    share, value = target.get("averageUtilization"), target.get("averageValue")
    if share is None and value is None:
        faults.required(f"{path}.target.averageUtilization", "must set either a target raw value or a target utilization")
    if share is not None and value is not None:
        faults.forbidden(f"{path}.target.averageValue", "may not set both a target raw value and a target utilization")


def _container_resource(faults: Faults, path: str, source: Object) -> None:
    if not source.get("container"):
        faults.required(f"{path}.container", "must specify a container")
    _resource(faults, path, source)


def _identifier(faults: Faults, path: str, source: Object) -> None:
    name = (record(source, "metric") or {}).get("name") or ""
    if not name:
        faults.required(f"{path}.metric.name", "must specify a metric name")
    else:
        faults.each(f"{path}.metric.name", name, _segment(name))


def _pods(faults: Faults, path: str, source: Object) -> None:
    _identifier(faults, path, source)
    if _target(faults, path, source).get("averageValue") is None:
        faults.required(f"{path}.target.averageValue", "must specify a positive target averageValue")


def _object(faults: Faults, path: str, source: Object) -> None:
    _reference(faults, f"{path}.describedObject", record(source, "describedObject") or {})
    _identifier(faults, path, source)
    target = _target(faults, path, source)
    if target.get("value") is None and target.get("averageValue") is None:
        faults.required(f"{path}.target.averageValue", "must set either a target value or averageValue")


def _external(faults: Faults, path: str, source: Object) -> None:
    _identifier(faults, path, source)
    target = _target(faults, path, source)
    if target.get("value") is None and target.get("averageValue") is None:
        faults.required(f"{path}.target.averageValue", "must set either a target value for metric or a per-pod target")
    if target.get("value") is not None and target.get("averageValue") is not None:
        faults.forbidden(f"{path}.target.value", "may not set both a target value for metric and a per-pod target")


_SOURCES: dict[str, tuple[str, Callable[[Faults, str, Object], None]]] = {
    "Object": ("object", _object),
    "Pods": ("pods", _pods),
    "Resource": ("resource", _resource),
    "External": ("external", _external),
    "ContainerResource": ("containerResource", _container_resource),
}


def _rules(faults: Faults, path: str, rules: Object) -> None:
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and window < 0:
        faults.invalid(f"{path}.stabilizationWindowSeconds", window, "must be greater than or equal to zero")
    if window is not None and window > _WINDOW_MAX:
        faults.invalid(f"{path}.stabilizationWindowSeconds", window, f"must be less than or equal to {_WINDOW_MAX}")
    if rules.get("selectPolicy") is not None and rules["selectPolicy"] not in _SELECT:
        faults.unsupported(f"{path}.selectPolicy", rules["selectPolicy"], _SELECT)
    policies = records(rules, "policies")
    if not policies:
        faults.required(f"{path}.policies", "must specify at least one Policy")
    for index, policy in enumerate(policies):
        _policy(faults, f"{path}.policies[{index}]", policy)


def _policy(faults: Faults, path: str, policy: Object) -> None:
    if policy.get("type") not in _POLICIES:
        faults.unsupported(f"{path}.type", policy.get("type") or "", _POLICIES)
    period = policy.get("periodSeconds") or 0
    if (policy.get("value") or 0) <= 0:
        faults.invalid(f"{path}.value", policy.get("value") or 0, "must be greater than zero")
    if period <= 0:
        faults.invalid(f"{path}.periodSeconds", period, "must be greater than zero")
    if period > _PERIOD_MAX:
        faults.invalid(f"{path}.periodSeconds", period, f"must be less than or equal to {_PERIOD_MAX}")
