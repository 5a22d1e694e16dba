"""`describe`: kubectl's sections and words, without a pod."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeplay.clock import rfc3339
from kubeplay.kube.describe import containers, others, pod, text

NOW = 1_000_000.0
BODY: dict[str, Any] = {
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "shop", "labels": {"b": "2", "a": "1"}, "annotations": {"note": "x\ny"},
                 "ownerReferences": [{"kind": "ReplicaSet", "name": "web-1", "controller": True}]},
    "spec": {
        "nodeName": "vm", "serviceAccountName": "me", "readinessGates": [{"conditionType": "example.com/up"}],
        "initContainers": [{"name": "first", "image": "i"}],
        "containers": [{
            "name": "app", "image": "i:1", "ports": [{"containerPort": 80, "name": "http"},
                {"containerPort": 53, "protocol": "UDP", "hostPort": 5353}],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
            "livenessProbe": {"httpGet": {"port": 80, "path": "/ok"}, "periodSeconds": 3},
            "env": [{"name": "A", "value": "1"}, {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "envFrom": [{"secretRef": {"name": "s"}, "prefix": "P_"}],
            "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True, "subPath": "x"}],
        }],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}, {"name": "tmp", "emptyDir": {"medium": "Memory"}}],
        "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
    },
    "status": {
        "phase": "Running", "podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}], "hostIP": "192.0.2.2", "qosClass": "Burstable",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [{
            "name": "app", "containerID": "kubeplay://1", "ready": False, "restartCount": 2,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
            "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "startedAt": rfc3339(0), "finishedAt": rfc3339(5)}},
        }],
    },
}  # fmt: skip
EVENT = {"type": "Warning", "reason": "BackOff", "message": "Back-off\x1b[2J", "count": 3, "source": {"component": "kubelet"},
         "firstTimestamp": rfc3339(NOW - 100), "lastTimestamp": rfc3339(NOW - 5)}  # fmt: skip


def test_a_pod_has_the_sections_of_kubectl_in_their_order() -> None:
    shown = pod.pod(BODY, [EVENT], NOW)
    heads = [line.split(":")[0] for line in shown.splitlines() if line[:1].strip()]
    assert heads == [
        "Name", "Namespace", "Priority", "Service Account", "Node", "Labels", "Annotations", "Status", "IP", "IPs", "Controlled By",
        "Init Containers", "Containers", "Readiness Gates", "Conditions", "Volumes", "QoS Class", "Node-Selectors", "Tolerations", "Events",
    ]  # fmt: skip
    for line in (
        "Node:             vm/192.0.2.2", "Labels:           a=1", "                  b=2", "Annotations:      note: x\\ny",
        "Controlled By:  ReplicaSet/web-1", "    Ports:         80/TCP (http), 53/UDP", "    Host Ports:    0/TCP, 5353/UDP",
        "    State:          Waiting", "      Reason:       CrashLoopBackOff", "      Message:      back-off 10s",
        "    Last State:     Terminated", "      Exit Code:    137", "    Restart Count:  2",
        "      cpu:     1", "      s  Secret with prefix 'P_'  Optional: false", "      N:   (v1:metadata.name)",
        '      /data from data (ro,path="x")', "    ClaimName:  c", "    Medium:     Memory",
        "Tolerations:     k:NoExecute op=Exists for 300s", "  example.com/up  <none>",
        "  Warning  BackOff  5s (x3 over 100s)  kubelet  Back-off\\x1b[2J",
    ):  # fmt: skip
        assert line.split() in [each.split() for each in shown.splitlines()], (line, shown)
    assert "\n    Ports:          80/TCP (http), 53/UDP\n    Host Ports:     0/TCP, 5353/UDP\n" in shown


@pytest.mark.parametrize(("handler", "words"), [
    ({"exec": {"command": ["cat", "/tmp/x"]}}, "exec [cat /tmp/x]"),
    ({"httpGet": {"port": "http", "scheme": "HTTPS", "host": "h"}}, "http-get https://h:http/"),
    ({"tcpSocket": {"port": 80}}, "tcp-socket :80"), ({"grpc": {"port": 9, "service": "s"}}, "grpc <pod>:9 s"), ({}, "unknown"),
])  # fmt: skip
def test_probes(handler: dict[str, Any], words: str) -> None:
    assert containers.probe({**handler, "failureThreshold": 5}) == f"{words} delay=0s timeout=1s period=10s #success=1 #failure=5"


def test_values_of_a_secret_are_not_shown_and_a_configmap_is_whole() -> None:
    secret = {"metadata": {"name": "s"}, "data": {"password": "aHVzaA=="}, "stringData": {"plain": "hush"}}
    shown = others.secret(secret, [], NOW)
    assert "password:  4 bytes" in shown and "plain:     4 bytes" in shown and "hush" not in shown and "aHVzaA" not in shown
    whole = others.config_map({"metadata": {"name": "c"}, "data": {"a": "1\n2"}, "binaryData": {"b": "AAA="}}, [], NOW)
    assert "a:\n----\n1\n2\n" in whole and "b: 2 bytes" in whole


def test_a_kind_without_a_page_is_shown_field_by_field() -> None:
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "uid": "u"},
            "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "a", "image": "i"}]}}}}  # fmt: skip
    shown = others.anything(body, True, [], NOW)
    assert "Kind:         Deployment" in shown and "  Replicas:  2" in shown and "        Image:  i" in shown
    assert others.words("containerPort") == "Container Port" and others.words("hostIP") == "Host IP"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=20), max_size=10))
def test_columns_line_up_and_nothing_is_lost(lines: list[str]) -> None:
    shown = text.aligned(lines)
    for line in lines:
        for cell in line.split("\t"):
            if cell.isprintable():
                assert cell.strip(" ") in shown
    assert not any(not c.isprintable() for c in shown.replace("\n", ""))
