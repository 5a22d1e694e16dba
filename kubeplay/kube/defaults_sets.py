"""Defaults of StatefulSets, DaemonSets, autoscalers (ST3, DS1) [K: pkg/apis/{apps,autoscaling}/*/defaults.go]."""

from __future__ import annotations

from typing import Any

from kubeplay.kube import defaults_pod

Object = dict[str, Any]
ROLLING = "RollingUpdate"
# [K: autoscaling/v2/defaults.go] up: twice as many or four more in 15 s, down: all at once, after the window of the controller.
_UP: Object = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}],
}
_DOWN: Object = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}


def _record(parent: Object, field: str) -> Object:
    value = parent.get(field)
    if not isinstance(value, dict):
        value = parent[field] = {}
    return value


def _template(spec: Object) -> None:
    template = _record(spec, "template")
    _record(template, "metadata")
    defaults_pod.template(_record(template, "spec"))


def stateful_set(obj: Object) -> None:
    """ST2, ST3."""
    spec = _record(obj, "spec")
    if not spec.get("podManagementPolicy"):
        spec["podManagementPolicy"] = "OrderedReady"
    strategy = _record(spec, "updateStrategy")
    if not strategy.get("type"):
        strategy["type"] = ROLLING
    if strategy["type"] == ROLLING:
        _record(strategy, "rollingUpdate").setdefault("partition", 0)
    retention = _record(spec, "persistentVolumeClaimRetentionPolicy")
    for field in ("whenDeleted", "whenScaled"):
        if not retention.get(field):
            retention[field] = "Retain"
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    for claim in defaults_pod.records(spec, "volumeClaimTemplates"):
        claim.setdefault("apiVersion", "v1")
        claim.setdefault("kind", "PersistentVolumeClaim")
        _record(claim, "metadata")
        _record(claim, "spec").setdefault("volumeMode", "Filesystem")
        claim["status"] = {"phase": "Pending"}
    _template(spec)


def daemon_set(obj: Object) -> None:
    """DS1."""
    spec = _record(obj, "spec")
    strategy = _record(spec, "updateStrategy")
    if not strategy.get("type"):
        strategy["type"] = ROLLING
    if strategy["type"] == ROLLING:
        rolling = _record(strategy, "rollingUpdate")
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    spec.setdefault("revisionHistoryLimit", 10)
    marks = _record(obj["metadata"], "annotations")
    marks.setdefault("deprecated.daemonset.template.generation", "1")
    _template(spec)


def autoscaler(obj: Object) -> None:
    """At least one pod, 80 % of the asked cpu, and of the rules what is not given."""
    spec = _record(obj, "spec")
    spec.setdefault("minReplicas", 1)
    if obj.get("apiVersion") == "autoscaling/v1":
        spec.setdefault("targetCPUUtilizationPercentage", 80)
        return
    if not spec.get("metrics"):
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]
    behavior = spec.get("behavior")
    if isinstance(behavior, dict):
        for field, rules in (("scaleUp", _UP), ("scaleDown", _DOWN)):
            behavior[field] = {**rules, **{name: value for name, value in _record(behavior, field).items() if value is not None}}
