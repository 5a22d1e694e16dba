"""What follows from the state: leases of addresses, rules, DNS records, stale flows, free subnets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.engine.net import addresses, conntrack, ipam, nft, ports, services, subnets, table
from kubeplay.engine.store.db import Store
from kubeplay.engine.store.resources import NetworkRow
from kubeplay.errors import Conflict, Exhausted, InvalidInput
from kubeplay.plan.service import Endpoint, ServicePlan, ServicePort, ServiceRoute

NETWORK = NetworkRow("n", "10.244.0.0/29", "10.244.0.1", "kp0", (), 0.0)
WEB = ServicePlan("default", "web", "NodePort", (ServicePort(80, 8080, node_port=30080),), cluster_ip="10.96.1.1")
STATE = nft.NetState("kubeplay_x", 7, "10.244.0.1", ("10.244.0.0/24",), "10.96.0.0/16", "10.96.0.10")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(str(tmp_path / "state.db"))
    yield made
    made.close()


def test_addresses_are_given_once_and_never_the_networks_own(store: Store) -> None:
    given = {ipam.take(store, NETWORK, f"pod-{number}") for number in range(5)}
    assert given == {f"10.244.0.{last}" for last in range(2, 7)}
    with pytest.raises(Exhausted, match="10.244.0.0/29"):
        ipam.take(store, NETWORK, "pod-5")
    assert ipam.take(store, NETWORK, "pod-0") in given, "a pod keeps its address"


@pytest.mark.parametrize(
    ("wanted", "why"),
    [("10.244.0.0", "own"), ("10.244.0.7", "broadcast"), ("10.244.0.1", "gateway"), ("10.1.0.1", "not in"), ("x", "not an")],
)
def test_static_addresses_that_cannot_be_given(store: Store, wanted: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        ipam.take(store, NETWORK, "pod", wanted)
    assert not store.leases.held()


def test_a_static_address_moves_its_pod_and_is_not_given_twice(store: Store) -> None:
    ipam.take(store, NETWORK, "pod", "10.244.0.2")
    assert ipam.take(store, NETWORK, "pod", "10.244.0.3") == "10.244.0.3"
    assert [lease.key for lease in store.leases.held()] == ["10.244.0.3"]
    with pytest.raises(Conflict, match="pod"):
        ipam.take(store, NETWORK, "other", "10.244.0.3")


def test_an_address_just_given_back_rests(store: Store) -> None:
    wide = NETWORK._replace(subnet="10.244.0.0/24")
    first = ipam.take(store, wide, "one")
    store.leases.release("one")
    assert ipam.take(store, wide, "two") != first


def test_subnets_in_use_are_passed_over() -> None:
    used = [addresses.subnet("10.244.0.0/24"), addresses.subnet("10.244.1.128/25"), addresses.subnet("10.96.0.0/16")]
    assert str(subnets.free_pod_subnet(used)) == "10.244.2.0/24"
    assert str(subnets.free_service_range(used)) == "10.97.0.0/16"
    with pytest.raises(Exhausted):
        subnets.free_pod_subnet([addresses.subnet("10.0.0.0/8")])


def test_nothing_up_removes_the_table_and_says_no_more() -> None:
    assert text_of(nft.NetState("kubeplay_x")) == "add table inet kubeplay_x\ndelete table inet kubeplay_x\n"


def text_of(state: nft.NetState) -> str:
    return table.whole(state.table, nft.rules(state))


def rules(*endpoints: Endpoint, plan: ServicePlan = WEB) -> str:
    return text_of(STATE._replace(routes=(ServiceRoute(plan, (endpoints,)),)))


def test_sv3_one_endpoint_several_and_none() -> None:
    assert "dnat ip to 10.244.0.2:8080\n" in rules(Endpoint("10.244.0.2", 8080))
    several = rules(Endpoint("10.244.0.10", 8080), Endpoint("10.244.0.2", 8080))
    assert "numgen random mod 2 map { 0 : 10.244.0.2 . 8080, 1 : 10.244.0.10 . 8080 }" in several
    assert "10.96.1.1 . tcp . 80 : goto svc_10_96_1_1_tcp_80" in several and "tcp . 30080 : goto" in several
    assert "10.96.1.1" not in rules()
    clinging = rules(Endpoint("10.244.0.3", 1), Endpoint("10.244.0.2", 1), plan=WEB._replace(affinity_seconds=9))
    own = "svc_10_96_1_1_tcp_80_at_10_244_0_2_1"
    for line in (f"ip saddr @{own} goto {own}", f"update @{own} {{ ip saddr }}", "timeout 9s"):
        assert f"    {line}\n" in clinging


def test_sv3_headless_services_have_no_rules() -> None:
    assert "svc_" not in rules(Endpoint("10.244.0.2", 8080), plan=WEB._replace(cluster_ip="None"))


def test_equal_states_give_equal_texts_whatever_the_order() -> None:
    a, b = Endpoint("10.244.0.2", 8080), Endpoint("10.244.0.3", 8080)
    assert rules(a, b) == rules(b, a, a)


@pytest.mark.parametrize("text", ["10.1.1.1 }; flush ruleset; {", "None", ""])
def test_text_of_a_manifest_never_gets_into_the_rules(text: str) -> None:
    with pytest.raises(InvalidInput):
        rules(Endpoint(text, 80))
    with pytest.raises(InvalidInput):
        rules(Endpoint("10.244.0.2", 80), plan=WEB._replace(external_ips=(text,)))


@pytest.mark.skipif(os.geteuid() != 0, reason="nft checks with the kernel")
def test_nft_accepts_all_that_is_rendered() -> None:
    from kubeplay.engine.host import processes

    wanted = (ServicePort(53, 53, "UDP"), ServicePort(9, 9, "SCTP"))
    udp = ServicePlan("default", "dns", ports=wanted, cluster_ip="10.96.1.2", affinity_seconds=1)
    ends = (Endpoint("10.244.0.2", 53), Endpoint("192.0.2.9", 53))
    published = (ports.Published("*", "UDP", 53, "10.244.0.2", 53), ports.Published("127.0.0.1", "TCP", 53, "10.244.0.2", 53))
    state = STATE._replace(published=published, routes=(ServiceRoute(WEB, (ends,)), ServiceRoute(udp, (ends, ends))))
    processes.run([processes.program("nft"), "-c", "-f", "-"], stdin=text_of(state).encode())


def test_udp_flows_that_go_elsewhere_are_stale_and_no_others() -> None:
    udp = ServicePlan("default", "dns", "NodePort", (ServicePort(53, 5353, "UDP", node_port=30053),), cluster_ip="10.96.1.2")
    state = STATE._replace(
        routes=(ServiceRoute(udp, ((Endpoint("10.244.0.2", 5353),),)),),
        published=(ports.Published("*", "UDP", 9, "10.244.0.3", 9), ports.Published("*", "TCP", 10, "10.244.0.3", 10)),
    )
    rows = {
        "service, right": (("10.96.1.2", 53), ("10.244.0.2", 5353)),
        "service, gone": (("10.96.1.2", 53), ("10.244.0.9", 5353)),
        "node port, right": (("192.0.2.2", 30053), ("10.244.0.2", 5353)),
        "node port, before it was": (("192.0.2.2", 30053), ("192.0.2.2", 30053)),
        "host port, right": (("127.0.0.1", 9), ("10.244.0.3", 9)),
        "host port, gone": (("127.0.0.1", 9), ("10.244.0.7", 9)),
        "same port of another machine": (("198.51.100.1", 9), ("198.51.100.1", 9)),
        "tcp port": (("127.0.0.1", 10), ("127.0.0.1", 10)),
    }
    flows = [conntrack.Flow(*ends, raw=name.encode()) for name, ends in rows.items()]
    found = conntrack.stale(flows, conntrack.udp_rules(state), {"192.0.2.2", "127.0.0.1"})
    assert {flow.raw.decode() for flow in found} == {"service, gone", "node port, before it was", "host port, gone"}


def test_routes_are_kept_and_compared(tmp_path: Path) -> None:
    path = str(tmp_path / "services.json")
    route = ServiceRoute(WEB, ((Endpoint("10.244.0.2", 8080),),))
    assert services.saved(path) == ()
    assert services.save(path, [route]) is True
    assert services.save(path, [route]) is False
    assert services.saved(path) == (route,)
    assert services.save(path, []) is True
    assert services.saved(path) == ()
