"""Endpoints and EndpointSlice (EP2)."""

from __future__ import annotations

from kubeplay.kube import ip, labels, names
from kubeplay.kube.validate import metadata
from kubeplay.kube.validate.ports import PROTOCOLS
from kubeplay.kube.validate.report import Faults, Object, records

_TYPES = ("FQDN", "IPv4", "IPv6")
_ENDPOINTS_MAX, _ADDRESSES_MAX, _PORTS_MAX, _TOPOLOGY_MAX, _HINTS_MAX = 1000, 100, 20000, 16, 8


def endpoints(faults: Faults, obj: Object) -> None:
    metadata.check(faults, obj["metadata"], names.dns_subdomain)
    for at, subset in enumerate(records(obj, "subsets")):
        path = f"subsets[{at}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            faults.required(path, "must specify `addresses` or `notReadyAddresses`")
        for field in ("addresses", "notReadyAddresses"):
            for index, one in enumerate(records(subset, field)):
                _address(faults, f"{path}.{field}[{index}]", one)
        ports = records(subset, "ports")
        for index, port in enumerate(ports):
            _port(faults, f"{path}.ports[{index}]", port, len(ports) > 1)


def _address(faults: Faults, path: str, one: Object) -> None:
    text = one.get("ip") or ""
    faults.each(f"{path}.ip", text, ip.legacy_ip(text) or ip.special(text))
    if one.get("hostname"):
        faults.each(f"{path}.hostname", one["hostname"], names.dns_label(one["hostname"]))
    if one.get("nodeName") is not None:
        faults.each(f"{path}.nodeName", one["nodeName"], names.dns_subdomain(one["nodeName"]))


def _port(faults: Faults, path: str, port: Object, named: bool) -> None:
    name, number = port.get("name") or "", port.get("port") or 0
    if name:
        faults.each(f"{path}.name", name, names.dns_label(name))
    elif named:
        faults.required(f"{path}.name")
    faults.each(f"{path}.port", number, names.port_number(number))
    faults.one_of(f"{path}.protocol", port.get("protocol"), PROTOCOLS)
    if port.get("appProtocol") is not None:
        faults.each(f"{path}.appProtocol", port["appProtocol"], names.qualified(port["appProtocol"]))


def endpoint_slice(faults: Faults, obj: Object) -> None:
    metadata.check(faults, obj["metadata"], names.dns_subdomain)
    kind = obj.get("addressType") or ""
    faults.one_of("addressType", kind, _TYPES)
    found = records(obj, "endpoints")
    if len(found) > _ENDPOINTS_MAX:
        faults.too_many("endpoints", len(found), _ENDPOINTS_MAX)
        return
    for at, one in enumerate(found):
        _endpoint(faults, f"endpoints[{at}]", one, kind)
    _ports(faults, obj)


def _endpoint(faults: Faults, path: str, one: Object, kind: str) -> None:
    addresses = one.get("addresses") or []
    if not addresses:
        faults.required(f"{path}.addresses", "must contain at least 1 address")
    elif len(addresses) > _ADDRESSES_MAX:
        faults.too_many(f"{path}.addresses", len(addresses), _ADDRESSES_MAX)
    else:
        for index, text in enumerate(addresses):
            _of_type(faults, f"{path}.addresses[{index}]", text, kind)
    if one.get("nodeName") is not None:
        faults.each(f"{path}.nodeName", one["nodeName"], names.dns_subdomain(one["nodeName"]))
    topology = one.get("deprecatedTopology") or {}
    if len(topology) > _TOPOLOGY_MAX:
        faults.too_many(f"{path}.deprecatedTopology", len(topology), _TOPOLOGY_MAX)
    metadata.check_labels(faults, f"{path}.deprecatedTopology", topology)
    if one.get("hostname") is not None:
        faults.each(f"{path}.hostname", one["hostname"], names.dns_label(one["hostname"]))
    for index, zone in enumerate(records(one.get("hints") or {}, "forZones")):
        if index < _HINTS_MAX:
            faults.each(f"{path}.hints.forZones[{index}].name", zone.get("name") or "", labels.value(zone.get("name") or ""))


def _of_type(faults: Faults, path: str, text: str, kind: str) -> None:
    if kind == "FQDN":
        faults.each(path, text, names.fqdn(text))
    elif kind in ("IPv4", "IPv6"):
        wrong = [] if ip.family(text) == kind else [f"must be a valid {kind} address"]
        faults.each(path, text, wrong or ip.special(text))


def _ports(faults: Faults, obj: Object) -> None:
    ports, seen = records(obj, "ports"), set()
    if len(ports) > _PORTS_MAX:
        faults.too_many("ports", len(ports), _PORTS_MAX)
        return
    for index, port in enumerate(ports):
        path, name = f"ports[{index}]", port.get("name") or ""
        if name:
            faults.each(f"{path}.name", name, names.dns_label(name))
        if name in seen:
            faults.duplicate(f"{path}.name", name)
        seen.add(name)
        faults.one_of(f"{path}.protocol", port.get("protocol"), PROTOCOLS)
        if port.get("appProtocol") is not None:
            faults.each(f"{path}.appProtocol", port["appProtocol"], names.qualified(port["appProtocol"]))
