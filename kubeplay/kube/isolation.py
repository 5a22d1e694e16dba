"""NetworkPolicies and pods to what is let through (NP1). Pure: which pods there are, and their labels, is given.

A pod is isolated for a direction when a policy that selects it lists that direction; then the rules of all such policies
add up. Whoever sends is held to his egress rules and whoever receives to his ingress rules: both must agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubeplay.kube import labels
from kubeplay.plan.policy import Allowance, Block, Direction, Isolation, PortRange
from kubeplay.record import Record

Json = dict[str, Any]


class NamedPort(Record):
    """A port of a container that has a name."""

    name: str
    protocol: str
    number: int


class Member(Record):
    """A pod on our networks, as policies see it."""

    namespace: str
    labels: Mapping[str, str]
    addresses: tuple[str, ...]
    ports: tuple[NamedPort, ...] = ()


class World(Record):
    """Who there is: pods, and the labels of every namespace."""

    members: Sequence[Member]
    namespaces: Mapping[str, Mapping[str, str]]


def isolation(policies: Iterable[Json], world: World, trusted: Iterable[str] = ()) -> Isolation:
    """What all policies come to; deterministic, whatever their order."""
    found = sorted(policies, key=lambda body: (body["metadata"].get("namespace") or "default", body["metadata"]["name"]))
    return Isolation(
        _direction(found, world, "Ingress", "ingress", "from"), _direction(found, world, "Egress", "egress", "to"), tuple(sorted(trusted))
    )


def _direction(policies: Sequence[Json], world: World, kind: str, rules: str, peers: str) -> Direction:
    isolated: set[str] = set()
    allowed: dict[Allowance, None] = {}
    for body in policies:
        spec, namespace = body.get("spec") or {}, body["metadata"].get("namespace") or "default"
        if kind not in (spec.get("policyTypes") or ["Ingress"]):
            continue
        own = [m for m in world.members if m.namespace == namespace and labels.matches(spec.get("podSelector") or {}, m.labels)]
        isolated.update(_addresses(own))
        for rule in spec.get(rules) or ():
            if own:
                allowed.update(dict.fromkeys(_rule(rule or {}, peers, own, world, namespace)))
    return Direction(tuple(sorted(isolated)), tuple(allowed))


def _rule(rule: Json, field: str, own: Sequence[Member], world: World, namespace: str) -> Iterable[Allowance]:
    """One rule: its peers and its ports must both fit. An absent or empty list of either fits everything."""
    listed = rule.get(field) or []
    pods = [m for m in world.members if any(_is(peer, m, world, namespace) for peer in listed)]
    blocks = tuple([_block(peer["ipBlock"]) for peer in listed if peer.get("ipBlock")])
    numbers = tuple([_range(port) for port in rule.get("ports") or () if not isinstance(port.get("port"), str)])
    if numbers or not rule.get("ports"):
        yield Allowance(_addresses(own), not listed, _addresses(pods), blocks, numbers)
    servers = own if field == "from" else pods if listed else world.members
    for port in rule.get("ports") or ():
        if not isinstance(port.get("port"), str):
            continue
        for range_, there in _named(port, servers).items():
            if field == "from":
                yield Allowance(_addresses(there), not listed, _addresses(pods), blocks, (range_,))
            else:  # which number a name is, only the pod says that has it: an ipBlock has none
                yield Allowance(_addresses(own), False, _addresses(there), (), (range_,))


def _named(port: Json, servers: Iterable[Member]) -> dict[PortRange, list[Member]]:
    """The pods that have a port of that name, by its number."""
    found: dict[PortRange, list[Member]] = {}
    protocol = port.get("protocol") or "TCP"
    for member in servers:
        for each in member.ports:
            if (each.name, each.protocol) == (port["port"], protocol):
                found.setdefault(PortRange(protocol, each.number, each.number), []).append(member)
    return found


def _is(peer: Json, member: Member, world: World, namespace: str) -> bool:
    """podSelector alone: of the policy's own namespace; namespaceSelector alone: every pod of those; together: both."""
    pods, spaces = peer.get("podSelector"), peer.get("namespaceSelector")
    if pods is None and spaces is None:
        return False
    if spaces is None:
        if member.namespace != namespace:
            return False
    elif not labels.matches(spaces, world.namespaces.get(member.namespace, {})):
        return False
    return pods is None or labels.matches(pods, member.labels)


def _block(block: Json) -> Block:
    return Block(block["cidr"], tuple(block.get("except") or ()))


def _range(port: Json) -> PortRange:
    first = port.get("port") or 0
    return PortRange(port.get("protocol") or "TCP", first, port.get("endPort") or first)


def _addresses(members: Iterable[Member]) -> tuple[str, ...]:
    return tuple(sorted({address for member in members for address in member.addresses}))
