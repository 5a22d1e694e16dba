"""Choosing prefixes no one on this machine uses: not another kubeplay root, not Docker, not a VPN.

Called under claims.machine_lock; whoever chose brings the route up before letting the lock go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubeplay.engine.net import rtnl
from kubeplay.engine.net.addresses import V4, V6, Subnet, containing, number, text
from kubeplay.engine.net.netlink import Netlink
from kubeplay.errors import Conflict, Exhausted

POD_RANGE = Subnet(number("10.244.0.0"), 16)  # kubeadm's and flannel's habit; cut into /24, one a network
POD_LENGTH = 24
SERVICE_FIRST = Subnet(number("10.96.0.0"), 16)  # issue 2: 10.96.0.0/16 for the first root, the next /16 for the next
SERVICE_LAST = Subnet(number("10.127.0.0"), 16)  # kubeadm's 10.96.0.0/12 and the /12 after it


def in_use(netlink: Netlink, ours: Iterable[int] = ()) -> list[Subnet]:
    """Prefixes with a route or an address on this machine, those on our own devices (by index) left out."""
    own = set(ours)
    found = []
    for bits in (V4, V6):
        found += [r.destination for r in rtnl.routes(netlink, bits) if r.device not in own and r.destination.length]
        held = rtnl.addresses(netlink, bits)
        found += [containing(int.from_bytes(raw, "big"), length, bits) for index, raw, length in held if index not in own]
    return found


def free_pod_subnet(used: Sequence[Subnet]) -> Subnet:
    """The first /24 that overlaps nothing. Raises Exhausted."""
    step = 1 << (32 - POD_LENGTH)
    return _first((Subnet(base, POD_LENGTH) for base in range(POD_RANGE.base, POD_RANGE.last, step)), used, "pods", POD_RANGE)


def free_service_range(used: Sequence[Subnet]) -> Subnet:
    """The first /16 that overlaps nothing. Raises Exhausted."""
    bases = range(SERVICE_FIRST.base, SERVICE_LAST.base + 1, SERVICE_FIRST.size)
    return _first((Subnet(base, 16) for base in bases), used, "Services", SERVICE_FIRST)


def free_pod_subnet6(tag: str, used: Sequence[Subnet]) -> Subnet:
    """The first /64 of the root's own prefix that overlaps nothing. Raises Exhausted."""
    own = own_prefix(tag)
    bases = (own.base + (place << 64) for place in range(1 << 16))
    return _first((Subnet(base, 64, V6) for base in bases), used, "pods", own)


def service_range6(tag: str) -> Subnet:
    """The last /112 of the root's prefix: as large as the IPv4 range, and no network's, whose /64 begin at the other end."""
    own = own_prefix(tag)
    return Subnet(own.last >> 16 << 16, 112, V6)


def own_prefix(tag: str) -> Subnet:
    """RFC 4193: fd, forty bits that nobody else has; ours follow from the root, so that the prefix stays the same."""
    from hashlib import sha256

    return Subnet((0xFD << 40 | int.from_bytes(sha256(f"kubeplay {tag}".encode()).digest()[:5], "big")) << 80, 48, V6)


def check_free(wanted: Subnet, used: Sequence[Subnet], what: str) -> None:
    """Raises Conflict when `wanted` overlaps something in use."""
    for other in used:
        if wanted.overlaps(other):
            raise Conflict(f"{what}: {wanted} overlaps {other}, which is in use on this machine", hint="choose another --subnet")


def gateway_of(subnet: Subnet) -> str:
    return text(subnet.base + 1, subnet.bits)


def _first(candidates: Iterable[Subnet], used: Sequence[Subnet], what: str, where: Subnet) -> Subnet:
    for candidate in candidates:
        if not any(candidate.overlaps(other) for other in used):
            return candidate
    raise Exhausted(f"no free subnet for {what} from {where} on", hint="remove unused networks: kubeplay network ls, ip route")
