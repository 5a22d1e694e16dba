"""Ports of a service: what is written, and the Services that come of it."""

from __future__ import annotations

from typing import Any

from kubeplay.convert.reading import Map
from kubeplay.convert.section import Section
from kubeplay.record import Record

MOST = 2048  # ports of one entry: people write 8000-9000
_PROTOCOLS = {"tcp": "TCP", "udp": "UDP", "sctp": "SCTP"}


class Port(Record):
    """A port of a container; `published` 0 = not on the host, -1 = on one that is drawn."""

    target: int
    protocol: str = "TCP"
    published: int = 0
    address: str = ""
    host: bool = False
    name: str = ""
    app_protocol: str = ""


def short(text: str) -> list[Map]:
    """`[[ADDRESS:]PUBLISHED:]TARGET[/PROTOCOL]`, ranges spread out. Raises ValueError."""
    body, _, protocol = text.partition("/")
    address = ""
    if body.startswith("["):
        address, bracket, body = body[1:].partition("]:")
        if not bracket:
            raise ValueError(f"{text!r}: the bracket of the address is not closed")
    parts = body.split(":")
    if len(parts) > 3 or (address and len(parts) > 2):
        raise ValueError(f"{text!r} has too many colons for a port")
    if len(parts) == 3:
        address = parts[0]
    published = parts[-2] if len(parts) > 1 else None
    targets = _range(parts[-1], text)
    hosts = _published(published, len(targets), text)
    return [_map(target, host, address, protocol or "tcp") for target, host in zip(targets, hosts)]


def long(found: Section) -> list[Map]:
    """The mapping's port, or ports where `published` or `target` is a range."""
    found.only("name target published host_ip protocol app_protocol mode")
    try:
        targets = _range(found.text("target"), "target")
        hosts = _published(found.text("published") if "published" in found else None, len(targets), "published")
    except ValueError as error:
        found.fault("", str(error))
        return []
    made = []
    for target, host in zip(targets, hosts):
        one = _map(target, 0 if host == -1 else host, found.text("host_ip"), found.text("protocol", "tcp"))
        one.update({key: found.text(key) for key in ("name", "app_protocol", "mode") if key in found})
        one.places.update({key: found.place(key) for key in one})
        made.append(one)
    return made


def _map(target: int, published: int, address: str, protocol: str) -> Map:
    return Map({"target": target, "published": published, "host_ip": address, "protocol": protocol})


def _range(text: str, what: str) -> list[int]:
    first, dash, last = text.partition("-")
    if not (first.isdecimal() and (not dash or last.isdecimal())) or len(text) > 11:
        raise ValueError(f"{what!r}: {text!r} is no port")
    low, high = int(first), int(last) if dash else int(first)
    if not 0 < low <= high < 65536:
        raise ValueError(f"{what!r}: {text!r} is no port between 1 and 65535")
    if high - low >= MOST:
        raise ValueError(f"{what!r}: more than {MOST} ports")
    return list(range(low, high + 1))


def _published(text: str | None, count: int, what: str) -> list[int]:
    """The host's port of each target; docker draws one (-1) where none is said. Of a wider range it takes the first that is free."""
    if text is None or text in ("", "0"):
        return [-1] * count
    found = _range(text, what)
    if len(found) != count and count != 1:
        raise ValueError(f"{what!r}: {len(found)} published ports for {count} of the container")
    return found[:count]


def expose(found: Section) -> list[Port]:
    """`expose`: ports that only other services reach."""
    made = []
    for word in found.words("expose"):
        body, _, protocol = word.partition("/")
        try:
            made += [Port(number, _protocol(protocol or "tcp")) for number in _range(body, word)]
        except ValueError as error:
            found.fault("expose", str(error))
    return made


def _protocol(text: str) -> str:
    if text.lower() not in _PROTOCOLS:
        raise ValueError(f"the protocol {text!r} is none of tcp, udp, sctp")
    return _PROTOCOLS[text.lower()]


def of(found: Section) -> list[Port]:
    """Every port of a service in long form, each once."""
    made: dict[tuple[Any, ...], Port] = {}
    for one in found.sections("ports"):
        try:
            protocol = _protocol(one.text("protocol", "tcp"))
        except ValueError as error:
            one.fault("protocol", str(error))
            continue
        host = one.text("mode") == "host"
        port = Port(
            one.map["target"], protocol, one.map["published"], one.text("host_ip"), host, one.text("name"), one.text("app_protocol")
        )
        made.setdefault((port.target, port.protocol, port.published, port.address), port)
    inner = {(port.target, port.protocol) for port in made.values()}
    for port in expose(found):
        if (port.target, port.protocol) not in inner:
            made.setdefault((port.target, port.protocol), port)
    return list(made.values())
