"""Ingresses and the routes of Services to what a proxy has to do (IG1). Pure.

The proxy is the controller of every class: a file written for any cluster is served as it is. Where two Ingresses want
the same place the older one has it, as with ingress-nginx. What a name or path may hold is checked again here, because
with --validate=warn a manifest gets this far with any text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kubeplay.plan.proxy import Backend, Certificate, ProxyPlan, Rule
from kubeplay.plan.service import ServicePort, ServiceRoute

Json = dict[str, Any]
_HOST = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?")
_IN_PATH = "/%:@!$&'()*+,;=-._~"  # RFC 3986: what a path may hold as it is
_HOST_MAX, _PATH_MAX = 253, 4096


class Plans:
    """Gathers one ProxyPlan, Ingress by Ingress, oldest first."""

    def __init__(self, routes: Iterable[ServiceRoute]) -> None:
        self._routes = {(route.service.namespace, route.service.name): route for route in routes}
        self._rules: dict[tuple[str, str, bool], Rule] = {}
        self._defaults: dict[str, str] = {}
        self._default = ""
        self._backends: dict[str, Backend] = {}
        self._certificates: dict[str, list[str]] = {}
        self._tls = False
        self.lacks: dict[str, list[str]] = {}  # NS/NAME of an Ingress -> what is missing of it

    def add(self, body: Json) -> None:
        """One Ingress."""
        meta, spec = body["metadata"], body.get("spec") or {}
        namespace = meta.get("namespace") or "default"
        lacks = self.lacks.setdefault(f"{namespace}/{meta['name']}", [])
        default = self._backend(spec.get("defaultBackend"), namespace, lacks)
        hosts: list[str] = []
        for rule in spec.get("rules") or ():
            host = (rule or {}).get("host") or ""
            if host and not host_fits(host):
                lacks.append(f"host {host[:80]!r} is none")
                continue
            hosts.append(host)
            for path in ((rule or {}).get("http") or {}).get("paths") or ():
                self._add(host, path, namespace, lacks)
        if default is not None:
            for host in filter(None, hosts):
                self._defaults.setdefault(host, default)
            self._default = self._default or default
        self._secure(spec.get("tls") or (), hosts, namespace)

    def _add(self, host: str, item: Json, namespace: str, lacks: list[str]) -> None:
        from urllib.parse import quote

        path, exact = item.get("path") or "/", item.get("pathType") == "Exact"
        if not path.startswith("/") or len(path) > _PATH_MAX:
            lacks.append(f"path {path[:80]!r} is none")
            return
        path = quote(path, safe=_IN_PATH)  # as it stands in a request
        backend = self._backend(item.get("backend"), namespace, lacks)
        if not exact:
            path = path.rstrip("/") + "/"
        if backend is not None:
            self._rules.setdefault((host, path, exact), Rule(host, path, backend, exact))

    def _backend(self, backend: Json | None, namespace: str, lacks: list[str]) -> str | None:
        """The backend's name, "" for one that is not there; None where nothing is asked for."""
        if backend is None:
            return None
        service = backend.get("service")
        if not service:
            lacks.append("a resource is no backend here")
            return ""
        name, port = str(service.get("name") or ""), service.get("port") or {}
        route = self._routes.get((namespace, name))
        if route is None:
            lacks.append(f"Service {name[:80]} is not there")
            return ""
        found = _port(route.service.ports, port)
        if found is None:
            lacks.append(f"Service {name[:80]} has no port {str(port.get('name') or port.get('number'))[:80]}")
            return ""
        place = f"{namespace}.{name}.{route.service.ports[found].port}"
        if not all(_LABEL.fullmatch(part) for part in place.split(".")):
            return ""
        if place not in self._backends:
            ends = route.endpoints[found] if found < len(route.endpoints) else ()
            self._backends[place] = Backend(place, tuple(sorted(ends)), bool(route.service.affinity_seconds))
        return place

    def _secure(self, listed: Iterable[Json], hosts: Sequence[str], namespace: str) -> None:
        for one in listed:
            self._tls = True
            secret = (one or {}).get("secretName") or ""
            wanted = [host for host in (one or {}).get("hosts") or hosts if host and host_fits(host)]
            if secret:
                known = self._certificates.setdefault(f"{namespace}/{secret}", [])
                taken = {host for place, others in self._certificates.items() if place != f"{namespace}/{secret}" for host in others}
                known += [host for host in wanted if host not in known and host not in taken]

    def plan(self) -> ProxyPlan:
        return ProxyPlan(
            tuple(sorted(self._rules.values())),
            tuple(sorted(self._defaults.items())),
            self._default,
            tuple(sorted(self._backends.values())),
            tuple([Certificate(place, tuple(hosts)) for place, hosts in sorted(self._certificates.items())]),
            self._tls,
        )


def plan(ingresses: Iterable[Json], routes: Iterable[ServiceRoute]) -> tuple[ProxyPlan, Mapping[str, list[str]]]:
    """The proxy of these Ingresses, oldest first, and what is missing of each by its NS/NAME."""
    plans = Plans(routes)
    for body in ingresses:
        plans.add(body)
    return plans.plan(), plans.lacks


def host_fits(host: str) -> bool:
    """Whether a text is a host, or a wildcard."""
    return len(host) <= _HOST_MAX and _HOST.fullmatch(host) is not None


def _port(ports: Sequence[ServicePort], wanted: Json) -> int | None:
    """Which port of a Service is meant: by its name or its number."""
    name, number = wanted.get("name"), wanted.get("number")
    for index, port in enumerate(ports):
        if (name and port.name == name) or (not name and number and port.port == number):
            return index
    return None


def covers(rules: Iterable[Rule], host: str, path: str) -> Iterator[Rule]:
    """The rules that a request meets, best first: what the proxy's own look-ups come to, for tests and for `describe`."""
    host = host.partition(":")[0].lower()
    wild = "*." + host.partition(".")[2] if "." in host else "*"
    listed = list(rules)
    for place in (host, wild, ""):
        mine = [rule for rule in listed if rule.host == place]
        yield from (rule for rule in mine if rule.exact and rule.path == path)
        below = [rule for rule in mine if not rule.exact and f"{path}/".startswith(rule.path)]
        yield from sorted(below, key=lambda rule: -len(rule.path))
