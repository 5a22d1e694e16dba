"""`kubectl get` columns of what networks are made of: Ingress, IngressClass, NetworkPolicy, Endpoints, EndpointSlice (KC3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeplay.kube.printers import NONE, Printer, columns_of, selector, since

Json = dict[str, Any]
_SHOWN = 3  # addresses, hosts and ports that kubectl shows before `+ N more...`


def _few(found: Sequence[str], none: str) -> str:
    """The first three, and how many more there are."""
    if not found:
        return none
    more = f" + {len(found) - _SHOWN} more..." if len(found) > _SHOWN else ""
    return ",".join(found[:_SHOWN]) + more


def _ingress(body: Json, now: float) -> list[str]:
    spec = body.get("spec") or {}
    hosts = [rule["host"] for rule in spec.get("rules") or [] if rule.get("host")]
    given = ((body.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    address = ",".join(one.get("ip") or one.get("hostname") or "" for one in given)
    return [spec.get("ingressClassName") or NONE, _few(hosts, "*"), address, "80, 443" if spec.get("tls") else "80", since(body, now)]


def _ingress_class(body: Json, now: float) -> list[str]:
    spec = body.get("spec") or {}
    given = spec.get("parameters") or {}
    group = f".{given['apiGroup']}" if given.get("apiGroup") else ""
    return [spec.get("controller", ""), f"{given['kind']}{group}/{given.get('name', '')}" if given else NONE, since(body, now)]


def _network_policy(body: Json, now: float) -> list[str]:
    return [selector((body.get("spec") or {}).get("podSelector")), since(body, now)]


def addresses(body: Json) -> list[str]:
    """`10.0.0.1:80` of each ready address and port of an Endpoints object."""
    found: list[str] = []
    for subset in body.get("subsets") or []:
        ready = [one.get("ip", "") for one in subset.get("addresses") or []]
        ports = subset.get("ports") or []
        found += [f"{_bracketed(ip)}:{port.get('port')}" for port in ports for ip in ready] if ports else ready
    return found


def _bracketed(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


def _endpoints(body: Json, now: float) -> list[str]:
    return [_few(addresses(body), NONE), since(body, now)]


def _endpoint_slice(body: Json, now: float) -> list[str]:
    ports = [str(port["port"]) if port.get("port") is not None else "*" for port in body.get("ports") or []]
    found = [address for one in body.get("endpoints") or [] for address in one.get("addresses") or []]
    return [body.get("addressType", ""), _few(ports, "<unset>"), _few(found, "<unset>"), since(body, now)]


PRINTERS = {
    "Ingress": Printer(columns_of("CLASS,HOSTS,ADDRESS,PORTS,AGE"), _ingress),
    "IngressClass": Printer(columns_of("CONTROLLER,PARAMETERS,AGE"), _ingress_class),
    "NetworkPolicy": Printer(columns_of("POD-SELECTOR,AGE"), _network_policy),
    "Endpoints": Printer(columns_of("ENDPOINTS,AGE"), _endpoints),
    "EndpointSlice": Printer(columns_of("ADDRESSTYPE,PORTS,ENDPOINTS,AGE"), _endpoint_slice),
}
