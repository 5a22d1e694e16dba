"""The device that stands for a network on the host: gateway address, the claim on its subnet, the way to Services.

It is a bridge without ports, because every kernel that runs containers can make one (this machine has no dummy
module); pods do not join it (veth.py).
"""

from __future__ import annotations

import os

from kubeplay.engine.net import rtnl
from kubeplay.engine.net.addresses import Subnet, is_v6, packed, parse, subnet
from kubeplay.engine.net.netlink import Message, Netlink, NetlinkError
from kubeplay.errors import SandboxError
from kubeplay.record import Record

_FORWARD = "/proc/sys/net/ipv4/ip_forward"
_CONF6 = "/proc/sys/net/ipv6/conf"
_DEFAULT_MTU = 1500
_EEXIST, _ENODEV = 17, 19


class Bridge(Record):
    """What a bridge must have. `ways`: (subnet, gateway) of each family; `services` (range, gateway of its family) and `dns` addresses
    only on the default network's; `mtu` 0 = as the uplink's.
    """

    name: str
    ways: tuple[tuple[str, str], ...]
    services: tuple[tuple[str, str], ...] = ()
    dns: tuple[str, ...] = ()
    mtu: int = 0

    @property
    def v6(self) -> bool:
        return any(is_v6(gateway) for _, gateway in self.ways)


def ensure(netlink: Netlink, wanted: Bridge) -> rtnl.Link:
    """Make the bridge or complete it; idempotent. Raises SandboxError."""
    try:
        found = rtnl.link(netlink, wanted.name)
        if found is None:
            try:
                netlink.run(rtnl.bridge(wanted.name, b"\x02\x6b" + packed(wanted.ways[0][1])[-4:], wanted.mtu or uplink_mtu(netlink)))
            except NetlinkError as error:
                if error.errno != _EEXIST:
                    raise
            found = rtnl.link(netlink, wanted.name)
        if found is None or found.kind != "bridge":
            raise SandboxError(f"device {wanted.name} is not a bridge of ours", hint=f"remove it: ip link del {wanted.name}")
        _sysctls(wanted)
        netlink.run(*_addresses(found.number, wanted))
        return found
    except OSError as error:  # a NetlinkError, or a sysctl that cannot be written
        hint = "root with CAP_NET_ADMIN and a writable /proc/sys is needed" if error.errno in (1, 13, 30) else ""
        raise SandboxError(f"cannot make bridge {wanted.name}: {error.strerror}", hint=hint) from error


def _addresses(index: int, wanted: Bridge) -> list[Message]:
    messages = [rtnl.add_address(index, gateway, subnet(prefix).length) for prefix, gateway in wanted.ways]
    messages.append(rtnl.up(index, wanted.name))
    messages += [rtnl.add_address(index, address, parse(address)[1]) for address in wanted.dns]
    return messages + [rtnl.add_route(index, subnet(range_), source=gateway) for range_, gateway in wanted.services]


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
    if not _off(_FORWARD):
        return False
    _write(_FORWARD, "1")
    return True


def enable_forwarding6() -> bool:
    """The same for IPv6. A device that takes its routes from router advertisements goes on doing so (ip-sysctl: accept_ra 2), which
    a machine that forwards would otherwise leave off.
    """
    if not _off(f"{_CONF6}/all/forwarding"):
        return False
    for name in os.listdir(_CONF6):
        path = f"{_CONF6}/{name}/accept_ra"
        if name != "lo" and _read(path) == "1":
            _write(path, "2")
    _write(f"{_CONF6}/all/forwarding", "1")
    return True


def check_v6() -> None:
    """Raises SandboxError when this machine does not do IPv6."""
    if not os.path.isdir(_CONF6):
        raise SandboxError("this kernel has no IPv6", hint="make the network without --ipv6, or start the kernel without ipv6.disable=1")
    if _read(f"{_CONF6}/default/disable_ipv6") == "1":
        raise SandboxError("IPv6 is switched off for new devices of this machine", hint="sysctl -w net.ipv6.conf.default.disable_ipv6=0")


def _sysctls(wanted: Bridge) -> None:
    try:
        _write(f"{_CONF6}/{wanted.name}/disable_ipv6", "0" if wanted.v6 else "1")  # "1": no addresses of its own making
    except OSError:
        if wanted.v6:
            raise


def _off(path: str) -> bool:
    return _read(path) == "0"


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def _write(path: str, value: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)
