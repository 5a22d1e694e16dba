"""The Services of a service: its name for the others, and what it publishes.

In a network of compose each service is reached by name at every port, so each gets a Service: with the ports that are known, or without any
a headless one, whose name is the pods' addresses. What is published has a Service of its own where the port differs, of type LoadBalancer:
that is the machine's address here and an address of the cluster's there, and unlike a hostPort it lets a Deployment roll.
"""

from __future__ import annotations

import ipaddress

from kubeplay.convert import names
from kubeplay.convert.model import Object
from kubeplay.convert.part import Part
from kubeplay.convert.ports import Port

LOOPBACK = "127.0.0.0/8"


def build(part: Part, taken: set[str]) -> list[Object]:
    """Every Service of a part; `taken` are names that other services have."""
    ports = [port for port in part.ports if not port.host]
    inner = list({(port.target, port.protocol): port._replace(published=port.target) for port in part.ports}.values())
    published = [port for port in ports if port.published > 0]
    drawn = [port for port in ports if port.published == -1]
    wanted = (part.section.pairs("labels").get("kompose.service.type") or "").lower()
    if wanted in _TYPES and inner:
        return [_service(part.name, part, published or inner, **_TYPES[wanted]), *_aliased(part, inner, taken)]
    if published and not drawn and _same(published, inner):
        made = [_service(part.name, part, published, type="LoadBalancer")]
    else:
        headless = not inner or part.section.section("deploy").text("endpoint_mode") == "dnsrr"
        made = [_service(part.name, part, inner, **({"clusterIP": "None"} if headless else {}))]
        made += _published(part, published, taken)
        if drawn:
            made.append(
                _service(_free(f"{part.name}-node", taken), part, [port._replace(published=port.target) for port in drawn], type="NodePort")
            )
    return [*made, *_aliased(part, inner, taken)]


_TYPES: dict[str, dict[str, str]] = {
    "clusterip": {},
    "nodeport": {"type": "NodePort"},
    "loadbalancer": {"type": "LoadBalancer"},
    "headless": {"clusterIP": "None"},
}


def _same(published: list[Port], inner: list[Port]) -> bool:
    """Whether the ports outside are those inside, for everybody."""
    outside = {(port.published, port.target, port.protocol) for port in published}
    return outside == {(port.target, port.target, port.protocol) for port in inner} and not any(_address(port) for port in published)


def _address(port: Port) -> str:
    """The address that it is published at; "" = every one."""
    word = "127.0.0.1" if port.address == "localhost" else port.address
    try:
        return "" if not word or ipaddress.ip_address(word).is_unspecified else word
    except ValueError:
        return word


def _published(part: Part, ports: list[Port], taken: set[str]) -> list[Object]:
    made = []
    groups: dict[str, list[Port]] = {}
    for port in ports:
        groups.setdefault(_address(port), []).append(port)
    for address, group in groups.items():
        try:
            loop = bool(address) and ipaddress.ip_address(address).is_loopback
        except ValueError:
            part.section.fault("ports", f"{address!r} is no address")
            continue
        if loop:
            part.section.note("ports", f"published on {address} only: nobody but this machine is let in; on a cluster use port-forward")
            made.append(_service(_free(f"{part.name}-local", taken), part, group, type="LoadBalancer", loadBalancerSourceRanges=[LOOPBACK]))
        elif address:
            name = _free(f"{part.name}-{address}", taken)
            made.append(_service(name, part, group, type="LoadBalancer", loadBalancerIP=address))
        else:
            made.append(_service(_free(f"{part.name}-published", taken), part, group, type="LoadBalancer"))
    return made


def _free(name: str, taken: set[str]) -> str:
    """A name that no other Service has."""
    made = names.service(name)
    while made in taken:
        made = names.service(f"{name}-{len(taken)}")
        name = made
    taken.add(made)
    return made


def _service(name: str, part: Part, ports: list[Port], **more: object) -> Object:
    body: Object = {**more, "selector": {"app": part.labels["app"]}}
    if ports:
        body["ports"] = [_port(port, len(ports) > 1) for port in ports]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": names.service(name), "labels": dict(part.labels)}, "spec": body}


def _port(port: Port, many: bool) -> Object:
    made: Object = {"port": port.published, "targetPort": port.target}
    if many or port.name:
        made["name"] = names.label(port.name) or f"{port.published}" + (f"-{port.protocol.lower()}" if port.protocol != "TCP" else "")
    if port.protocol != "TCP":
        made["protocol"] = port.protocol
    if port.app_protocol:
        made["appProtocol"] = port.app_protocol
    return made


def _aliased(part: Part, inner: list[Port], taken: set[str]) -> list[Object]:
    """A Service for each further name."""
    made = []
    for alias in part.aliases:
        name = names.service(alias)
        if name != alias:
            part.section.note("networks", f"the alias {alias} is no name of a Service")
        elif name in taken:
            part.section.note("networks", f"the alias {alias} is another's name too, who keeps it")
        else:
            taken.add(name)
            made.append(_service(name, part, inner, **({} if inner else {"clusterIP": "None"})))
    return made


def ingress(part: Part) -> Object | None:
    """kompose's label for what is reached by host name from outside; None without it."""
    found = part.section.pairs("labels")
    hosts = found.get("kompose.service.expose")
    if not hosts or not part.ports:
        return None
    number = part.ports[0].published if part.ports[0].published > 0 and found.get("kompose.service.type") else part.ports[0].target
    backend = {"service": {"name": part.name, "port": {"number": number}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    rules: list[Object] = [{"http": {"paths": [path]}}]
    if hosts != "true":
        rules = [{"host": host.strip(), "http": {"paths": [path]}} for host in hosts.split(",")]
    spec: Object = {"rules": rules}
    if secret := found.get("kompose.service.expose.tls-secret"):
        spec["tls"] = [{"hosts": [host.strip() for host in hosts.split(",") if host != "true"], "secretName": secret}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": part.name, "labels": dict(part.labels)},
        "spec": spec,
    }
