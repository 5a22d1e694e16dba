"""Addresses, names and numbers: the `ipaddress` module is the oracle."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeplay.engine.net import addresses, netns, ports, veth
from kubeplay.errors import InvalidInput, SandboxError
from kubeplay.plan.container import Port


@given(st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_subnets_are_those_of_ipaddress(value: int, length: int) -> None:
    theirs = ipaddress.ip_network((value, length), strict=False)
    ours = addresses.containing(value, length)
    assert str(ours) == str(theirs)
    assert addresses.text(ours.last) == str(theirs.broadcast_address)
    assert ours.size == theirs.num_addresses
    assert addresses.subnet(str(theirs)) == ours
    assert value in ours


@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_overlap_is_that_of_ipaddress(a: int, la: int, b: int, lb: int) -> None:
    theirs = ipaddress.ip_network((a, la), strict=False).overlaps(ipaddress.ip_network((b, lb), strict=False))
    assert addresses.containing(a, la).overlaps(addresses.containing(b, lb)) == theirs


@pytest.mark.parametrize("text", ["", "10.1", "1.2.3.4.5", "256.1.1.1", "::1", "1.2.3.4 ", "0x7f.1.1.1", "1.2.3.4\n", "é", "1.2.3.4\0"])
def test_only_four_decimal_numbers_are_an_address(text: str) -> None:
    with pytest.raises(InvalidInput):
        addresses.number(text)


@pytest.mark.parametrize("text", ["10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/²", "10.0.0.1/24", "x/24"])
def test_what_is_not_a_subnet_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        addresses.subnet(text)


def test_device_names_fit_the_kernel_and_tell_pods_and_networks_apart() -> None:
    uid = "34c4d198-738d-47cb-9a21-fdb727578962"
    names = {veth.name_of(uid, index) for index in range(36)}
    assert len(names) == 36 and all(len(name) == 15 for name in names)
    for bad in ("short", "../../../../etc", "34c4d198 738d"):
        with pytest.raises(InvalidInput):
            veth.name_of(bad)


@pytest.mark.parametrize("text", ["", "02:00:00:00:00", "02:00:00:00:00:0g", "01:00:5e:00:00:01", "00:00:00:00:00:00", "+2:00:00:00:00:01"])
def test_mac_addresses_no_device_may_have_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        veth.parse_mac(text)


def test_mac_address() -> None:
    assert veth.parse_mac("02:AB:00:00:00:01") == b"\x02\xab\0\0\0\1"
    assert not veth.mac_of("10.244.0.9")[0] & 1, "a device's own address is not a group's"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/conf/eth0.100/rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
        ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
    ],
)
def test_sc8_sysctl_names_with_dots_and_slashes(name: str, path: str) -> None:
    assert netns.sysctl_path(name) == f"/proc/sys/{path}"


@pytest.mark.parametrize("name", ["", "net..x", "net/../kernel/x", "/etc/passwd", "net.//.x", "net/./x"])
def test_sc8_sysctl_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(SandboxError):
        netns.sysctl_path(name)


@pytest.mark.parametrize(
    ("a", "b", "clash"),
    [
        ("*/TCP/80", "*/TCP/80", True),
        ("*/TCP/80", "127.0.0.1/TCP/80", True),
        ("127.0.0.1/TCP/80", "*/TCP/80", True),
        ("127.0.0.1/TCP/80", "10.0.0.1/TCP/80", False),
        ("*/TCP/80", "*/UDP/80", False),
        ("*/TCP/80", "*/TCP/81", False),
    ],
)
def test_hp1_a_wildcard_clashes_with_every_address(a: str, b: str, clash: bool) -> None:
    assert ports.parse(a).clashes(ports.parse(b)) is clash


def test_hp1_host_ip_forms() -> None:
    assert {str(ports.key_of(Port(80, host_port=8080, host_ip=ip))) for ip in ("", "0.0.0.0", "::")} == {"*/TCP/8080"}
    assert str(ports.key_of(Port(80, host_port=8080, host_ip="FD00:0::1"))) == "fd00::1/TCP/8080"
