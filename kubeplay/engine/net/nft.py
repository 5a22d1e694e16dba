"""Every packet rule of a root: one nft table of our own.

`rules` is pure. What is not redirected and still goes to the Service range has no endpoint or no such port, and is
refused there: so nothing has to list the refused. Established connections keep their mapping whatever becomes of the
table, because conntrack holds it. How a table gets into the kernel: apply.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubeplay.engine.net import reach
from kubeplay.engine.net.families import FAMILIES, V4, Family, of, plain, prefix
from kubeplay.engine.net.ports import ANY, Published
from kubeplay.engine.net.table import NOTHING, Chain, Set, Table, elements, mapping
from kubeplay.engine.net.traffic import Way, chains, ways
from kubeplay.plan.policy import Isolation
from kubeplay.plan.service import ServiceRoute
from kubeplay.record import Record


class NetState(Record):
    """What the rules follow from.

    `group` is the device group of the pods' host ends, `gateway` the host's address towards pods, `services` the
    Service range, `dns` the cluster DNS address; `subnets` are of both families, the names that end in 6 are IPv6's.
    No `subnets`: nothing to rule.
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
    gateway6: str = ""
    services6: str = ""
    dns6: str = ""
    networks: tuple[reach.Reach, ...] = ()
    policies: Isolation = Isolation()


class _Side(Record):
    """What the rules of one family follow from."""

    family: Family
    gateway: str
    subnets: tuple[str, ...]
    services: str
    dns: str
    published: tuple[Published, ...]
    ways: tuple[Way, ...]


def rules(state: NetState) -> Table:
    """The whole table; nothing when there is nothing to rule."""
    if not state.subnets:
        return NOTHING
    sides = [side for side in (_side(state, family) for family in FAMILIES) if side.subnets]
    held, policing = _policies(state)
    return Table(
        tuple([one for s in sides for one in _sets(s)] + [one for s in sides for way in s.ways for one in chains(way)[0]] + held),
        tuple(
            [one for side in sides for way in side.ways for one in chains(way)[1]]
            + [*_redirects(sides), _source(state, sides), *_filters(state, sides), *reach.chains(state.group, state.networks), *policing]
        ),
    )


def _policies(state: NetState) -> tuple[list[Set], list[Chain]]:
    """NP1; nearly every root has none."""
    if state.policies == Isolation():
        return [], []
    from kubeplay.engine.net import policies

    return policies.rules(state.policies, [one for one in (state.dns, state.dns6) if one])


def _side(state: NetState, family: Family) -> _Side:
    first = family is V4
    services, dns = (state.services, state.dns) if first else (state.services6, state.dns6)
    return _Side(
        family,
        state.gateway if first else state.gateway6,
        tuple([prefix(one) for one in state.subnets if of(one) is family]),
        prefix(services) if services else "",
        plain(dns) if dns else "",
        tuple([one for one in state.published if of(one.target) is family]),
        tuple(ways(state.routes, family)),
    )


def _sets(side: _Side) -> Iterable[Set]:
    family, kind, suffix = side.family, side.family.kind, side.family.suffix
    ends = {end for way in side.ways for end in way.ends}
    hairpin = {end.ip for end in ends} | {plain(one.target) for one in side.published}
    outside = {f"{end.ip} . {end.port}" for end in ends if not family.within(end.ip, side.subnets)}
    yield Set(f"pods{suffix}", kind, ("flags interval",), elements(side.subnets))
    yield Set(f"hairpin{suffix}", f"{kind} . {kind}", (), elements(f"{ip} . {ip}" for ip in hairpin))
    yield Set(f"outside{suffix}", f"{kind} . inet_service", (), elements(outside))
    # cluster addresses before all others: no external address of one Service takes another's traffic away (CVE-2020-8554)
    asked = sorted([(at, ip, chain, way) for way in side.ways for at, (ip, chain) in enumerate(way.addresses)], key=lambda one: one[0] > 0)
    yield Set(f"services{suffix}", f"{kind} . inet_proto . inet_service : verdict", (), mapping(
        (f"{ip} . {way.protocol} . {way.port}", f"goto {chain}") for _, ip, chain, way in asked))  # fmt: skip
    yield Set(f"nodeports{suffix}", "inet_proto . inet_service : verdict", (), mapping(
        (f"{way.protocol} . {port}", f"goto {chain}") for way in side.ways for port, chain in way.host_ports))  # fmt: skip
    to = f"inet_proto . inet_service : {kind} . inet_service"
    yield Set(f"hostports{suffix}", to, (), mapping(_published(p) for p in side.published if p.ip == ANY))
    at = mapping((f"{plain(p.ip)} . {key}", value) for p in side.published if p.ip != ANY for key, value in [_published(p)])
    yield Set(f"hostports_at{suffix}", f"{kind} . {to}", (), at)


def _published(one: Published) -> tuple[str, str]:
    return f"{one.protocol.lower()} . {one.port}", f"{plain(one.target)} . {one.target_port}"


def _redirects(sides: Sequence[_Side]) -> Iterable[Chain]:
    """DNAT of what comes in and of what this machine sends; ports count on the machine's own addresses only.

    Never on those of the Service range: a published port 53 must not take the cluster's DNS away.
    """
    found: list[str] = []
    for side in sides:
        word, suffix = side.family.word, side.family.suffix
        found.append(f"{word} daddr . meta l4proto . th dport vmap @services{suffix}")
    found += [f"{side.family.word} daddr {side.services} return" for side in sides if side.services]
    found.append("fib daddr type != local return")
    if any(side.family is not V4 for side in sides):  # packets from ::1 cannot leave lo: refused at once, and `localhost` goes on to IPv4
        found.append("ip6 daddr ::1 return")
    for side in sides:
        word, suffix, only = side.family.word, side.family.suffix, f"meta nfproto {side.family.proto}"
        found.append(f"{only} dnat {word} to {word} daddr . meta l4proto . th dport map @hostports_at{suffix}")
        found.append(f"{only} dnat {word} to meta l4proto . th dport map @hostports{suffix}")
        found.append(f"{only} meta l4proto . th dport vmap @nodeports{suffix}")
    yield Chain("arriving", "type nat hook prerouting priority dstnat; policy accept;", tuple(found))
    yield Chain("sending", "type nat hook output priority -100; policy accept;", tuple(found))


def _source(state: NetState, sides: Sequence[_Side]) -> Chain:
    """Whose source address is hidden: local host's towards pods, a pod's that comes back to itself, pods' towards the world.

    Never a pod's towards pods or Services, and never a foreign client's (CVE-2021-20199) unless the endpoint is
    not ours and would answer past us.
    """
    found = []
    for side in sides:
        word, suffix = side.family.word, side.family.suffix
        if side.family is V4:
            found.append(f"ip saddr 127.0.0.0/8 oifgroup {state.group} snat ip to {side.gateway}")
        found.append(f"ct status dnat {word} saddr . {word} daddr @hairpin{suffix} snat {word} to {plain(side.gateway)}")
        found.append(f"ct status dnat {word} daddr . th dport @outside{suffix} masquerade")
        world = f"{word} daddr != @pods{suffix} {word} daddr != {side.family.multicast}"
        found.append(f"{word} saddr @pods{suffix} {world} oifgroup != {state.group} masquerade")
    return Chain("leaving", "type nat hook postrouting priority srcnat; policy accept;", tuple(found))


def _filters(state: NetState, sides: Sequence[_Side]) -> Iterable[Chain]:
    # route_localnet is on for our devices: nothing from a pod may be or go to 127/8 (CVE-2020-8558)
    martians = (f"iifgroup {state.group} ip daddr 127.0.0.0/8 drop", f"iifgroup {state.group} ip saddr 127.0.0.0/8 drop")
    yield Chain("martians", "type filter hook prerouting priority raw; policy accept;", martians)
    refuse = [rule for side in sides if side.services for rule in (
        f"{side.family.word} daddr {side.services} meta l4proto tcp reject with tcp reset",
        f"{side.family.word} daddr {side.services} reject with {side.family.icmp} port-unreachable",
    )]  # fmt: skip
    if state.mark:  # what a pod answers to a client of the forwarder is for the forwarder, whatever its address (rootless/place.py)
        mark, back = f"{state.mark:#x}", f"{state.mark + 1:#x}"
        yield Chain("marking", "type filter hook output priority mangle; policy accept;", (f"meta mark {mark} ct mark set {mark}",))
        answers = f"iifgroup {state.group} ct direction reply ct mark {mark} meta mark set {back}"
        yield Chain("recognising", "type filter hook prerouting priority mangle; policy accept;", (answers,))
    yield Chain("passing", "type filter hook forward priority filter; policy accept;", tuple(refuse))
    dns = [f"{side.family.word} daddr {side.dns} accept" for side in sides if side.dns]
    yield Chain("going_out", "type filter hook output priority filter; policy accept;", (*dns, *refuse))
    own = [rule for side in sides if side.dns for rule in (
        f"{side.family.word} daddr {side.dns} ct state new tcp dport != 53 reject with tcp reset",
        f"{side.family.word} daddr {side.dns} ct state new udp dport != 53 reject with {side.family.icmp} port-unreachable",
    )]  # fmt: skip
    if own:  # the address is the machine's own, also as a client's: only DNS is to be had there
        yield Chain("coming_in", "type filter hook input priority filter; policy accept;", tuple(own))
