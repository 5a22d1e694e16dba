"""Pod addresses: leases in the store, chosen so that an address is not given again soon.

A search starts at a place that follows from the pod's uid: an address just given back rests for a while, and with it
the connection tracking and DNS answers that still name it. IPv4 and IPv6 addresses of a network are two pools; a
lease's value is the number of the pod's device (eth0, eth1...).
"""

from __future__ import annotations

from zlib import crc32

from kubeplay.engine.net import addresses
from kubeplay.engine.net.addresses import V4, V6, Subnet
from kubeplay.engine.store.db import Store
from kubeplay.engine.store.resources import NetworkRow
from kubeplay.errors import Conflict, Exhausted, InvalidInput
from kubeplay.record import Record

PREFIX, PREFIX6 = "ip:", "ip6:"
PREFIXES = (PREFIX, PREFIX6)


def pool(network: str, v6: bool = False) -> str:
    return f"{PREFIX6 if v6 else PREFIX}{network}"


def network_of(pool_: str) -> str:
    """The network of a pool; "" for a pool of something else."""
    return pool_.partition(":")[2] if pool_.startswith(PREFIXES) else ""


class _Room(Record):
    """One family of a network: `first` to `last` are those to choose from."""

    network: str
    subnet: Subnet
    gateway: int
    first: int
    last: int
    bits: int


def take(store: Store, network: NetworkRow, uid: str, wanted: str = "", *, v6: bool = False, device: int = 0) -> str:
    """An address of `network` for the pod, `wanted` if given; the same again for a pod that has one.

    Raises InvalidInput for an unusable `wanted`, Conflict when another pod has it, Exhausted when none is left.
    """
    room, here = _room(network, v6), pool(network.name, v6)
    with store.write():
        taken = {lease.key: lease.holder for lease in store.leases.held(here)}
        mine = next((key for key, holder in taken.items() if holder == uid), "")
        if mine and (not wanted or addresses.plain(wanted) == mine):
            return mine
        if mine:
            store.leases.release(uid, here)
        chosen = _static(wanted, room, taken) if wanted else _free(room, taken, uid)
        if not chosen:
            within = f"{room.subnet}" if not network.ranges else f"{room.subnet}, range {', '.join(network.ranges)}"
            raise Exhausted(
                f"network {network.name}: no address left in {within} ({len(taken)} in use)",
                hint="remove pods, or make a larger network: kubeplay network create --subnet",
            )
        store.leases.take(here, chosen, uid, str(device))
        return chosen


def _room(network: NetworkRow, v6: bool) -> _Room:
    subnet = addresses.subnet(network.subnet6 if v6 else network.subnet)
    gateway = addresses.parse(network.gateway6 if v6 else network.gateway)[0]
    first, last = subnet.base + 1, subnet.last if v6 else subnet.last - 1  # RFC 4291 2.6.1: the first is the routers'; no broadcast
    for one in network.ranges:
        if addresses.is_v6(one) == v6:
            low, _, high = one.partition("-")
            first, last = max(first, addresses.parse(low)[0]), min(last, addresses.parse(high)[0])
    return _Room(network.name, subnet, gateway, first, last, V6 if v6 else V4)


def _static(wanted: str, room: _Room, taken: dict[str, str]) -> str:
    value, bits = addresses.parse(wanted)
    if bits != room.bits or value not in room.subnet:
        raise InvalidInput(f"address {wanted} is not in network {room.network} ({room.subnet})")
    own = {room.subnet.base: "network's own", room.gateway: "gateway's"}
    if bits == V4:
        own[room.subnet.last] = "broadcast"
    if value in own:
        raise InvalidInput(f"address {wanted} is the {own[value]} address of network {room.network}")
    chosen = addresses.text(value, bits)
    if chosen in taken:
        raise Conflict(f"address {wanted} of network {room.network} is already in use by pod {taken[chosen]}")
    return chosen


def _free(room: _Room, taken: dict[str, str], uid: str) -> str:
    count = room.last - room.first + 1
    start = crc32(uid.encode())
    for step in range(max(min(count, len(taken) + 2), 0)):  # more than are taken need never be looked at
        value = room.first + (start + step) % count
        if value != room.gateway:
            chosen = addresses.text(value, room.bits)
            if chosen not in taken:
                return chosen
    return ""
