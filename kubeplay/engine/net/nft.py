"""Every packet rule of a root: one nft table of our own, written as a whole in one transaction.

`render` is pure. What is not redirected and still goes to the Service range has no endpoint or no such port, and is
refused there: so nothing has to list the refused. Established connections keep their mapping when the table is
replaced, because conntrack holds it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence

from kubeplay.engine.net.addresses import number, subnet
from kubeplay.engine.net.addresses import text as address_text
from kubeplay.engine.net.netlink import NETLINK_NETFILTER, Message, Netlink, NetlinkError, text
from kubeplay.engine.net.ports import ANY, Published
from kubeplay.plan.service import Endpoint, ServicePlan, ServicePort, ServiceRoute
from kubeplay.record import Record

_NFT_MSG_GETTABLE, _NFPROTO_INET = 10 << 8 | 1, 1  # linux/netfilter/nfnetlink.h: NFNL_SUBSYS_NFTABLES
_NO_ADDRESS = ("", "None")  # ExternalName and headless Services are names only
_AFFINITY_SEED = 0x6B706179  # any constant: the same client must come to the same place after each rewrite


class NetState(Record):
    """What the rules follow from.

    `group` is the device group of the pods' host ends, `gateway` the host's address towards pods, `services` the
    Service range, `dns` the cluster DNS address. No `subnets`: nothing to rule.
    `mark` is on packets of the port forwarder, which may bear its clients' addresses; 0 without one.
    """

    table: str
    group: int = 0
    gateway: str = ""
    subnets: tuple[str, ...] = ()
    services: str = ""
    dns: str = ""
    published: tuple[Published, ...] = ()
    routes: tuple[ServiceRoute, ...] = ()
    mark: int = 0


def render(state: NetState) -> str:
    """The text for `nft -f`: replaces the table, or only removes it when there is nothing to rule."""
    header = f"add table inet {state.table}\ndelete table inet {state.table}\n"
    if not state.subnets:
        return header
    used = [
        (route.service, port, ends)
        for route in state.routes
        if route.service.cluster_ip not in _NO_ADDRESS
        for port, ends in zip(route.service.ports, route.endpoints)
        if ends
    ]
    parts = [*_sets(state, used), *(_chain(*one) for one in used), _redirects(), _source(state), *_filters(state)]
    return header + f"table inet {state.table} {{\n" + "\n".join(part for part in parts if part) + "}\n"


_Used = tuple[ServicePlan, ServicePort, tuple[Endpoint, ...]]


def _sets(state: NetState, used: Sequence[_Used]) -> Iterable[str]:
    prefixes = [subnet(text) for text in state.subnets]
    ends = {end._replace(ip=_plain(end.ip)) for _, _, group in used for end in group}
    hairpin = {end.ip for end in ends} | {one.target for one in state.published}
    outside = {f"{end.ip} . {end.port}" for end in ends if not any(number(end.ip) in prefix for prefix in prefixes)}
    yield _set("set pods", "ipv4_addr; flags interval", state.subnets)
    yield _set("set hairpin", "ipv4_addr . ipv4_addr", (f"{ip} . {ip}" for ip in hairpin))
    yield _set("set outside", "ipv4_addr . inet_service", outside)
    cluster = [f"{ip} . {_low(port)} . {port.port} : goto {_name(service, port)}"
               for service, port, _ in used for ip in map(_plain, (service.cluster_ip, *service.external_ips))]
    yield _set("map services", "ipv4_addr . inet_proto . inet_service : verdict", cluster)
    nodes = [f"{_low(port)} . {port.node_port} : goto {_name(service, port)}" for service, port, _ in used if port.node_port]
    yield _set("map nodeports", "inet_proto . inet_service : verdict", nodes)
    everywhere = [f"{p.protocol.lower()} . {p.port} : {p.target} . {p.target_port}" for p in state.published if p.ip == ANY]
    yield _set("map hostports", "inet_proto . inet_service : ipv4_addr . inet_service", everywhere)
    somewhere = [f"{p.ip} . {p.protocol.lower()} . {p.port} : {p.target} . {p.target_port}" for p in state.published if p.ip != ANY]
    yield _set("map hostports_at", "ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service", somewhere)


def _set(head: str, kind: str, elements: Iterable[str]) -> str:
    listed = sorted(set(elements))
    body = "    elements = { " + ",\n        ".join(listed) + " }\n" if listed else ""
    return f"  {head} {{\n    type {kind};\n{body}  }}\n"


def _chain(service: ServicePlan, port: ServicePort, ends: Sequence[Endpoint]) -> str:
    # SV3: random over the endpoints; sessionAffinity ClientIP by a hash of the client's address, which needs no memory
    ordered = sorted({end._replace(ip=_plain(end.ip)) for end in ends}, key=lambda end: (number(end.ip), end.port))
    count = len(ordered)
    choice = f"jhash ip saddr mod {count} seed {_AFFINITY_SEED:#x}" if service.affinity_seconds else f"numgen random mod {count}"
    places = ", ".join(f"{index} : {end.ip} . {end.port}" for index, end in enumerate(ordered))
    target = f"{choice} map {{ {places} }}" if count > 1 else f"{ordered[0].ip}:{ordered[0].port}"
    return f"  chain {_name(service, port)} {{\n    meta l4proto {_low(port)} dnat ip to {target}\n  }}\n"


def _redirects() -> str:
    """DNAT of what comes in and of what this machine sends; ports count on the machine's own addresses only."""
    rules = (
        "    ip daddr . meta l4proto . th dport vmap @services\n"
        "    meta nfproto ipv4 fib daddr type local dnat ip to ip daddr . meta l4proto . th dport map @hostports_at\n"
        "    meta nfproto ipv4 fib daddr type local dnat ip to meta l4proto . th dport map @hostports\n"
        "    meta nfproto ipv4 fib daddr type local meta l4proto . th dport vmap @nodeports\n"
    )
    return (
        f"  chain arriving {{\n    type nat hook prerouting priority dstnat; policy accept;\n{rules}  }}\n\n"
        f"  chain sending {{\n    type nat hook output priority -100; policy accept;\n{rules}  }}\n"
    )


def _source(state: NetState) -> str:
    """Whose source address is hidden: local host's towards pods, a pod's that comes back to itself, pods' towards the world.

    Never a pod's towards pods or Services, and never a foreign client's (CVE-2021-20199) unless the endpoint is
    not ours and would answer past us.
    """
    return (
        "  chain leaving {\n    type nat hook postrouting priority srcnat; policy accept;\n"
        f"    ip saddr 127.0.0.0/8 oifgroup {state.group} snat ip to {state.gateway}\n"
        f"    ct status dnat ip saddr . ip daddr @hairpin snat ip to {state.gateway}\n"
        "    ct status dnat ip daddr . th dport @outside masquerade\n"
        f"    ip saddr @pods ip daddr != @pods ip daddr != 224.0.0.0/4 oifgroup != {state.group} masquerade\n  }}\n"
    )


def _filters(state: NetState) -> Iterable[str]:
    yield (  # route_localnet is on for our devices: nothing from a pod may be or go to 127/8 (CVE-2020-8558)
        "  chain martians {\n    type filter hook prerouting priority raw; policy accept;\n"
        f"    iifgroup {state.group} ip daddr 127.0.0.0/8 drop\n    iifgroup {state.group} ip saddr 127.0.0.0/8 drop\n  }}\n"
    )
    refuse = ""
    if state.services:
        refuse = (
            f"    ip daddr {state.services} meta l4proto tcp reject with tcp reset\n"
            f"    ip daddr {state.services} reject with icmp port-unreachable\n"
        )
    if state.mark:  # what a pod answers to a client of the forwarder is for the forwarder, whatever its address (rootless/place.py)
        yield (
            "  chain marking {\n    type filter hook output priority mangle; policy accept;\n"
            f"    meta mark {state.mark:#x} ct mark set {state.mark:#x}\n  }}\n"
            "  chain recognising {\n    type filter hook prerouting priority mangle; policy accept;\n"
            f"    iifgroup {state.group} ct direction reply ct mark {state.mark:#x} meta mark set {state.mark + 1:#x}\n  }}\n"
        )
    yield f"  chain passing {{\n    type filter hook forward priority filter; policy accept;\n{refuse}  }}\n"
    dns = f"    ip daddr {state.dns} accept\n" if state.dns else ""
    yield f"  chain going_out {{\n    type filter hook output priority filter; policy accept;\n{dns}{refuse}  }}\n"
    if state.dns:  # the address is the machine's own, also as a client's: only DNS is to be had there
        yield (
            "  chain coming_in {\n    type filter hook input priority filter; policy accept;\n"
            f"    ip daddr {state.dns} ct state new tcp dport != 53 reject with tcp reset\n"
            f"    ip daddr {state.dns} ct state new udp dport != 53 reject with icmp port-unreachable\n  }}\n"
        )


def _name(service: ServicePlan, port: ServicePort) -> str:
    """One chain per Service port; the address makes it unique, the text readable in `nft list ruleset`."""
    return f"svc_{service.cluster_ip.replace('.', '_')}_{_low(port)}_{port.port}"


def _plain(ip: str) -> str:
    """The address as we write it: what came from a manifest never gets into the rules as text."""
    return address_text(number(ip))


def _low(port: ServicePort) -> str:
    return port.protocol.lower()


def exists(table: str) -> bool:
    """Whether the kernel has our table: another program may have flushed everything."""
    with Netlink(NETLINK_NETFILTER) as netlink:
        payload = struct.pack("=BBH", _NFPROTO_INET, 0, 0) + text(1, table)
        try:
            return netlink.get(Message(_NFT_MSG_GETTABLE, payload, f"look at table {table}")) is not None
        except NetlinkError as error:
            if error.errno == 95:  # EOPNOTSUPP: a kernel module that is not loaded yet
                return False
            raise


def apply(state: NetState, record: str) -> bool:
    """Bring the kernel's table to `state`; True when something was done.

    `record` is a file with the text last applied: equal text and a table that is there mean nothing to do.
    Raises MissingPrerequisite without nft, CommandFailed when it refuses.
    """
    from kubeplay.engine.host import processes

    wanted = render(state)
    there = exists(state.table)
    if there == bool(state.subnets) and (not there or _read(record) == wanted):
        return False
    processes.run([processes.program("nft"), "-f", "-"], stdin=wanted.encode())
    with open(f"{record}.new", "w", encoding="utf-8") as file:
        file.write(wanted)
    os.rename(f"{record}.new", record)
    return True


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""
