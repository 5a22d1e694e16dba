"""Packets through the real rules: Services, node ports, host ports, what is refused, whose address is seen."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from kubeplay.engine.host import syscalls
from kubeplay.engine.host.threads import in_thread
from kubeplay.engine.net import apply, netns
from kubeplay.engine.net.networks import DEFAULT
from kubeplay.errors import Conflict, InvalidInput
from kubeplay.plan.container import Port
from kubeplay.plan.service import Endpoint, ServicePlan, ServicePort, ServiceRoute
from tests.support.net import Lab, Pod, fetch, fetch_udp, inside, lab, listening

pytestmark = pytest.mark.root


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Lab]:
    with lab(tmp_path) as made:
        yield made


class Outside(NamedTuple):
    """Another machine on a wire to this one."""

    netns: str
    ip: str
    host: str


HOST_WIRE = "a wire to the host's network needs root; tests/e2e/test_rootless_net.py has a user's"
NFT = shutil.which("nft") or "/usr/sbin/nft"  # not in an ordinary user's PATH


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    runroot = tmp_path / "wire"
    runroot.mkdir()
    syscalls.mount("tmpfs", str(runroot), "tmpfs")
    pins = netns.create(f"{runroot}/ns", "outside")
    octet, name = uuid.uuid4().int % 250, f"kw{uuid.uuid4().hex[:8]}"
    host, ip = f"198.51.{octet}.1", f"198.51.{octet}.2"
    for command in (
        f"ip link add {name} type veth peer name wire0 netns {_holder(pins.net)}",
        f"ip addr add {host}/30 dev {name}",
        f"ip link set {name} up",
    ):
        subprocess.run(command.split(), check=True)
    for command in (f"ip addr add {ip}/30 dev wire0", "ip link set wire0 up", f"ip route add default via {host}"):
        inside(pins.net, lambda command=command: subprocess.run(command.split(), check=True))
    yield Outside(pins.net, ip, host)
    subprocess.run(["ip", "link", "del", name], check=True)
    holder = HOLDERS.pop()
    holder.kill()
    holder.wait()
    netns.remove(f"{runroot}/ns")
    syscalls.umount(str(runroot))


HOLDERS: list[subprocess.Popen[bytes]] = []


def _holder(path: str) -> int:
    """iproute2 names a namespace by a process or by a file under /run/netns: lend it a process."""
    HOLDERS.append(inside(path, lambda: subprocess.Popen(["sleep", "1000"])))
    return HOLDERS[-1].pid


WEB = ServicePort(80, 8080)


def service(net: Lab, name: str, pods: list[Pod], *, type_: str = "ClusterIP", port: ServicePort = WEB, affinity: int = 0) -> ServicePlan:
    plan = net.net.allocate_service(ServicePlan("default", name, type_, (port,), affinity_seconds=affinity))
    ends = tuple(Endpoint(pod.ip, int(port.target)) for pod in pods)
    others = [route for route in nft_routes(net) if route.service.name != name]
    net.net.set_services(lambda: [*others, ServiceRoute(plan, (ends,))])
    net.net.sync()
    return plan


def nft_routes(net: Lab) -> tuple[ServiceRoute, ...]:
    return net.net.state().routes


def served(net: Lab, count: int, port: int = 8080) -> list[Pod]:
    pods = [net.pod() for _ in range(count)]
    for index, pod in enumerate(pods):
        net.serve(pod.netns, f"pod{index}".encode(), port)
    return pods


def test_sv3_a_service_spreads_over_its_endpoints_and_keeps_the_clients_address(net: Lab) -> None:
    backends, client = served(net, 2), net.pod()
    plan = service(net, "web", backends)
    answers = {fetch(client.netns, plan.cluster_ip, 80) for _ in range(30)}
    assert answers == {f"pod0 {client.ip}", f"pod1 {client.ip}"}


def test_the_host_reaches_a_cluster_ip(net: Lab) -> None:
    plan = service(net, "web", served(net, 1))
    assert fetch("", plan.cluster_ip, 80).startswith("pod0 ")


def test_sv3_hairpin_a_pod_reaches_itself_through_its_service(net: Lab) -> None:
    backends = served(net, 1)
    plan = service(net, "web", backends)
    assert fetch(backends[0].netns, plan.cluster_ip, 80) == f"pod0 {net.net.inspect(DEFAULT).gateway}"


def test_sv3_session_affinity_sends_a_client_to_one_endpoint(net: Lab) -> None:
    clients = [net.pod() for _ in range(6)]
    plan = service(net, "web", served(net, 4), affinity=10800)
    seen = [{fetch(client.netns, plan.cluster_ip, 80).split()[0] for _ in range(8)} for client in clients]
    assert all(len(answers) == 1 for answers in seen)
    assert len(set.union(*seen)) > 1


@pytest.mark.parametrize("who", ["pod", "host"])
def test_sv3_no_endpoints_and_undefined_ports_are_refused_at_once(net: Lab, who: str) -> None:
    source = net.pod().netns if who == "pod" else ""
    empty = service(net, "empty", [])
    full = service(net, "full", served(net, 1))
    start = time.monotonic()
    for address, port in ((empty.cluster_ip, 80), (full.cluster_ip, 81), (net.net.dns_address(), 22)):
        with pytest.raises(ConnectionRefusedError):
            fetch(source, address, port)
        with pytest.raises((ConnectionRefusedError, PermissionError)):  # the sender's own machine says EPERM
            fetch_udp(source, address, port)
    assert time.monotonic() - start < 25  # without a refusal each of the six would take its 60 s


@pytest.mark.rootful(HOST_WIRE)
def test_sv2_node_port_on_every_address_of_the_host(net: Lab, outside: Outside) -> None:
    backends = served(net, 1)
    plan = service(net, "web", backends, type_="NodePort")
    port = plan.ports[0].node_port
    assert 30086 <= port <= 32767
    assert fetch("", "127.0.0.1", port) == f"pod0 {net.net.inspect(DEFAULT).gateway}"
    assert fetch("", outside.host, port).startswith("pod0 ")
    assert fetch(outside.netns, outside.host, port) == f"pod0 {outside.ip}"  # the client's own address is seen
    assert fetch(net.pod().netns, outside.host, port).startswith("pod0 ")
    assert fetch(backends[0].netns, outside.host, port).startswith("pod0 ")  # its own node port


@pytest.mark.rootful(HOST_WIRE)
def test_hp1_host_port_from_host_outside_pods_and_itself(net: Lab, outside: Outside) -> None:
    pod = served(net, 1)[0]
    net.net.publish(pod.uid, (pod.ip,), (Port(8080, host_port=27080),))
    net.net.sync()
    assert fetch("", "127.0.0.1", 27080) == f"pod0 {net.net.inspect(DEFAULT).gateway}"
    assert fetch("", outside.host, 27080) == f"pod0 {outside.host}"
    assert fetch(outside.netns, outside.host, 27080) == f"pod0 {outside.ip}"
    other = net.pod()
    assert fetch(other.netns, outside.host, 27080) == f"pod0 {other.ip}"
    assert fetch(pod.netns, outside.host, 27080).startswith("pod0 ")
    net.net.unpublish(pod.uid)
    net.net.sync()
    with pytest.raises(ConnectionRefusedError):
        fetch("", "127.0.0.1", 27080)


@pytest.mark.rootful(HOST_WIRE)
def test_hp1_host_ip_is_honoured(net: Lab, outside: Outside) -> None:
    pod, other = served(net, 2)
    net.net.publish(pod.uid, (pod.ip,), (Port(8080, host_port=27081, host_ip="127.0.0.1"),))
    net.net.publish(other.uid, (other.ip,), (Port(8080, host_port=27081, host_ip=outside.host),))
    net.net.sync()
    assert fetch("", "127.0.0.1", 27081).startswith("pod0 ")
    assert fetch(outside.netns, outside.host, 27081) == f"pod1 {outside.ip}"
    net.net.unpublish(other.uid)
    net.net.sync()
    with pytest.raises(ConnectionRefusedError):
        fetch(outside.netns, outside.host, 27081)
    with pytest.raises(InvalidInput, match="not an address of this machine"):
        net.net.publish(other.uid, (other.ip,), (Port(8080, host_port=27082, host_ip="203.0.113.77"),))


def test_hp1_a_port_in_use_is_named(net: Lab, tmp_path: Path) -> None:
    a, b = net.pod(), net.pod()
    net.net.publish(a.uid, (a.ip,), (Port(80, host_port=27083),))
    with pytest.raises(Conflict, match=f"port 27083 is already in use by pod {a.uid}"):
        net.net.publish(b.uid, (b.ip,), (Port(80, host_port=27083, host_ip="127.0.0.1"),))
    net.net.publish(b.uid, (b.ip,), (Port(80, "UDP", host_port=27083),))  # another protocol is another port
    net.net.publish(a.uid, (a.ip,), (Port(80, host_port=27083),))  # again: the same
    with listening("127.0.0.1", 27084) as program, pytest.raises(Conflict, match="27084 is already in use by a program"):
        assert program
        net.net.publish(b.uid, (b.ip,), (Port(80, "UDP", host_port=27083), Port(81, host_port=27084)))
    assert [lease.key for lease in net.store.leases.held("hostport", b.uid)] == ["*/UDP/27083"], "all or nothing"
    with lab(tmp_path / "other") as other:
        pod = other.pod()
        with pytest.raises(Conflict, match=f"another kubeplay root .bridge {net.settings.bridge}"):
            other.net.publish(pod.uid, (pod.ip,), (Port(80, host_port=27083),))
        net.net.unpublish(a.uid)
        other.net.publish(pod.uid, (pod.ip,), (Port(80, host_port=27083),))


def test_hp1_a_pod_without_an_address_publishes_nothing(net: Lab) -> None:
    net.net.ensure()
    net.net.publish("11111111-2222-3333", (), (Port(80, host_port=27085),))
    assert net.store.leases.held("hostport") == []
    net.net.sync()


def test_sv2_node_ports_and_cluster_ips_are_held_and_given_back(net: Lab) -> None:
    plan = ServicePlan("default", "web", "NodePort", (ServicePort(80, 80, name="a"), ServicePort(53, 53, "UDP", "b")))
    first = net.net.allocate_service(plan)
    assert net.net.allocate_service(plan) == first
    assert net.net.allocate_service(first) == first
    base = first.cluster_ip.split(".")[:2]
    assert int(first.cluster_ip.split(".")[2]) >= 1, "SV2: the first 256 addresses are left to static requests"
    with pytest.raises(Conflict, match="in use by Service default/web"):
        net.net.allocate_service(ServicePlan("default", "b", "NodePort", (ServicePort(80, 80, node_port=first.ports[0].node_port),)))
    with pytest.raises(Conflict, match="in use by default/web"):
        net.net.allocate_service(ServicePlan("default", "b", cluster_ip=first.cluster_ip))
    with pytest.raises(Conflict, match="cluster DNS"):
        net.net.allocate_service(ServicePlan("default", "b", cluster_ip=".".join([*base, "0", "10"])))
    with pytest.raises(InvalidInput, match="not in the Service range"):
        net.net.allocate_service(ServicePlan("default", "b", cluster_ip="192.0.2.7"))
    assert net.net.allocate_service(ServicePlan("default", "h", cluster_ip="None")).cluster_ip == "None"
    assert net.net.allocate_service(plan._replace(type="ClusterIP")).ports[0].node_port == 0
    assert not net.store.leases.held("nodeport")
    net.net.release_service("default", "web")
    assert not net.store.leases.held("clusterip")


@pytest.mark.rootful(HOST_WIRE)
def test_pods_reach_the_world_with_the_hosts_address(net: Lab, outside: Outside) -> None:
    net.serve(outside.netns, b"world", 80)
    pod = net.pod()
    net.net.sync()
    assert fetch(pod.netns, outside.ip, 80) == f"world {outside.host}"


@pytest.mark.rootful(HOST_WIRE)
def test_an_endpoint_outside_answers_back_through_us(net: Lab, outside: Outside) -> None:
    net.serve(outside.netns, b"world", 8080)
    client = net.pod()
    plan = service(net, "ext", [Pod("", "", "", outside.ip)])
    assert fetch(client.netns, plan.cluster_ip, 80) == f"world {outside.host}"


def test_cve_2020_8558_pods_do_not_reach_the_hosts_loopback(net: Lab) -> None:
    net.serve("", b"secret", 25181, "127.0.0.1")
    pod = net.pod()
    net.net.sync()
    gateway = net.net.inspect(DEFAULT).gateway
    inside(pod.netns, lambda: subprocess.run(["ip", "addr", "del", "127.0.0.1/8", "dev", "lo"], check=True))
    inside(pod.netns, lambda: subprocess.run(["ip", "route", "add", "127.0.0.1/32", "via", gateway, "onlink", "dev", "eth0"], check=True))
    inside(pod.netns, lambda: Path("/proc/sys/net/ipv4/conf/eth0/route_localnet").write_text("1"))
    with pytest.raises(TimeoutError):
        fetch(pod.netns, "127.0.0.1", 25181, timeout=0.5)


def test_udp_flows_to_a_removed_endpoint_are_forgotten(net: Lab) -> None:
    client, first, second = net.pod(), net.pod(), net.pod()
    net.serve_udp(first.netns, b"first", 5353)
    net.serve_udp(second.netns, b"second", 5353)
    plan = service(net, "dns", [first], port=ServicePort(53, 5353, "UDP"))

    def talk() -> tuple[str, str]:
        import socket

        with socket.socket(type=socket.SOCK_DGRAM) as sock:  # one client port: one conntrack entry
            sock.settimeout(60)
            sock.connect((plan.cluster_ip, 53))
            sock.send(b"?")
            before = sock.recv(100).decode()
            service(net, "dns", [second], port=ServicePort(53, 5353, "UDP"))
            sock.send(b"?")
            return before, sock.recv(100).decode()

    assert inside(client.netns, talk) == ("first", "second")


@pytest.mark.parametrize("what", ["delete table", "flush table", "flush map|services", "flush chain|sending", "flush set|pods"])
def test_sync_does_nothing_twice_and_repairs_what_strangers_do(net: Lab, what: str) -> None:
    backends, client = served(net, 1), net.pod()
    plan = service(net, "web", backends)
    assert net.net.sync() is False
    verb, _, name = what.partition("|")
    command = [NFT, *verb.split(), "inet", net.settings.nft_table, *([name] if name else [])]
    inside("", lambda: subprocess.run(command, check=True))
    assert net.net.sync() is True
    assert fetch(client.netns, plan.cluster_ip, 80).startswith("pod0 ")
    inside("", lambda: subprocess.run([NFT, "add", "table", "inet", f"foreign_{net.settings.tag}"], check=True))
    try:
        assert net.net.sync() is False, "other tables are others' business"
    finally:
        inside("", lambda: subprocess.run([NFT, "delete", "table", "inet", f"foreign_{net.settings.tag}"], check=True))


def test_a_client_keeps_its_endpoint_over_changes_of_the_rules(net: Lab) -> None:
    """SV3: what the kernel has learned outlives other Services' comings and goings, and its own endpoints'."""
    client, backends = net.pod(), served(net, 3)
    plan = service(net, "web", backends, affinity=10800)
    first = fetch(client.netns, plan.cluster_ip, 80).split()[0]
    for count in (2, 1, 3):
        service(net, f"other{count}", backends[:count])
        assert {fetch(client.netns, plan.cluster_ip, 80).split()[0] for _ in range(4)} == {first}
    kept = backends[int(first.removeprefix("pod"))]
    service(net, "web", [kept], affinity=10800)
    service(net, "web", backends, affinity=10800)
    assert {fetch(client.netns, plan.cluster_ip, 80).split()[0] for _ in range(4)} == {first}


@pytest.mark.rootful("a user's namespace goes with its last network, and all tables in it")
def test_teardown_if_idle_leaves_other_tables_and_removes_ours(net: Lab) -> None:
    net.net.ensure()
    inside("", lambda: subprocess.run([NFT, "add", "table", "inet", f"foreign_{net.settings.tag}"], check=True))
    try:
        pod = net.pod()
        net.net.sync()
        assert apply.exists(net.settings.nft_table)
        assert net.net.teardown_if_idle() is False
        net.remove(pod)
        assert net.net.teardown_if_idle() is True
        assert not apply.exists(net.settings.nft_table)
        assert apply.exists(f"foreign_{net.settings.tag}")
        assert not Path(f"/sys/class/net/{net.settings.bridge}").exists()
        assert not Path(net.net.dns_directory).exists()
        assert not Path(f"/run/kubeplay-claims/{net.settings.bridge}").exists()
        again = net.pod()
        net.serve(again.netns, b"again")
        assert fetch("", again.ip, 80).startswith("again")
    finally:
        inside("", lambda: subprocess.run([NFT, "delete", "table", "inet", f"foreign_{net.settings.tag}"], check=True))


@pytest.mark.rootful("br_netfilter's switch is the machine's")
@pytest.mark.parametrize("value", ["0", "1"])
def test_services_work_whatever_br_netfilter_does(tmp_path: Path, value: str) -> None:
    """In a network namespace of its own, where the global switch can be set without touching the machine's."""
    switch = "/proc/sys/net/bridge/bridge-nf-call-iptables"
    if not Path(switch).exists():
        pytest.skip("br_netfilter is not loaded: nothing to switch")
    script = (
        f"mount -t sysfs sysfs /sys && mount -t tmpfs tmpfs /run && ip link set lo up && echo {value} >{switch} && exec {sys.executable}"
        f" -m pytest -q -p no:cacheprovider --basetemp={tmp_path}/inner tests/e2e/test_net_rules.py -k 'spreads or hairpin or affinity'"
    )
    ended = subprocess.run(["unshare", "--net", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0 and "3 passed" in ended.stdout, ended.stdout + ended.stderr


@pytest.mark.rootful("the namespace is nobody's but the user's")
def test_forwarding_switched_off_by_another_program_is_switched_on_again(net: Lab) -> None:
    forward = Path("/proc/sys/net/ipv4/ip_forward")  # of the namespace of the thread that opens it

    def work() -> str:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        net.net.ensure()
        forward.write_text("0")
        net.net.ensure()
        return forward.read_text()

    assert in_thread(work) == "1\n"
