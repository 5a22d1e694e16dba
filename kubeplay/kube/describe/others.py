"""`describe` of everything but pods: Services, ConfigMaps and Secrets in kubectl's words, the rest field by field."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Sequence
from typing import Any

from kubeplay.kube.describe import text
from kubeplay.kube.describe.text import NONE, Page

Json = dict[str, Any]


def service(body: Json, endpoints: Sequence[Sequence[str]], events: Sequence[Json], now: float) -> str:
    """A Service; `endpoints[i]` are the addresses behind its i-th port."""
    page, spec = Page(), body.get("spec", {})
    text.head(page, body)
    page.several("Selector", [",".join(f"{k}={v}" for k, v in sorted((spec.get("selector") or {}).items())) or NONE])
    page.pair(0, "Type", spec.get("type") or "ClusterIP")
    page.pair(0, "IP Family Policy", spec.get("ipFamilyPolicy") or "SingleStack")
    page.pair(0, "IP Families", ",".join(spec.get("ipFamilies") or ["IPv4"]))
    page.pair(0, "IP", spec.get("clusterIP") or NONE)
    page.pair(0, "IPs", ",".join(spec.get("clusterIPs") or [spec.get("clusterIP") or NONE]))
    if spec.get("externalIPs"):
        page.pair(0, "External IPs", ",".join(spec["externalIPs"]))
    if spec.get("loadBalancerIP"):
        page.pair(0, "Desired LoadBalancer IP", spec["loadBalancerIP"])
    ingress = ((body.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    if ingress:
        shown = [f"{one.get('ip') or one.get('hostname', '')}" + (f" ({one['ipMode']})" if one.get("ipMode") else "") for one in ingress]
        page.pair(0, "LoadBalancer Ingress", ", ".join(shown))
    if spec.get("externalName"):
        page.pair(0, "External Name", spec["externalName"])
    for index, port in enumerate(spec.get("ports") or []):
        protocol = port.get("protocol") or "TCP"
        page.pair(0, "Port", f"{port.get('name') or '<unset>'}\t{port.get('port')}/{protocol}")
        page.pair(0, "TargetPort", f"{port.get('targetPort', port.get('port'))}/{protocol}")
        if port.get("nodePort"):
            page.pair(0, "NodePort", f"{port.get('name') or '<unset>'}\t{port['nodePort']}/{protocol}")
        page.pair(0, "Endpoints", ",".join(endpoints[index]) if index < len(endpoints) else "")
    page.pair(0, "Session Affinity", spec.get("sessionAffinity") or "None")
    for label, field in (("External Traffic Policy", "externalTrafficPolicy"), ("Internal Traffic Policy", "internalTrafficPolicy"),
                         ("Traffic Distribution", "trafficDistribution"), ("HealthCheck NodePort", "healthCheckNodePort")):  # fmt: skip
        if spec.get(field):
            page.pair(0, label, str(spec[field]))
    if spec.get("loadBalancerSourceRanges"):
        page.pair(0, "LoadBalancer Source Ranges", ",".join(spec["loadBalancerSourceRanges"]))
    text.events(page, events, now)
    return page.text()


def config_map(body: Json, events: Sequence[Json], now: float) -> str:
    page = Page()
    text.head(page, body)
    page.block("\nData\n====")
    for key, value in sorted((body.get("data") or {}).items()):
        page.block(f"{key}:\n----\n{value}\n")
    page.block("\nBinaryData\n====")
    for key, value in sorted((body.get("binaryData") or {}).items()):
        page.block(f"{key}: {len(b64decode(value or ''))} bytes")
    page.line(0, "")
    text.events(page, events, now)
    return page.text()


def secret(body: Json, events: Sequence[Json], now: float) -> str:
    """The sizes of the values, never the values."""
    page = Page()
    text.head(page, body)
    page.line(0, "")
    page.pair(0, "Type", body.get("type") or "Opaque")
    page.block("\nData\n====")
    sizes = {key: len(b64decode(value or "")) for key, value in (body.get("data") or {}).items()}
    sizes.update({key: len(str(value).encode()) for key, value in (body.get("stringData") or {}).items()})
    for key, size in sorted(sizes.items()):
        page.pair(0, key, f"{size} bytes")
    if events:
        text.events(page, events, now)
    return page.text()


def anything(body: Json, namespaced: bool, events: Sequence[Json], now: float) -> str:
    """Field by field, names as words: what kubectl does with kinds it has no page for."""
    page = Page()
    text.head(page, body, namespaced)
    page.pair(0, "API Version", body.get("apiVersion", ""))
    page.pair(0, "Kind", body.get("kind", ""))
    hidden = ("name", "namespace", "labels", "annotations", "managedFields")
    _fields(page, 0, {"metadata": {k: v for k, v in body["metadata"].items() if k not in hidden}})
    _fields(page, 0, {k: v for k, v in sorted(body.items()) if k not in ("metadata", "apiVersion", "kind")})
    text.events(page, events, now)
    return page.text()


def words(name: str) -> str:
    """`containerPort` as `Container Port`."""
    parts = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+", name) or [name]
    joined = " ".join(part[:1].upper() + part[1:] for part in parts)
    return joined if re.fullmatch(r"[A-Za-z0-9]+", name) else name


def _fields(page: Page, level: int, values: Json) -> None:
    for key, value in values.items():
        label = words(str(key))
        if isinstance(value, dict) and value:
            page.line(level, f"{label}:")
            _fields(page, level + 1, value)
        elif isinstance(value, list) and value:
            page.line(level, f"{label}:")
            for one in value:
                if isinstance(one, dict):
                    _fields(page, level + 1, one)
                else:
                    page.line(level + 1, str(one))
        elif value not in (None, {}, []):
            page.pair(level, label, value)
