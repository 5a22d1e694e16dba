"""The device that stands for a network on the host: gateway address, the claim on its subnet, the way to Services.

It is a bridge without ports, because every kernel that runs containers can make one (this machine has no dummy
module); pods do not join it (veth.py).
"""

from __future__ import annotations

import os

from kubeplay.engine.net import rtnl
from kubeplay.engine.net.addresses import Subnet, packed, subnet
from kubeplay.engine.net.netlink import Message, Netlink, NetlinkError
from kubeplay.errors import SandboxError
from kubeplay.record import Record

_FORWARD = "/proc/sys/net/ipv4/ip_forward"
_DEFAULT_MTU = 1500
_EEXIST, _ENODEV = 17, 19


class Bridge(Record):
    """What a bridge must have; `services` and `dns` only on the default network's; `mtu` 0 = as the uplink's."""

    name: str
    subnet: str
    gateway: str
    services: str = ""
    dns: str = ""
    mtu: int = 0


def ensure(netlink: Netlink, wanted: Bridge) -> rtnl.Link:
    """Make the bridge or complete it; idempotent. Raises SandboxError."""
    try:
        found = rtnl.link(netlink, wanted.name)
        if found is None:
            try:
                netlink.run(rtnl.bridge(wanted.name, b"\x02\x6b" + packed(wanted.gateway), wanted.mtu or uplink_mtu(netlink)))
            except NetlinkError as error:
                if error.errno != _EEXIST:
                    raise
            found = rtnl.link(netlink, wanted.name)
        if found is None or found.kind != "bridge":
            raise SandboxError(f"device {wanted.name} is not a bridge of ours", hint=f"remove it: ip link del {wanted.name}")
        _sysctls(wanted.name)
        netlink.run(*_addresses(found.number, wanted))
        return found
    except OSError as error:  # a NetlinkError, or a sysctl that cannot be written
        hint = "root with CAP_NET_ADMIN and a writable /proc/sys is needed" if error.errno in (1, 13, 30) else ""
        raise SandboxError(f"cannot make bridge {wanted.name}: {error.strerror}", hint=hint) from error


def _addresses(index: int, wanted: Bridge) -> list[Message]:
    prefix = subnet(wanted.subnet)
    messages = [rtnl.add_address(index, wanted.gateway, prefix.length), rtnl.up(index, wanted.name)]
    if wanted.dns:
        messages.append(rtnl.add_address(index, wanted.dns, 32))
    if wanted.services:
        messages.append(rtnl.add_route(index, subnet(wanted.services), source=wanted.gateway))
    return messages


def delete(netlink: Netlink, name: str) -> None:
    """Delete the bridge; its addresses and routes go with it. One already gone is no error."""
    for error in netlink.errors([rtnl.delete_link(name)]):
        if error.errno != _ENODEV:
            raise error


def uplink_mtu(netlink: Netlink) -> int:
    """The MTU of the default route's device: a pod must not send packets the uplink has to cut."""
    for route in rtnl.routes(netlink):
        if route.destination == Subnet(0, 0):
            link = rtnl.link_at(netlink, route.device)
            if link:
                return min(link.mtu, _DEFAULT_MTU)
    return _DEFAULT_MTU


def enable_forwarding() -> bool:
    """Let the machine route between devices; True when it did not before. It stays on when we leave: others may rely on it by then."""
    with open(_FORWARD, encoding="ascii") as file:
        if file.read().strip() != "0":
            return False
    _write(_FORWARD, "1")
    return True


def _sysctls(name: str) -> None:
    try:
        _write(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "1")  # our networks are IPv4: no addresses of its own making
    except OSError:
        pass  # a kernel without IPv6


def _write(path: str, value: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)
