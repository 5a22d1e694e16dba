"""The real unbound with our command and files, asked from pods and the host."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.engine.host.processes import program
from kubeplay.engine.net import dns, nameserver
from kubeplay.engine.store.runtime import RUN, PodRow
from kubeplay.plan import codec
from kubeplay.plan.pod import PodPlan, SandboxPlan
from kubeplay.plan.service import Address, Endpoint, ServicePlan, ServicePort, ServiceRoute
from tests.support.dns import AAAA, CNAME, NXDOMAIN, PTR, SERVFAIL, SRV, TXT, A, Answer, query
from tests.support.net import Lab, Pod, inside, lab

pytestmark = pytest.mark.root

DB, WEB = "db.default.svc.cluster.local", "web.default.svc.cluster.local"


@pytest.fixture
def net() -> Iterator[Lab]:
    directory = Path(tempfile.mkdtemp(prefix="kpdns-", dir="/tmp"))
    directory.chmod(0o755)  # unbound gives up root before it reads the zones; a home is closed to it
    try:
        with lab(directory) as made:
            made.net.dns_seen_at = made.net.dns_directory
            yield made
    finally:
        shutil.rmtree(directory)


@pytest.fixture
def server(net: Lab, tmp_path: Path) -> Iterator[Lab]:
    net.net.resolv_conf = str(tmp_path / "resolv.conf")
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.253\n")
    net.net.ensure()
    net.net.sync()
    process = inside("", lambda: subprocess.Popen(net.net.dns_argv(program("unbound")), stderr=subprocess.DEVNULL))
    try:
        until = time.monotonic() + 100
        while True:
            try:
                ask(net, "kubernetes.default.svc.cluster.local", timeout=1)
                break
            except OSError:
                assert process.poll() is None, "unbound has ended"
                assert time.monotonic() < until, "unbound does not answer"
                time.sleep(0.02)
        yield net
    finally:
        process.terminate()
        process.wait()


def ask(net: Lab, name: str, kind: int = A, netns: str = "", timeout: float = 60.0, *, tcp: bool = False, edns: int = 0) -> Answer:
    address = net.net.dns_address()
    return inside(netns, lambda: query(address, name, kind, timeout, tcp=tcp, edns=edns))


def stored(net: Lab, name: str, domain: str = "") -> Pod:
    """A pod that is also in the store, as the engine makes it."""
    pod = net.pod(name=name)
    plan = PodPlan("default", name, SandboxPlan(name, domain), ())
    net.store.runtime.add_pod(PodRow(pod.uid, "default", name, codec.dumps(plan), RUN, True, None, 0, False))
    return pod


def route(net: Lab, name: str, pods: list[Pod], cluster_ip: str = "", *ports: ServicePort, **more: object) -> ServiceRoute:
    ports = ports or (ServicePort(80, 80, "TCP", "http"),)
    plan = net.net.allocate_service(ServicePlan("default", name, ports=ports, cluster_ip=cluster_ip)._replace(**more))
    ends = tuple(Endpoint(pod.ip, 80) for pod in pods)
    return ServiceRoute(plan, (ends,) * len(ports), tuple(Address(pod.ip) for pod in pods))


def publish(net: Lab, *routes: ServiceRoute) -> None:
    net.net.set_services(lambda: routes)
    net.net.sync()


def reverse(net: Lab, ip: str) -> list[str]:
    return ask(net, dns.reverse(ip), PTR).values


def test_dn5_services_have_names_for_pods_and_host(server: Lab) -> None:
    client = stored(server, "client")
    web = route(server, "web", [client])
    publish(server, web)
    assert ask(server, WEB).values == [web.service.cluster_ip], "what is synced is served: nothing to wait for"
    assert ask(server, "WEB.default.svc.cluster.LOCAL", netns=client.netns)[:2] == (0, [web.service.cluster_ip])
    assert 0 < ask(server, WEB, netns=client.netns).ttl <= 5
    assert ask(server, WEB, AAAA)[:2] == (0, []), "it exists, with an address of the other family"
    assert ask(server, f"_http._tcp.{WEB}", SRV).values == [f"0 100 80 {WEB}"]
    assert ask(server, "dns-version.cluster.local", TXT).values == ["1.1.0"]
    assert reverse(server, web.service.cluster_ip) == [WEB]
    assert reverse(server, server.net.dns_address()) == ["kube-dns.kube-system.svc.cluster.local"]
    assert ask(server, "kubernetes.default.svc.cluster.local").values == [server.net.dns_address().rsplit(".", 1)[0] + ".1"]


def test_dn5_unknown_cluster_names_do_not_exist_and_are_not_asked_of_others(server: Lab) -> None:
    start = time.monotonic()
    assert ask(server, "nothing.default.svc.cluster.local").code == NXDOMAIN
    assert ask(server, "default.svc.cluster.local")[:2] == (0, []), "a namespace is no name of its own, but there are names below"
    unknown = ".".join(reversed(server.net.dns_address().rsplit(".", 1)[0].split("."))) + ".in-addr.arpa"
    assert ask(server, f"77.{unknown}", PTR).code == NXDOMAIN
    assert time.monotonic() - start < 25  # the host's server, which is none, would never answer


def test_dn5_headless_services_list_their_endpoints_and_change_while_it_runs(server: Lab) -> None:
    a, b = stored(server, "db-0"), stored(server, "plain")
    both = route(server, "db", [a, b], "None")._replace(addresses=(Address(a.ip, "db-0"), Address(b.ip)))
    publish(server, both)
    other = f"{b.ip.replace('.', '-')}.{DB}"
    assert sorted(ask(server, DB).values) == sorted([a.ip, b.ip])
    assert ask(server, f"db-0.{DB}").values == [a.ip] and ask(server, other).values == [b.ip]
    assert sorted(ask(server, f"_http._tcp.{DB}", SRV).values) == sorted([f"0 50 80 db-0.{DB}", f"0 50 80 {other}"])
    assert reverse(server, a.ip) == [f"db-0.{DB}"]
    publish(server, both._replace(addresses=(Address(b.ip),)))
    assert ask(server, DB).values == [b.ip], "the cached answer is gone with the record"
    assert ask(server, f"db-0.{DB}").code == NXDOMAIN
    publish(server, ServiceRoute(both.service, ((),)))
    assert ask(server, DB).code == NXDOMAIN


def test_dn5_many_addresses_over_tcp_and_edns(server: Lab) -> None:
    plan = route(server, "db", [], "None").service
    ips = [f"10.200.{n // 250}.{n % 250 + 1}" for n in range(200)]
    publish(server, ServiceRoute(plan, ((),), tuple(Address(ip) for ip in ips[:60])))
    assert ask(server, DB).truncated
    assert sorted(ask(server, DB, edns=1232).values) == sorted(ips[:60])
    publish(server, ServiceRoute(plan, ((),), tuple(Address(ip) for ip in ips)))
    assert ask(server, DB, edns=1232).truncated
    assert sorted(ask(server, DB, tcp=True).values) == sorted(ips) == sorted(ask(server, DB, tcp=True, edns=1232).values)


def test_dn6_pods_have_names_until_they_go(server: Lab) -> None:
    pod = stored(server, "web")
    name = f"{pod.ip.replace('.', '-')}.default.pod.cluster.local"
    server.net.sync()
    assert ask(server, name).values == [pod.ip]
    server.remove(pod)
    server.net.sync()
    assert ask(server, name).code == NXDOMAIN


def _close(sock: socket.socket) -> None:
    """Wakes who reads from it: a UDP socket says that it is not connected, and does it all the same."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


class Upstream:
    """A server of the host's: every name has the address 203.0.113.7, and it keeps what it was asked."""

    def __init__(self, address: str) -> None:
        self.asked: list[str] = []
        self.sock = socket.socket(type=socket.SOCK_DGRAM)
        self.sock.bind((address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                asked, client = self.sock.recvfrom(4096)
            except OSError:
                return
            if not asked:
                return
            end = asked.index(b"\0", 12) + 5
            labels, at = [], 12
            while asked[at]:
                labels.append(asked[at + 1 : at + 1 + asked[at]].decode().lower())
                at += 1 + asked[at]
            self.asked.append(".".join(labels))
            record = b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 60, 4) + socket.inet_aton("203.0.113.7")
            self.sock.sendto(asked[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + asked[12:end] + record, client)

    def close(self) -> None:
        _close(self.sock)


@pytest.fixture
def upstream(server: Lab) -> Iterator[Upstream]:
    """One on the host's loopback, as systemd-resolved's."""
    made = Upstream("127.0.0.53")
    Path(server.net.resolv_conf).write_text(f"search lan.example\nnameserver 127.0.0.53\nnameserver {server.net.dns_address()}\n")
    assert server.net.sync() is True
    yield made
    made.close()


ROOTFUL = pytest.mark.rootful("binds port 53 of the host; a user's resolver on loopback is asked in test_rootless_net.py")


@ROOTFUL
def test_dn6_other_names_go_to_the_hosts_servers_which_may_change(server: Lab, upstream: Upstream) -> None:
    found = ask(server, "www.example.org")
    assert found.values == ["203.0.113.7"] and found.ttl <= 30
    assert ask(server, "_printer.local").values == ["203.0.113.7"], "local as a whole is not ours"
    assert ask(server, dns.reverse("10.1.2.3"), PTR).code == 0, "nor are other people's private addresses"
    assert upstream.asked == ["www.example.org", "_printer.local", dns.reverse("10.1.2.3")]
    assert "10.96" not in Path(server.net.resolv_conf).name
    text = (Path(server.net.dns_directory) / nameserver.config_name([server.net.dns_address()])).read_text()
    assert text.count("forward-addr") == 1, "never ourselves: a loop"


@ROOTFUL
def test_dn5_another_name_of_a_service_is_followed(server: Lab, upstream: Upstream) -> None:
    outside = ServicePlan("default", "out", "ExternalName", external_name="www.example.org")
    within = ServicePlan("default", "in", "ExternalName", external_name=DB)
    circle = ServicePlan("default", "o", "ExternalName", external_name="o.default.svc.cluster.local")
    pod = stored(server, "db")
    publish(server, ServiceRoute(outside), ServiceRoute(within), ServiceRoute(circle), route(server, "db", [pod], "None"))
    assert ask(server, "out.default.svc.cluster.local", CNAME).values == ["www.example.org"]
    assert ask(server, "out.default.svc.cluster.local").values == ["www.example.org", "203.0.113.7"]
    assert ask(server, "in.default.svc.cluster.local").values == [DB, pod.ip]
    assert ask(server, "o.default.svc.cluster.local").code == SERVFAIL, "ends"


@ROOTFUL
def test_dn6_a_resolver_of_the_host_that_asks_us_in_turn_makes_no_storm(server: Lab) -> None:
    """systemd-resolved with our address configured for all names: what nobody knows goes round once and ends."""
    asked: list[bytes] = []
    with socket.socket(type=socket.SOCK_DGRAM) as stub, socket.socket(type=socket.SOCK_DGRAM) as onward:
        stub.bind(("127.0.0.53", 53))
        onward.connect((server.net.dns_address(), 53))

        def forward() -> None:
            while True:
                try:
                    text, _ = stub.recvfrom(4096)
                    if not text:
                        return
                    asked.append(text)
                    onward.send(text)
                except OSError:
                    return

        threading.Thread(target=forward, daemon=True).start()
        Path(server.net.resolv_conf).write_text("nameserver 127.0.0.53\n")
        server.net.sync()
        with pytest.raises(TimeoutError):
            ask(server, "nobody.example", timeout=3)
        _close(stub)
    assert 0 < len(asked) < 50


def test_names_are_answered_while_records_change_all_the_time(server: Lab) -> None:
    pod = stored(server, "db")
    db = route(server, "db", [pod], "None")
    publish(server, db)
    wrong: list[Answer] = []
    done = threading.Event()

    def client() -> None:
        while not done.is_set():
            answer = ask(server, DB)
            if answer.values != [pod.ip]:
                wrong.append(answer)

    thread = threading.Thread(target=client)
    thread.start()
    for n in range(30):
        publish(server, db, *(ServiceRoute(ServicePlan("default", f"x{i}", "ExternalName", external_name=f"n{n}.x")) for i in range(5)))
    done.set()
    thread.join()
    assert wrong == []


def test_a_sync_killed_before_it_told_the_server_is_made_good_by_the_next(server: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = stored(server, "db")
    with monkeypatch.context() as patch:
        patch.setattr(nameserver, "_tell", _die)
        with pytest.raises(KeyboardInterrupt):
            publish(server, route(server, "db", [pod], "None"))
    assert ask(server, DB).code == NXDOMAIN
    server.net.sync()
    assert ask(server, DB).values == [pod.ip]


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_the_servers_files_are_readable_without_root_and_its_commands_closed(server: Lab) -> None:
    server.pod()
    server.net.sync()
    directory = Path(server.net.dns_directory)
    files = [path for path in directory.iterdir() if path.is_file()]
    names = {path.name for path in files}
    assert "cluster.local.zone" in names and nameserver.config_name([server.net.dns_address()]) in names and len(names) == 4
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in files)
    control = directory / nameserver.CONTROL
    assert control.stat().st_mode & 0o777 == 0o700 and control.stat().st_uid == os.getuid()
    assert [path.name for path in control.iterdir()] == ["socket"], "no mark, nothing half written"
    assert dns.DOMAIN == "cluster.local"
