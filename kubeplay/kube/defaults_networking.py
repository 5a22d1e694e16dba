"""What the API server fills into Ingress, IngressClass and NetworkPolicy (IG1, NP1)."""

from __future__ import annotations

from typing import Any

from kubeplay.kube.defaults_pod import records

Object = dict[str, Any]


def network_policy(obj: Object) -> None:
    """NP1: TCP unless said; the directions follow from the rules that there are, ingress always."""
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        spec = obj["spec"] = {}
    spec.setdefault("podSelector", {})
    for field in ("ingress", "egress"):
        for rule in records(spec, field):
            for port in records(rule, "ports"):
                port.setdefault("protocol", "TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def ingress_class(obj: Object) -> None:
    obj["metadata"].pop("namespace", None)  # it lives in none
    parameters = (obj.get("spec") or {}).get("parameters")
    if isinstance(parameters, dict):
        parameters.setdefault("scope", "Cluster")
