"""Probes of real containers: asked from outside, by images that have no curl, with the texts of a kubelet; Services follow them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.covers import covers
from tests.support.kubeplay import Machine, playing

pytestmark = pytest.mark.root


def said() -> str:
    """What a gRPC health server that serves would send on the first stream, for printf."""
    import h2.config
    import h2.connection

    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    client.send_headers(1, [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")], end_stream=True)
    server.initiate_connection()
    server.receive_data(client.data_to_send())
    server.send_headers(1, [(":status", "200"), ("content-type", "application/grpc")])
    server.send_data(1, b"\0\0\0\0\2\x08\1")
    server.send_headers(1, [("grpc-status", "0")], end_stream=True)
    return "".join(f"\\\\{byte:03o}" for byte in server.data_to_send())


MANIFEST = f"""
apiVersion: v1
kind: Pod
metadata: {{name: web, labels: {{app: web}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, "echo fine > /tmp/healthz; exec httpd -f -p 8080 -h /tmp"]
    ports: [{{name: http, containerPort: 8080}}]
    startupProbe:
      httpGet: {{path: /healthz, port: http, httpHeaders: [{{name: X-Probe, value: startup}}]}}
      periodSeconds: 1
      failureThreshold: 100
    readinessProbe: {{exec: {{command: [test, -e, /tmp/ok]}}, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 20}}
    livenessProbe: {{tcpSocket: {{port: 8080}}, periodSeconds: 1, timeoutSeconds: 20}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: http}}]
---
apiVersion: v1
kind: Service
metadata: {{name: early}}
spec:
  selector: {{app: web}}
  publishNotReadyAddresses: true
  ports: [{{port: 80, targetPort: http}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: inside}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1
    command: [httpd, -f, -p, "127.0.0.1:8080", -h, /]
    readinessProbe: {{tcpSocket: {{port: 8080}}, periodSeconds: 1}}
---
apiVersion: v1
kind: Pod
metadata: {{name: live}}
spec:
  terminationGracePeriodSeconds: 1000
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, "trap '' TERM; while true; do sleep 1; done"]
    env: [{{name: FILE, value: /tmp/bad}}]
    livenessProbe:
      exec: {{command: [test, "!", -e, $(FILE)]}}
      periodSeconds: 1
      timeoutSeconds: 20
      failureThreshold: 2
      terminationGracePeriodSeconds: 1
---
apiVersion: v1
kind: Pod
metadata: {{name: startup}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1
    command: [sleep, "1000"]
    startupProbe: {{httpGet: {{port: 8080, scheme: HTTP}}, periodSeconds: 1, failureThreshold: 2, successThreshold: 1}}
---
apiVersion: v1
kind: Pod
metadata: {{name: rpc}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, "while true; do printf '{said()}' | nc -l -p 5000 > /dev/null; done"]
    readinessProbe: {{grpc: {{port: 5000, service: mine}}, periodSeconds: 1, timeoutSeconds: 20}}
---
apiVersion: v1
kind: Pod
metadata: {{name: client}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: main, image: busybox:1, command: [sleep, "1000"]}}]
"""


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("probes"), image_archives, MANIFEST, images=("busybox",)) as machine:
        yield machine


def conditions(kp: Machine, pod: str) -> dict[str, str]:
    return {c["type"]: c["status"] for c in kp.pod(pod)["status"]["conditions"]}


HANDLERS = ["exec.command[]", "tcpSocket.port", "tcpSocket.host", "grpc.port", "grpc.service"]
GET = [f"httpGet.{name}" for name in ("path", "port", "host", "scheme", "httpHeaders[].name", "httpHeaders[].value")]
GRACE = "terminationGracePeriodSeconds"
TIMES = ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]


def fields(kind: str) -> str:
    """Every field of a probe: the three kinds share their handlers and their clock (the rest: unit/reconcile, semantics section 5)."""
    return " ".join(f"container.{kind}.{field}" for field in (*HANDLERS, *GET, *TIMES))


def told(kp: Machine, pod: str, text: str) -> bool:
    return text in kp("events", "--no-trunc", "--filter", f"pod={pod}").out


@covers(f"{fields('startupProbe')} {fields('readinessProbe')} Service.spec.publishNotReadyAddresses")
def test_pr10_readiness_is_the_pods_and_its_services(kp: Machine) -> None:
    def answers(service: str) -> bool:
        return kp.sh("client", f"timeout 60 wget -qO- http://{service}/healthz || true") == "fine"

    kp.wait(lambda: kp.status("web")["started"])
    assert not kp.status("web")["ready"] and conditions(kp, "web")["Ready"] == "False"
    kp.wait(lambda: answers("early"))
    assert not answers("web")
    kp.sh("web", "touch /tmp/ok")
    kp.wait(lambda: conditions(kp, "web")["Ready"] == "True")
    kp.wait(lambda: answers("web"))
    kp.sh("web", "rm /tmp/ok")
    kp.wait(lambda: conditions(kp, "web")["ContainersReady"] == "False")
    kp.wait(lambda: not answers("web"))
    assert answers("early") and kp.status("web")["restartCount"] == 0
    assert told(kp, "web", "Readiness probe failed:")


def test_pr11_what_listens_inside_the_pod_alone_is_not_reached(kp: Machine) -> None:
    """PR13: the event has the text of a kubelet."""
    text = f"Readiness probe failed: dial tcp {kp.ip('inside')}:8080: connect: connection refused"
    kp.wait(lambda: told(kp, "inside", text))
    assert kp.status("inside")["ready"] is False and kp.status("inside")["started"] is True


@covers(f"{fields('livenessProbe')} container.livenessProbe.{GRACE} container.startupProbe.{GRACE}")
def test_pr10_a_liveness_failure_kills_with_the_probes_own_grace(kp: Machine) -> None:
    assert kp.status("live")["ready"] is True
    first = kp.status("live")["containerID"]
    kp.sh("live", "touch /tmp/bad")
    status = kp.wait(lambda: found if (found := kp.status("live"))["restartCount"] and "running" in found["state"] else None)
    assert status["containerID"] != first and status["lastState"]["terminated"]["exitCode"] == 137
    assert told(kp, "live", "Container main failed liveness probe, will be restarted")


def test_pr10_a_startup_failure_ends_a_pod_that_never_restarts(kp: Machine) -> None:
    ended = kp.ended("startup")
    assert ended["exitCode"] == 137
    kp.wait(lambda: kp.pod("startup")["status"]["phase"] == "Failed")
    assert told(kp, "startup", 'Startup probe failed: Get "http://')


def test_pr9_grpc(kp: Machine) -> None:
    kp.wait(lambda: kp.status("rpc")["ready"])
