"""NP1: which traffic NetworkPolicies let through, as a table of who reaches whom; the rules of the kernel follow from the same record."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.engine.net import policies as rules
from kubeplay.errors import InvalidInput
from kubeplay.kube.isolation import Member, NamedPort, World, isolation
from kubeplay.plan.policy import Allowance, Block, Direction, Isolation, PortRange

WEB, API, DB, OTHER = (f"10.244.0.{n}" for n in (1, 2, 3, 4))
HTTP = (NamedPort("http", "TCP", 8080),)
WORLD = World(
    (
        Member("default", {"app": "web"}, (WEB,), HTTP),
        Member("default", {"app": "api", "tier": "back"}, (API,), (NamedPort("http", "TCP", 9090),)),
        Member("default", {"app": "db", "tier": "back"}, (DB,)),
        Member("other", {"app": "web"}, (OTHER,), HTTP),
    ),
    {"default": {"kubernetes.io/metadata.name": "default"}, "other": {"kubernetes.io/metadata.name": "other", "team": "b"}},
)


def policy(spec: dict[str, Any], name: str = "p", namespace: str = "default") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


def may(found: Isolation, source: str, target: str, port: int = 80, protocol: str = "TCP") -> bool:
    """Whether a new connection is let through: both ends must agree."""
    return _agrees(found.egress, source, target, port, protocol) and (
        source in found.trusted or _agrees(found.ingress, target, source, port, protocol)
    )


def _agrees(direction: Direction, own: str, other: str, port: int, protocol: str) -> bool:
    if own not in direction.isolated or own == other:
        return True
    return any(own in one.own and _peer(one, other) and _port(one, port, protocol) for one in direction.allowed)


def _peer(one: Allowance, other: str) -> bool:
    from ipaddress import ip_address, ip_network

    def within(*ranges: str) -> bool:
        return any(ip_address(other) in ip_network(each) for each in ranges)

    return one.anyone or other in one.peers or any(within(block.cidr) and not within(*block.but) for block in one.blocks)


def _port(one: Allowance, port: int, protocol: str) -> bool:
    return not one.ports or any(p.protocol == protocol and (not p.first or p.first <= port <= p.last) for p in one.ports)


def reached(spec: dict[str, Any], source: str, target: str, port: int = 80, protocol: str = "TCP") -> bool:
    return may(isolation([policy(spec)], WORLD), source, target, port, protocol)


ALL: dict[str, Any] = {"podSelector": {}}


def test_np1_without_a_policy_everything_passes() -> None:
    assert isolation([], WORLD) == Isolation()
    assert may(Isolation(), WEB, DB)


def test_np1_a_selected_pod_is_isolated_for_the_listed_directions_alone() -> None:
    deny = {"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"]}
    assert not reached(deny, WEB, DB)
    assert reached(deny, DB, WEB), "egress is not listed"
    assert reached(deny, WEB, API), "not selected"
    out = {"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Egress"]}
    assert reached(out, WEB, DB)
    assert not reached(out, DB, WEB)


def test_np1_a_policy_selects_pods_of_its_own_namespace() -> None:
    assert reached(ALL | {"policyTypes": ["Ingress"]}, WEB, OTHER)
    assert not reached(ALL | {"policyTypes": ["Ingress"]}, OTHER, WEB)


def test_np1_an_empty_rule_allows_all_a_missing_list_denies() -> None:
    assert reached(ALL | {"policyTypes": ["Ingress"], "ingress": [{}]}, OTHER, WEB)
    assert not reached(ALL | {"policyTypes": ["Ingress"], "ingress": []}, OTHER, WEB)
    assert not reached(ALL | {"policyTypes": ["Ingress"]}, "192.0.2.1", WEB)


def test_np1_both_ends_must_agree() -> None:
    spec = ALL | {"policyTypes": ["Ingress", "Egress"], "ingress": [{}]}
    assert not reached(spec, WEB, DB), "ingress is allowed, egress is not"
    assert reached(spec | {"egress": [{}]}, WEB, DB)


@pytest.mark.parametrize(("peer", "source", "passes"), [
    ({"podSelector": {"matchLabels": {"app": "web"}}}, WEB, True),
    ({"podSelector": {"matchLabels": {"app": "web"}}}, OTHER, False),
    ({"podSelector": {}}, API, True),
    ({"podSelector": {}}, OTHER, False),
    ({"namespaceSelector": {}}, OTHER, True),
    ({"namespaceSelector": {}}, "192.0.2.1", False),
    ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}, OTHER, True),
    ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}, WEB, False),
    ({"namespaceSelector": {"matchLabels": {"team": "b"}}, "podSelector": {"matchLabels": {"app": "web"}}}, OTHER, True),
    ({"namespaceSelector": {"matchLabels": {"team": "b"}}, "podSelector": {"matchLabels": {"app": "api"}}}, OTHER, False),
    ({"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}}, OTHER, False),
    ({"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}}, WEB, True),
    ({"ipBlock": {"cidr": "192.0.2.0/24"}}, "192.0.2.7", True),
    ({"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.0/28"]}}, "192.0.2.7", False),
    ({"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.0/28"]}}, "192.0.2.77", True),
    ({"ipBlock": {"cidr": "10.244.0.0/16"}}, WEB, True),
])  # fmt: skip
def test_np1_peers(peer: dict[str, Any], source: str, passes: bool) -> None:
    spec = {"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"], "ingress": [{"from": [peer]}]}
    assert reached(spec, source, DB) == passes


def test_np1_from_entries_are_alternatives_and_rules_add_up() -> None:
    own = {"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"]}
    both = own | {"ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "api"}}}, {"ipBlock": {"cidr": "192.0.2.0/24"}}]}]}
    assert reached(both, API, DB) and reached(both, "192.0.2.1", DB) and not reached(both, WEB, DB)
    more = [policy(both), policy(own | {"ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]}, "q")]
    found = isolation(more, WORLD)
    assert may(found, WEB, DB) and may(found, API, DB) and not may(found, OTHER, DB)


@pytest.mark.parametrize(("ports", "port", "protocol", "passes"), [
    ([{"port": 80, "protocol": "TCP"}], 80, "TCP", True),
    ([{"port": 80, "protocol": "TCP"}], 80, "UDP", False),
    ([{"port": 80, "protocol": "TCP"}], 81, "TCP", False),
    ([{"port": 80, "endPort": 90, "protocol": "TCP"}], 90, "TCP", True),
    ([{"port": 80, "endPort": 90, "protocol": "TCP"}], 91, "TCP", False),
    ([{"protocol": "UDP"}], 5000, "UDP", True),
    ([{"protocol": "UDP"}], 5000, "TCP", False),
    ([{"port": "http", "protocol": "TCP"}], 8080, "TCP", True),
    ([{"port": "http", "protocol": "TCP"}], 9090, "TCP", False),
    ([{"port": "nosuch", "protocol": "TCP"}], 8080, "TCP", False),
    ([{"port": "nosuch"}, {"port": 80}], 80, "TCP", True),
    ([], 4711, "SCTP", True),
])  # fmt: skip
def test_np1_ports(ports: list[dict[str, Any]], port: int, protocol: str, passes: bool) -> None:
    spec = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"], "ingress": [{"ports": ports}]}
    assert reached(spec, API, WEB, port, protocol) == passes


def test_np1_a_named_port_is_each_server_s_own() -> None:
    spec = ALL | {"policyTypes": ["Egress"], "egress": [{"ports": [{"port": "http", "protocol": "TCP"}]}]}
    assert reached(spec, DB, WEB, 8080) and not reached(spec, DB, WEB, 9090)
    assert reached(spec, DB, API, 9090) and not reached(spec, DB, API, 8080)
    assert not reached(spec, DB, "192.0.2.1", 8080), "who has no pod has no named port"


def test_np1_what_is_trusted_reaches_every_pod() -> None:
    found = isolation([policy(ALL | {"policyTypes": ["Ingress"]})], WORLD, [OTHER])
    assert may(found, OTHER, WEB) and not may(found, API, WEB)


def test_np1_the_rules_of_the_kernel() -> None:
    spec = {"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress", "Egress"],
            "ingress": [{
                "from": [{"podSelector": {"matchLabels": {"app": "api"}}}, {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}],
                "ports": [{"port": 5432, "protocol": "TCP"}, {"port": 5433, "endPort": 5440, "protocol": "TCP"}, {"protocol": "UDP"}],
            }]}  # fmt: skip
    sets, chains = rules.rules(isolation([policy(spec)], WORLD), ["10.96.0.10"])
    assert [(one.name, one.elements) for one in sets] == [("isolated_ingress", (DB,)), ("isolated_egress", (DB,))]
    found = {chain.name: chain.rules for chain in chains}
    assert found["policy_egress"] == ("drop",)
    assert found["policy_ingress"] == (
        f"ip daddr {{ {DB} }} ip saddr {{ {API} }} tcp dport {{ 5432-5440 }} return",
        f"ip daddr {{ {DB} }} ip saddr {{ {API} }} meta l4proto udp return",
        f"ip daddr {{ {DB} }} ip saddr != {{ 10.0.0.0/8 }} tcp dport {{ 5432-5440 }} return",
        f"ip daddr {{ {DB} }} ip saddr != {{ 10.0.0.0/8 }} meta l4proto udp return",
        "drop",
    )
    assert found["policing"] == (
        "ct state established,related accept",
        f"ip saddr . ip daddr {{ {DB} . {DB} }} accept",
        "ip saddr @isolated_egress jump policy_egress",
        "ip daddr @isolated_ingress jump policy_ingress",
    )
    assert found["policing_names"][1] == "ip daddr 10.96.0.10 ip saddr @isolated_egress jump policy_egress"


def test_np1_families_have_rules_of_their_own() -> None:
    world = World((Member("default", {}, ("10.244.0.1", "fd00::1")),), {})
    ranges = [{"from": [{"ipBlock": {"cidr": cidr}}]} for cidr in ("fd00::/8", "10.0.0.0/8")]
    spec = ALL | {"policyTypes": ["Ingress"], "ingress": ranges}
    sets, chains = rules.rules(isolation([policy(spec)], world))
    assert [one.name for one in sets] == ["isolated_ingress", "isolated_ingress6"]
    assert next(one.rules for one in chains if one.name == "policy_ingress") == (
        "ip6 daddr { fd00::1 } ip6 saddr fd00::/8 return", "ip daddr { 10.244.0.1 } ip saddr 10.0.0.0/8 return", "drop")  # fmt: skip


def test_np1_nobody_isolated_needs_no_rule() -> None:
    assert rules.rules(Isolation()) == ([], [])


def test_ranges_within_ranges_are_said_once() -> None:
    block = Block("10.0.0.0/8", ("10.1.0.0/16", "10.1.2.0/24", "10.1.0.0/16"))
    ports = (PortRange("TCP", 80, 80), PortRange("TCP", 80, 85))
    _, chains = rules.rules(Isolation(Direction((WEB,), (Allowance((WEB,), blocks=(block,), ports=ports),))))
    assert chains[1].rules[0] == f"ip daddr {{ {WEB} }} ip saddr 10.0.0.0/8 ip saddr != {{ 10.1.0.0/16 }} tcp dport {{ 80-85 }} return"


@pytest.mark.parametrize("hostile", ["10.0.0.0/8 accept; add rule x", "10.0.0.1\n", "}", "0.0.0.0/0; flush ruleset"])
def test_no_text_gets_into_the_rules_as_it_came(hostile: str) -> None:
    with pytest.raises(InvalidInput):
        rules.rules(Isolation(Direction((WEB,), (Allowance((WEB,), blocks=(Block(hostile),)),))))
    with pytest.raises(InvalidInput):
        rules.rules(Isolation(Direction((hostile,))))
