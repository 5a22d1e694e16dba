"""Service (SV1-SV3). The server hands out addresses before it validates: faults of addresses come alone."""

from __future__ import annotations

from kubeplay.kube import ip, names
from kubeplay.kube.validate import metadata
from kubeplay.kube.validate.ports import PROTOCOLS, port_or_name
from kubeplay.kube.validate.report import Faults, Object, records

KUBELET_PORT = 10250
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_AFFINITY_MAX = 86400
_LOAD_BALANCER_ONLY = "may only be used when `type` is 'LoadBalancer'"
_RANGES_ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"


def service(faults: Faults, obj: Object) -> None:
    """A Service."""
    spec = obj.get("spec") or {}
    _addresses(faults, spec)
    if len(faults):
        return
    metadata.check(faults, obj["metadata"], names.dns_label)
    headless = (spec.get("clusterIPs") or [""])[0] == "None"
    if not spec.get("ports") and not headless and spec.get("type") != "ExternalName":
        faults.required("spec.ports")
    _by_type(faults, spec, headless)
    _ports(faults, spec)
    metadata.check_labels(faults, "spec.selector", spec.get("selector"))
    _affinity(faults, spec)
    _external_ips(faults, spec)
    faults.one_of("spec.type", spec.get("type"), _TYPES)
    _node_ports(faults, spec)
    _unique(faults, spec)
    _load_balancer(faults, obj, spec)
    _traffic(faults, spec)


def _addresses(faults: Faults, spec: Object) -> None:
    if spec.get("type") == "ExternalName":
        return
    addresses, families = spec.get("clusterIPs") or [], spec.get("ipFamilies") or []
    first = spec.get("clusterIP") or ""
    if not first and addresses:
        faults.invalid("spec.clusterIPs", addresses, "must be empty when `clusterIP` is not specified")
    elif first and addresses and addresses[0] != first:
        faults.invalid("spec.clusterIPs", addresses, "first value must match `clusterIP`")
    _families(faults, spec, families)
    before = len(faults)
    for index, text in enumerate(addresses):
        if index == 0 and text == "None":
            if len(addresses) > 1:
                faults.invalid("spec.clusterIPs", addresses, "'None' must be the first and only value")
            continue
        hint = 'a headless Service has "None"' if text.lower() == "none" else ""
        faults.each(f"spec.clusterIPs[{index}]", text, ip.ip(text), hint)
    bad = len(faults) > before
    if len(addresses) > 2:
        faults.invalid("spec.clusterIPs", addresses, "may only hold up to 2 values")
    if bad or first == "None":
        return
    _stack(faults, spec, addresses, families)
    if not len(faults):
        _range(faults, addresses)


def _families(faults: Faults, spec: Object, families: list[str]) -> None:
    for index, family in enumerate(families):
        if family not in ("IPv4", "IPv6"):
            faults.unsupported(f"spec.ipFamilies[{index}]", family, ("IPv4", "IPv6"))
        if family in families[:index]:
            faults.duplicate(f"spec.ipFamilies[{index}]", family)
    policy = spec.get("ipFamilyPolicy")
    if policy and policy not in _POLICIES:
        faults.unsupported("spec.ipFamilyPolicy", policy, _POLICIES)
    if policy == "SingleStack" and not len(faults):
        for field, what in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")):
            if len(spec.get(field) or ()) > 1:
                detail = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
                faults.invalid("spec.ipFamilyPolicy", policy, detail)


def _stack(faults: Faults, spec: Object, addresses: list[str], families: list[str]) -> None:
    found = [ip.family(text) for text in addresses]
    if len(found) == 2 and found[0] == found[1]:
        faults.invalid("spec.clusterIPs", addresses, "may specify no more than one IP for each IP family")
    for index, (have, want) in enumerate(zip(found, families)):
        if have != want and want in ("IPv4", "IPv6"):
            detail = f"expected an {want} value as indicated by `ipFamilies[{index}]`"
            faults.invalid(f"spec.clusterIPs[{index}]", addresses[index], detail)


def _range(faults: Faults, addresses: list[str]) -> None:
    packed, bits = ip.cidr(faults.service_range) or (b"", 0)
    prefix = int.from_bytes(packed, "big") >> (32 - bits)
    for text in addresses:
        address = ip.sloppy(text)
        if address is not None and len(address) == 4 and int.from_bytes(address, "big") >> (32 - bits) != prefix:
            detail = f"the provided IP ({text}) is not in the valid range. The range of valid IPs is {faults.service_range}"
            faults.invalid("spec.clusterIPs", addresses, f"failed to allocate IP {text}: {detail}")


def _by_type(faults: Faults, spec: Object, headless: bool) -> None:
    kind = spec.get("type")
    if kind == "LoadBalancer":
        for index, port in enumerate(records(spec, "ports")):
            if port.get("port") == KUBELET_PORT:
                faults.invalid(
                    f"spec.ports[{index}]", KUBELET_PORT, f"may not expose port {KUBELET_PORT} externally since it is used by kubelet"
                )
    if headless and kind in ("LoadBalancer", "NodePort"):
        faults.invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    if kind == "ExternalName":
        for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if spec.get(field) or (field == "clusterIPs" and spec.get("clusterIP")):
                faults.forbidden(f"spec.{field}", "may not be set for ExternalName services")
        name = (spec.get("externalName") or "").removesuffix(".")
        if name:
            faults.each("spec.externalName", name, names.dns_subdomain(name))
        else:
            faults.required("spec.externalName")


def _ports(faults: Faults, spec: Object) -> None:
    ports, seen = records(spec, "ports"), set()
    for index, port in enumerate(ports):
        path, name = f"spec.ports[{index}]", port.get("name") or ""
        if name:
            faults.each(f"{path}.name", name, names.dns_label(name))
            if name in seen:
                faults.duplicate(f"{path}.name", name)
            seen.add(name)
        elif len(ports) > 1:
            faults.required(f"{path}.name", hint="with several ports each needs a name")
        number = port.get("port") or 0
        faults.each(f"{path}.port", number, names.port_number(number))
        if port.get("protocol") not in PROTOCOLS:
            faults.one_of(f"{path}.protocol", port.get("protocol"), PROTOCOLS)
        port_or_name(faults, f"{path}.targetPort", port.get("targetPort"))
        if port.get("appProtocol") is not None:
            faults.each(f"{path}.appProtocol", port["appProtocol"], names.qualified(port["appProtocol"]))


def _affinity(faults: Faults, spec: Object) -> None:
    affinity, config = spec.get("sessionAffinity"), spec.get("sessionAffinityConfig")
    faults.one_of("spec.sessionAffinity", affinity, ("ClientIP", "None"))
    if affinity == "ClientIP":
        seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
        if seconds is not None and not 0 < seconds <= _AFFINITY_MAX:
            detail = f"must be greater than 0 and less than {_AFFINITY_MAX}"
            faults.invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds, detail)
    elif config is not None:
        faults.forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None")


def _external_ips(faults: Faults, spec: Object) -> None:
    for index, text in enumerate(spec.get("externalIPs") or []):
        path = f"spec.externalIPs[{index}]"
        faults.each(path, text, ip.ip(text) or ip.special(text))


def _node_ports(faults: Faults, spec: Object) -> None:
    seen = set()
    for index, port in enumerate(records(spec, "ports")):
        number = port.get("nodePort") or 0
        if not number:
            continue
        path = f"spec.ports[{index}].nodePort"
        if spec.get("type") == "ClusterIP":
            faults.forbidden(path, "may not be used when `type` is 'ClusterIP'", "set type: NodePort")
        if not 0 < number < 65536:  # smaller numbers are the allocator's to judge; ours has no range for those asked for
            faults.invalid(path, number, "provided port is not in the valid range. The range of valid ports is 30000-32767")
        if (port.get("protocol"), number) in seen:
            faults.duplicate(path, number)
        seen.add((port.get("protocol"), number))


def _unique(faults: Faults, spec: Object) -> None:
    seen = set()
    for index, port in enumerate(records(spec, "ports")):
        pair = (port.get("protocol"), port.get("port") or 0)
        if pair in seen:
            shown = {"Name": "", "Protocol": pair[0], "AppProtocol": None, "Port": pair[1], "TargetPort": 0, "NodePort": 0}
            faults.duplicate(f"spec.ports[{index}]", shown)
        seen.add(pair)


def _load_balancer(faults: Faults, obj: Object, spec: Object) -> None:
    balanced = spec.get("type") == "LoadBalancer"
    ranges, path = spec.get("loadBalancerSourceRanges") or [], "spec.LoadBalancerSourceRanges"
    annotation = (obj["metadata"].get("annotations") or {}).get(_RANGES_ANNOTATION)
    if ranges:
        if not balanced:
            faults.forbidden(path, _LOAD_BALANCER_ONLY)
        for index, text in enumerate(ranges):
            _source_range(faults, f"{path}[{index}]", text.strip())
    elif annotation is not None:
        path = f"metadata.annotations[{_RANGES_ANNOTATION}]"
        if not balanced:
            faults.forbidden(path, _LOAD_BALANCER_ONLY)
        elif annotation.strip():
            for text in annotation.strip().split(","):
                _source_range(faults, path, text.strip())
    if spec.get("allocateLoadBalancerNodePorts") is not None and not balanced:
        faults.forbidden("spec.allocateLoadBalancerNodePorts", _LOAD_BALANCER_ONLY)
    name = spec.get("loadBalancerClass")
    if name is not None and not balanced:
        faults.forbidden("spec.loadBalancerClass", _LOAD_BALANCER_ONLY)
    elif name is not None:
        faults.each("spec.loadBalancerClass", name, names.qualified(name))


def _source_range(faults: Faults, path: str, text: str) -> None:
    found = ip.cidr(text)
    if found is None:
        faults.invalid(path, text, ip.CIDR_TEXT)
    elif ip.has_leading_zero(text.partition("/")[0]):
        faults.invalid(path, text, "must not have leading 0s")
    elif ip.host_bits(*found):
        faults.invalid(path, text, "must not have bits set beyond the prefix length")


def _traffic(faults: Faults, spec: Object) -> None:
    kind, policy = spec.get("type"), spec.get("externalTrafficPolicy")
    if kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and spec.get("externalIPs")):
        faults.one_of("spec.externalTrafficPolicy", policy, ("Cluster", "Local"))
    elif policy:
        faults.invalid("spec.externalTrafficPolicy", policy, "may only be set for externally-accessible services")
    check_port = spec.get("healthCheckNodePort") or 0
    if kind == "LoadBalancer" and policy == "Local":
        if check_port:
            faults.each("spec.healthCheckNodePort", check_port, names.port_number(check_port))
    elif check_port:
        detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        faults.invalid("spec.healthCheckNodePort", check_port, detail)
    internal = spec.get("internalTrafficPolicy")
    if internal is not None and internal not in ("Cluster", "Local"):
        faults.unsupported("spec.internalTrafficPolicy", internal, ("Cluster", "Local"))
    spread = spec.get("trafficDistribution")
    if spread is not None and spread not in ("PreferClose", "PreferSameNode", "PreferSameZone"):
        faults.unsupported("spec.trafficDistribution", spread, ("PreferClose", "PreferSameNode", "PreferSameZone"))
