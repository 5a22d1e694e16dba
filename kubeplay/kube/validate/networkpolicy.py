"""NetworkPolicy (NP1)."""

from __future__ import annotations

from typing import Any

from kubeplay.kube import ip, names
from kubeplay.kube.validate import metadata
from kubeplay.kube.validate.ports import PROTOCOLS
from kubeplay.kube.validate.report import Faults, Object, record, records

DIRECTIONS = ("Ingress", "Egress")


def network_policy(faults: Faults, obj: Object) -> None:
    """A NetworkPolicy."""
    metadata.check(faults, obj["metadata"], names.dns_subdomain)
    spec = obj.get("spec") or {}
    metadata.check_selector(faults, "spec.podSelector", record(spec, "podSelector"))
    for field, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(records(spec, field)):
            path = f"spec.{field}[{index}]"
            for at, port in enumerate(records(rule, "ports")):
                _port(faults, f"{path}.ports[{at}]", port)
            for at, peer in enumerate(records(rule, peers)):
                _peer(faults, f"{path}.{peers}[{at}]", peer)
    types = spec.get("policyTypes") or []
    if len(types) > len(DIRECTIONS):
        faults.invalid("spec.policyTypes", types, "may not specify more than two policyTypes")
        return
    for index, kind in enumerate(types):
        if kind not in DIRECTIONS:
            faults.unsupported(f"spec.policyTypes[{index}]", kind, DIRECTIONS)


def _port(faults: Faults, path: str, item: Object) -> None:
    protocol, port, last = item.get("protocol"), item.get("port"), item.get("endPort")
    if protocol is not None and protocol not in PROTOCOLS:
        faults.unsupported(f"{path}.protocol", protocol, PROTOCOLS)
    if port is None:
        if last is not None:
            faults.invalid(f"{path}.endPort", last, "may not be specified when `port` is not specified")
    elif isinstance(port, int):
        faults.each(f"{path}.port", port, names.port_number(port))
        if last is not None:
            if last < port:
                faults.invalid(f"{path}.endPort", port, "must be greater than or equal to `port`")
            faults.each(f"{path}.endPort", last, names.port_number(last))
    else:
        if last is not None:
            faults.invalid(f"{path}.endPort", last, "may not be specified when `port` is non-numeric")
        faults.each(f"{path}.port", port, names.port_name(str(port)))


def _peer(faults: Faults, path: str, peer: Object) -> None:
    selectors = [field for field in ("podSelector", "namespaceSelector") if record(peer, field) is not None]
    block = record(peer, "ipBlock")
    for field in selectors:
        metadata.check_selector(faults, f"{path}.{field}", record(peer, field))
    if block is not None:
        _block(faults, f"{path}.ipBlock", block)
    if not selectors and block is None:
        hint = "an empty `podSelector: {}` means every pod of the namespace"
        faults.required(path, "must specify a peer", hint=hint)
    elif selectors and block is not None:
        faults.forbidden(path, "may not specify both ipBlock and another peer")


def _block(faults: Faults, path: str, block: Object) -> None:
    cidr = block.get("cidr") or ""
    if not cidr:
        faults.required(f"{path}.cidr")
        return
    whole = _cidr(faults, f"{path}.cidr", cidr)
    if whole is None:
        return
    for index, text in enumerate(block.get("except") or ()):
        part = _cidr(faults, f"{path}.except[{index}]", text)
        if part is not None and not _inside(part, whole):
            faults.invalid(f"{path}.except[{index}]", text, "must be a strict subset of `cidr`")


def _cidr(faults: Faults, path: str, text: Any) -> tuple[bytes, int] | None:
    """The range as it is meant, also where it is not written as it must be; None where it is none at all."""
    text = str(text or "")
    address, _, bits = text.partition("/")
    found = ip.cidr(text) or ip.cidr(f"{address}/{bits.lstrip('0') or '0'}" if bits else text)
    if found is None:
        faults.invalid(path, text, ip.CIDR_TEXT)
        return None
    if ip.has_leading_zero(address) or (len(bits) > 1 and bits[0] == "0"):
        faults.invalid(path, text, "must not have leading 0s in IP or prefix length")
    elif len(found[0]) == 16 and found[0][:12] == b"\0" * 10 + b"\xff\xff":
        faults.invalid(path, text, "must not have an IPv4-mapped IPv6 address")
    elif ip.host_bits(*found):
        faults.invalid(path, text, "must not have bits set beyond the prefix length", hint=f"{text} is not a range but an address in one")
    return found


def _inside(part: tuple[bytes, int], whole: tuple[bytes, int]) -> bool:
    if len(part[0]) != len(whole[0]) or part[1] <= whole[1]:
        return False
    shift = len(whole[0]) * 8 - whole[1]
    return int.from_bytes(part[0], "big") >> shift == int.from_bytes(whole[0], "big") >> shift
