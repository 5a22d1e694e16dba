"""Names as pods see them (DN5, DN6): the whole way from a manifest to an answer, and the server's own life."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from kubeplay.engine.net import dns
from kubeplay.engine.net.definition import Wanted
from kubeplay.reconcile import system
from tests.support.dns import AAAA, CNAME, NXDOMAIN, PTR, SRV, A, Answer, query
from tests.support.net import inside
from tests.support.root import Root

pytestmark = pytest.mark.root

STACK = """
apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  clusterIP: None
  selector: {app: db}
  ports: [{name: sql, port: 5432, targetPort: sql}, {port: 9, protocol: UDP, name: probe}]
---
apiVersion: v1
kind: Service
metadata: {name: early}
spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {app: slow}}
---
apiVersion: v1
kind: Service
metadata: {name: late}
spec: {clusterIP: None, selector: {app: slow}}
---
apiVersion: v1
kind: Service
metadata: {name: other}
spec: {type: ExternalName, externalName: db.default.svc.cluster.local}
---
apiVersion: v1
kind: Pod
metadata: {name: first, labels: {app: db}}
spec:
  terminationGracePeriodSeconds: 0
  hostname: db-0
  subdomain: db
  containers:
  - {name: main, image: "busybox:1", command: [sleep, "100000"], ports: [{name: sql, containerPort: 5433}]}
---
apiVersion: v1
kind: Pod
metadata: {name: second, labels: {app: db}}
spec:
  terminationGracePeriodSeconds: 0
  subdomain: db
  containers:
  - {name: main, image: "busybox:1", command: [sleep, "100000"], ports: [{name: sql, containerPort: 5433}]}
---
apiVersion: v1
kind: Pod
metadata: {name: slow, labels: {app: slow}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1
    command: [sleep, "100000"]
    readinessProbe: {exec: {command: [test, -e, /ready]}, periodSeconds: 1}
"""
DOMAIN = "default.svc.cluster.local"


def ask(root: Root, name: str, kind: int = A, timeout: float = 60.0) -> Answer:
    address = root.engine.net.dns_address()
    return inside("", lambda: query(address, name, kind, timeout))


def ip(root: Root, pod: str) -> str:
    found: str = root.wait(lambda: root.status(pod).get("podIP"))
    return found


def server(root: Root) -> int:
    """The process of the name server's container, 0 while there is none."""
    row = root.engine.store.runtime.find_pod(system.NAMESPACE, system.NAME)
    assert row is not None
    return next((c.pid for c in root.engine.store.runtime.containers(row.uid) if c.pid and not c.finished), 0)


def test_dn5_headless_names_ports_and_another_name_follow_the_pods(root: Root) -> None:
    root.play(STACK)
    first, second = ip(root, "first"), ip(root, "second")
    own = f"{second.replace('.', '-')}.db.{DOMAIN}"
    root.wait(lambda: sorted(ask(root, f"db.{DOMAIN}").values) == sorted([first, second]))
    assert ask(root, f"db-0.db.{DOMAIN}").values == [first] and ask(root, own).values == [second]
    assert ask(root, f"second.db.{DOMAIN}").code == NXDOMAIN, "only a host name that the manifest gives is one"
    assert sorted(ask(root, f"_sql._tcp.db.{DOMAIN}", SRV).values) == sorted([f"0 50 5433 {own}", f"0 50 5433 db-0.db.{DOMAIN}"])
    assert len(ask(root, f"_probe._udp.db.{DOMAIN}", SRV).values) == 2
    assert ask(root, dns.reverse(first), PTR).values == [f"db-0.db.{DOMAIN}"]
    assert ask(root, f"{first.replace('.', '-')}.default.pod.cluster.local").values == [first]
    assert ask(root, f"other.{DOMAIN}", CNAME).values == [f"db.{DOMAIN}"]
    assert sorted(ask(root, f"other.{DOMAIN}").values) == sorted([f"db.{DOMAIN}", first, second])
    assert ask(root, f"db-0.db.{DOMAIN}", AAAA)[:2] == (0, [])

    slow = ip(root, "slow")
    assert ask(root, f"early.{DOMAIN}").values == [slow] and ask(root, f"late.{DOMAIN}").code == NXDOMAIN
    with open(f"/proc/{root.rows('slow')[0].pid}/root/ready", "w", encoding="ascii"):
        pass
    root.wait(lambda: ask(root, f"late.{DOMAIN}").values == [slow])

    root.down(STACK.split("---")[4])  # the pod `first`
    assert ask(root, f"db.{DOMAIN}").values == [second]
    assert ask(root, f"db-0.db.{DOMAIN}").code == NXDOMAIN


def test_a_killed_name_server_comes_back_by_itself_with_all_its_names(root: Root) -> None:
    text = "---".join(STACK.split("---")[:1] + STACK.split("---")[4:5])
    root.play(text)
    first = ip(root, "first")
    root.wait(lambda: ask(root, f"db-0.db.{DOMAIN}").values == [first])
    root.wait(lambda: not root.supervisors())
    before = server(root)
    assert before
    os.kill(before, signal.SIGKILL)

    def answered() -> bool:
        try:
            return ask(root, f"db-0.db.{DOMAIN}", timeout=1).values == [first]
        except OSError:
            return False

    root.wait(lambda: server(root) not in (0, before) and answered())
    root.wait(lambda: not root.supervisors())
    assert answered(), "names are answered while nothing of ours runs"
    root.down(text)
    assert root.leaks() == []


def test_a_pod_has_its_name_and_aliases_in_a_network_that_it_joins(root: Root) -> None:
    text = STACK.split("---")[4].replace("metadata: {", 'metadata: {annotations: {kubeplay.io/network: "own:alias=store"}, ')
    root.engine.net.create(Wanted("own"))
    root.play(text)
    first = ip(root, "first")
    assert ask(root, f"first.{DOMAIN}").values == ask(root, f"store.{DOMAIN}").values == [first]
    root.down(text)
    root.engine.net.remove("own")


def test_port_53_taken_by_another_program_is_told(root: Root) -> None:
    root.engine.net.ensure()
    address = root.engine.net.dns_address()
    text = STACK.split("---")[4]
    with inside("", lambda: socket.socket(type=socket.SOCK_DGRAM)) as taken:
        taken.bind((address, 53))
        root.play(text)
        [said] = [event.message for event in root.events if event.kind == "warning"]
        assert f"does not take questions at {address} port 53" in said and "address already in use" in said
        assert "MissingClusterDNS" in [event.reason for event in root.engine.store.events.list(uid=root.uid("first"))]
