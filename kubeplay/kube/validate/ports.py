"""Ports of containers, and the port a probe or a Service names (VL3, HP1)."""

from __future__ import annotations

from typing import Any

from kubeplay.kube import names
from kubeplay.kube.validate.report import Faults, Object, records

PROTOCOLS = ("SCTP", "TCP", "UDP")


def container_ports(faults: Faults, path: str, container: Object) -> None:
    """`ports` of one container; hostIP is not checked, as on the server."""
    seen = set()
    for index, port in enumerate(records(container, "ports")):
        at, name = f"{path}[{index}]", port.get("name") or ""
        wrong = names.port_name(name) if name else []
        faults.each(f"{at}.name", name, wrong)
        if name and not wrong:
            if name in seen:
                faults.duplicate(f"{at}.name", name)
            seen.add(name)
        number, host = port.get("containerPort") or 0, port.get("hostPort") or 0
        if not number:
            faults.required(f"{at}.containerPort")
        else:
            faults.each(f"{at}.containerPort", number, names.port_number(number))
        if host:
            faults.each(f"{at}.hostPort", host, names.port_number(host))
        if port.get("protocol") not in PROTOCOLS:
            faults.one_of(f"{at}.protocol", port.get("protocol"), PROTOCOLS)


def host_ports(faults: Faults, path: str, containers: list[Object]) -> None:
    """A port of the host can be had once only."""
    seen = set()
    for place, container in enumerate(containers):
        for index, port in enumerate(records(container, "ports")):
            number = port.get("hostPort") or 0
            if not number:
                continue
            text = f"{port.get('protocol') or ''}/{port.get('hostIP') or ''}/{number}"
            if text in seen:
                faults.duplicate(f"{path}[{place}].ports[{index}].hostPort", text)
            seen.add(text)


def port_or_name(faults: Faults, path: str, port: Any) -> None:
    """A number or the name of a container's port; a missing one is 0."""
    if isinstance(port, str):
        hint = f"write {port} without quotes" if port.isdecimal() else ""
        faults.each(path, port, names.port_name(port), hint)
    else:
        faults.each(path, port or 0, names.port_number(port or 0))


def host_network(faults: Faults, path: str, spec: Object, *, is_pod: bool) -> None:
    """HP1: with the host's network, hostPort is the containerPort."""
    if not spec.get("hostNetwork"):
        return
    for place, container in enumerate(records(spec, "containers")):
        for index, port in enumerate(records(container, "ports")):
            host = port.get("hostPort") or 0
            if (is_pod or host) and host != (port.get("containerPort") or 0):
                where = f"{path}.containers[{place}].ports[{index}].hostPort"
                faults.invalid(where, host, "must match `containerPort` when `hostNetwork` is true")
