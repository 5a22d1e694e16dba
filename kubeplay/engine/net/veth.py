"""Joining a pod's network namespace to the host: a pair of devices and a route, no shared layer 2.

The pod's address is a /32 and its way to everything leads through the gateway, which is the host; the host has a /32
route to the pod over its end of the pair. So every packet between pods is routed, seen by conntrack both ways, and
Services work by DNAT whether br_netfilter is there or not (docs/decisions/0201). Both sides know the other's hardware
address for good: no ARP, hence no answering for another pod, and strict rp_filter keeps pods to their own addresses.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from kubeplay.engine.host import syscalls
from kubeplay.engine.host.threads import in_thread
from kubeplay.engine.net import rtnl
from kubeplay.engine.net.addresses import Subnet, number, packed
from kubeplay.engine.net.netlink import Message, Netlink, NetlinkError
from kubeplay.errors import InvalidInput, SandboxError
from kubeplay.record import Record

_EEXIST, _ENODEV = 17, 19
_HOST_MAC = b"\x02\x6b\0\0\0\1"  # of every host end: each is alone on its wire
# linux/ip.h IPV4_DEVCONF_*: forwarding, send_redirects, rp_filter, route_localnet (connections to 127.0.0.1:PORT may
# be sent to a pod; our nft table drops what pods send to 127/8)
_SYSCTLS = ((1, 1), (6, 0), (8, 1), (26, 1))


class Port(Record):
    """One attachment: `name`, `group` and `mtu` of the host end, the pod's `address` on `subnet` behind `gateway`."""

    name: str
    group: int
    mtu: int
    address: str
    mac: bytes
    subnet: Subnet
    gateway: str


def name_of(uid: str, index: int = 0) -> str:
    """The host end's name for the n-th network of a pod: IFNAMSIZ leaves 15 characters, the uid gives 12 of them.

    Raises InvalidInput for a uid too short to be told from another by its beginning.
    """
    digits = uid.replace("-", "").lower()[:12]
    if len(digits) < 12 or not digits.isalnum() or not 0 <= index < 36:
        raise InvalidInput(f"pod uid {uid[:64]!r}: 12 letters or digits are needed to name its device")
    return f"kv{digits}{'0123456789abcdefghijklmnopqrstuvwxyz'[index]}"


def mac_of(address: str) -> bytes:
    """A locally administered hardware address that follows from the IP: a reused IP keeps it, so no ARP entry goes stale."""
    return b"\x02\x6b" + packed(address)


def parse_mac(text: str) -> bytes:
    """Six bytes of `02:00:00:00:00:01`. Raises InvalidInput also for group addresses, which no device may have."""
    parts = text.split(":")
    proper = all(len(part) == 2 and all(c in "0123456789abcdefABCDEF" for c in part) for part in parts)
    mac = bytes(int(part, 16) for part in parts) if proper else b""
    if len(mac) != 6 or mac[0] & 1 or not any(mac):
        raise InvalidInput(f"{text[:64]!r} is not a hardware address of a device", hint="write it as 02:00:00:00:00:01")
    return mac


def attach(netns: str, ports: Sequence[Port]) -> None:
    """Make the devices; the first port gives the default route. Raises SandboxError, then nothing of it is left.

    Idempotent: a namespace that has the addresses stays as it is; half an attachment is made anew.
    """
    try:
        in_thread(lambda: _attach(netns, ports))
    except NetlinkError as error:
        raise SandboxError(f"cannot connect the pod to its network: {error.strerror}") from error
    except OSError as error:
        raise SandboxError(f"cannot enter the pod's network namespace {netns}: {error.strerror}") from error


def _attach(netns: str, ports: Sequence[Port]) -> None:
    fd = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with Netlink() as host:  # keeps the host's namespace, whatever this thread does
            syscalls.setns(fd, syscalls.CLONE_NEWNET)
            with Netlink() as pod:
                _connect(host, pod, ports, fd)
    finally:
        os.close(fd)


def _connect(host: Netlink, pod: Netlink, ports: Sequence[Port], netns: int) -> None:
    names = [port.name for port in ports]
    try:
        try:
            host.run(*_pairs(ports, netns))
        except NetlinkError as error:
            if error.errno != _EEXIST:
                raise
            if _complete(host, pod, ports):
                return
            delete(host, names)
            host.run(*_pairs(ports, netns))
        pod.run(*_inside(pod, ports))
        host.run(*_outside(host, ports))  # last: a host that routes to the pod finds it ready
    except BaseException:
        delete(host, names)
        raise


def _pairs(ports: Sequence[Port], netns: int) -> list[Message]:
    messages = []
    for index, port in enumerate(ports):
        messages.append(rtnl.veth(port.name, _HOST_MAC, port.group, port.mtu, f"eth{index}", port.mac, netns))
        messages.append(rtnl.open_port(port.name, _SYSCTLS))
    return messages


def _inside(pod: Netlink, ports: Sequence[Port]) -> list[Message]:
    messages = []
    for index, port in enumerate(ports):
        device = _device(pod, f"eth{index}")
        messages.append(rtnl.up(device, f"eth{index}"))
        messages.append(rtnl.add_address(device, port.address, 32))
        messages.append(rtnl.add_route(device, Subnet(number(port.gateway), 32)))
        destination = port.subnet if index else None  # None: everything
        messages.append(rtnl.add_route(device, destination, port.gateway, port.address))
        messages.append(rtnl.add_neighbour(device, port.gateway, _HOST_MAC))
    return messages


def _outside(host: Netlink, ports: Sequence[Port]) -> list[Message]:
    messages = []
    for port in ports:
        device = _device(host, port.name)
        messages.append(rtnl.add_neighbour(device, port.address, port.mac))
        messages.append(rtnl.add_route(device, Subnet(number(port.address), 32), source=port.gateway))
    return messages


def _device(netlink: Netlink, name: str) -> int:
    found = rtnl.link(netlink, name)
    return found.number if found else 0


def _complete(host: Netlink, pod: Netlink, ports: Sequence[Port]) -> bool:
    held = {(number_, raw) for number_, raw, _ in rtnl.addresses(pod)}
    ways = {route.device for route in rtnl.routes(pod) if route.gateway}
    back = {(route.device, route.destination) for route in rtnl.routes(host)}
    for index, port in enumerate(ports):
        inner, outer = _device(pod, f"eth{index}"), _device(host, port.name)
        there = (outer, Subnet(number(port.address), 32)) in back
        if not there or inner not in ways or (inner, packed(port.address)) not in held:
            return False
    return True


def delete(host: Netlink, names: Sequence[str]) -> None:
    """Delete pairs by the names of their host ends, all in one go; those already gone are no error.

    The kernel waits for a grace period per request (about 20 ms measured), so several devices are gathered in a group
    of a number nobody else has and deleted with one request: ten pairs take 31 ms instead of 191.
    """
    if not names:
        return
    if len(names) == 1:
        requests = [rtnl.delete_link(names[0])]
    else:
        group = int.from_bytes(os.urandom(4), "big") >> 2 | 1 << 30
        requests = [rtnl.set_group(name, group) for name in names] + [rtnl.delete_group(group)]
    for error in host.errors(requests):
        if error.errno != _ENODEV:
            raise error
