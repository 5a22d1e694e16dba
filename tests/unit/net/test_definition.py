"""What may be asked of a network, the row that follows, and the rules between networks."""

from __future__ import annotations

import pytest

from kubeplay.engine.net import addresses, definition, ipam, nft, subnets, table
from kubeplay.engine.net.definition import Wanted
from kubeplay.engine.net.reach import Reach
from kubeplay.engine.store.db import Store
from kubeplay.engine.store.resources import NetworkRow
from kubeplay.errors import Conflict, Exhausted, InvalidInput, KubeplayError, NotSupported

FREE = definition.Free(lambda: addresses.subnet("10.244.7.0/24"), lambda: addresses.subnet("fd11::/64"))


def row(**wanted: object) -> NetworkRow:
    return definition.row(definition.check(Wanted("n", **wanted)), FREE, "kp0", 1.0)  # type: ignore[arg-type]


def test_without_a_subnet_one_is_chosen_and_may_be_moved() -> None:
    made = row()
    assert (made.subnet, made.gateway, made.subnet6, made.options) == ("10.244.7.0/24", "10.244.7.1", "", (definition.AUTO,))


@pytest.mark.parametrize(
    ("wanted", "subnet", "subnet6"),
    [
        ({"ipv6": True}, "10.244.7.0/24", "fd11::/64"),
        ({"ipv6": True, "subnets": ("10.1.0.0/16",)}, "10.1.0.0/16", "fd11::/64"),
        ({"ipv6": True, "subnets": ("fd22::/64",)}, "10.244.7.0/24", "fd22::/64"),
        ({"subnets": ("fd22::/64",)}, "", "fd22::/64"),
        ({"subnets": ("fd22:0::/64", "10.1.0.0/16")}, "10.1.0.0/16", "fd22::/64"),
    ],
)
def test_families(wanted: dict[str, object], subnet: str, subnet6: str) -> None:
    made = row(**wanted)
    assert (made.subnet, made.subnet6) == (subnet, subnet6)
    assert (definition.AUTO in made.options) == (subnet == "10.244.7.0/24")


def test_gateways_and_ranges_belong_to_the_subnet_they_lie_in() -> None:
    made = row(subnets=("10.1.0.0/24", "fd22::/64"), gateways=("fd22::ff", "10.1.0.254"), ranges=("fd22::1:0/112", "10.1.0.64/26"))
    assert (made.gateway, made.gateway6) == ("10.1.0.254", "fd22::ff")
    assert made.ranges == ("fd22::1:0-fd22::1:ffff", "10.1.0.64-10.1.0.127")


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"subnets": ("10.1.0.0/24", "10.2.0.0/24")}, "one subnet of each family"),
        ({"subnets": ("10.1.0.0/31",)}, "too small"),
        ({"subnets": ("fd22::/127",)}, "too small"),
        ({"subnets": ("fd22::1/64",)}, "host bits"),
        ({"subnets": ("fd22::/129",)}, "not a subnet"),
        ({"subnets": ("10.1.0.0/24",), "gateways": ("10.2.0.1",)}, "gateway 10.2.0.1"),
        ({"subnets": ("10.1.0.0/24",), "gateways": ("10.1.0.255",)}, "gateway"),
        ({"subnets": ("10.1.0.0/24",), "gateways": ("fd22::1",)}, "gateway"),
        ({"subnets": ("10.1.0.0/24",), "gateways": ("10.1.0.1", "10.1.0.2")}, "one --gateway"),
        ({"subnets": ("10.1.0.0/24",), "ranges": ("10.1.1.0/26",)}, "not a part"),
        ({"subnets": ("10.1.0.0/24",), "ranges": ("10.1.0.9-10.1.0.8",)}, "not a part"),
        ({"subnets": ("10.1.0.0/24",), "ranges": ("10.1.0.8-fd22::9",)}, "not a part"),
        ({"subnets": ("10.1.0.0/24",), "ranges": ("10.1.0.0/26", "10.1.0.64/26")}, "at most one --ip-range"),
        ({"driver": "overlay"}, "not known"),
        ({"driver": "macvlan"}, "needs a --subnet"),
        ({"options": (("mtu", "67"),)}, "mtu"),
        ({"options": (("mtu", "1e3"),)}, "mtu"),
        ({"options": (("mtu", "1279"),), "ipv6": True}, "too small for IPv6"),
        ({"options": (("isolate", "maybe"),)}, "isolate"),
        ({"options": (("vlan", "5"),)}, "pods are routed"),
        ({"options": (("parent", "eth0"),)}, "not known to driver bridge"),
        ({"driver": "ipvlan", "subnets": ("10.1.0.0/24",), "options": (("mode", "bridge"),)}, "mode"),
        ({"driver": "macvlan", "subnets": ("10.1.0.0/24",), "options": (("parent", "../x"),)}, "not the name of a device"),
        ({"driver": "macvlan", "subnets": ("10.1.0.0/24",), "options": (("parent", "eth0 up"),)}, "not the name of a device"),
    ],
)
def test_what_is_refused(wanted: dict[str, object], why: str) -> None:
    with pytest.raises((InvalidInput, NotSupported), match=why):
        row(**wanted)


@pytest.mark.parametrize("name", ["", "a/b", "-x", "a" * 64, "é", "a b", "..", "a\n"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(KubeplayError, match="network name"):
        definition.check(Wanted(name))


def test_a_row_comes_back_from_the_store_as_it_was(tmp_path: object) -> None:
    made = row(subnets=("10.1.0.0/24", "fd22::/64"), ranges=("10.1.0.64/26",), labels=(("a", "b"),), internal=True, dns=False)
    store = Store(f"{tmp_path}/state.db")
    store.resources.add_network(made)
    assert store.resources.network("n") == made and store.resources.networks() == [made]
    for expected in ("fd22::", "fd22::"):
        given = ipam.take(store, made, "pod-a", v6=True)
        assert given.startswith(expected) and given not in ("fd22::", "fd22::1")
    assert ipam.take(store, made, "pod-b", "FD22::00AB", v6=True) == "fd22::ab"
    with pytest.raises(Conflict):
        ipam.take(store, made, "pod-c", "fd22::ab", v6=True)
    with pytest.raises(InvalidInput, match="gateway"):
        ipam.take(store, made, "pod-c", "fd22::1", v6=True)
    for number in range(64):
        ipam.take(store, made, f"pod-{number}")
    with pytest.raises(Exhausted, match="range 10.1.0.64-10.1.0.127"):
        ipam.take(store, made, "pod-x")
    store.close()


def test_ipv6_prefixes_of_two_roots_differ_and_stay() -> None:
    first, second = subnets.free_pod_subnet6("aaaaaaaa", []), subnets.free_pod_subnet6("bbbbbbbb", [])
    assert str(first).startswith("fd") and first.length == 64 and not first.overlaps(second)
    assert subnets.free_pod_subnet6("aaaaaaaa", []) == first != subnets.free_pod_subnet6("aaaaaaaa", [first])
    assert subnets.service_range6("aaaaaaaa").size == 1 << 16
    assert not any(first.overlaps(addresses.subnet(text)) for text in ("10.0.0.0/8", "0.0.0.0/0"))


def rules(*networks: Reach) -> str:
    prefixes = tuple(prefix for network in networks for prefix in network.prefixes)
    return table.whole("t", nft.rules(nft.NetState("t", 7, "10.1.0.1", prefixes, gateway6="fd22::1", networks=networks)))


def test_plain_networks_have_no_rules_between_them() -> None:
    assert "chain apart" not in rules(Reach(("10.1.0.0/24",)), Reach(("10.2.0.0/24",)))


def test_an_internal_network_is_closed_both_ways_in_both_families() -> None:
    text = rules(Reach(("10.1.0.0/24", "fd22::/64"), internal=True))
    for family, prefix in (("ip", "10.1.0.0/24"), ("ip6", "fd22::/64")):
        for here, there in (("saddr", "daddr"), ("daddr", "saddr")):
            assert f"{family} {here} {prefix} {family} {there} != {prefix} reject with icmpx admin-prohibited" in text


def test_isolation_is_from_isolated_ones_and_strict_isolation_from_all() -> None:
    one, two, free = Reach(("10.1.0.0/24",), isolate="true"), Reach(("10.2.0.0/24",), isolate="true"), Reach(("10.3.0.0/24",))
    assert "10.3.0.0/24" not in rules(one, two, free).split("chain apart")[1]
    assert "ip saddr 10.1.0.0/24 ip daddr { 10.2.0.0/24 } reject" in rules(one, two, free)
    assert "ip saddr 10.1.0.0/24 ip daddr { 10.2.0.0/24, 10.3.0.0/24 } reject" in rules(one._replace(isolate="strict"), two, free)
    assert "chain apart" not in rules(one, free)
