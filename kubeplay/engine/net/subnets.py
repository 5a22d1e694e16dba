"""Choosing prefixes no one on this machine uses: not another kubeplay root, not Docker, not a VPN.

Called under claims.machine_lock; whoever chose brings the route up before letting the lock go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubeplay.engine.net import rtnl
from kubeplay.engine.net.addresses import Subnet, containing, number, text
from kubeplay.engine.net.netlink import Netlink
from kubeplay.errors import Conflict, Exhausted

POD_RANGE = Subnet(number("10.244.0.0"), 16)  # kubeadm's and flannel's habit; cut into /24, one a network
POD_LENGTH = 24
SERVICE_FIRST = Subnet(number("10.96.0.0"), 16)  # issue 2: 10.96.0.0/16 for the first root, the next /16 for the next
SERVICE_LAST = Subnet(number("10.127.0.0"), 16)  # kubeadm's 10.96.0.0/12 and the /12 after it


def in_use(netlink: Netlink, ours: Iterable[int] = ()) -> list[Subnet]:
    """Prefixes with a route or an address on this machine, those on our own devices (by index) left out."""
    own = set(ours)
    found = [route.destination for route in rtnl.routes(netlink) if route.device not in own and route.destination.length]
    found += [containing(int.from_bytes(raw, "big"), length) for index, raw, length in rtnl.addresses(netlink) if index not in own]
    return found


def free_pod_subnet(used: Sequence[Subnet]) -> Subnet:
    """The first /24 that overlaps nothing. Raises Exhausted."""
    step = 1 << (32 - POD_LENGTH)
    return _first((Subnet(base, POD_LENGTH) for base in range(POD_RANGE.base, POD_RANGE.last, step)), used, "pods", POD_RANGE)


def free_service_range(used: Sequence[Subnet]) -> Subnet:
    """The first /16 that overlaps nothing. Raises Exhausted."""
    bases = range(SERVICE_FIRST.base, SERVICE_LAST.base + 1, SERVICE_FIRST.size)
    return _first((Subnet(base, 16) for base in bases), used, "Services", SERVICE_FIRST)


def check_free(wanted: Subnet, used: Sequence[Subnet], what: str) -> None:
    """Raises Conflict when `wanted` overlaps something in use."""
    for other in used:
        if wanted.overlaps(other):
            raise Conflict(f"{what}: {wanted} overlaps {other}, which is in use on this machine", hint="choose another --subnet")


def gateway_of(subnet: Subnet) -> str:
    return text(subnet.base + 1)


def _first(candidates: Iterable[Subnet], used: Sequence[Subnet], what: str, where: Subnet) -> Subnet:
    for candidate in candidates:
        if not any(candidate.overlaps(other) for other in used):
            return candidate
    raise Exhausted(f"no free subnet for {what} from {where} on", hint="remove unused networks: kubeplay network ls, ip route")
