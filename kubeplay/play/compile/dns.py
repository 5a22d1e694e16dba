"""Host name, domain and resolver settings of a pod (DN1-DN4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeplay.plan.pod import Dns, HostAlias

MAX_HOSTNAME = 63  # DN3: HOST_NAME_MAX is 64 with its end


def hostname(spec: Mapping[str, Any], pod_name: str, node_name: str) -> str:
    """The host name the pod's own UTS namespace gets; the node's for hostNetwork."""
    if spec.get("hostnameOverride"):
        return str(spec["hostnameOverride"])
    if spec.get("hostNetwork"):
        return node_name
    name = spec.get("hostname") or pod_name
    return name if len(name) <= MAX_HOSTNAME else name[:MAX_HOSTNAME].rstrip("-.")


def domain(spec: Mapping[str, Any], namespace: str, cluster_domain: str) -> str:
    """The domain after the host name: only with a subdomain, never with hostnameOverride."""
    if spec.get("hostnameOverride") or not spec.get("subdomain"):
        return ""
    return f"{spec['subdomain']}.{namespace}.svc.{cluster_domain}"


def resolver(spec: Mapping[str, Any]) -> Dns:
    """dnsPolicy as written and dnsConfig; what a policy comes to with hostNetwork is the network's business (DN1)."""
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    config = spec.get("dnsConfig") or {}
    options = [(o["name"], o.get("value") or "") for o in config.get("options") or []]
    return Dns(policy, tuple(config.get("nameservers") or ()), tuple(config.get("searches") or ()), tuple(options))


def aliases(spec: Mapping[str, Any]) -> tuple[HostAlias, ...]:
    return tuple([HostAlias(a["ip"], tuple(a.get("hostnames") or ())) for a in spec.get("hostAliases") or []])
