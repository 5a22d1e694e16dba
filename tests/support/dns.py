"""One DNS query over UDP or TCP and its answer, without a library."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

A, CNAME, PTR, TXT, AAAA, SRV, OPT = 1, 5, 12, 16, 28, 33, 41
SERVFAIL, NXDOMAIN = 2, 3


class Answer(NamedTuple):
    """`ttl`: of the first record."""

    code: int
    values: list[str]
    ttl: int = 0
    truncated: bool = False


def question(name: str, kind: int = A, edns: int = 0) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    text = struct.pack("!HHHHHH", 0x1234, 0x0100, 1, 0, 0, 1 if edns else 0) + labels + b"\0" + struct.pack("!HH", kind, 1)
    return text + (b"\0" + struct.pack("!HHIH", OPT, edns, 0, 0) if edns else b"")


def query(address: str, name: str, kind: int = A, timeout: float = 60.0, *, tcp: bool = False, edns: int = 0) -> Answer:
    """Raises OSError when nobody answers."""
    text = question(name, kind, edns)
    with socket.socket(type=socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout)
        sock.connect((address, 53))
        if not tcp:
            sock.send(text)
            return parse(sock.recv(65535))
        sock.sendall(struct.pack("!H", len(text)) + text)
        with sock.makefile("rb") as stream:
            return parse(stream.read(struct.unpack("!H", stream.read(2))[0]))


def parse(data: bytes) -> Answer:
    flags, _, count = struct.unpack_from("!HHH", data, 2)
    _, at = _name(data, 12)
    at += 4
    found, ttls = [], []
    for _ in range(count):
        _, at = _name(data, at)
        kind, _, ttl, size = struct.unpack_from("!HHIH", data, at)
        at += 10
        found.append(_value(data, at, kind, size))
        ttls.append(ttl)
        at += size
    return Answer(flags & 15, found, ttls[0] if ttls else 0, bool(flags & 0x0200))


def _value(data: bytes, at: int, kind: int, size: int) -> str:
    if kind in (A, AAAA):
        return socket.inet_ntop(socket.AF_INET if kind == A else socket.AF_INET6, data[at : at + size])
    if kind == SRV:
        return " ".join([*map(str, struct.unpack_from("!HHH", data, at)), _name(data, at + 6)[0]])
    if kind == TXT:
        return data[at + 1 : at + 1 + data[at]].decode()
    return _name(data, at)[0]


def _name(data: bytes, at: int) -> tuple[str, int]:
    labels: list[str] = []
    while size := data[at]:
        if size >= 192:
            target = struct.unpack_from("!H", data, at)[0] & 0x3FFF
            return ".".join([*labels, *_name(data, target)[0].split(".")]).strip("."), at + 2
        labels.append(data[at + 1 : at + 1 + size].decode())
        at += size + 1
    return ".".join(labels), at + 1
