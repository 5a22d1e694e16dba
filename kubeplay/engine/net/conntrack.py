"""Forget UDP flows that go where the rules no longer lead.

UDP has no end that conntrack could see: a client that keeps sending keeps its old mapping alive, to an endpoint that
is gone, or past a port that was published after its first packet. There is no conntrack tool on a plain Debian, so the
few requests are made here (linux/netfilter/nfnetlink_conntrack.h).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Set

from kubeplay.engine.net.addresses import is_v6, unpacked
from kubeplay.engine.net.netlink import NETLINK_NETFILTER, NLA_F_NESTED, Message, Netlink, attr, attributes
from kubeplay.engine.net.nft import NetState
from kubeplay.engine.net.ports import ANY
from kubeplay.record import Record

_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK
_TUPLE_ORIG, _TUPLE_REPLY, _TUPLE_IP, _TUPLE_PROTO = 1, 2, 1, 2
_V4_SRC, _V4_DST, _V6_SRC, _V6_DST = 1, 2, 3, 4
_PROTO_NUM, _SRC_PORT, _DST_PORT = 1, 2, 3
_AF_INET, _AF_INET6, _UDP = 2, 10, 17

Place = tuple[str, int]


class Flow(Record):
    """One conntrack entry: `asked` is what the client sent to, `answered` who sends back; `raw` names it to the kernel."""

    asked: Place
    answered: Place
    raw: bytes


def udp_rules(state: NetState) -> dict[Place, set[Place]]:
    """Where UDP packets to each redirected place may go; the address ANY stands for every one of this machine."""
    found: dict[Place, set[Place]] = {}
    for one in state.published:
        if one.protocol == "UDP":
            found.setdefault((one.ip, one.port), set()).add((one.target, one.target_port))
    for route in state.routes:
        for port, ends in zip(route.service.ports, route.endpoints):
            if port.protocol != "UDP":
                continue
            service = route.service
            places = [(ip, port.port) for ip in (*(service.cluster_ips or (service.cluster_ip,)), *service.external_ips)]
            places += [(ANY, port.node_port)] if port.node_port else []
            places += [(service.load_balancer_ip or ANY, port.port)] if service.ingress else []
            for place in places:
                found.setdefault(place, set()).update((end.ip, end.port) for end in ends)
    return found


def stale(flows: list[Flow], rules: Mapping[Place, Set[Place]], own: Set[str]) -> list[Flow]:
    """The flows to redirected places that are answered by someone the rules do not name. `own`: this machine's addresses."""
    found = []
    for flow in flows:
        right = rules.get(flow.asked)
        if right is None and flow.asked[0] in own:
            right = rules.get((ANY, flow.asked[1]))
        if right is not None and flow.answered not in right:
            found.append(flow)
    return found


def forget(rules: Mapping[Place, Set[Place]], own: Set[str]) -> int:
    """Delete stale flows; the number deleted. A flow that ended by itself meanwhile is no error."""
    with Netlink(NETLINK_NETFILTER) as netlink:
        doomed = stale(flows(netlink), rules, own)
        wanted = [Message(_DELETE, _header(flow) + attr(_TUPLE_ORIG | NLA_F_NESTED, flow.raw), "delete a UDP flow") for flow in doomed]
        for error in netlink.errors(wanted):
            if error.errno != 2:  # ENOENT
                raise error
        return len(doomed)


def flows(netlink: Netlink) -> list[Flow]:
    """All UDP flows."""
    found = []
    for body in netlink.dump(_GET, struct.pack("=BBH", 0, 0, 0), "list connections"):  # 0: of every family
        values = attributes(body[4:])
        asked = _ends(values.get(_TUPLE_ORIG, b""))
        answered = _ends(values.get(_TUPLE_REPLY, b""))
        if asked and answered:
            found.append(Flow(asked[1], answered[0], values[_TUPLE_ORIG]))
    return found


def _header(flow: Flow) -> bytes:
    return struct.pack("=BBH", _AF_INET6 if is_v6(flow.asked[0]) else _AF_INET, 0, 0)


def _ends(data: bytes) -> tuple[Place, Place] | None:
    values = attributes(data)
    ip, proto = attributes(values.get(_TUPLE_IP, b"")), attributes(values.get(_TUPLE_PROTO, b""))
    source, destination = (_V4_SRC, _V4_DST) if _V4_SRC in ip else (_V6_SRC, _V6_DST)
    if proto.get(_PROTO_NUM) != bytes([_UDP]) or source not in ip or _SRC_PORT not in proto:
        return None
    return (
        (unpacked(ip[source]), int.from_bytes(proto[_SRC_PORT], "big")),
        (unpacked(ip[destination]), int.from_bytes(proto[_DST_PORT], "big")),
    )
