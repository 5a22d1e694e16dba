"""`describe` of Ingress, IngressClass and NetworkPolicy (kubectl/pkg/describe/describe.go of 1.36)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kubeplay.kube import printers
from kubeplay.kube.describe import text
from kubeplay.kube.describe.text import NONE, Page

Json = dict[str, Any]
Backends = Callable[[str, Any], Sequence[str]]  # the addresses behind a Service's port, by name or number


def ingress(body: Json, backends: Backends, events: Sequence[Json], now: float) -> str:
    page, spec, meta = Page(), body.get("spec") or {}, body["metadata"]
    given = ((body.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    page.pair(0, "Name", meta["name"])
    page.mapping("Labels", meta.get("labels"))
    page.pair(0, "Namespace", meta.get("namespace") or "default")
    page.pair(0, "Address", ",".join(one.get("ip") or one.get("hostname") or "" for one in given))
    page.pair(0, "Ingress Class", spec.get("ingressClassName") or NONE)
    fallback = spec.get("defaultBackend")
    page.pair(0, "Default backend", _backend(fallback, backends) if fallback else "<default>")
    if spec.get("tls"):
        page.line(0, "TLS:")
        for one in spec["tls"]:
            hosts = ",".join(one.get("hosts") or [])
            secret = one.get("secretName")
            page.line(1, f"{secret} terminates {hosts}" if secret else f"SNI routes {hosts}")
    page.line(0, "Rules:")
    page.line(1, "Host\tPath\tBackends")
    page.line(1, "----\t----\t--------")
    for rule in spec.get("rules") or []:
        page.line(1, f"{rule.get('host') or '*'}\t")
        for path in (rule.get("http") or {}).get("paths") or []:
            page.line(1, f"\t{path.get('path') or ''}\t{_backend(path.get('backend') or {}, backends)}")
    if not spec.get("rules"):
        page.line(1, f"*\t*\t{_backend(fallback, backends) if fallback else '<default>'}")
    page.mapping("Annotations", meta.get("annotations"), ": ")
    text.events(page, events, now)
    return page.text()


def _backend(found: Json, backends: Backends) -> str:
    """`web:80 (10.0.0.1:8080,10.0.0.2:8080)`."""
    if found.get("resource"):
        one = found["resource"]
        return f"APIGroup: {one.get('apiGroup') or ''}, Kind: {one.get('kind')}, Name: {one.get('name')}"
    service = found.get("service") or {}
    port = service.get("port") or {}
    word = port.get("name") or port.get("number")
    return f"{service.get('name', '')}:{word} ({','.join(backends(service.get('name', ''), word))})"


def ingress_class(body: Json, events: Sequence[Json], now: float) -> str:
    page, spec = Page(), body.get("spec") or {}
    text.head(page, body, namespaced=False)
    page.pair(0, "Controller", spec.get("controller", ""))
    given = spec.get("parameters")
    if given:
        page.line(0, "Parameters:")
        for label, field in (("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name")):
            if given.get(field):
                page.pair(1, label, given[field])
    text.events(page, events, now)
    return page.text()


def network_policy(body: Json, events: Sequence[Json], now: float) -> str:
    page, spec = Page(), body.get("spec") or {}
    meta = body["metadata"]
    page.pair(0, "Name", meta["name"])
    page.pair(0, "Namespace", meta.get("namespace") or "default")
    page.pair(0, "Created on", text.moment(meta.get("creationTimestamp")))
    text.marks(page, meta)
    page.line(0, "Spec:")
    chosen = printers.selector(spec.get("podSelector"))
    every = f"{NONE} (Allowing the specific traffic to all pods in this namespace)"
    page.line(1, f"PodSelector:     {every if chosen == NONE else chosen}")
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    for direction, peers, ports in (("ingress", "From", "To"), ("egress", "To", "To")):
        if direction.capitalize() not in types:
            page.line(1, f"Not affecting {direction} traffic")
            continue
        page.line(1, f"Allowing {direction} traffic:")
        _rules(page, spec.get(direction) or [], direction, peers, ports)
    page.line(1, f"Policy Types: {', '.join(types)}")
    return page.text()


def _rules(page: Page, rules: Sequence[Json], direction: str, peers: str, ports: str) -> None:
    if not rules:
        page.line(2, f"{NONE} (Selected pods are isolated for {direction} connectivity)")
    for at, rule in enumerate(rules):
        if at:
            page.line(2, "----------")
        if not rule.get("ports"):
            page.line(2, f"{ports} Port: <any> (traffic allowed to all ports)")
        for port in rule.get("ports") or []:
            number = str(port["port"]) if port.get("port") is not None else "<any>"
            number += f"-{port['endPort']}" if port.get("endPort") else ""
            page.line(2, f"{ports} Port: {number}/{port.get('protocol') or 'TCP'}")
        found = rule.get(peers.lower()) or []
        if not found:
            page.line(2, f"{peers}: <any> (traffic not restricted by {'source' if peers == 'From' else 'destination'})")
        for one in found:
            _peer(page, one, peers)


def _peer(page: Page, one: Json, word: str) -> None:
    page.line(2, f"{word}:")
    for label, field in (("NamespaceSelector", "namespaceSelector"), ("PodSelector", "podSelector")):
        if one.get(field) is not None:
            page.line(3, f"{label}: {printers.selector(one[field])}")
    block = one.get("ipBlock")
    if block:
        page.line(3, "IPBlock:")
        page.line(4, f"CIDR: {block.get('cidr', '')}")
        page.line(4, f"Except: {', '.join(block.get('except') or [])}")
