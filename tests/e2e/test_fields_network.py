"""Ports, Services and names, from the host and from pods (HP1, SV1-SV3, DN1-DN6)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.covers import covers
from tests.support.kubeplay import Machine, playing
from tests.support.net import fetch_udp, inside
from tests.support.seen import NETWORK, seen

pytestmark = pytest.mark.root


class Ports(NamedTuple):
    """Free ones of this host."""

    tcp: int
    one_address: int
    udp: int
    node: int


def manifest(ports: Ports) -> str:
    web = 'image: "busybox:1", command: [sh, -c, "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"]'
    sleep = 'image: "busybox:1", command: [sleep, "1000"]'
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: one, labels: {{app: web, which: one}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"]
    ports:
    - {{name: http, containerPort: 8080, hostPort: {ports.tcp}, protocol: TCP}}
    - {{containerPort: 8080, hostPort: {ports.one_address}, hostIP: 127.0.0.2}}
  - name: echo
    image: busybox:1
    command: [sleep, "1000"]
    ports: [{{name: echo, containerPort: 9000, hostPort: {ports.udp}, protocol: UDP}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: two, labels: {{app: web, which: two}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: main, {web}, ports: [{{name: http, containerPort: 8080}}]}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  type: NodePort
  selector: {{app: web}}
  ports: [{{name: plain, port: 80, targetPort: http, nodePort: {ports.node}}}, {{name: second, port: 8080}}]
  ipFamilies: [IPv4]
  ipFamilyPolicy: SingleStack
---
apiVersion: v1
kind: Service
metadata: {{name: sticky}}
spec:
  selector: {{app: web}}
  sessionAffinity: ClientIP
  sessionAffinityConfig: {{clientIP: {{timeoutSeconds: 77}}}}
  ports: [{{port: 80, targetPort: 8080}}]
---
apiVersion: v1
kind: Service
metadata: {{name: echo}}
spec:
  type: ClusterIP
  selector: {{which: one}}
  ports: [{{port: 7, targetPort: echo, protocol: UDP}}]
---
apiVersion: v1
kind: Service
metadata: {{name: nobody}}
spec: {{selector: {{app: nosuch}}, ports: [{{port: 80}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: client}}
spec:
  terminationGracePeriodSeconds: 0
  hostname: my-host
  subdomain: sub
  hostAliases:
  - {{ip: 10.1.2.3, hostnames: [alias-one, alias-two]}}
  - {{ip: "fd00::7", hostnames: [alias-six]}}
  dnsConfig:
    nameservers: [192.0.2.53]
    searches: [own.example]
    options: [{{name: ndots, value: "2"}}, {{name: edns0}}]
  containers: [{{name: main, {sleep}}}, {{name: other, {sleep}}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: full}}
spec:
  terminationGracePeriodSeconds: 0
  hostname: short
  subdomain: sub
  setHostnameAsFQDN: true
  dnsPolicy: None
  dnsConfig: {{nameservers: [192.0.2.1, 192.0.2.2], searches: [a.example, b.example], options: [{{name: timeout, value: "1"}}]}}
  containers: [{{name: main, {sleep}}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: over}}
spec:
  terminationGracePeriodSeconds: 0
  hostnameOverride: over.ridden
  dnsPolicy: Default
  containers: [{{name: main, {sleep}}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: hostly}}
spec:
  terminationGracePeriodSeconds: 0
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  hostAliases: [{{ip: 10.1.2.3, hostnames: [alias-one]}}]
  containers: [{{name: main, {sleep}}}]
"""


@pytest.fixture(scope="module")
def ports() -> Ports:
    """Not the kernel's choice: what it gives to one it gives to the next program's connection too."""
    first = os.getpid() % 1000  # two suites on one machine: not the same
    numbers = iter(port for port in range(20000 + 5 * first, 26000) if free(port))
    return Ports(next(numbers), next(numbers), next(numbers), node=next(port for port in range(31000 + first, 32100) if free(port)))


def free(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path], ports: Ports) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("network"), image_archives, manifest(ports)) as machine:
        for name in ("one", "two"):
            machine.wait(lambda name=name: machine.sh("client", f"wget -qO- http://{machine.ip(name)}:8080", status=None) == name)
        machine.wait(lambda: machine.sh("client", "wget -qO- http://sticky", status=None))  # its name comes a moment after play
        with inside(f"/proc/{machine.pid('one')}/ns/net", lambda: socket.socket(type=socket.SOCK_DGRAM)) as server:
            server.bind(("0.0.0.0", 9000))
            threading.Thread(target=echo, args=(server,), daemon=True).start()
            yield machine
            with contextlib.suppress(OSError):  # ENOTCONN, and yet it wakes the thread
                server.shutdown(socket.SHUT_RDWR)


def echo(server: socket.socket) -> None:
    """A UDP server in the pod's network; Debian's busybox has none."""
    with contextlib.suppress(OSError, TypeError):
        while True:
            server.sendto(b"echo", server.recvfrom(4096)[1])


def get(address: str, port: int) -> str:
    """The body of http://address:port/ as the host gets it; "" when refused."""
    try:
        with socket.create_connection((address, port), 60) as one:
            one.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while piece := one.recv(4096):
                answer += piece
    except OSError:
        return ""
    return answer.partition(b"\r\n\r\n")[2].decode().strip()


def address_of(kp: Machine, service: str) -> str:
    return kp.sh("client", f"nslookup -type=a {service}.default.svc.cluster.local. | sed -n 's/^Address: //p' | tail -1")


@covers("container.ports[].name container.ports[].containerPort container.ports[].hostPort container.ports[].protocol")
def test_hp1_host_ports(kp: Machine, ports: Ports) -> None:
    assert get("127.0.0.1", ports.tcp) == "one" == get(kp.pod("one")["status"]["hostIP"], ports.tcp)
    assert fetch_udp("", "127.0.0.1", ports.udp) == "echo"
    assert f"0.0.0.0:{ports.tcp}->8080/tcp" in kp("ps", "--format", "{{.Ports}}", "--filter", "pod=one").out
    (shown,) = json.loads(kp("ps", "--format", "json", "--filter", "name=one-main").out)
    http = {"host_ip": "", "container_port": 8080, "host_port": ports.tcp, "protocol": "tcp", "range": 1}
    assert http in shown["Ports"]
    taken = f"""
apiVersion: v1
kind: Pod
metadata: {{name: taken}}
spec: {{containers: [{{name: main, image: "busybox:1", command: [sleep, "9"], ports: [{{containerPort: 1, hostPort: {ports.tcp}}}]}}]}}
"""
    assert str(ports.tcp) in kp.play(taken, status=125).err
    kp("pod", "exists", "taken", status=1)


@covers("container.ports[].hostIP")
def test_hp1_a_host_port_of_one_address_only(kp: Machine, ports: Ports) -> None:
    assert get("127.0.0.2", ports.one_address) == "one"
    assert get("127.0.0.1", ports.one_address) == ""


@covers("Service.spec.type Service.spec.selector{} Service.spec.ports[].name Service.spec.ports[].port Service.spec.ports[].targetPort "
        "Service.spec.ports[].nodePort Service.spec.ipFamilies[] Service.spec.ipFamilyPolicy")  # fmt: skip
def test_sv1_sv2_a_service_by_name_address_and_node_port(kp: Machine, ports: Ports) -> None:
    ip = address_of(kp, "web")
    assert ip == kp.sh("client", "echo $WEB_SERVICE_HOST")
    for url in ("web", "web.default", "web.default.svc", "web.default.svc.cluster.local", ip, f"{ip}:8080"):
        assert kp.sh("client", f"timeout 60 wget -qO- http://{url}") in ("one", "two")
    assert {get("127.0.0.1", ports.node) for _ in range(24)} == {"one", "two"}  # balanced
    assert get(kp.pod("one")["status"]["hostIP"], ports.node) in ("one", "two")
    assert set(seen(lambda: [get(ip, 80) for _ in range(24)], NETWORK)) == {"one", "two"}
    assert {kp.sh("one", f"for i in $(seq 20); do timeout 60 wget -qO- http://{ip}; done | sort -u")} == {"one\ntwo"}  # hairpin too


@covers("Service.spec.sessionAffinity")
def test_sv3_session_affinity(kp: Machine) -> None:
    said = kp.sh("client", "for i in $(seq 12); do timeout 60 wget -qO- http://sticky; done")
    assert len(said.splitlines()) == 12 and len(set(said.splitlines())) == 1


@covers("Service.spec.ports[].protocol")
def test_sv1_a_udp_service(kp: Machine) -> None:
    assert seen(lambda: fetch_udp("", address_of(kp, "echo"), 7), NETWORK) == "echo"
    assert fetch_udp(f"/proc/{kp.pid('client')}/ns/net", address_of(kp, "echo"), 7) == "echo"


def test_sv3_without_endpoints_and_on_other_ports_it_is_refused_at_once(kp: Machine) -> None:
    assert "refused" in kp.sh("client", f"timeout 60 wget -qO- http://{address_of(kp, 'nobody')} 2>&1; true")
    assert "refused" in kp.sh("client", f"timeout 60 wget -qO- http://{address_of(kp, 'web')}:81 2>&1; true")


@covers("Service.spec.clusterIP Service.spec.clusterIPs[]")
def test_sv2_a_chosen_cluster_ip(kp: Machine) -> None:
    octets = address_of(kp, "web").split(".")
    wanted = ".".join([*octets[:2], octets[2], str((int(octets[3]) + 100) % 250 + 1)])
    text = f"""
apiVersion: v1
kind: Service
metadata: {{name: chosen}}
spec: {{clusterIP: {wanted}, clusterIPs: [{wanted}], selector: {{which: two}}, ports: [{{port: 80, targetPort: 8080}}]}}
"""
    kp.play(text)
    assert kp.sh("client", f"timeout 60 wget -qO- http://{wanted}") == "two"
    kp.wait(lambda: kp.sh("client", "timeout 60 wget -qO- http://chosen", status=None) == "two")
    kp.down(text)
    kp.wait(lambda: "bad address" in kp.sh("client", "timeout 60 wget -qO- http://chosen.default.svc.cluster.local. 2>&1; true"))


def resolver(kp: Machine, pod: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in kp.sh(pod, "cat /etc/resolv.conf").splitlines():
        word, *rest = line.split()
        found.setdefault(word, []).extend(rest)
    return found


@covers("pod.dnsPolicy pod.dnsConfig.nameservers[] pod.dnsConfig.searches[] pod.dnsConfig.options[].name pod.dnsConfig.options[].value")
def test_dn1_dn2_policies(kp: Machine) -> None:
    mine, cluster = resolver(kp, "client"), ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"]
    assert mine["nameserver"][1:] == ["192.0.2.53"] and mine["search"][:3] == cluster and mine["search"][-1] == "own.example"
    assert sorted(mine["options"]) == ["edns0", "ndots:2"]
    assert resolver(kp, "full") == {
        "nameserver": ["192.0.2.1", "192.0.2.2"], "search": ["a.example", "b.example"], "options": ["timeout:1"]}  # fmt: skip
    node = [line.split()[1] for line in Path("/etc/resolv.conf").read_text().splitlines() if line.startswith("nameserver")]
    assert resolver(kp, "over").get("nameserver", []) == node[:3]
    hostly, plain = resolver(kp, "hostly"), resolver(kp, "two")
    assert hostly["nameserver"] == plain["nameserver"] == mine["nameserver"][:1] and plain["options"] == ["ndots:5"]
    assert hostly["search"][:3] == plain["search"][:3] == cluster


@pytest.mark.rootful("cluster addresses are in the user's own network, and nothing leads there from the machine's")
def test_dn1_names_of_services_in_the_host_s_network(kp: Machine) -> None:
    assert kp.sh("hostly", "nslookup web.default.svc.cluster.local. | grep -c Name") == "1"


def test_dn6_names_of_pods(kp: Machine) -> None:
    ip = kp.ip("two")
    assert ip in kp.sh("client", f"nslookup -type=a {ip.replace('.', '-')}.default.pod.cluster.local.")
    assert kp.sh("client", f"timeout 60 wget -qO- http://{ip}:8080") == "two"


@covers("pod.hostname pod.subdomain pod.setHostnameAsFQDN pod.hostnameOverride")
def test_dn3_host_names(kp: Machine) -> None:
    assert kp.sh("client", "hostname; cat /etc/hostname; echo $HOSTNAME; hostname -f").split() == [
        "my-host", "my-host", "my-host", "my-host.sub.default.svc.cluster.local"]  # fmt: skip
    assert kp.sh("full", "hostname; echo $HOSTNAME").split() == ["short.sub.default.svc.cluster.local"] * 2
    assert kp.sh("over", "hostname") == "over.ridden"
    assert kp.sh("one", "hostname") == "one" and kp.sh("hostly", "hostname") == os.uname().nodename


def test_dn3_a_name_that_is_too_long_for_the_kernel_fails_the_sandbox(kp: Machine) -> None:
    text = f"""
apiVersion: v1
kind: Pod
metadata: {{name: long}}
spec: {{hostname: {"h" * 60}, subdomain: sub, setHostnameAsFQDN: true, containers: [{{name: main, image: "busybox:1"}}]}}
"""
    kp.play(text, "--keep-on-failure", status=None)
    assert kp.status("long")["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert "is too long" in kp("events").out
    kp.down(text)


@covers("pod.hostAliases[].ip pod.hostAliases[].hostnames[]")
def test_dn4_hosts(kp: Machine) -> None:
    ip = kp.ip("client")
    assert kp.sh("client", "cat /etc/hosts") == (
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
        f"{ip}\tmy-host.sub.default.svc.cluster.local\tmy-host\n\n# Entries added by HostAliases.\n"
        "10.1.2.3\talias-one\talias-two\nfd00::7\talias-six"
    )
    kp.sh("client", "echo '10.9.9.9 added' >> /etc/hosts")
    assert kp.sh("client", "tail -1 /etc/hosts; stat -c %a /etc/hosts", "other") == "10.9.9.9 added\n644"
    hostly = kp.sh("hostly", "cat /etc/hosts")
    assert hostly.startswith("# Kubernetes-managed hosts file (host network).\n") and hostly.endswith("10.1.2.3\talias-one")
    assert Path("/etc/hosts").read_text().splitlines()[0] in hostly
