"""Services while things happen: pods that end, rules that strangers remove (SV3, TE4)."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kubeplay import Machine, playing, processes

pytestmark = pytest.mark.root
NFT = shutil.which("nft") or "/usr/sbin/nft"
ECHO = "trap exit TERM; mkdir /www; hostname > /www/index.html; httpd -p 8080 -h /www; nc -ll -p 9000 -e cat & wait"


def pod(name: str, more: str = "") -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: web}}}}
spec:
  terminationGracePeriodSeconds: 60
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, "{ECHO}"]
{more}"""


PRE_STOP = '    lifecycle: {preStop: {exec: {command: [sh, -c, "until [ -e /go ]; do sleep 0.1; done"]}}}\n'
PROBE = "    readinessProbe: {exec: {command: [test, '!', -e, /unready]}, periodSeconds: 1, failureThreshold: 1}\n"
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}, {name: echo, port: 7, targetPort: 9000}]}
"""


@pytest.fixture
def kp(tmp_path: Path, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path, image_archives) as machine:
        yield machine


def address(kp: Machine) -> str:
    return kp("get", "service", "web", "--no-headers").out.split()[2]


def get(ip: str) -> str:
    try:
        with urllib.request.urlopen(f"http://{ip}/", timeout=10) as answer:
            return str(answer.read().decode()).strip()
    except OSError as error:
        return type(error).__name__


def echo(one: socket.socket) -> bool:
    one.sendall(b"still here\n")
    return one.recv(100) == b"still here\n"


def seen(ip: str) -> set[str]:
    return {get(ip) for _ in range(12)}


def test_te4_traffic_moves_off_a_pod_that_ends_and_its_connections_live_on(kp: Machine) -> None:
    kp.play(pod("a", PRE_STOP))
    kp.play(SERVICE)
    ip = address(kp)
    assert get(ip) == "a"
    with socket.create_connection((ip, 7), timeout=60) as old:
        assert echo(old)
        kp.play(pod("b"))
        kp.wait(lambda: seen(ip) == {"a", "b"})
        ending = threading.Thread(target=lambda: kp("pod", "rm", "-f", "-t", "60", "a", status=None))
        ending.start()
        kp.wait(lambda: kp("get", "pod", "a", "--no-headers").out.split()[2] == "Terminating")
        kp.wait(lambda: seen(ip) == {"b"})
        assert echo(old), "what is connected stays so"
        ending_ones = "jsonpath={.items[*].endpoints[?(@.conditions.terminating==true)].targetRef.name}"
        assert kp("get", "endpointslices", "-o", ending_ones).out == "a"
        kp.sh("a", "touch /go")
        ending.join(100)
        assert seen(ip) == {"b"}


def test_sv3_traffic_moves_off_an_unready_pod_and_comes_back(kp: Machine) -> None:
    kp.play(pod("a", PROBE) + "---" + pod("b", PROBE) + "---" + SERVICE, "--wait-ready")
    ip = address(kp)
    kp.wait(lambda: seen(ip) == {"a", "b"})
    kp.sh("a", "touch /unready")
    kp.wait(lambda: seen(ip) == {"b"})
    kp.sh("b", "touch /unready")
    kp.wait(lambda: get(ip) == "URLError")
    kp.sh("a", "rm /unready")
    kp.wait(lambda: seen(ip) == {"a"})
    # a supervisor runs for the probes: it hears of what strangers do, without any command
    subprocess.run([NFT, "delete", "table", "inet", f"kubeplay_{kp.tag}"], check=True)
    kp.wait(lambda: get(ip) == "a")


def test_rules_that_strangers_removed_come_back_with_the_next_command(kp: Machine) -> None:
    kp.play(pod("a") + "---" + SERVICE)
    ip = address(kp)
    assert get(ip) == "a"
    kp.wait(lambda: not [pid for pid, words in processes() if "kubeplay.supervisor" in words and str(kp.directory) in words])
    assert get(ip) == "a", "nothing of ours runs"
    for what in (["delete", "table"], ["flush", "table"]):
        subprocess.run([NFT, *what, "inet", f"kubeplay_{kp.tag}"], check=True)
        kp("get", "services")
        assert get(ip) == "a"
