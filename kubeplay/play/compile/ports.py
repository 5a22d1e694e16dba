"""Container ports and what --publish makes of them (HP1, podman-kube-facts 1.1 and 4.7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.plan.container import Port
from kubeplay.play.compile.numbers import is_number
from kubeplay.record import Record

PROTOCOLS = ("TCP", "UDP", "SCTP")


class Publish(Record):
    """One --publish argument; `host_port` 0 = the same number as the container's."""

    container_port: int
    protocol: str = "TCP"
    host_port: int = 0
    host_ip: str = ""


def plan(container: Mapping[str, Any], *, published: bool) -> tuple[Port, ...]:
    """Ports in file order; `published` is False where no port is mapped: hostNetwork, and init containers as on a kubelet."""
    return tuple([_port(p, published) for p in container.get("ports") or []])


def _port(item: Mapping[str, Any], published: bool) -> Port:
    host_port = item.get("hostPort") or 0 if published else 0
    host_ip = item.get("hostIP") or "" if host_port else ""
    return Port(item["containerPort"], item.get("protocol") or "TCP", item.get("name") or "", host_port, host_ip)


def parse(text: str) -> tuple[Publish, ...]:
    """`[[ip:][hostPort]:]containerPort[/protocol]`, IPv6 addresses in brackets; both ports may be ranges of equal length, `80-82`.

    Raises InvalidInput.
    """
    rest, _, protocol = text.partition("/")
    protocol = protocol.upper() or "TCP"
    if protocol not in PROTOCOLS:
        raise InvalidInput(f"--publish {text}: protocol must be tcp, udp or sctp")
    before, _, container_port = rest.rpartition(":")
    host_ip, host_port = _host_part(before)
    address, inner = _address(host_ip, text), _range(container_port, text)
    outer = _range(host_port, text) if host_port else range(0)
    if outer and len(outer) != len(inner):
        raise InvalidInput(f"--publish {text}: the ranges have {len(outer)} and {len(inner)} ports", hint="as 8080-8082:80-82")
    return tuple([Publish(port, protocol, outer[n] if outer else 0, address) for n, port in enumerate(inner)])


def _host_part(text: str) -> tuple[str, str]:
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        return address, port.removeprefix(":")
    address, colon, port = text.rpartition(":")
    return (address, port) if colon else ("", text)


def _range(text: str, whole: str) -> range:
    first, dash, last = text.partition("-")
    found = range(_number(first, whole), _number(last if dash else first, whole) + 1)
    if not found:
        raise InvalidInput(f"--publish {whole}: {text} ends before it begins", hint="as 8080-8082:80-82")
    return found


def _number(text: str, whole: str) -> int:
    if not is_number(text) or not 1 <= int(text) <= 65535:
        raise InvalidInput(f"--publish {whole}: {text!r} is not a port", hint="as 8080:80, 127.0.0.1:8080:80/tcp, 80 or 8080-8082:80-82")
    return int(text)


def _address(text: str, whole: str) -> str:
    import socket

    if not text:
        return ""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, text))
    except OSError:
        raise InvalidInput(f"--publish {whole}: {text!r} is not an address") from None


def publish_all(spec: dict[str, Any]) -> None:
    """Give each containerPort without hostPort the same number on the host."""
    for container in spec.get("containers") or []:
        for port in container.get("ports") or []:
            if not port.get("hostPort"):
                port["hostPort"] = port["containerPort"]


def declares(spec: Mapping[str, Any], wanted: Publish) -> bool:
    return any(_is(p, wanted) for c in spec.get("containers") or [] for p in c.get("ports") or [])


def _is(port: Mapping[str, Any], wanted: Publish) -> bool:
    return port["containerPort"] == wanted.container_port and (port.get("protocol") or "TCP") == wanted.protocol


def publish(spec: dict[str, Any], wanted: list[Publish]) -> None:
    """Write --publish into the ports of a pod spec: entries of the same port and protocol are replaced (4.7)."""
    for number, protocol in dict.fromkeys((w.container_port, w.protocol) for w in wanted):
        entries = [w for w in wanted if (w.container_port, w.protocol) == (number, protocol)]
        _replace(_owner(spec, entries[0]), entries)


def _owner(spec: dict[str, Any], wanted: Publish) -> dict[str, Any]:
    containers: list[dict[str, Any]] = spec["containers"]
    return next((c for c in containers if any(_is(p, wanted) for p in c.get("ports") or [])), containers[0])


def _replace(container: dict[str, Any], entries: list[Publish]) -> None:
    ports = container.get("ports") or []
    at = next((i for i, p in enumerate(ports) if _is(p, entries[0])), len(ports))
    old = ports[at] if at < len(ports) else {}
    made = []
    for number, entry in enumerate(entries):
        port: dict[str, Any] = {"containerPort": entry.container_port, "protocol": entry.protocol}
        port["hostPort"] = entry.host_port or entry.container_port
        if entry.host_ip:
            port["hostIP"] = entry.host_ip
        if old.get("name") and number == 0:  # a name is unique in its pod
            port["name"] = old["name"]
        made.append(port)
    container["ports"] = ports[:at] + made + [p for p in ports[at:] if not _is(p, entries[0])]
