"""EndpointSlices and Endpoints: what a user's say (EP2), and those a cluster's controllers would make of our pods (EP1). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kubeplay.record import Record

Json = dict[str, Any]
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
SKIP_MIRROR = "endpoints.kubernetes.io/skip-mirror"
HEADLESS = "service.kubernetes.io/headless"
MOST = 100  # EP1: endpoints in one slice
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # apimachinery's alphabet of drawn names


class Backend(Record):
    """One place behind a Service. `ports` are (name, protocol, number); no `numbers` for a headless Service without ports.

    `ready` and `serving` as EndpointSlice conditions have them; `pod` is (name, uid), empty for a user's own.
    """

    ip: str
    ports: tuple[tuple[str, str, int], ...] = ()
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    hostname: str = ""
    pod: tuple[str, str] = ("", "")


def of_slice(body: Json) -> tuple[Backend, ...]:
    """The backends of an EndpointSlice; names (addressType FQDN) lead nowhere, as in kube-proxy."""
    if body.get("addressType") not in ("IPv4", "IPv6"):
        return ()
    ports = tuple([(p.get("name") or "", p.get("protocol") or "TCP", p["port"]) for p in body.get("ports") or [] if p.get("port")])
    found = []
    for one in body.get("endpoints") or []:
        conditions = one.get("conditions") or {}
        ready = conditions.get("ready") is not False  # unknown counts as true
        serving = ready if conditions.get("serving") is None else conditions["serving"]
        for ip in (one.get("addresses") or [])[:1]:  # more than one say the same place; kube-proxy takes the first
            found.append(Backend(ip, ports, ready, serving, bool(conditions.get("terminating")), one.get("hostname") or ""))
    return tuple(found)


def of_endpoints(body: Json) -> tuple[Backend, ...]:
    """The backends of an Endpoints object, as the mirroring controller makes slices of it."""
    if ((body.get("metadata") or {}).get("labels") or {}).get(SKIP_MIRROR) == "true":
        return ()
    found = []
    for subset in body.get("subsets") or []:
        ports = tuple([(p.get("name") or "", p.get("protocol") or "TCP", p["port"]) for p in subset.get("ports") or []])
        for field, ready in (("addresses", True), ("notReadyAddresses", False)):
            for one in subset.get(field) or []:
                found.append(Backend(one["ip"], ports, ready, ready, False, one.get("hostname") or ""))
    return tuple(found)


def service_of(body: Json) -> str:
    """The Service that a user's slice is for, "" = none."""
    return str(((body.get("metadata") or {}).get("labels") or {}).get(SERVICE_NAME) or "")


def slices(service: Json, uid: str, found: Iterable[Backend], node: str, created: str) -> list[Json]:
    """The EndpointSlices a cluster has for a Service: of one family and one set of ports each, at most 100 endpoints."""
    groups: dict[tuple[bool, tuple[tuple[str, str, int], ...]], list[Backend]] = {}
    for one in found:
        groups.setdefault((":" in one.ip, one.ports), []).append(one)
    made: list[Json] = []
    for (six, ports), group in sorted(groups.items()) or [((False, ()), [])]:
        for at in range(0, max(1, len(group)), MOST):
            made.append(_slice(service, uid, len(made), six, ports, sorted(group)[at : at + MOST], node, created))
    return made


def _slice(
    service: Json, uid: str, index: int, six: bool, ports: Sequence[tuple[str, str, int]], group: Sequence[Backend], node: str, created: str
) -> Json:
    meta, name = service["metadata"], service["metadata"]["name"]
    owner = {"apiVersion": "v1", "kind": "Service", "name": name, "uid": uid, "controller": True, "blockOwnerDeletion": True}
    listed = [{"name": p, "protocol": protocol, "port": number} | _application(service, p) for p, protocol, number in ports]
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-{_drawn(uid, index)}", "generateName": f"{name}-", "namespace": meta.get("namespace") or "default",
            "creationTimestamp": created, "ownerReferences": [owner],
            "labels": {**_labels(service), SERVICE_NAME: name, MANAGED_BY: CONTROLLER},
        },
        "addressType": "IPv6" if six else "IPv4",
        "endpoints": [_endpoint(one, meta.get("namespace") or "default", node) for one in group],
        "ports": listed,
    }  # fmt: skip


def _endpoint(one: Backend, namespace: str, node: str) -> Json:
    made: Json = {
        "addresses": [one.ip],
        "conditions": {"ready": one.ready, "serving": one.serving, "terminating": one.terminating},
        "nodeName": node,
        "targetRef": _reference(one, namespace),
    }
    return made | ({"hostname": one.hostname} if one.hostname else {})


def _reference(one: Backend, namespace: str) -> Json:
    return {"kind": "Pod", "name": one.pod[0], "namespace": namespace, "uid": one.pod[1]}


def _application(service: Json, name: str) -> Json:
    for port in (service.get("spec") or {}).get("ports") or []:
        if (port.get("name") or "") == name and port.get("appProtocol"):
            return {"appProtocol": port["appProtocol"]}
    return {}


def _labels(service: Json) -> Json:
    labels = dict(service["metadata"].get("labels") or {})
    return {**labels, HEADLESS: ""} if (service.get("spec") or {}).get("clusterIP") == "None" else labels


def _drawn(uid: str, index: int) -> str:
    from hashlib import sha256

    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in sha256(f"{uid}/{index}".encode()).digest()[:5])


def endpoints(service: Json, found: Iterable[Backend], node: str, created: str, publish: bool) -> Json:
    """The Endpoints a cluster has for a Service: of the first family, without pods that are ending."""
    meta = service["metadata"]
    groups: dict[tuple[tuple[str, str, int], ...], dict[str, list[Json]]] = {}
    for one in sorted(found):
        if one.terminating and not publish:
            continue
        address: Json = {"ip": one.ip, "nodeName": node, "targetRef": _reference(one, meta.get("namespace") or "default")}
        if one.hostname:
            address["hostname"] = one.hostname
        groups.setdefault(one.ports, {}).setdefault("addresses" if one.ready else "notReadyAddresses", []).append(address)
    subsets = []
    for ports, lists in sorted(groups.items()):
        listed = [({"name": name} if name else {}) | {"port": number, "protocol": protocol} for name, protocol, number in ports]
        subsets.append({**lists, **({"ports": listed} if listed else {})})
    body: Json = {
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {
            "name": meta["name"], "namespace": meta.get("namespace") or "default", "creationTimestamp": created,
            "labels": {**_labels(service), "endpoints.kubernetes.io/managed-by": "endpoint-controller"},
        },
    }  # fmt: skip
    return body | ({"subsets": subsets} if subsets else {})
