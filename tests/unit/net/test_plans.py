"""What the kernel is asked for, as it would be asked: devices, addresses and routes of pods. No kernel is needed, nor one with ipvlan."""

from __future__ import annotations

import struct

import pytest

from kubeplay.engine.net import rtnl, veth
from kubeplay.engine.net.addresses import subnet
from kubeplay.engine.net.definition import MODES
from kubeplay.engine.net.netlink import Message, attributes

FOUR = veth.Place("10.9.0.5", subnet("10.9.0.0/24"), "10.9.0.1")
SIX = veth.Place("fd09::5", subnet("fd09::/64"), "fd09::1")
MAC = bytes.fromhex("026b00000005")
_NAME, _ADDRESS, _MTU, _LINK, _INFO, _NETNS = 3, 1, 4, 5, 18, 28  # IFLA_*


def port(kind: str, mode: int = 0, mtu: int = 0) -> veth.Port:
    return veth.Port("kv000000000000", 7, mtu, MAC, (FOUR, SIX), 1, kind, 42, mode)


def asked(message: Message) -> dict[int, bytes]:
    return attributes(message.payload[16:])


@pytest.mark.parametrize(("kind", "mode", "size"), [("macvlan", mode, 4) for mode in MODES["macvlan"].values()]
                         + [("ipvlan", mode, 2) for mode in MODES["ipvlan"].values()])  # fmt: skip
def test_a_child_device_is_made_in_the_pod(kind: str, mode: int, size: int) -> None:
    (message,) = veth._pairs([port(kind, mode, 1400)], netns=9)
    said = asked(message)
    assert message.kind == rtnl.RTM_NEWLINK and said[_NAME] == b"eth1\0"
    assert [struct.unpack("=I", said[key])[0] for key in (_LINK, _NETNS, _MTU)] == [42, 9, 1400]
    info = attributes(said[_INFO])
    assert info[1] == kind.encode() + b"\0" and attributes(info[2]) == {1: mode.to_bytes(size, "little")}
    assert said.get(_ADDRESS) == (MAC if kind == "macvlan" else None), "ipvlan devices have their parent's"


def test_without_an_mtu_a_child_has_its_parents() -> None:
    assert _MTU not in asked(veth._pairs([port("macvlan", 4)], netns=9)[0])


def test_a_child_has_no_host_end() -> None:
    assert not veth._outside(None, [port("ipvlan")])  # type: ignore[arg-type]


def test_a_pair_has_host_routes_in_both_families(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(veth, "_device", lambda _, name: 5)
    said = [message.what for message in veth._inside(None, [port("veth")])]  # type: ignore[arg-type]
    assert said == [
        "set eth1 up",
        "add address 10.9.0.5/32", "add neighbour 10.9.0.1", "add route 10.9.0.1/32", "add route default",
        "add address fd09::5/128", "add neighbour fd09::1", "add route fd09::1/128", "add route default",
    ]  # fmt: skip
    assert [message.what for message in veth._outside(None, [port("veth")])] == [  # type: ignore[arg-type]
        "add neighbour 10.9.0.5", "add route 10.9.0.5/32", "add neighbour fd09::5", "add route fd09::5/128"]  # fmt: skip


def test_a_child_is_on_its_subnet_and_a_network_more_gives_no_default_route(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(veth, "_device", lambda _, name: 5)
    second = port("macvlan")._replace(places=(FOUR._replace(default=False), SIX))
    said = [message.what for message in veth._inside(None, [second])]  # type: ignore[arg-type]
    assert said == ["set eth1 up", "add address 10.9.0.5/24", "add address fd09::5/64", "add route default"]
    routed = port("veth")._replace(places=(FOUR._replace(default=False),))
    assert veth._inside(None, [routed])[-1].what == "add route 10.9.0.0/24"  # type: ignore[arg-type]
