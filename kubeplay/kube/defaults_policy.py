"""Defaults of the kinds that rule over others: PriorityClass, LimitRange, roles' bindings."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
PREEMPT = "PreemptLowerPriority"


def priority_class(obj: Object) -> None:
    obj.setdefault("value", 0)
    obj.setdefault("preemptionPolicy", PREEMPT)


def limit_range(obj: Object) -> None:
    """Of a container: a maximum is a default limit, a default limit a default request; else a minimum is."""
    for item in (obj.get("spec") or {}).get("limits") or []:
        if not isinstance(item, dict) or item.get("type") != "Container":
            continue
        default = {**(item.get("max") or {}), **(item.get("default") or {})}
        request = {**(item.get("min") or {}), **default, **(item.get("defaultRequest") or {})}
        for field, made in (("default", default), ("defaultRequest", request)):
            if made:
                item[field] = made


def binding(obj: Object) -> None:
    """A RoleBinding's or ClusterRoleBinding's groups."""
    reference = obj.get("roleRef")
    if isinstance(reference, dict) and not reference.get("apiGroup"):
        reference["apiGroup"] = RBAC
    for subject in obj.get("subjects") or []:
        if isinstance(subject, dict) and not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
            subject["apiGroup"] = RBAC
