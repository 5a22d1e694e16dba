"""PodDisruptionBudget [K: pkg/apis/policy/validation/validation.go]."""

from __future__ import annotations

from kubeplay.kube import names
from kubeplay.kube.validate import metadata, shares
from kubeplay.kube.validate.report import Faults, Object, record

POLICIES = ("AlwaysAllow", "IfHealthyBudget")


def budget(faults: Faults, obj: Object) -> None:
    """A PodDisruptionBudget: at most one of its two bounds."""
    metadata.check(faults, obj["metadata"], names.dns_subdomain)
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        faults.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    for field in ("minAvailable", "maxUnavailable"):
        shares.positive(faults, f"spec.{field}", spec.get(field))
        shares.not_over_all(faults, f"spec.{field}", spec.get(field))
    metadata.check_selector(faults, "spec.selector", record(spec, "selector"))
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in POLICIES:
        faults.unsupported("spec.unhealthyPodEvictionPolicy", policy, POLICIES)
