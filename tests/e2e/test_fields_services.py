"""What Services of every kind do, from the host and from pods, and what users' own endpoints do (SV1-SV3, EP1, EP2)."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.covers import covers
from tests.support.kubeplay import Machine, playing

pytestmark = pytest.mark.root

WEB = 'image: "busybox:1", command: [sh, -c, "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"]'
PODS = "---\n".join(
    f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: web, which: {name}}}}}
spec:
  hostname: {name}
  subdomain: crowd
  terminationGracePeriodSeconds: 0
  containers: [{{name: main, {WEB}, ports: [{{name: http, containerPort: 8080}}]}}]
"""
    for name in ("one", "two")
)
STACK = f"""{PODS}---
apiVersion: v1
kind: Pod
metadata: {{name: client}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: main, image: "busybox:1", command: [sleep, "10000"]}}]
---
apiVersion: v1
kind: Service
metadata: {{name: crowd, labels: {{tier: front}}}}
spec: {{clusterIP: None, selector: {{app: web}}, ports: [{{name: http, port: 80, targetPort: http, appProtocol: http}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: alias}}
spec: {{type: ExternalName, externalName: solid.default.svc.cluster.local}}
---
apiVersion: v1
kind: Service
metadata: {{name: solid}}
spec: {{selector: {{which: one}}, ports: [{{port: 80, targetPort: http}}], externalIPs: [198.51.100.77]}}
---
apiVersion: v1
kind: Service
metadata: {{name: forgetful}}
spec:
  selector: {{app: web}}
  sessionAffinity: ClientIP
  sessionAffinityConfig: {{clientIP: {{timeoutSeconds: 1}}}}
  ports: [{{port: 80, targetPort: http}}]
"""


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("services"), image_archives, STACK) as machine:
        yield machine


def free_port() -> int:
    """Below the range that the kernel draws from, where nobody listens."""
    for port in range(23000, 24000):
        with socket.socket() as made:
            try:
                made.bind(("0.0.0.0", port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port")


def get(address: str, port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://{address}:{port}/", timeout=60) as answer:
            return str(answer.read().decode()).strip()
    except OSError as error:
        return type(error).__name__


def wget(kp: Machine, url: str, wait: int = 60) -> str:
    return kp.sh("client", f"timeout {wait} wget -qO- http://{url} 2>/dev/null || echo refused", status=None)


def balancer(name: str, port: int, more: str = "") -> str:
    spec = f"type: LoadBalancer, selector: {{which: two}}, ports: [{{port: {port}, targetPort: http}}]{more}"
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"


def external(kp: Machine, name: str) -> str:
    return kp("get", "service", name, "--no-headers").out.split()[3]


@covers("Service.spec.allocateLoadBalancerNodePorts")
def test_sv1_a_load_balancer_has_the_hosts_address(kp: Machine) -> None:
    port = free_port()
    text = balancer("front", port, ", allocateLoadBalancerNodePorts: false")
    kp.play(text)
    address = external(kp, "front")
    assert address == kp.pod("one")["status"]["hostIP"]
    assert get(address, port) == "two" == get("127.0.0.1", port) == wget(kp, f"{address}:{port}")
    (shown,) = [json.loads(kp("get", "service", "front", "-o", "json").out)]
    assert shown["status"]["loadBalancer"]["ingress"] == [{"ip": address, "ipMode": "VIP"}]
    assert "nodePort" not in shown["spec"]["ports"][0]
    assert f"LoadBalancer Ingress:     {address}" in kp("describe", "service", "front").out
    second = balancer("second", port)
    said = kp("play", "kube", kp.written(second))
    assert f"port {port} is already in use by Service default/front" in said.err + said.out
    assert external(kp, "second") == "<pending>"
    assert "SyncLoadBalancerFailed" in kp("describe", "service", "second").out
    kp.down(text)
    assert external(kp, "second") == address, "it is tried again with every change"
    assert get(address, port) == "two"
    kp.down(second)
    assert get("127.0.0.1", port) != "two"


def test_sv1_a_port_of_another_program_is_not_taken_from_it(kp: Machine) -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", free_port()))
        other.listen(1)
        port = other.getsockname()[1]
        text = balancer("late", port)
        kp.play(text)
        assert external(kp, "late") == "<pending>"
        assert f"port {port} is already in use by a program" in kp("describe", "service", "late").out
    kp.play(balancer("any", free_port() + 1))  # any change will do
    assert external(kp, "late") != "<pending>"
    kp.down(text)
    kp.down(balancer("any", 1))


@covers("Service.spec.loadBalancerIP Service.spec.loadBalancerClass Service.spec.loadBalancerSourceRanges[]")
def test_sv1_what_a_load_balancer_may_ask_for(kp: Machine) -> None:
    port = free_port()
    for more, address in ((", loadBalancerIP: 127.0.0.3", "127.0.0.3"), (", loadBalancerClass: example.com/other", "<pending>")):
        text = balancer("asking", port, more)
        kp.play(text)
        assert external(kp, "asking") == address
        assert (get("127.0.0.3", port) == "two") == (address == "127.0.0.3")
        assert get("127.0.0.2", port) != "two"
        kp.down(text)
    text = balancer("guarded", port, ", loadBalancerSourceRanges: [203.0.113.0/24]")
    kp.play(text)
    address = external(kp, "guarded")
    assert get(address, port) == "two", "the machine itself"
    assert wget(kp, f"{address}:{port}", 3) == "refused"
    kp.play(text.replace("203.0.113.0/24", f"{kp.ip('client')}/32"), "--update")
    assert wget(kp, f"{address}:{port}") == "two"
    kp.down(text)


@covers("Service.spec.externalIPs[]")
def test_sv1_external_addresses(kp: Machine) -> None:
    assert get("198.51.100.77", 80) == "one" == wget(kp, "198.51.100.77")
    assert external(kp, "solid") == "198.51.100.77"


@covers("Service.spec.externalName")
def test_sv1_another_name(kp: Machine) -> None:
    shown = kp("get", "service", "alias", "--no-headers").out.split()
    assert shown[1:5] == ["ExternalName", "<none>", "solid.default.svc.cluster.local", "<none>"]
    assert wget(kp, "alias") == "one"


def test_sv1_a_headless_service_is_its_pods(kp: Machine) -> None:
    said = kp.sh("client", "nslookup -type=a crowd.default.svc.cluster.local. | sed -n 's/^Address: //p'")
    assert {kp.ip("one"), kp.ip("two")} <= set(said.split())
    assert wget(kp, "one.crowd:8080") == "one"


@covers("Service.spec.sessionAffinityConfig.clientIP.timeoutSeconds")
def test_sv3_a_client_is_forgotten_after_its_time(kp: Machine) -> None:
    again = "now=$(wget -qO- http://forgetful); test -n \"$last\" -a \"$now\" != \"$last\" && echo moved && break; last=$now"
    assert kp.sh("client", f"last=; for i in $(seq 60); do {again}; sleep 1.3; done") == "moved"


def test_ep1_slices_and_endpoints_of_pods(kp: Machine) -> None:
    (one,) = json.loads(kp("get", "endpointslices", "-l", "kubernetes.io/service-name=crowd", "-o", "json").out)["items"]
    assert one["metadata"]["name"].startswith("crowd-") and one["metadata"]["labels"]["tier"] == "front"
    assert one["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "http"}]
    conditions = {"ready": True, "serving": True, "terminating": False}
    assert [(e["addresses"], e["conditions"], e["hostname"]) for e in sorted(one["endpoints"], key=lambda e: str(e["hostname"]))] == [
        ([kp.ip("one")], conditions, "one"), ([kp.ip("two")], conditions, "two")]  # fmt: skip
    line = kp("get", "endpoints", "solid", "--no-headers").out.split()
    assert line[:2] == ["solid", f"{kp.ip('one')}:8080"]
    assert kp("get", "endpointslice", one["metadata"]["name"], "--no-headers").out.split()[1:3] == ["IPv4", "8080"]


MANUAL = """
apiVersion: v1
kind: Service
metadata: {name: manual}
spec: {ports: [{name: http, port: 80, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: manual-1, labels: {kubernetes.io/service-name: manual}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints:
- {addresses: [%s], conditions: {ready: true}, hostname: by-hand}
- {addresses: [%s], conditions: {ready: false, serving: false, terminating: false}}
"""


@covers("EndpointSlice.addressType EndpointSlice.ports[].name EndpointSlice.ports[].port EndpointSlice.ports[].protocol "
        "EndpointSlice.endpoints[].addresses[] EndpointSlice.endpoints[].conditions.ready EndpointSlice.endpoints[].conditions.serving "
        "EndpointSlice.endpoints[].conditions.terminating EndpointSlice.endpoints[].hostname")  # fmt: skip
def test_ep2_a_users_own_slice(kp: Machine) -> None:
    one, two = kp.ip("one"), kp.ip("two")
    kp.play(MANUAL % (one, two))
    assert {wget(kp, "manual") for _ in range(6)} == {"one"}
    kp.play(MANUAL % (two, one), "--update")
    assert {wget(kp, "manual") for _ in range(6)} == {"two"}
    assert "manual-1" in kp("get", "endpointslices").out
    again = kp("generate", "kube", "endpointslice/manual-1").out
    assert "by-hand" in again and "addressType: IPv4" in again
    kp.down(MANUAL % (one, two))


ENDPOINTS = """
apiVersion: v1
kind: Service
metadata: {name: old}
spec: {ports: [{name: http, port: 80, protocol: TCP}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: old}
subsets:
- addresses: [{ip: %s, hostname: first}]
  notReadyAddresses: [{ip: %s, hostname: second}]
  ports: [{name: http, port: 8080, protocol: TCP}]
"""


@covers("Endpoints.subsets[].addresses[].ip Endpoints.subsets[].addresses[].hostname Endpoints.subsets[].notReadyAddresses[].ip "
        "Endpoints.subsets[].notReadyAddresses[].hostname Endpoints.subsets[].ports[].name Endpoints.subsets[].ports[].port "
        "Endpoints.subsets[].ports[].protocol")  # fmt: skip
def test_ep2_a_users_own_endpoints(kp: Machine) -> None:
    text = ENDPOINTS % (kp.ip("two"), kp.ip("one"))
    kp.play(text)
    assert {wget(kp, "old") for _ in range(6)} == {"two"}
    assert kp("get", "endpoints", "old", "--no-headers").out.split()[1] == f"{kp.ip('two')}:8080"
    kp.down(text)


def test_sv1_an_update_moves_the_traffic_and_keeps_the_address(kp: Machine) -> None:
    """Blue and green: the selector is what changes."""
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: moving}\nspec: {selector: {which: %s}, ports: [{port: 80, targetPort: http}]}\n"
    kp.play(text % "one")
    address = kp("get", "service", "moving", "--no-headers").out.split()[2]
    assert wget(kp, address) == "one"
    kp.play(text % "two", "--update")
    assert {wget(kp, address) for _ in range(6)} == {"two"}
    other = address.rpartition(".")[0] + (".201" if address.endswith(".200") else ".200")
    fixed = (text % "two").replace("spec: {", f"spec: {{clusterIP: {other}, ")
    kp.play(fixed, "--update")  # an address never changes: the Service is made anew
    assert kp("get", "service", "moving", "--no-headers").out.split()[2] == other and wget(kp, other) == "two"
    kp.down(text % "two")
