"""Pods on real bridges: reachability, addresses, what a kill leaves, two roots at once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.engine.host.userns import ranges
from kubeplay.engine.net import apply, netns, rtnl
from kubeplay.engine.net.definition import Wanted
from kubeplay.engine.net.netlink import Netlink
from kubeplay.engine.net.networks import DEFAULT
from kubeplay.engine.rootless import who
from kubeplay.errors import Conflict, Exhausted, SandboxError
from kubeplay.plan.pod import Attachment, SandboxPlan
from tests.support.net import Lab, fetch, inside, lab

pytestmark = pytest.mark.root


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Lab]:
    with lab(tmp_path) as made:
        yield made


def test_two_pods_reach_each_other_through_the_host_and_keep_their_source_address(net: Lab) -> None:
    a, b = net.pod(), net.pod()
    net.serve(b.netns, b"b")
    assert fetch(a.netns, b.ip, 80) == f"b {a.ip}"


def test_pods_share_no_layer_2(net: Lab) -> None:
    a, b = net.pod(), net.pod()
    net.serve(b.netns, b"b")
    fetch(a.netns, b.ip, 80)
    arp = inside(a.netns, lambda: Path("/proc/thread-self/net/arp").read_text())
    assert b.ip not in arp, "a pod must not see its neighbour's hardware address"
    assert net.net.inspect(DEFAULT).gateway in arp


def test_pod_reaches_the_host_and_the_host_reaches_the_pod(net: Lab) -> None:
    pod = net.pod()
    gateway = net.net.inspect(DEFAULT).gateway
    net.serve(pod.netns, b"pod")
    net.serve("", b"host", 25180, gateway)
    assert fetch("", pod.ip, 80) == f"pod {gateway}"
    assert fetch(pod.netns, gateway, 25180) == f"host {pod.ip}"


def test_the_pods_device_is_eth0_with_a_32_and_the_uplinks_mtu(net: Lab) -> None:
    pod = net.pod()
    text = inside(pod.netns, lambda: subprocess.run(["ip", "-4", "addr", "show"], capture_output=True, text=True, check=True).stdout)
    assert f"inet {pod.ip}/32" in text
    with Netlink() as netlink:
        default = next(route for route in rtnl.routes(netlink) if not route.destination.length)
        uplink = rtnl.link_at(netlink, default.device)
    assert uplink and f"mtu {uplink.mtu}" in text


def test_attach_again_keeps_the_address_and_completes_half_an_attachment(net: Lab) -> None:
    pod = net.pod()
    plan = SandboxPlan("pod", attachments=(Attachment(""),))
    assert net.net.attach(pod.uid, pod.netns, plan) == (pod.ip,)
    inside(pod.netns, lambda: subprocess.run(["ip", "route", "flush", "all"], check=True))
    with pytest.raises(OSError, match="unreachable"):
        fetch(pod.netns, net.net.inspect(DEFAULT).gateway, 9)
    assert net.net.attach(pod.uid, pod.netns, plan) == (pod.ip,)
    with pytest.raises(ConnectionRefusedError):
        fetch(pod.netns, net.net.inspect(DEFAULT).gateway, 9)


def test_a_failed_attach_leaves_neither_device_nor_lease(net: Lab, tmp_path: Path) -> None:
    net.net.ensure()
    before = net.devices()
    (tmp_path / "nothing").write_text("")
    with pytest.raises(SandboxError, match="network namespace"):
        net.net.attach(str(uuid.uuid4()), str(tmp_path / "nothing"), SandboxPlan("pod", attachments=(Attachment(""),)))
    uid = str(uuid.uuid4())
    pins = net.namespaces(uid)
    inside(pins.net, lambda: subprocess.run(["ip", "link", "add", "eth0", "type", "bridge"], check=True))  # in the way of ours
    with pytest.raises(SandboxError, match="create veth"):
        net.net.attach(uid, pins.net, SandboxPlan("pod", attachments=(Attachment(""),)))
    assert net.devices() == before
    assert not net.store.leases.held(f"ip:{DEFAULT}")


def test_static_address_and_hardware_address(net: Lab) -> None:
    base = net.net.ensure().subnet.rsplit(".", 1)[0]
    pod = net.pod(ip=f"{base}.77")
    assert pod.ip == f"{base}.77"
    with pytest.raises(Conflict, match="already in use"):
        net.pod(ip=f"{base}.77")
    uid = str(uuid.uuid4())
    pins = net.namespaces(uid)
    net.net.attach(uid, pins.net, SandboxPlan("p", attachments=(Attachment("", "", "02:00:00:00:be:ef"),)))
    text = inside(pins.net, lambda: subprocess.run(["ip", "link"], capture_output=True, text=True, check=True).stdout)
    assert "02:00:00:00:be:ef" in text


def test_an_exhausted_network_says_so_and_can_be_used_again(net: Lab) -> None:
    net.net.create(Wanted("small", ("10.199.7.0/29",)))
    pods = [net.pod("small") for _ in range(5)]  # 8 less network, broadcast and gateway
    assert len({pod.ip for pod in pods}) == 5
    with pytest.raises(Exhausted, match="no address left"):
        net.pod("small")
    net.remove(pods[2])
    assert net.pod("small").ip == pods[2].ip


def test_a_pod_on_two_networks_has_two_devices_and_one_default_route(net: Lab) -> None:
    net.net.create(Wanted("second", ("10.199.8.0/24",)))
    uid = str(uuid.uuid4())
    pins = net.namespaces(uid)
    first, second = net.net.attach(uid, pins.net, SandboxPlan("p", attachments=(Attachment(DEFAULT), Attachment("second"))))
    other = net.pod("second")
    net.serve(other.netns, b"second")
    assert fetch(pins.net, other.ip, 80) == f"second {second}"
    routes = inside(pins.net, lambda: subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout)
    assert routes.count("default") == 1 and f"src {first}" in routes.split("\n")[0]
    with pytest.raises(Conflict, match="in use"):
        net.net.remove("second")
    net.net.detach(uid)
    net.remove(other)
    net.net.remove("second")
    assert net.devices() == {net.settings.bridge}


def test_ten_pods_at_once(net: Lab) -> None:
    net.net.ensure()
    made: list[str] = []
    errors: list[BaseException] = []

    def one() -> None:
        try:
            made.append(net.pod().ip)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(set(made)) == 10


def test_an_idle_teardown_beside_starting_pods_hurts_neither(net: Lab) -> None:
    errors: list[BaseException] = []
    done = threading.Event()

    def tear_down() -> None:
        while not done.is_set():
            try:
                net.net.teardown_if_idle()
            except BaseException as error:
                errors.append(error)
                return

    other = threading.Thread(target=tear_down)
    other.start()
    try:
        for _ in range(8):
            pod = net.pod()
            net.serve(pod.netns, b"here")
            assert fetch("", pod.ip, 80).startswith("here")
            net.remove(pod)
    finally:
        done.set()
        other.join()
    assert not errors


def test_detach_many_removes_every_device_and_lease(net: Lab) -> None:
    before = net.devices()
    pods = [net.pod() for _ in range(4)]
    net.net.detach_many([pod.uid for pod in pods])
    assert net.devices() - before == {net.settings.bridge}
    assert not net.store.leases.held(f"ip:{DEFAULT}")
    net.net.detach_many([pod.uid for pod in pods])  # idempotent


def test_without_waiting_the_devices_go_with_the_namespaces(net: Lab) -> None:
    pods = [net.pod() for _ in range(3)]
    for pod in pods:
        net.remove(pod, wait=False)
    until = time.monotonic() + 100
    while net.net.devices([pod.uid for pod in pods]):
        assert time.monotonic() < until
        time.sleep(0.005)


def test_removed_namespaces_are_gone(net: Lab) -> None:
    pod = net.pod()
    numbers = netns.inodes(pod.directory)
    assert len(numbers) == 3
    assert netns.holders(numbers)  # the pins themselves
    net.remove(pod)
    assert netns.holders(numbers) == []
    assert not os.path.exists(pod.directory)


def test_two_roots_take_different_subnets_and_do_not_disturb_each_other(tmp_path: Path) -> None:
    with lab(tmp_path / "a") as a, lab(tmp_path / "b") as b:
        ours, theirs = a.pod(), b.pod()
        assert a.net.inspect(DEFAULT).subnet != b.net.inspect(DEFAULT).subnet
        ranges = {made.store.leases.held("servicerange")[0].value for made in (a, b)}
        assert len(ranges) == 2
        a.remove(ours)
        a.net.reset()
        b.serve(theirs.netns, b"b")
        assert fetch("", theirs.ip, 80).startswith("b ")


def ip(*words: str) -> None:
    """In the namespace of the engine's networks."""
    inside("", lambda: subprocess.run(["ip", *words], check=True))


def test_the_bridge_is_rebuilt_after_it_went_away(net: Lab) -> None:
    net.net.ensure()
    ip("link", "del", net.settings.bridge)
    a, b = net.pod(), net.pod()
    net.serve(b.netns, b"b")
    assert fetch(a.netns, b.ip, 80) == f"b {a.ip}"


def test_a_subnet_taken_while_we_were_down_is_exchanged(net: Lab) -> None:
    row = net.net.ensure()
    ip("link", "del", net.settings.bridge)
    taker = f"kt{net.settings.tag}"
    ip("link", "add", taker, "type", "bridge")
    try:
        ip("addr", "add", f"{row.gateway}/24", "dev", taker)
        assert net.net.ensure().subnet != row.subnet
        assert net.net.ensure() == net.net.inspect(DEFAULT)
    finally:
        ip("link", "del", taker)


REPOSITORY = str(Path(__file__).resolve().parents[2])
KILLED = """
import os, sys, uuid
sys.path.insert(0, {source!r})
from kubeplay.config import Settings
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.net import netns, veth
from kubeplay.engine.net.networks import networks
from kubeplay.engine.store.db import Store
from kubeplay.plan.pod import Attachment, SandboxPlan
settings = Settings(root={root!r}, runroot={runroot!r})
paths = Paths(settings)
net = networks(settings, Store(paths.database), paths)
pins = netns.create(paths.sandbox({uid!r}) + "/ns", "killed")
veth._inside = lambda *_: os.kill(os.getpid(), 9)  # after the host side, before the pod's
net.attach({uid!r}, pins.net, SandboxPlan("killed", attachments=(Attachment(""),)))
"""


def test_kill_9_half_way_leaves_nothing_after_detach(net: Lab) -> None:
    net.net.ensure()
    before, uid = net.devices(), str(uuid.uuid4())
    script = KILLED.format(source=REPOSITORY, root=net.settings.root, runroot=net.settings.runroot, uid=uid)
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    assert len(net.devices() - before) == 1, "the fault point is meant to leave a device"
    assert net.store.leases.held(holder=uid)
    pins = netns.Pins(net=f"{net.directory(uid)}/net")
    assert net.net.attach(uid, pins.net, SandboxPlan("killed", attachments=(Attachment(""),)))  # continues
    net.net.detach(uid)
    netns.remove(net.directory(uid))
    assert net.devices() == before
    assert not net.store.leases.held(holder=uid)


def test_reset_removes_a_half_made_pod_and_everything_of_the_root(net: Lab) -> None:
    net.net.ensure()
    net.net.sync()
    script = KILLED.format(source=REPOSITORY, root=net.settings.root, runroot=net.settings.runroot, uid=str(uuid.uuid4()))
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    assert len(net.devices()) == 2
    net.net.reset()
    assert net.devices() == set()
    assert who.rootless() or not apply.exists(net.settings.nft_table)  # a user's namespace is gone, with all tables
    assert not os.path.exists(f"{net.settings.runroot}/net")
    assert not net.store.leases.held()
    assert net.net.list() == []


def test_dn3_hostname_and_sc8_sysctls_are_in_the_namespaces(net: Lab) -> None:
    uid = str(uuid.uuid4())
    directory = net.directory(uid)
    pins = netns.create(directory, "web-0", (("net.ipv4.ip_local_port_range", "2000 3000"), ("kernel.shm_rmid_forced", "1")))
    nsenter = ["nsenter", f"--net={pins.net}", f"--uts={pins.uts}", f"--ipc={pins.ipc}", "sh", "-c"]
    names = "ip_unprivileged_port_start ping_group_range ip_local_port_range ../../kernel/shm_rmid_forced"
    script = f"uname -n; cd /proc/sys/net/ipv4; cat {names}"
    out = subprocess.run([*nsenter, script], capture_output=True, text=True, check=True).stdout.split("\n")
    largest = min(2147483647, max(r.inside + r.length for r in ranges("gid")) - 1)
    assert out[:5] == ["web-0", "0", f"0\t{largest}", "2000\t3000", "1"]
    assert Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text().strip() == "1024"
    assert socket.gethostname() != "web-0"
    assert netns.create(directory, "other") == pins  # idempotent: what is pinned stays
    numbers = netns.remove(directory)
    assert len(numbers) == 3 and netns.holders(numbers) == []


@pytest.mark.parametrize("name", ["vm.swappiness", "kernel.pid_max", "fs.file-max", "net/../kernel/pid_max", "kernel.shm/../pid_max"])
def test_sc8_a_sysctl_of_the_host_is_refused(net: Lab, name: str) -> None:
    uid = str(uuid.uuid4())
    with pytest.raises(SandboxError):
        netns.create(net.directory(uid), "web", ((name, "1"),))
    assert not os.path.exists(net.directory(uid))


def test_sc8_ipc_sysctl_with_host_ipc_and_net_sysctl_with_host_network_are_refused(net: Lab) -> None:
    with pytest.raises(SandboxError, match="shm_rmid_forced"):
        netns.create(net.directory("a"), "web", (("kernel.shm_rmid_forced", "1"),), host_ipc=True)
    with pytest.raises(SandboxError, match="somaxconn"):
        netns.create(net.directory("a"), "web", (("net.core.somaxconn", "1"),), host_network=True)


def test_a_pin_counts_only_on_nsfs(net: Lab) -> None:
    directory = net.directory("x")
    os.makedirs(directory)
    for kind in ("net", "ipc", "uts"):
        Path(f"{directory}/{kind}").write_text("")
    assert not netns.is_pinned(f"{directory}/net")
    pins = netns.create(directory, "again")
    assert all(netns.is_pinned(path) for path in pins if path)  # "": no user namespace of its own
    netns.remove(directory)
