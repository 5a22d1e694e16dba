"""Where the traffic of Services goes: one way for each port and family, and the chains that lead it to an endpoint (SV3). Pure."""

from __future__ import annotations

from _socket import inet_pton
from collections.abc import Iterable, Sequence

from kubeplay.engine.net.families import V4, Family, of, plain, prefix
from kubeplay.engine.net.table import Chain, Set
from kubeplay.plan.service import Endpoint, ServicePlan, ServicePort, ServiceRoute
from kubeplay.record import Record

_NO_ADDRESS = ("", "None")  # ExternalName and headless Services are names only


class Way(Record):
    """One port of a Service in one family.

    `addresses` and `host_ports` are what clients ask for, each with the chain that it goes to: `name`, or `gate` where only the clients
    in `sources` are let in.
    """

    family: Family
    name: str
    protocol: str
    port: int
    ends: tuple[Endpoint, ...]
    addresses: tuple[tuple[str, str], ...]
    host_ports: tuple[tuple[int, str], ...] = ()
    affinity: int = 0
    gate: str = ""
    sources: tuple[str, ...] = ()


def ways(routes: Sequence[ServiceRoute], family: Family) -> Iterable[Way]:
    """Every Service port that has an endpoint of the family; the others are refused by having no way."""
    for route in routes:
        service = route.service
        ip = next((one for one in addresses(service) if of(one) is family), "")
        if service.cluster_ip in _NO_ADDRESS or not ip:
            continue
        for port, ends in zip(service.ports, route.endpoints):
            here = sorted({Endpoint(plain(end.ip), end.port) for end in ends if of(end.ip) is family}, key=_rank)
            if here:
                yield _way(service, port, family, ip, tuple(here))


def addresses(service: ServicePlan) -> tuple[str, ...]:
    """The cluster addresses, one a family."""
    return service.cluster_ips or (service.cluster_ip,)


def _rank(end: Endpoint) -> tuple[bytes, int]:
    return inet_pton(of(end.ip).number, end.ip), end.port


def _way(service: ServicePlan, port: ServicePort, family: Family, ip: str, ends: tuple[Endpoint, ...]) -> Way:
    name = chain_name(ip, port)
    balanced = service.type == "LoadBalancer" and service.ingress
    gate = f"gate_{name}" if balanced and service.source_ranges else ""
    found = [(plain(one), name) for one in (ip, *service.external_ips) if of(one) is family]
    doors = [(port.node_port, name)] if port.node_port else []
    if balanced and not service.load_balancer_ip:
        doors.append((port.port, gate or name))
    elif balanced and of(service.ingress) is family:
        found.append((plain(service.ingress), gate or name))
    sources = tuple([prefix(one.strip()) for one in service.source_ranges if of(one) is family])
    return Way(
        family, name, port.protocol.lower(), port.port, ends, tuple(found), tuple(doors), service.affinity_seconds, gate, sources
    )


def chain_name(ip: str, port: ServicePort) -> str:
    """One chain per Service port; the address makes it unique, the text readable in `nft list ruleset`."""
    return f"svc_{_word(plain(ip))}_{port.protocol.lower()}_{port.port}"


def _word(ip: str) -> str:
    return ip.replace(".", "_").replace(":", "_")


def chains(way: Way) -> tuple[list[Set], list[Chain]]:
    """The sets and chains of one way."""
    sets, found = _remembering(way) if way.affinity else ([], [Chain(way.name, "", (_spread(way),))])
    if way.gate:
        word = way.family.word
        let = [f"{word} saddr {{ {', '.join(way.sources)} }} goto {way.name}"] if way.sources else []
        found.append(Chain(way.gate, "", (*let, f"fib saddr type local goto {way.name}", "drop")))  # the node itself is always let in
    return sets, found


def _spread(way: Way) -> str:
    """SV3: random over the endpoints."""
    only = f"meta l4proto {way.protocol} dnat {way.family.word} to"
    if len(way.ends) == 1:
        return f"{only} {_joined(way.ends[0])}"
    places = ", ".join(f"{index} : {end.ip} . {end.port}" for index, end in enumerate(way.ends))
    return f"{only} numgen random mod {len(way.ends)} map {{ {places} }}"


def _joined(end: Endpoint) -> str:
    return f"{end.ip}:{end.port}" if of(end.ip) is V4 else f"[{end.ip}]:{end.port}"


def _remembering(way: Way) -> tuple[list[Set], list[Chain]]:
    """SV3, ClientIP: each endpoint has a set of the clients that it served last, which the kernel keeps and forgets by itself."""
    options = ("flags dynamic,timeout", f"timeout {way.affinity}s")
    sets, found, known, choice = [], [], [], []
    for index, end in enumerate(way.ends):
        own = f"{way.name}_at_{_word(end.ip)}_{end.port}"
        sets.append(Set(own, way.family.kind, options, (), learns=True))
        known.append(f"{way.family.word} saddr @{own} goto {own}")
        choice.append(f"{index} : goto {own}")
        to = f"meta l4proto {way.protocol} dnat {way.family.word} to {_joined(end)}"
        found.append(Chain(own, "", (f"update @{own} {{ {way.family.word} saddr }}", to)))
    random = f"numgen random mod {len(way.ends)} vmap {{ {', '.join(choice)} }}"
    return sets, [*found, Chain(way.name, "", (*known, random))]
