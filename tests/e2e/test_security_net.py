"""Pods that lie about who they are; what is published on loopback is test_net_rules.py's (test_hp1_host_ip_is_honoured)."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.engine.net.networks import DEFAULT
from kubeplay.plan.container import Port
from tests.support.net import Lab, Pod, fetch, inside, lab

pytestmark = pytest.mark.root


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Lab]:
    with lab(tmp_path) as made:
        yield made


def heard(listener: socket.socket) -> list[tuple[bytes, str]]:
    """Every datagram that has come in, with its sender: all that were sent before the true one, and whatever follows within 0.4 s."""
    found: list[tuple[bytes, str]] = []
    listener.settimeout(60)
    while not found or found[-1][0] != b"truth":
        data, sender = listener.recvfrom(100)
        found.append((data, sender[0]))
    listener.settimeout(0.4)
    with contextlib.suppress(TimeoutError):
        while True:
            data, sender = listener.recvfrom(100)
            found.append((data, sender[0]))
    return found


def send(pod: Pod, source: str, target: tuple[str, int], data: bytes) -> None:
    """One datagram from the pod under an address of its choice, as root in its namespace."""

    def work() -> None:
        if source != pod.ip:
            subprocess.run(["ip", "addr", "add", f"{source}/32", "dev", "eth0"], check=True)
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.bind((source, 0))
            with contextlib.suppress(OSError):
                sock.sendto(data, target)
        if source != pod.ip:
            subprocess.run(["ip", "addr", "del", f"{source}/32", "dev", "eth0"], check=True)

    inside(pod.netns, work)


def test_a_pod_cannot_send_under_the_address_of_another(net: Lab) -> None:
    liar, other, listening = net.pod(), net.pod(), net.pod()
    net.net.sync()
    gateway = net.net.inspect(DEFAULT).gateway

    def listen() -> socket.socket:
        made = socket.socket(type=socket.SOCK_DGRAM)
        made.bind(("0.0.0.0", 0))
        return made

    for place, where in (("", gateway), (listening.netns, listening.ip)):
        with contextlib.closing(inside(place, listen)) as listener:
            target = (where, listener.getsockname()[1])
            for source in {other.ip, gateway, "192.0.2.7", "127.0.0.9"} - {where}:
                send(liar, source, target, b"lie")
            send(liar, liar.ip, target, b"truth")
            assert heard(listener) == [(b"truth", liar.ip)]


def test_cve_2021_20199_a_published_port_shows_the_clients_own_address(net: Lab) -> None:
    """Never 127.0.0.1 for somebody else: programs trust that address."""
    server, client = net.pod(), net.pod()
    net.serve(server.netns, b"seen", 8080)
    net.net.publish(server.uid, (server.ip,), (Port(8080, host_port=27391),))
    net.net.sync()
    gateway = net.net.inspect(DEFAULT).gateway
    assert fetch(client.netns, gateway, 27391) == f"seen {client.ip}"
    assert fetch("", "127.0.0.1", 27391) == f"seen {gateway}"  # even this machine's loopback is not passed on as such


def test_a_port_on_loopback_is_not_there_for_pods(net: Lab) -> None:
    server, client = net.pod(), net.pod()
    net.serve(server.netns, b"seen", 8080)
    net.net.publish(server.uid, (server.ip,), (Port(8080, host_port=27392, host_ip="127.0.0.1"),))
    net.net.sync()
    assert fetch("", "127.0.0.1", 27392).startswith("seen ")
    with pytest.raises(ConnectionRefusedError):
        fetch(client.netns, net.net.inspect(DEFAULT).gateway, 27392)
