"""Networks with their options: both families, static addresses, isolation, internal ones, macvlan, joining and leaving."""

from __future__ import annotations

import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.engine.net import ipam, netns
from kubeplay.engine.net.definition import Wanted
from kubeplay.engine.net.networks import DEFAULT
from kubeplay.errors import Conflict, Exhausted, Forbidden, InvalidInput, NotFound, SandboxError
from kubeplay.plan.container import Port
from kubeplay.plan.pod import Attachment, SandboxPlan
from tests.support.net import Lab, fetch, inside, lab, listening

pytestmark = pytest.mark.root
IPV6 = pytest.mark.skipif(not Path("/proc/sys/net/ipv6").is_dir(), reason="this kernel has no IPv6")


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Lab]:
    with lab(tmp_path) as made:
        yield made


class Joined:
    """A pod on several networks."""

    def __init__(self, net: Lab, *attachments: Attachment) -> None:
        self.net, self.uid = net, str(uuid.uuid4())
        self.netns = net.namespaces(self.uid).net
        self.plan = SandboxPlan("p", attachments=attachments)
        self.addresses = net.net.attach(self.uid, self.netns, self.plan)

    def says(self, *words: str) -> str:
        return inside(self.netns, lambda: subprocess.run(words, capture_output=True, text=True, check=True).stdout)

    def join(self, *attachments: Attachment) -> None:
        self.plan = self.plan._replace(attachments=(*self.plan.attachments, *attachments))
        self.addresses = self.net.net.join(self.uid, self.netns, self.plan, attachments[0].network)

    def leave(self, name: str) -> None:
        self.plan = self.plan._replace(attachments=tuple(one for one in self.plan.attachments if one.network != name))
        self.addresses = self.net.net.leave(self.uid, self.netns, self.plan, name)


def pod(net: Lab, network: str, ip: str = "", ip6: str = "") -> Joined:
    return Joined(net, Attachment(network, ip, ip6=ip6))


def reached(one: Joined, address: str, port: int = 80) -> bool:
    try:
        return bool(fetch(one.netns, address, port))
    except OSError:
        return False


@IPV6
def test_dual_stack_pods_reach_each_other_and_are_reached_in_both_families(net: Lab) -> None:
    row = net.net.create(Wanted("dual", ipv6=True))
    assert row.subnet6.startswith("fd") and row.subnet6.endswith("/64")
    server, client = pod(net, "dual"), pod(net, "dual")
    net.net.sync()
    assert [":" in address for address in server.addresses] == [False, True]
    net.serve(server.netns, b"four")
    net.serve(server.netns, b"six", 81, "::")
    assert fetch(client.netns, server.addresses[0], 80) == f"four {client.addresses[0]}"
    assert fetch(client.netns, server.addresses[1], 81) == f"six {client.addresses[1]}"
    assert fetch("", server.addresses[1], 81) == f"six {row.gateway6}", "this machine reaches it, as the gateway"
    net.serve("", b"host", 27081, row.gateway6)
    assert fetch(client.netns, row.gateway6, 27081) == f"host {client.addresses[1]}"
    assert net.net.attach(server.uid, server.netns, server.plan) == server.addresses, "once more: nothing to do"
    assert fetch(client.netns, server.addresses[1], 81) == f"six {client.addresses[1]}"


@IPV6
def test_an_ipv6_only_network(net: Lab) -> None:
    net.net.create(Wanted("six", ("fd61:7465:7374::/64",)))
    server, client = pod(net, "six", ip6="fd61:7465:7374::77"), pod(net, "six")
    net.net.sync()
    assert server.addresses == ("fd61:7465:7374::77",)
    net.serve(server.netns, b"six", 80, "::")
    assert fetch(client.netns, "fd61:7465:7374::77", 80) == f"six {client.addresses[0]}"
    with pytest.raises(InvalidInput, match="no IPv4 subnet"):
        pod(net, "six", ip="10.1.2.3")
    with pytest.raises(Conflict, match="already in use"):
        pod(net, "six", ip6="fd61:7465:7374::77")


@IPV6
@pytest.mark.rootful("a wire to the host's network needs root; a user's way out is IPv4")
def test_pods_reach_the_world_behind_the_machines_ipv6_address(net: Lab) -> None:
    net.net.create(Wanted("dual", ipv6=True))
    client, wire = pod(net, "dual"), f"kw{uuid.uuid4().hex[:8]}"
    net.net.sync()
    world = net.namespaces(str(uuid.uuid4())).net
    holder = inside(world, lambda: subprocess.Popen(["sleep", "1000"]))
    try:
        commands = [f"ip link add {wire} type veth peer name wire0 netns {holder.pid}", f"ip link set {wire} up",
                    f"ip -6 addr add 2001:db8:77::1/64 dev {wire} nodad"]  # fmt: skip
        for command in commands:
            subprocess.run(command.split(), check=True)
        for command in ("ip -6 addr add 2001:db8:77::2/64 dev wire0 nodad", "ip link set wire0 up"):
            inside(world, lambda command=command: subprocess.run(command.split(), check=True))
        net.serve(world, b"world", 80, "::")
        assert fetch(client.netns, "2001:db8:77::2", 80) == "world 2001:db8:77::1"
    finally:
        holder.kill()
        holder.wait()
        subprocess.run(["ip", "link", "del", wire], check=True)


@IPV6
@pytest.mark.rootful("an ordinary user's host ports are on IPv4 addresses")
def test_hp1_host_ports_of_both_families(net: Lab) -> None:
    row = net.net.create(Wanted("dual", ipv6=True))
    server, client = pod(net, "dual"), pod(net, "dual")
    net.serve(server.netns, b"six", 8080, "::")  # of both families
    net.net.publish(server.uid, server.addresses, (Port(8080, host_port=27086), Port(8080, host_port=27087, host_ip=row.gateway6)))
    net.net.sync()
    assert fetch(client.netns, row.gateway6, 27086).startswith("six") and fetch(client.netns, row.gateway6, 27087).startswith("six")
    assert fetch("", "127.0.0.1", 27086).startswith("six") and fetch("", row.gateway6, 27086).startswith("six")
    with pytest.raises(ConnectionRefusedError):
        fetch("", "::1", 27086)
    with pytest.raises(OSError):
        fetch("", row.gateway, 27087)
    four = pod(net, DEFAULT)
    with pytest.raises(InvalidInput, match="no address of that family"):
        net.net.publish(four.uid, four.addresses, (Port(8080, host_port=27088, host_ip=row.gateway6),))
    with pytest.raises(Conflict, match="already in use"):
        net.net.publish(client.uid, client.addresses, (Port(8080, host_port=27087),))


@IPV6
@pytest.mark.rootful("an ordinary user's host ports are on IPv4 addresses")
def test_a_udp_client_that_keeps_sending_is_led_to_the_pod_that_has_the_port_now(net: Lab) -> None:
    row = net.net.create(Wanted("dual", ipv6=True))
    first, second, client = pod(net, "dual"), pod(net, "dual"), pod(net, "dual")
    for one, answer in ((first, b"first"), (second, b"second")):
        net.serve_udp(one.netns, answer, 5353, "::")
    with inside(client.netns, lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as sock:
        sock.settimeout(60)
        for one, answer in ((first, b"first"), (second, b"second")):
            net.net.unpublish(first.uid)
            net.net.publish(one.uid, one.addresses, (Port(5353, "UDP", host_port=27089),))
            net.net.sync()
            sock.sendto(b"?", (row.gateway6, 27089))
            assert sock.recv(100) == answer


@IPV6
def test_a_pod_cannot_send_as_another_in_ipv6(net: Lab) -> None:
    net.net.create(Wanted("dual", ipv6=True))
    server, client, other = pod(net, "dual"), pod(net, "dual"), pod(net, "dual")
    net.net.sync()
    net.serve(server.netns, b"here", 81, "::")
    client.says("ip", "address", "add", f"{other.addresses[1]}/128", "dev", "eth0", "nodad")
    with pytest.raises(OSError):
        fetch(client.netns, server.addresses[1], 81, timeout=2.0, source=other.addresses[1])
    assert fetch(client.netns, server.addresses[1], 81) == f"here {client.addresses[1]}"


@IPV6
def test_the_default_network_gets_ipv6_by_the_setting_and_keeps_it(tmp_path: Path) -> None:
    with lab(tmp_path) as net:
        first = pod(net, "")
        assert len(first.addresses) == 1 and net.net.service_range6() is None
        net.net.settings = net.net.settings._replace(ipv6=True)
        second, third = pod(net, ""), pod(net, "")
        net.net.sync()
        range6 = net.net.service_range6()
        assert len(second.addresses) == 2 and range6 is not None and range6.length == 112
        net.serve(second.netns, b"six", 81, "::")
        assert fetch(third.netns, second.addresses[1], 81) == f"six {third.addresses[1]}"
        net.serve(first.netns, b"four")
        assert fetch(third.netns, first.addresses[0], 80) == f"four {third.addresses[0]}", "a pod from before goes on"
        net.net.settings = net.net.settings._replace(ipv6=False)
        assert len(pod(net, "").addresses) == 2


def test_an_address_range_is_used_up_with_a_clear_error(net: Lab) -> None:
    net.net.create(Wanted("small", ("10.199.17.0/24",), ("10.199.17.254",), ("10.199.17.8-10.199.17.9",)))
    given = {pod(net, "small").addresses[0] for _ in range(2)}
    assert given == {"10.199.17.8", "10.199.17.9"}
    with pytest.raises(Exhausted, match="no address left in 10.199.17.0/24, range 10.199.17.8-10.199.17.9"):
        pod(net, "small")
    assert pod(net, "small", "10.199.17.100").addresses == ("10.199.17.100",), "a static address may lie outside of the range"
    assert not net.store.leases.held(ipam.pool("small"))[0].value.strip("0")


def test_an_internal_network_reaches_itself_and_nothing_else(net: Lab) -> None:
    net.net.create(Wanted("inner", ("10.199.18.0/24",), internal=True))
    server, client, outer = pod(net, "inner"), pod(net, "inner"), pod(net, DEFAULT)
    net.net.sync()
    for one in (server, outer):
        net.serve(one.netns, b"here")
    assert reached(client, server.addresses[0])
    assert fetch("", server.addresses[0], 80).startswith("here"), "from this machine"
    assert not reached(client, outer.addresses[0])
    assert not reached(outer, server.addresses[0])
    both = Joined(net, Attachment("inner"), Attachment(DEFAULT))
    assert "default via" in both.says("ip", "route").replace(net.net.inspect("inner").gateway, "inner")
    assert net.net.inspect(DEFAULT).gateway in both.says("ip", "route", "show", "default"), "out leads the network that leads out"
    assert reached(both, server.addresses[0]) and reached(both, outer.addresses[0])


@pytest.mark.parametrize(("isolate", "plain"), [("true", True), ("strict", False)])
def test_isolated_networks(net: Lab, isolate: str, plain: bool) -> None:
    net.net.create(Wanted("one", ("10.199.19.0/24",), options=(("isolate", isolate),)))
    net.net.create(Wanted("two", ("10.199.20.0/24",), options=(("isolate", "true"),)))
    one, mate, two, free = pod(net, "one"), pod(net, "one"), pod(net, "two"), pod(net, DEFAULT)
    net.net.sync()
    for pod_ in (one, two, free):
        net.serve(pod_.netns, b"here")
    assert reached(mate, one.addresses[0])
    assert not reached(two, one.addresses[0]) and not reached(one, two.addresses[0])
    assert reached(free, two.addresses[0])
    assert reached(free, one.addresses[0]) == plain and reached(one, free.addresses[0]) == plain


def test_mtu_and_hardware_address(net: Lab) -> None:
    net.net.create(Wanted("low", ("10.199.21.0/24",), options=(("com.docker.network.driver.mtu", "1280"),)))
    one = Joined(net, Attachment("low", "10.199.21.7", "02:00:00:00:00:07"))
    said = one.says("ip", "link", "show", "eth0")
    assert "mtu 1280" in said and "02:00:00:00:00:07" in said


def test_joining_and_leaving_while_connections_live(net: Lab) -> None:
    for name, prefix in (("second", "10.199.22.0/24"), ("third", "10.199.23.0/24")):
        net.net.create(Wanted(name, (prefix,)))
    one, peer = pod(net, DEFAULT), pod(net, "second")
    net.serve(peer.netns, b"peer")
    before, gateway = one.addresses[0], net.net.inspect(DEFAULT).gateway
    listener = inside("", lambda: listening(gateway, 0))
    long = inside(one.netns, lambda: socket.create_connection((gateway, listener.getsockname()[1]), 100))
    heard, _ = listener.accept()
    one.join(Attachment("second", "10.199.22.50"))
    one.join(Attachment("third"))
    assert one.addresses[:2] == (before, "10.199.22.50") and len(one.addresses) == 3
    assert fetch(one.netns, peer.addresses[0], 80) == "peer 10.199.22.50"
    one.leave("second")
    assert "eth1" not in one.says("ip", "link") and "eth2" in one.says("ip", "link")
    assert net.net.users("second") == {peer.uid}
    long.sendall(b"still here")
    heard.settimeout(100)
    assert heard.recv(100) == b"still here"
    for sock in (long, heard, listener):
        sock.close()
    one.join(Attachment("second"))
    assert "eth1" in one.says("ip", "link"), "the number that is free"
    one.leave(DEFAULT)
    assert net.net.inspect("third").gateway in one.says("ip", "route", "show", "default"), "another network leads out now"
    assert net.net.attach(one.uid, one.netns, one.plan) == one.addresses
    net.net.detach(one.uid)
    assert "eth" not in one.says("ip", "-brief", "link").replace("peer", "")


def test_joining_a_network_that_is_full_leaves_the_pod_as_it_was(net: Lab) -> None:
    net.net.create(Wanted("full", ("10.199.24.0/30",)))
    pod(net, "full")
    one = pod(net, DEFAULT)
    with pytest.raises(Exhausted):
        one.join(Attachment("full"))
    assert "eth1" not in one.says("ip", "link") and one.uid not in net.net.users("full")


@pytest.mark.rootful("macvlan needs a device of the host's; a user is refused")
def test_macvlan_pods_are_on_the_parents_network(net: Lab, tmp_path: Path) -> None:
    parent, far = f"kw{uuid.uuid4().hex[:8]}", f"kw{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "link", "add", parent, "type", "veth", "peer", "name", far], check=True)
    try:
        for command in (f"ip link set {parent} up", f"ip link set {far} up", f"ip addr add 10.199.25.1/24 dev {far}"):
            subprocess.run(command.split(), check=True)
        net.net.create(Wanted("lan", ("10.199.25.0/24",), driver="macvlan", options=(("parent", parent), ("mtu", "1400"))))
        one = Joined(net, Attachment(DEFAULT), Attachment("lan"))
        two = pod(net, "lan", "10.199.25.9")
        said = one.says("ip", "-d", "link", "show", "eth1")
        assert "macvlan mode bridge" in said and "mtu 1400" in said
        net.serve(two.netns, b"lan")
        assert fetch(one.netns, "10.199.25.9", 80) == f"lan {one.addresses[1]}"
        assert "default via 10.199.25.1" in two.says("ip", "route")
        assert net.net.attach(one.uid, one.netns, one.plan) == one.addresses
        one.leave("lan")
        assert "eth1" not in one.says("ip", "link")
        with pytest.raises(Conflict, match="in use"):
            net.net.remove("lan")
        net.net.detach(two.uid)
        net.net.remove("lan")
        with pytest.raises(NotFound, match="device nosuchdevice not found"):
            net.net.create(Wanted("lan", ("10.199.25.0/24",), driver="macvlan", options=(("parent", "nosuchdevice"),)))
    finally:
        for uid in [lease.holder for lease in net.store.leases.held(ipam.pool("lan"))]:
            netns.remove(net.directory(uid))
        subprocess.run(["ip", "link", "del", parent], check=True)


@pytest.mark.rootful("ipvlan needs a device of the host's")
def test_ipvlan_or_a_clear_error_where_the_kernel_has_it_not(net: Lab) -> None:
    parent = f"kw{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "link", "add", parent, "type", "bridge"], check=True)
    try:
        net.net.create(Wanted("ipv", ("10.199.26.0/24",), driver="ipvlan", options=(("parent", parent), ("mode", "l2"))))
        one = pod(net, "ipv")
        assert "ipvlan" in one.says("ip", "-d", "link", "show", "eth0")
        netns.remove(net.directory(one.uid))
    except SandboxError as error:
        assert "no ipvlan devices" in error.message
        assert not net.net.users("ipv")
        pytest.skip("this kernel has no ipvlan devices")
    finally:
        subprocess.run(["ip", "link", "del", parent], check=True)


def test_a_user_gets_no_macvlan(net: Lab) -> None:
    if not net.net.netns:
        pytest.skip("as root it works")
    with pytest.raises(Forbidden, match="needs root"):
        net.net.create(Wanted("lan", ("10.199.25.0/24",), driver="macvlan"))
