"""Defaults of Endpoints and EndpointSlices."""

from __future__ import annotations

from typing import Any

from kubeplay.kube.defaults_pod import records

Object = dict[str, Any]


def endpoints(obj: Object) -> None:
    for subset in records(obj, "subsets"):
        for port in records(subset, "ports"):
            if not port.get("protocol"):
                port["protocol"] = "TCP"


def endpoint_slice(obj: Object) -> None:
    for port in records(obj, "ports"):
        if port.get("name") is None:
            port["name"] = ""
        if not port.get("protocol"):
            port["protocol"] = "TCP"
