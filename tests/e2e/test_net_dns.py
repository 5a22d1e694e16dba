"""The real dnsmasq with our command and files, asked from pods and the host."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.engine.host.processes import program
from kubeplay.engine.net import dns
from kubeplay.engine.store.runtime import RUN, PodRow
from kubeplay.plan import codec
from kubeplay.plan.pod import PodPlan, SandboxPlan
from kubeplay.plan.service import Endpoint, ServicePlan, ServicePort, ServiceRoute
from tests.support.net import Lab, Pod, inside, lab

pytestmark = pytest.mark.root

A, PTR, NXDOMAIN = 1, 12, 3


@pytest.fixture
def net() -> Iterator[Lab]:
    directory = Path(tempfile.mkdtemp(prefix="kpdns-", dir="/tmp"))
    directory.chmod(0o755)  # dnsmasq gives up root before it reads the records; a home is closed to it
    try:
        with lab(directory) as made:
            yield made
    finally:
        shutil.rmtree(directory)


@pytest.fixture
def server(net: Lab, tmp_path: Path) -> Iterator[Lab]:
    net.net.resolv_conf = str(tmp_path / "resolv.conf")
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.253\n")
    net.net.ensure()
    net.net.sync()
    process = inside("", lambda: subprocess.Popen(net.net.dns_argv(program("dnsmasq")), stderr=subprocess.PIPE))
    try:
        until = time.monotonic() + 100
        while True:
            try:
                ask("", net.net.dns_address(), "kubernetes.default.svc.cluster.local", timeout=1)
                break
            except OSError:
                assert process.poll() is None, "dnsmasq has ended"
                assert time.monotonic() < until, "dnsmasq does not answer"
                time.sleep(0.02)
        yield net
    finally:
        process.terminate()
        process.communicate()


def ask(netns: str, address: str, name: str, kind: int = A, timeout: float = 60.0) -> tuple[int, list[str], int]:
    """(response code, answers, TTL of the first) of one query over UDP."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = struct.pack("!HHHHHH", 0x1234, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)

    def work() -> bytes:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            sock.connect((address, 53))
            sock.send(query)
            return sock.recv(4096)

    answer = inside(netns, work)
    code, count = struct.unpack("!H", answer[2:4])[0] & 15, struct.unpack("!H", answer[6:8])[0]
    found, ttl, at = [], 0, len(query)
    for _ in range(count):
        _, at = _name(answer, at)
        _, _, ttl, size = struct.unpack_from("!HHIH", answer, at)
        at += 10
        found.append(socket.inet_ntoa(answer[at : at + 4]) if kind == A else _name(answer, at)[0])
        at += size
    return code, found, ttl


def _name(data: bytes, at: int) -> tuple[str, int]:
    labels: list[str] = []
    while size := data[at]:
        if size >= 192:
            target = struct.unpack_from("!H", data, at)[0] & 0x3FFF
            return ".".join([*labels, *_name(data, target)[0].split(".")]).strip("."), at + 2
        labels.append(data[at + 1 : at + 1 + size].decode())
        at += size + 1
    return ".".join(labels), at + 1


def stored(net: Lab, name: str, domain: str = "") -> Pod:
    """A pod that is also in the store, as the engine makes it."""
    pod = net.pod(name=name)
    plan = PodPlan("default", name, SandboxPlan(name, domain), ())
    net.store.runtime.add_pod(PodRow(pod.uid, "default", name, codec.dumps(plan), RUN, True, None, 0, False))
    return pod


def route(net: Lab, name: str, pods: list[Pod], cluster_ip: str = "") -> ServiceRoute:
    plan = net.net.allocate_service(ServicePlan("default", name, ports=(ServicePort(80, 80),), cluster_ip=cluster_ip))
    return ServiceRoute(plan, (tuple(Endpoint(pod.ip, 80) for pod in pods),))


def eventually(net: Lab, name: str, wanted: list[str], kind: int = A) -> None:
    until = time.monotonic() + 100
    while (found := sorted(ask("", net.net.dns_address(), name, kind)[1])) != sorted(wanted):
        assert time.monotonic() < until, f"{name}: {found}, not {wanted}"
        time.sleep(0.02)


def test_dn5_services_have_names_for_pods_and_host(server: Lab) -> None:
    client = stored(server, "client")
    web = route(server, "web", [client])
    server.net.set_services(lambda: [web])
    server.net.sync()
    eventually(server, "web.default.svc.cluster.local", [web.service.cluster_ip])
    address = server.net.dns_address()
    assert ask(client.netns, address, "WEB.default.svc.cluster.LOCAL") == (0, [web.service.cluster_ip], 5)
    reverse = ".".join(reversed(web.service.cluster_ip.split("."))) + ".in-addr.arpa"
    assert ask(client.netns, address, reverse, PTR)[1] == ["web.default.svc.cluster.local"]
    assert ask(client.netns, address, "kubernetes.default.svc.cluster.local")[1] == [address.rsplit(".", 1)[0] + ".1"]


def test_dn5_unknown_cluster_names_do_not_exist_and_are_not_asked_of_others(server: Lab) -> None:
    start = time.monotonic()
    assert ask("", server.net.dns_address(), "nothing.default.svc.cluster.local")[0] == NXDOMAIN
    unknown = ".".join(reversed(server.net.dns_address().rsplit(".", 1)[0].split("."))) + ".in-addr.arpa"
    assert ask("", server.net.dns_address(), f"77.{unknown}", PTR)[0] == NXDOMAIN
    assert time.monotonic() - start < 25  # the host's server, which is none, would never answer


def test_dn5_headless_services_list_their_endpoints_and_change_while_it_runs(server: Lab) -> None:
    a, b = stored(server, "db-0", "db.default.svc.cluster.local"), stored(server, "plain")
    server.net.set_services(lambda: [route(server, "db", [a, b], "None")])
    server.net.sync()
    eventually(server, "db.default.svc.cluster.local", [a.ip, b.ip])
    eventually(server, "db-0.db.default.svc.cluster.local", [a.ip])
    eventually(server, f"{b.ip.replace('.', '-')}.db.default.svc.cluster.local", [b.ip])
    reverse = ".".join(reversed(a.ip.split("."))) + ".in-addr.arpa"
    assert ask("", server.net.dns_address(), reverse, PTR)[1] == ["db-0.db.default.svc.cluster.local"]
    server.net.set_services(lambda: [route(server, "db", [b], "None")])
    server.net.sync()
    eventually(server, "db.default.svc.cluster.local", [b.ip])
    server.net.set_services(lambda: [route(server, "db", [], "None")])
    server.net.sync()
    eventually(server, "db.default.svc.cluster.local", [])
    assert ask("", server.net.dns_address(), "db.default.svc.cluster.local")[0] == NXDOMAIN


def test_dn6_pods_have_names_until_they_go(server: Lab) -> None:
    pod = stored(server, "web")
    name = f"{pod.ip.replace('.', '-')}.default.pod.cluster.local"
    server.net.sync()
    eventually(server, name, [pod.ip])
    server.remove(pod)
    server.net.sync()
    eventually(server, name, [])


@pytest.mark.rootful("binds port 53 of the host; a user's resolver on loopback is asked in test_rootless_net.py")
def test_dn6_other_names_go_to_the_hosts_servers_which_may_change(server: Lab, tmp_path: Path) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as upstream:
        upstream.bind(("127.0.0.53", 53))
        Path(server.net.resolv_conf).write_text(f"search lan.example\nnameserver 127.0.0.53\nnameserver {server.net.dns_address()}\n")
        assert server.net.sync() is True
        assert Path(f"{server.net.dns_directory}/resolv.conf").read_text() == "nameserver 127.0.0.53\n", "never ourselves: a loop"
        until = time.monotonic() + 100
        while time.monotonic() < until:
            try:
                ask("", server.net.dns_address(), "www.example.org", timeout=0.1)
            except TimeoutError:
                pass
            upstream.settimeout(0.05)
            try:
                query, _ = upstream.recvfrom(512)
            except TimeoutError:
                continue
            if b"\3www\7example\3org" in query.lower():  # its own loop test comes first
                return
        pytest.fail("the new server was never asked")


def test_the_servers_files_are_readable_without_root_and_hold_no_temporary(net: Lab) -> None:
    net.pod()
    net.net.sync()
    listed = [path for path in Path(net.net.dns_directory).rglob("*") if path.is_file()]
    assert {path.name for path in listed} == {"records", "resolv.conf"}
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in listed)
    assert dns.DOMAIN == "cluster.local"
