"""Networks as a person has them: the commands, pods played onto them, a root with both families."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kubeplay import Machine, playing

pytestmark = [pytest.mark.root, pytest.mark.slow]

POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME, labels: {app: NAME}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, 'mkdir -p /www && hostname > /www/index.html && exec httpd -f -p 8080 -h /www']
    env:
    - {name: POD_IPS, valueFrom: {fieldRef: {fieldPath: status.podIPs}}}
    - {name: HOST_IPS, valueFrom: {fieldRef: {fieldPath: status.hostIPs}}}
"""
SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ipFamilyPolicy: PreferDualStack, ports: [{port: 80, targetPort: 8080}]}
"""


def pod(name: str) -> str:
    return POD.replace("NAME", name)


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("networks"), image_archives) as machine:
        machine.env["KUBEPLAY_IPV6"] = "true"
        machine.play(pod("web") + SERVICE + "---" + pod("client"))
        yield machine


def get(kp: Machine, client: str, url: str) -> str:
    return kp.wait(lambda: kp.sh(client, f"wget -qO- {url}", status=None))


def test_da1_pods_have_both_families_and_say_so(kp: Machine) -> None:
    four, six = kp.sh("web", "echo $POD_IPS").split(",")
    assert ":" in six and ":" not in four
    status = kp.pod("web")["status"]
    assert status["podIP"] == four and status["podIPs"] == [{"ip": four}, {"ip": six}]
    assert [one["ip"] for one in status["hostIPs"]] == kp.sh("web", "echo $HOST_IPS").split(",")
    assert f"{six}\tweb" in kp.sh("web", "cat /etc/hosts")
    assert get(kp, "client", f"http://[{six}]:8080/") == get(kp, "client", f"http://{four}:8080/") == "web"


def test_sv2_a_service_of_both_families_is_reached_by_each_address_and_by_name(kp: Machine) -> None:
    spec = kp("get", "service", "web", "-o", "json").json["spec"]
    assert spec["ipFamilies"] == ["IPv4", "IPv6"] and len(spec["clusterIPs"]) == 2
    for address in spec["clusterIPs"]:
        assert get(kp, "client", f"http://[{address}]/" if ":" in address else f"http://{address}/") == "web"
    said = kp.wait(lambda: kp.sh("client", "nslookup -type=aaaa web.default.svc.cluster.local", status=None))
    assert spec["clusterIPs"][1] in said


def test_the_commands(kp: Machine) -> None:
    kp("network", "create", "front", "--subnet", "10.203.1.0/24", "--ip-range", "10.203.1.128/25", "--label", "tier=one", "-o", "mtu=1300")
    assert kp("network", "create").out == "kubeplay1\n"
    assert "already exists" in kp("network", "create", "front", status=125).err
    assert kp("network", "create", "--ignore", "front").out == "front\n"
    assert kp("network", "ls", "-q", "--filter", "label=tier=one").lines == ["front"]
    header = kp("network", "ls").lines[0].split("  ")
    assert [word.strip() for word in header if word.strip()] == ["NETWORK ID", "NAME", "DRIVER", "SUBNET"]
    (said,) = kp("network", "inspect", "front").json
    assert said["subnets"] == [
        {"subnet": "10.203.1.0/24", "gateway": "10.203.1.1", "lease_range": {"start_ip": "10.203.1.128", "end_ip": "10.203.1.255"}}
    ]
    assert (said["labels"], said["options"], said["driver"], len(said["id"])) == ({"tier": "one"}, {"mtu": "1300"}, "bridge", 64)
    assert "pods are routed" in kp("network", "create", "x", "-o", "vlan=5", status=125).err
    kp.play(pod("two"), "--network", "front:ip=10.203.1.20,mac=02:00:00:00:00:20", "--network", "kubeplay1")
    assert kp.ip("two") == "10.203.1.20"
    assert len(kp.pod("two")["status"]["podIPs"]) == 1, "podIPs: one of each family, of the first network that has it"
    assert kp.sh("two", "ip -o link | grep -c eth") == "2" and "mtu 1300" in kp.sh("two", "ip link show eth0")
    assert kp("network", "inspect", "front", "-f", "{{index .pods \"default/two\"}}").out == "10.203.1.20\n"
    inside = kp.inspect("two")["NetworkSettings"]["Networks"]["front"]
    assert (inside["IPAddress"], inside["IPPrefixLen"], inside["MacAddress"]) == ("10.203.1.20", 24, "02:00:00:00:00:20")
    assert "in use" in kp("network", "rm", "front", status=None).err
    assert kp("network", "prune", "-f").lines == []
    kp("network", "connect", "front", "client", "--ip", "10.203.1.30")
    assert get(kp, "client", "http://10.203.1.20:8080/") == "two"
    assert "already connected" in kp("network", "connect", "front", "client", status=125).err
    assert "default;front:ip=10.203.1.30" in str(kp.pod("client")["metadata"]["annotations"])
    kp("network", "reload", "--all")
    assert get(kp, "client", "http://10.203.1.20:8080/") == "two"
    kp("network", "disconnect", "front", "client")
    assert kp.sh("client", "ip -o link | grep -c eth") == "1"
    assert "not connected" in kp("network", "disconnect", "front", "client", status=None).err
    kp("network", "disconnect", "-f", "front", "client")
    kp("network", "rm", "-f", "-t", "0", "front", "nosuch")
    assert kp("pod", "exists", "two", status=1)
    assert kp("network", "prune", "-f").lines == ["kubeplay1"]


def test_no_address_left_is_a_clear_error(kp: Machine) -> None:
    kp("network", "create", "tiny", "--subnet", "10.203.2.0/30")
    kp.play(pod("fits"), "--network", "tiny")
    said = kp.play(pod("late"), "--network", "tiny", status=None)
    assert said.status and "no address left in 10.203.2.0/30" in said.err
    kp("pod", "rm", "-f", "-t", "0", "fits")


def test_a_network_without_names_and_pods_without_a_network(kp: Machine) -> None:
    kp("network", "create", "quiet", "--disable-dns")
    kp.play(pod("quiet"), "--network", "quiet")
    assert "cluster.local" not in kp.sh("quiet", "cat /etc/resolv.conf") and "cluster.local" in kp.sh("client", "cat /etc/resolv.conf")
    kp.play(pod("alone"), "--network", "none")
    assert kp.sh("alone", "ip -o link | grep -c eth || true") == "0"
    kp("network", "connect", "quiet", "alone")
    assert get(kp, "quiet", f"http://{kp.ip('alone')}:8080/") == "alone"
