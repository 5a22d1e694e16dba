"""env and envFrom (EN1, EN4, EN5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeplay.plan.env import EnvEntry, EnvField, EnvFileKey, EnvFrom, EnvKeyRef, EnvLiteral, EnvResource


def entries(container: Mapping[str, Any]) -> tuple[EnvEntry, ...]:
    return tuple([_entry(e) for e in container.get("env") or []])


def _entry(item: Mapping[str, Any]) -> EnvEntry:
    name, source = item["name"], item.get("valueFrom") or {}
    if item.get("value") or not source:  # an empty value beside valueFrom is allowed and means nothing
        return EnvLiteral(name, item.get("value") or "")
    for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        ref = source.get(field)
        if ref is not None:
            return EnvKeyRef(name, kind, ref.get("name") or "", ref["key"], bool(ref.get("optional")))
    if source.get("fieldRef") is not None:
        return EnvField(name, source["fieldRef"]["fieldPath"])
    ref = source.get("fileKeyRef")
    if ref is not None:
        return EnvFileKey(name, ref["volumeName"], ref["path"], ref["key"], bool(ref.get("optional")))
    ref = source["resourceFieldRef"]
    return EnvResource(name, ref["resource"], ref.get("containerName") or "", str(ref.get("divisor") or "0"))


def sources(container: Mapping[str, Any]) -> tuple[EnvFrom, ...]:
    return tuple([_source(e) for e in container.get("envFrom") or []])


def _source(item: Mapping[str, Any]) -> EnvFrom:
    kind = "ConfigMap" if item.get("configMapRef") is not None else "Secret"
    ref = item.get("configMapRef") or item.get("secretRef") or {}
    return EnvFrom(kind, ref.get("name") or "", item.get("prefix") or "", bool(ref.get("optional")))
