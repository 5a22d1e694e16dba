"""Which changes of a Service, and of a user's EndpointSlice, `--update` makes in place: as the API server allows them (SV1). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeplay.plan.service import ServicePlan

Object = Mapping[str, Any]
FIXED = "may not change once set"


def service(given: ServicePlan | None, old: Object, new: Object) -> list[str]:
    """A cluster address stays while the type has one; everything else may change. `given`: the old one with its addresses."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if "ExternalName" in (before.get("type"), after.get("type")) or given is None:
        return []
    wanted, held = _addresses(after), list(given.cluster_ips or (given.cluster_ip,))
    if not wanted and before.get("clusterIP") != "None":
        return []  # left out: the address that was given is kept
    shown = ", ".join(wanted) or "(none)"
    return [] if wanted == held[: len(wanted)] and wanted else [f"spec.clusterIPs[0]: {', '.join(held)} -> {shown}: {FIXED}"]


def _addresses(spec: Object) -> list[str]:
    return list(spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else []))


def endpoint_slice(old: Object, new: Object) -> list[str]:
    return [] if old.get("addressType") == new.get("addressType") else ["addressType: field is immutable"]
