"""Pod addresses: leases in the store, chosen so that an address is not given again soon.

A search starts at a place that follows from the pod's uid: an address just given back rests for a while, and with it
the connection tracking and DNS answers that still name it.
"""

from __future__ import annotations

from zlib import crc32

from kubeplay.engine.net import addresses
from kubeplay.engine.store.db import Store
from kubeplay.engine.store.resources import NetworkRow
from kubeplay.errors import Conflict, Exhausted, InvalidInput


def pool(network: str) -> str:
    return f"ip:{network}"


def take(store: Store, network: NetworkRow, uid: str, wanted: str = "") -> str:
    """An address of `network` for the pod, `wanted` if given; the same again for a pod that has one.

    Raises InvalidInput for an unusable `wanted`, Conflict when another pod has it, Exhausted when none is left.
    """
    subnet, gateway = addresses.subnet(network.subnet), addresses.number(network.gateway)
    with store.write():
        taken = {lease.key: lease.holder for lease in store.leases.held(pool(network.name))}
        mine = next((key for key, holder in taken.items() if holder == uid), "")
        if mine and wanted in ("", mine):
            return mine
        if mine:
            store.leases.release(uid, pool(network.name))
        chosen = _static(wanted, subnet, gateway, network, taken) if wanted else _free(subnet, gateway, taken, uid)
        if not chosen:
            raise Exhausted(
                f"network {network.name}: no address left in {network.subnet} ({len(taken)} in use)",
                hint="remove pods, or make a larger network: kubeplay network create --subnet",
            )
        store.leases.take(pool(network.name), chosen, uid)
        return chosen


def _static(wanted: str, subnet: addresses.Subnet, gateway: int, network: NetworkRow, taken: dict[str, str]) -> str:
    value = addresses.number(wanted)
    if value not in subnet:
        raise InvalidInput(f"address {wanted} is not in network {network.name} ({network.subnet})")
    if value in (subnet.base, subnet.last, gateway):
        kind = {subnet.base: "network's own", subnet.last: "broadcast", gateway: "gateway's"}[value]
        raise InvalidInput(f"address {wanted} is the {kind} address of network {network.name}")
    chosen = addresses.text(value)
    if chosen in taken:
        raise Conflict(f"address {wanted} of network {network.name} is already in use by pod {taken[chosen]}")
    return chosen


def _free(subnet: addresses.Subnet, gateway: int, taken: dict[str, str], uid: str) -> str:
    count = subnet.size - 2
    start = crc32(uid.encode())
    for step in range(max(count, 0)):
        value = subnet.base + 1 + (start + step) % count
        if value != gateway and addresses.text(value) not in taken:
            return addresses.text(value)
    return ""
