"""Service: what the network engine needs of it (SV1-SV3)."""

from __future__ import annotations

from typing import Any

from kubeplay.plan.service import ServicePlan, ServicePort
from kubeplay.play.compile import CompileOptions
from kubeplay.play.kinds.base import Object, Part, key, planned

AFFINITY_SECONDS = 10800  # SV3


def build(obj: Object, options: CompileOptions) -> Part:
    return Part((planned(obj),), services=(plan(obj),))


def plan(obj: Object) -> ServicePlan:
    spec, name = obj["spec"], key(obj)
    return ServicePlan(
        namespace=name.namespace,
        name=name.name,
        type=spec.get("type") or "ClusterIP",
        ports=tuple([_port(p) for p in spec.get("ports") or []]),
        selector=tuple(sorted((spec.get("selector") or {}).items())),
        cluster_ip=spec.get("clusterIP") or "",
        affinity_seconds=_affinity(spec),
        external_ips=tuple(spec.get("externalIPs") or ()),
        publish_not_ready=bool(spec.get("publishNotReadyAddresses")),
        external_name=spec.get("externalName") or "",
        families=tuple(spec.get("ipFamilies") or ("IPv4",)),
        prefer_dual=spec.get("ipFamilyPolicy") == "PreferDualStack",
        cluster_ips=tuple(spec.get("clusterIPs") or ()),
        **_balancer(spec),
    )


def _balancer(spec: dict[str, Any]) -> dict[str, Any]:
    """What a LoadBalancer asks for; the annotation is the older way to write the ranges."""
    if spec.get("type") != "LoadBalancer":
        return {}
    return {
        "load_balancer_ip": spec.get("loadBalancerIP") or "",
        "source_ranges": tuple(spec.get("loadBalancerSourceRanges") or ()),
        "node_ports": spec.get("allocateLoadBalancerNodePorts") is not False,
        "balancer": spec.get("loadBalancerClass") or "",
    }


def _port(item: dict[str, Any]) -> ServicePort:
    return ServicePort(
        port=item["port"],
        target=item.get("targetPort") or item["port"],
        protocol=item.get("protocol") or "TCP",
        name=item.get("name") or "",
        node_port=item.get("nodePort") or 0,
    )


def _affinity(spec: dict[str, Any]) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    return int(((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds") or AFFINITY_SECONDS)
