"""What a root would get that is not there yet."""

from __future__ import annotations

from collections.abc import Sequence

from kubeplay.engine.host import userns
from kubeplay.engine.net import subnets
from kubeplay.engine.net.addresses import Subnet
from kubeplay.engine.net.netlink import Netlink


def first_range() -> Subnet:
    """Where its cluster IPs will come from; nothing is made to look for it. Raises Exhausted."""
    used, handed = _in_use(), userns.handed_on()
    if handed:
        from kubeplay.engine.net.rootless.place import Place

        used = [*used, *Place(handed.directory).call(_in_use)]
    return subnets.free_service_range(used)


def _in_use() -> Sequence[Subnet]:
    with Netlink() as netlink:
        return subnets.in_use(netlink)
