"""Joining a pod's network namespace to the host: a pair of devices and a route, no shared layer 2.

The pod's address is a /32 (IPv6: a /128) and its way to everything leads through the gateway, which is the host; the host has a /32
route to the pod over its end of the pair. So every packet between pods is routed, seen by conntrack both ways, and
Services work by DNAT whether br_netfilter is there or not (docs/decisions/0201). Both sides know the other's hardware
address for good: no ARP, hence no answering for another pod, and strict rp_filter (IPv6: a rule, reach.py) keeps pods to their
own addresses.

A macvlan or ipvlan device is the other way: a child of one of the host's, on whose network the pod then is itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from kubeplay.engine.host import syscalls
from kubeplay.engine.host.threads import in_thread
from kubeplay.engine.net import rtnl
from kubeplay.engine.net.addresses import Subnet, packed, parse
from kubeplay.engine.net.netlink import Message, Netlink, NetlinkError
from kubeplay.errors import InvalidInput, SandboxError
from kubeplay.record import Record

_EEXIST, _ENODEV, _EOPNOTSUPP = 17, 19, 95
_HOST_MAC = b"\x02\x6b\0\0\0\1"  # of every host end: each is alone on its wire
# linux/ip.h IPV4_DEVCONF_*: forwarding, send_redirects, rp_filter, route_localnet (connections to 127.0.0.1:PORT may
# be sent to a pod; our nft table drops what pods send to 127/8)
_SYSCTLS = ((1, 1), (6, 0), (8, 1), (26, 1))


class Place(Record):
    """One address of a pod on `subnet`, behind `gateway`; `default`: its way to everything of this family."""

    address: str
    subnet: Subnet
    gateway: str
    default: bool = True


class Port(Record):
    """One attachment: `name`, `group` and `mtu` of the host end; `number` of the device in the pod (eth0); IPv4 first in `places`.

    `kind` macvlan or ipvlan: a child of device `parent` in `mode`, which has no host end.
    """

    name: str
    group: int
    mtu: int
    mac: bytes
    places: tuple[Place, ...]
    number: int = 0
    kind: str = "veth"
    parent: int = 0
    mode: int = 0

    @property
    def device(self) -> str:
        return f"eth{self.number}"


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
    return b"\x02\x6b" + packed(address)[-4:]


def parse_mac(text: str) -> bytes:
    """Six bytes of `02:00:00:00:00:01`. Raises InvalidInput also for group addresses, which no device may have."""
    parts = text.split(":")
    proper = all(len(part) == 2 and all(c in "0123456789abcdefABCDEF" for c in part) for part in parts)
    mac = bytes(int(part, 16) for part in parts) if proper else b""
    if len(mac) != 6 or mac[0] & 1 or not any(mac):
        raise InvalidInput(f"{text[:64]!r} is not a hardware address of a device", hint="write it as 02:00:00:00:00:01")
    return mac


def remove(netns: str, name: str, device: str) -> None:
    """Take a device from a pod: the pair of host end `name`, or `device` where it has none. Idempotent. Raises SandboxError."""

    def work() -> None:
        with Netlink() as host:
            delete(host, [name])
        _entered(netns, lambda pod: disconnect(pod, [device]))

    _guarded(netns, work)


def reroute(netns: str, ports: Sequence[Port]) -> None:
    """Give the default routes to whom they belong now, where the device is gone that had them. Raises SandboxError."""

    def work(pod: Netlink) -> None:
        pod.run(*[rtnl.add_route(_device(pod, port.device), None, place.gateway, place.address)
                  for port in ports for place in port.places if place.default])  # fmt: skip

    _guarded(netns, lambda: _entered(netns, work))


def _entered(netns: str, work: Callable[[Netlink], None]) -> None:
    """`work` with a socket of the pod's namespace, in which this thread stays."""
    fd = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.setns(fd, syscalls.CLONE_NEWNET)
    finally:
        os.close(fd)
    with Netlink() as pod:
        work(pod)


def _guarded(netns: str, work: Callable[[], None]) -> None:
    try:
        in_thread(work)
    except NetlinkError as error:
        raise SandboxError(f"cannot connect the pod to its network: {error.strerror}") from error
    except OSError as error:
        raise SandboxError(f"cannot enter the pod's network namespace {netns}: {error.strerror}") from error


def attach(netns: str, ports: Sequence[Port]) -> None:
    """Make the devices; the first port gives the default route. Raises SandboxError, then nothing of it is left.

    Idempotent: a namespace that has the addresses stays as it is; half an attachment is made anew.
    """
    _guarded(netns, lambda: _attach(netns, ports))


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
    try:
        try:
            host.run(*_pairs(ports, netns))
        except NetlinkError as error:
            if error.errno != _EEXIST:
                raise
            if _complete(host, pod, ports):
                return
            _clear(host, pod, ports)
            host.run(*_pairs(ports, netns))
        pod.run(*_inside(pod, ports))
        host.run(*_outside(host, ports))  # last: a host that routes to the pod finds it ready
    except BaseException as error:
        _clear(host, pod, ports)
        if isinstance(error, NetlinkError) and error.errno == _EOPNOTSUPP:
            missing = sorted({port.kind for port in ports if port.kind != "veth"})
            if missing:
                what = f"this kernel has no {' or '.join(missing)} devices"
                raise SandboxError(what, hint=f"load them: modprobe {missing[0]}") from error
        raise


def _clear(host: Netlink, pod: Netlink, ports: Sequence[Port]) -> None:
    delete(host, [port.name for port in ports if port.kind == "veth"])
    disconnect(pod, [port.device for port in ports if port.kind != "veth"])


def disconnect(pod: Netlink, devices: Sequence[str]) -> None:
    """Delete devices of the pod's own; those already gone are no error."""
    for error in pod.errors([rtnl.delete_link(device) for device in devices]):
        if error.errno != _ENODEV:
            raise error


def _pairs(ports: Sequence[Port], netns: int) -> list[Message]:
    messages = []
    for port in ports:
        if port.kind == "veth":
            messages.append(rtnl.veth(port.name, _HOST_MAC, port.group, port.mtu, port.device, port.mac, netns))
            messages.append(rtnl.open_port(port.name, _SYSCTLS))
        else:
            mac = port.mac if port.kind == "macvlan" else b""  # an ipvlan device has its parent's
            messages.append(rtnl.child(port.kind, port.mode, port.parent, port.device, mac, port.mtu, netns))
    return messages


def _inside(pod: Netlink, ports: Sequence[Port]) -> list[Message]:
    messages = []
    for port in ports:
        device = _device(pod, port.device)
        messages.append(rtnl.up(device, port.device))
        for place in port.places:
            routed = port.kind == "veth"
            messages.append(rtnl.add_address(device, place.address, place.subnet.bits if routed else place.subnet.length))
            if routed:
                messages.append(rtnl.add_neighbour(device, place.gateway, _HOST_MAC))
                messages.append(rtnl.add_route(device, _host(place.gateway)))
            if routed or place.default:
                messages.append(rtnl.add_route(device, None if place.default else place.subnet, place.gateway, place.address))
    return messages


def _outside(host: Netlink, ports: Sequence[Port]) -> list[Message]:
    messages = []
    for port in ports:
        if port.kind != "veth":
            continue
        device = _device(host, port.name)
        for place in port.places:
            messages.append(rtnl.add_neighbour(device, place.address, port.mac))
            messages.append(rtnl.add_route(device, _host(place.address), source=place.gateway))
    return messages


def _host(address: str) -> Subnet:
    """The prefix that is this address alone."""
    value, bits = parse(address)
    return Subnet(value, bits, bits)


def _device(netlink: Netlink, name: str) -> int:
    found = rtnl.link(netlink, name)
    return found.number if found else 0


def _complete(host: Netlink, pod: Netlink, ports: Sequence[Port]) -> bool:
    held, ways, back = set(), set(), set()
    for bits in {place.subnet.bits for port in ports for place in port.places}:
        held |= {(number, raw) for number, raw, _ in rtnl.addresses(pod, bits)}
        ways |= {(route.device, bits) for route in rtnl.routes(pod, bits) if route.gateway}
        back |= {(route.device, route.destination) for route in rtnl.routes(host, bits)}
    for port in ports:
        inner, outer = _device(pod, port.device), _device(host, port.name)
        for place in port.places:
            routed = port.kind == "veth"
            if routed and (outer, _host(place.address)) not in back:
                return False
            if (routed or place.default) and (inner, place.subnet.bits) not in ways:
                return False
            if (inner, packed(place.address)) not in held:
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
