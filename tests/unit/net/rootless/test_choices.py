"""What is decided before anything runs: helper, command lines, texts, who does what where."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from kubeplay.engine.net import table
from kubeplay.engine.net.nft import NetState, rules
from kubeplay.engine.net.ports import Published
from kubeplay.engine.net.rootless import forwarder, forwards, mend, place, relay, wayout
from kubeplay.engine.net.rootless.wayout import PASTA, SLIRP
from kubeplay.errors import InvalidInput
from kubeplay.plan.service import Endpoint, ServicePlan, ServicePort, ServiceRoute


def test_neither_helper_forwards_ports_or_maps_the_hosts_loopback() -> None:
    pasta = " ".join(wayout.pasta_argv("/usr/bin/pasta", "/run/user/1/netns/kubeplay", False))
    assert "-t none -u none -T none -U none --no-map-gw" in pasta and pasta.endswith("--netns /run/user/1/netns/kubeplay")
    slirp = wayout.slirp_argv("/usr/bin/slirp4netns", "/run/user/1/netns/kubeplay", 3, False)
    assert {"--disable-host-loopback", "--mtu=65520", "--enable-sandbox", "--enable-seccomp", "--ready-fd=3"} <= set(slirp)
    assert slirp[-2:] == ("/run/user/1/netns/kubeplay", "tap0")
    assert "--no-map-gw" not in wayout.pasta_argv("p", "n", True)
    assert "--disable-host-loopback" not in wayout.slirp_argv("s", "n", 3, True)


@pytest.mark.parametrize(
    ("version", "number"),
    [("pasta 0.0~git20240220.1e6f92b-1", 20240220), ("pasta 2025_05_03.587980c", 20250503), ("pasta 0.0~git20230309.7c7625d-1", 20230309),
     ("pasta unknown version", 0), ("", 0), ("pasta 12345678", 0)],
)  # fmt: skip
def test_the_date_of_a_pasta(version: str, number: int) -> None:
    assert wayout.date(version) == number


@pytest.mark.parametrize(
    ("version", "slirp", "helper"),
    [("pasta 2025_05_03.587980c", True, PASTA), ("pasta unknown version", True, SLIRP), ("pasta unknown version", False, PASTA),
     ("pasta 0.0~git20240220.1e6f92b-1", False, PASTA)],
)  # fmt: skip
def test_a_pasta_that_leaves_connections_hanging_comes_second(version: str, slirp: bool, helper: str) -> None:
    choice = wayout.best(version, slirp)
    assert choice.helper == helper
    assert (helper == SLIRP) == ("hang in it" in choice.reason and slirp)


def test_an_unknown_helper_is_refused() -> None:
    with pytest.raises(InvalidInput, match="KUBEPLAY_NETWORK_HELPER=vpnkit"):
        wayout.choose("vpnkit")


@pytest.mark.parametrize(
    ("text", "server", "inside"),
    [
        ("nameserver 127.0.0.53\noptions edns0\nsearch lan\n", "127.0.0.53", "search lan\nnameserver 169.254.77.3\noptions edns0\n"),
        ("nameserver ::1\nnameserver 127.0.0.1\n", "127.0.0.1", "nameserver 169.254.77.3\n"),
        ("nameserver 192.0.2.1\nnameserver 127.0.0.1\n", "127.0.0.1", "nameserver 192.0.2.1\nnameserver 169.254.77.3\n"),
        ("# mine\nnameserver 192.0.2.1\n", "", "# mine\nnameserver 192.0.2.1\n"),
        ("", "", ""),
    ],
)
def test_resolvers_on_the_loopback_are_asked_through_the_relay(text: str, server: str, inside: str) -> None:
    assert relay.loopback(text) == server
    assert relay.seen_from_inside(text) == inside


def _state() -> NetState:
    web = ServicePlan("default", "web", "NodePort", (ServicePort(80, 8080, node_port=30080), ServicePort(81, 81)), cluster_ip="10.96.1.1")
    routes = (ServiceRoute(web, ((Endpoint("10.244.0.5", 8080),), ())),)
    published = (Published("*", "TCP", 8080, "10.244.0.5", 80), Published("192.0.2.2", "UDP", 53, "10.244.0.6", 5353))
    return NetState("t", 7, "10.244.0.1", ("10.244.0.0/24",), "10.96.0.0/16", "10.96.0.10", published, routes, place.MARK)


def test_host_ports_lead_to_pods_and_node_ports_to_their_service() -> None:
    wanted = forwards.wanted(_state())
    assert wanted.ports == {"*/TCP/30080": "10.96.1.1:80", "*/TCP/8080": "10.244.0.5:80", "192.0.2.2/UDP/53": "10.244.0.6:5353"}
    assert wanted.own == ("10.244.0.0/24", "10.96.0.0/16")
    assert forwards.parse(forwards.text_of(wanted)) == wanted
    assert forwards.text_of(forwards.wanted(NetState("t"))) == ""


def test_answers_to_the_forwarder_carry_another_mark_than_what_it_sends() -> None:
    assert forwarder.MARK == place.MARK
    text = table.whole("t", rules(_state()))
    assert f"meta mark {place.MARK:#x} ct mark set {place.MARK:#x}" in text
    assert f"iifgroup 7 ct direction reply ct mark {place.MARK:#x} meta mark set {place.ANSWER:#x}" in text
    assert "mark" not in table.whole("t", rules(_state()._replace(mark=0))), "root's rules know of none"


def test_outside_runs_in_the_calling_thread_and_errors_come_back() -> None:
    here, places = threading.get_ident(), []

    def work() -> str:
        places.append(threading.get_ident())
        places.append(place.outside(threading.get_ident))
        with pytest.raises(ZeroDivisionError):
            place.outside(lambda: 1 // 0)
        return "done"

    assert place._visit(lambda: None, work) == "done"
    assert places[0] != here and places[1] == here
    assert place.outside(threading.get_ident) == here
    with pytest.raises(KeyError):
        place._visit(lambda: None, lambda: {}["x"])


def test_a_dead_process_of_a_record_is_noticed_and_a_removed_record_is_no_loss(tmp_path: Path) -> None:
    assert not mend.needed(str(tmp_path))
    (tmp_path / "way-out").write_text("0 0 none this machine has no IPv4 default route")
    assert not mend.needed(str(tmp_path))
    (tmp_path / "forwarder.pid").write_text("1 999999999")  # the number lives, the process of that time does not
    assert mend.needed(str(tmp_path))
