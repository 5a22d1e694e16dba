"""Services through play: names, cluster addresses, node ports, and endpoints that follow the pods."""

from __future__ import annotations

import socket
import time
import urllib.request

import pytest

from kubeplay.errors import KubeplayError
from kubeplay.kube import check
from kubeplay.kube.admission import Known
from kubeplay.play import lifecycle
from kubeplay.play import stack as stacks
from kubeplay.play.up import up
from kubeplay.reconcile import services
from tests.support.root import Root

pytestmark = pytest.mark.root

BACKEND = """
apiVersion: v1
kind: Service
metadata: {name: backend}
spec: {type: NodePort, selector: {app: backend}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: backend}
spec:
  replicas: 2
  selector: {matchLabels: {app: backend}}
  template:
    metadata: {labels: {app: backend}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: busybox:1
        command: [sh, -c, "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"]
        ports: [{name: http, containerPort: 8080}]
"""
FRONT = """
apiVersion: v1
kind: Pod
metadata: {name: front}
spec:
  terminationGracePeriodSeconds: 0
  initContainers:
  - name: wait
    image: busybox:1
    command:
    - sh
    - -c
    - |
      # the wget of a static busybox cannot resolve names: ask the server, and speak HTTP, by hand
      address() { nslookup backend.default.svc.cluster.local | awk '/^Address/ { a = $NF } END { print a }'; }
      until printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 1 "$(address)" 80 | grep backend-; do sleep 0.1; done
  containers:
  - {name: main, image: "busybox:1", command: [sh, -c, "env | sort; sleep 1000"]}
"""


def fetch(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
            return str(answer.read().decode()).strip()
    except OSError as error:
        return f"{type(error).__name__}: {error}"


def test_sv3_an_init_container_reaches_a_service_of_the_same_play_by_name(root: Root) -> None:
    text = FRONT + "---" + BACKEND
    result = root.play(text, timeout=300)
    assert {s.name for s in result.services} == {"backend"}
    assert root.container("front", "wait")["state"]["terminated"]["exitCode"] == 0
    variables = root.wait(lambda: root.log("front"))
    given = result.services[0]
    assert f"BACKEND_SERVICE_HOST={given.cluster_ip}" in variables and "KUBERNETES_SERVICE_PORT=443" in variables
    root.down(text)
    assert root.leaks() == []


def test_sv2_a_node_port_answers_when_play_returns_and_not_after_down(root: Root) -> None:
    result = root.play(BACKEND)
    port = result.services[0].ports[0].node_port
    assert 30000 <= port <= 32767
    root.wait(lambda: fetch(port).startswith("backend-"))
    names = {root.wait(lambda: (found := fetch(port)).startswith("backend-") and found) for _ in range(12)}
    assert names <= {p.name for p in result.pods}
    root.down(BACKEND)
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        pass
    assert root.leaks() == []


def test_ep1_endpoints_follow_stop_exit_and_start(root: Root) -> None:
    result = root.play(BACKEND)
    first = result.pods[0]
    assert len(services.routes(root.engine)[0].endpoints[0]) == 2
    lifecycle.stop_pods(root.engine, [first.uid], 0)
    assert len(services.routes(root.engine)[0].endpoints[0]) == 1
    lifecycle.start_pods(root.engine, [first.uid])
    assert len(services.routes(root.engine)[0].endpoints[0]) == 2
    port = result.services[0].ports[0].node_port
    deadline = time.monotonic() + 100
    answers: set[str] = set()
    while len(answers) < 2 and time.monotonic() < deadline:
        answers.add(fetch(port))
    assert {p.name for p in result.pods} <= answers


def test_a_taken_node_port_is_a_clear_error_and_leaves_nothing(root: Root) -> None:
    root.play(BACKEND.replace("{port: 80, targetPort: http}", "{port: 80, targetPort: http, nodePort: 30123}"))
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: other}\nspec: {type: NodePort, ports: [{port: 1, nodePort: 30123}]}\n"
    with pytest.raises(KubeplayError, match="Service default/other: port 30123 is already in use by Service default/backend"):
        root.play("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {}\n---\n" + text)
    assert [o.key.name for o in root.engine.store.objects.list("ConfigMap")] == []
    assert [s.name for s in services.plans(root.engine)] == ["backend"]

FIXED = "apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {clusterIP: %s, ports: [{port: 80}]}\n"


def test_an_address_that_cannot_be_had_is_found_before_anything_is_made(root: Root) -> None:
    base = str(root.engine.net.service_range()).rpartition(".0/")[0]
    address, other = f"{base}.77", f"{base}.78"
    root.play(FIXED % ("first", address))
    maps = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: beside}\n---\n"
    taken = f"Service default/second: clusterIP {address} is already in use by default/first"
    for text, words in (
        (FIXED % ("second", address), taken),
        (FIXED % ("a", other) + "---\n" + FIXED % ("b", other), f"Service default/b: clusterIP {other} is asked for by Service default/a"),
        (FIXED % ("far", "10.1.2.3"), "Service default/far: clusterIP 10.1.2.3 is not in the Service range"),
    ):
        try:
            # the file's own check knows the range of the API server; here it is asked of the play
            manifests = check.read(maps.encode() + text.encode(), "t.yaml", known=Known(any_namespace=True, service_range="0.0.0.0/0"))
            root.events.clear()
            with pytest.raises(KubeplayError) as caught:
                up(root.engine, stacks.build(manifests), progress=root.events.append)
            assert words in str(caught.value)
            assert not root.events, "nothing was made, so nothing had to be undone"
        finally:
            root.down(text.replace("10.1.2.3", other))
    swapped = FIXED % ("first", other) + "---\n" + FIXED % ("second", address)
    root.play(swapped, replace=True)
    given = {plan.name: plan.cluster_ip for plan in services.plans(root.engine)}
    assert given == {"first": other, "second": address}
    root.down(swapped)
