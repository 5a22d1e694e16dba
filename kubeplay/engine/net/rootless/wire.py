"""What commands and the forwarder say to each other: one request a packet, one answer a packet, on a SOCK_SEQPACKET socket.

Imported by the forwarder, so nothing is imported here: its memory counts.

    add KEY TARGET (+ the listening socket)   set KEY TARGET   del KEY   own PREFIX...   list
    -> `ok`, or `ok` and lines `KEY TARGET`, or `no REASON`
KEY is `IP/PROTOCOL/PORT` as leases have it, TARGET `IP:PORT`.
"""

from __future__ import annotations

LIMIT = 1 << 16  # bytes of a packet; 1000 ports need 50 kB


def request(verb: str, *words: str) -> bytes:
    return " ".join((verb, *words)).encode("ascii")


def parse(packet: bytes) -> tuple[str, list[str]]:
    """Verb and words. Raises ValueError for what is not ASCII or empty."""
    words = packet.decode("ascii").split(" ")
    if not words[0]:
        raise ValueError("an empty request")
    return words[0], words[1:]


def place(target: str) -> tuple[str, int]:
    """`IP:PORT`. Raises ValueError."""
    ip, _, port = target.rpartition(":")
    return ip, int(port)


def protocol(key: str) -> str:
    """TCP or UDP. Raises ValueError for another or a malformed key."""
    _, found, port = key.split("/")
    if found not in ("TCP", "UDP") or not 0 < int(port) < 65536:
        raise ValueError(f"not a port: {key}")
    return found
