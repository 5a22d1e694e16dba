"""The rtnetlink requests we make, as bytes, and the answers we read (rtnetlink(7), linux/if_link.h)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from kubeplay.engine.net.addresses import V4, V6, Subnet, packed
from kubeplay.engine.net.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Message, Netlink, attr, attributes, nested, text, u32
from kubeplay.record import Record

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_NEWRULE = 28, 32
IFF_UP = 1
_AF_INET, _AF_INET6 = 2, 10
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK, _IFLA_LINKINFO = 1, 3, 4, 5, 18
_IFLA_AF_SPEC, _IFLA_GROUP, _IFLA_NET_NS_FD, _IFLA_EXT_MASK = 26, 27, 28, 29
_KIND, _DATA = 1, 2  # IFLA_INFO_*
_VETH_INFO_PEER, _IFLA_INET_CONF, _IFLA_INET6_ADDR_GEN_MODE = 1, 1, 8
_BR_STP_STATE, _BR_MCAST_SNOOPING = 5, 23  # IFLA_BR_*
_RT_MAIN, _RTPROT_STATIC, _RT_UNIVERSE, _RT_LINK, _RTN_UNICAST = 254, 4, 0, 253, 1
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC, _RTA_TABLE = 1, 4, 5, 7, 15
_RTNH_F_ONLINK = 4
_RT_HOST, _RTN_LOCAL = 254, 2
_FR_ACT_TO_TBL, _FRA_FWMARK, _FRA_TABLE = 1, 10, 15  # linux/fib_rules.h
_NUD_PERMANENT = 0x80
_IFA_F_NODAD = 2


class Link(Record):
    """A network device as the kernel lists it."""

    number: int
    name: str
    flags: int
    mtu: int
    group: int
    kind: str


class Route(Record):
    """A route; `gateway` empty = directly reachable."""

    destination: Subnet
    device: int
    gateway: bytes


def _info(index: int = 0, flags: int = 0, change: int = 0, family: int = 0) -> bytes:
    return struct.pack("=BxHiII", family, 0, index, flags, change)


def bridge(name: str, mac: bytes, mtu: int) -> Message:
    """Make a bridge; ours never has a port, it is a device to hold addresses that every kernel can make."""
    options = nested(_DATA, u32(_BR_STP_STATE, 0), attr(_BR_MCAST_SNOOPING, b"\0"))
    payload = _info() + text(_IFLA_IFNAME, name) + attr(_IFLA_ADDRESS, mac) + u32(_IFLA_MTU, mtu)
    payload += nested(_IFLA_LINKINFO, text(_KIND, "bridge"), options)
    return Message(RTM_NEWLINK, payload, f"create bridge {name}", NLM_F_CREATE | NLM_F_EXCL)


def veth(name: str, mac: bytes, group: int, mtu: int, peer: str, peer_mac: bytes, netns: int) -> Message:
    """Make a pair: `name` here, in device group `group`, and `peer` inside the network namespace of descriptor `netns`."""
    inside = _info() + text(_IFLA_IFNAME, peer) + attr(_IFLA_ADDRESS, peer_mac)
    inside += u32(_IFLA_MTU, mtu) + u32(_IFLA_NET_NS_FD, netns)
    payload = _info() + text(_IFLA_IFNAME, name) + u32(_IFLA_MTU, mtu) + attr(_IFLA_ADDRESS, mac) + u32(_IFLA_GROUP, group)
    payload += nested(_IFLA_LINKINFO, text(_KIND, "veth"), nested(_DATA, attr(_VETH_INFO_PEER, inside)))
    return Message(RTM_NEWLINK, payload, f"create veth {name}", NLM_F_CREATE | NLM_F_EXCL)


def child(kind: str, mode: int, parent: int, name: str, mac: bytes, mtu: int, netns: int) -> Message:
    """Make a macvlan or ipvlan device of `parent` as `name` inside the network namespace of descriptor `netns`."""
    payload = _info() + text(_IFLA_IFNAME, name) + u32(_IFLA_LINK, parent) + u32(_IFLA_NET_NS_FD, netns)
    payload += (u32(_IFLA_MTU, mtu) if mtu else b"") + (attr(_IFLA_ADDRESS, mac) if mac else b"")
    # IFLA_MACVLAN_MODE is 32 bits wide, IFLA_IPVLAN_MODE 16 (linux/if_link.h)
    option = u32(1, mode) if kind == "macvlan" else attr(1, struct.pack("=H", mode))
    payload += nested(_IFLA_LINKINFO, text(_KIND, kind), nested(_DATA, option))
    return Message(RTM_NEWLINK, payload, f"create {kind} {name}", NLM_F_CREATE | NLM_F_EXCL)


def open_port(name: str, sysctls: Sequence[tuple[int, int]]) -> Message:
    """Bring a host end up with these IPV4_DEVCONF_* values and without an IPv6 address of its own."""
    values = nested(_IFLA_INET_CONF, *(u32(key, value) for key, value in sysctls))
    spec = nested(_IFLA_AF_SPEC, nested(_AF_INET, values), nested(_AF_INET6, attr(_IFLA_INET6_ADDR_GEN_MODE, b"\1")))
    return Message(RTM_NEWLINK, _info(0, IFF_UP, IFF_UP) + text(_IFLA_IFNAME, name) + spec, f"set {name} up")


def up(index: int, what: str) -> Message:
    return Message(RTM_NEWLINK, _info(index, IFF_UP, IFF_UP), f"set {what} up")


def set_group(name: str, group: int) -> Message:
    return Message(RTM_NEWLINK, _info() + text(_IFLA_IFNAME, name) + u32(_IFLA_GROUP, group), f"mark {name} for removal")


def delete_link(name: str) -> Message:
    return Message(RTM_DELLINK, _info() + text(_IFLA_IFNAME, name), f"delete {name}")


def delete_group(group: int) -> Message:
    return Message(RTM_DELLINK, _info() + u32(_IFLA_GROUP, group), f"delete the links of group {group}")


def _family(raw: bytes) -> int:
    return _AF_INET6 if len(raw) == 16 else _AF_INET


def add_address(index: int, address: str, length: int) -> Message:
    """An IPv6 address is usable at once: whose it is the lease says, nobody has to be asked (RFC 4862 5.4)."""
    raw = packed(address)
    flags = _IFA_F_NODAD if len(raw) == 16 else 0
    payload = struct.pack("=BBBBi", _family(raw), length, flags, _RT_UNIVERSE, index)
    payload += attr(2, raw) + attr(1, raw)  # IFA_LOCAL, IFA_ADDRESS
    return Message(RTM_NEWADDR, payload, f"add address {address}/{length}", NLM_F_CREATE | NLM_F_REPLACE)


def add_route(index: int, destination: Subnet | None, gateway: str = "", source: str = "") -> Message:
    """A route in the main table; with a `gateway` it is used though no prefix of the device holds it (onlink).

    `destination` None: everything of the gateway's family.
    """
    scope, flags = (_RT_UNIVERSE, _RTNH_F_ONLINK) if gateway else (_RT_LINK, 0)
    bits = destination.bits if destination else V6 if ":" in gateway else V4
    length, family = (destination.length if destination else 0), _AF_INET6 if bits == V6 else _AF_INET
    payload = struct.pack("=BBBBBBBBI", family, length, 0, 0, _RT_MAIN, _RTPROT_STATIC, scope, _RTN_UNICAST, flags)
    payload += u32(_RTA_OIF, index)
    if destination:
        payload += attr(_RTA_DST, destination.base.to_bytes(bits // 8, "big"))
    if gateway:
        payload += attr(_RTA_GATEWAY, packed(gateway))
    if source:
        payload += attr(_RTA_PREFSRC, packed(source))
    return Message(RTM_NEWROUTE, payload, f"add route {destination or 'default'}", NLM_F_CREATE | NLM_F_REPLACE)


def answers_here(mark: int, table: int) -> tuple[Message, Message]:
    """What carries `mark` is for a socket here, whatever its address: rule and route of a table of its own."""
    rule = struct.pack("=BBBBBBBBI", _AF_INET, 0, 0, 0, 0, 0, 0, _FR_ACT_TO_TBL, 0) + u32(_FRA_FWMARK, mark) + u32(_FRA_TABLE, table)
    way = struct.pack("=BBBBBBBBI", _AF_INET, 0, 0, 0, 0, _RTPROT_STATIC, _RT_HOST, _RTN_LOCAL, 0)
    way += u32(_RTA_OIF, 1) + u32(_RTA_TABLE, table)
    return (Message(RTM_NEWROUTE, way, "add the local route", NLM_F_CREATE | NLM_F_REPLACE),
            Message(RTM_NEWRULE, rule, "add the rule of the local route", NLM_F_CREATE | NLM_F_EXCL))  # fmt: skip


def add_neighbour(index: int, address: str, mac: bytes) -> Message:
    """Say once and for all which hardware address an IP has: nobody asks, nobody can answer in its stead."""
    raw = packed(address)
    payload = struct.pack("=BxHiHBB", _family(raw), 0, index, _NUD_PERMANENT, 0, 0) + attr(1, raw) + attr(2, mac)
    return Message(RTM_NEWNEIGH, payload, f"add neighbour {address}", NLM_F_CREATE | NLM_F_REPLACE)


def link(netlink: Netlink, name: str) -> Link | None:
    """One device by name."""
    found = netlink.get(Message(RTM_GETLINK, _info() + text(_IFLA_IFNAME, name), f"look at {name}"))
    return _link(found) if found else None


def link_at(netlink: Netlink, index: int) -> Link | None:
    """One device by index."""
    found = netlink.get(Message(RTM_GETLINK, _info(index), f"look at device {index}"))
    return _link(found) if found else None


def links(netlink: Netlink) -> list[Link]:
    return [_link(body) for body in netlink.dump(RTM_GETLINK, _info(), "list devices")]


def addresses(netlink: Netlink, bits: int = V4) -> list[tuple[int, bytes, int]]:
    """(device index, address, prefix length) of every address of one family."""
    found = []
    family = _AF_INET6 if bits == V6 else _AF_INET
    for body in netlink.dump(RTM_GETADDR, struct.pack("=BBBBi", family, 0, 0, 0, 0), "list addresses"):
        _, length, _, _, index = struct.unpack_from("=BBBBi", body)
        values = attributes(body[8:])
        found.append((index, values.get(2, values.get(1, bytes(bits // 8))), length))
    return found


def routes(netlink: Netlink, bits: int = V4) -> list[Route]:
    """The unicast routes of one family, of every table but the local one."""
    found = []
    wanted = _AF_INET6 if bits == V6 else _AF_INET
    for body in netlink.dump(RTM_GETROUTE, struct.pack("=BBBBBBBBI", wanted, *([0] * 8)), "list routes"):
        family, length, _, _, table, _, _, kind, flags = struct.unpack_from("=BBBBBBBBI", body)
        if family != wanted or table == 255 or kind == 0 or flags & 0x200:  # RT_TABLE_LOCAL, RTM_F_CLONED
            continue
        values = attributes(body[12:])
        base = int.from_bytes(values.get(_RTA_DST, b""), "big")
        device = struct.unpack("=i", values.get(_RTA_OIF, b"\0\0\0\0"))[0]
        found.append(Route(Subnet(base, length, bits), device, values.get(_RTA_GATEWAY, b"")))
    return found


def _link(body: bytes) -> Link:
    _, _, index, flags, _ = struct.unpack_from("=BxHiII", body)
    values = attributes(body[16:])
    kind = attributes(values.get(_IFLA_LINKINFO, b"")).get(_KIND, b"").rstrip(b"\0").decode()
    name = values.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
    return Link(index, name, flags, _number(values, _IFLA_MTU), _number(values, _IFLA_GROUP), kind)


def _number(values: dict[int, bytes], kind: int) -> int:
    return int(struct.unpack("=I", values[kind])[0]) if kind in values else 0
