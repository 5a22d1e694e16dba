"""What carries over to a cluster and from one, as tables."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubeplay.kube.portable.findings import findings
from kubeplay.kube.portable.model import CLUSTER, ERROR, INFO, LOCAL, PLACEHOLDER, TARGETS, WARNING, Facts, text
from kubeplay.kube.portable.together import together

AMOUNTS = {"limits": {"cpu": "1", "memory": "64Mi"}}


def pod(spec: str = "", container: str = "", kind: str = "Pod") -> dict[str, Any]:
    one = {"name": "c", "image": "r.example/i:1", "resources": AMOUNTS, **(yaml.safe_load(container) or {})}
    body = {"containers": [one], **(yaml.safe_load(spec) or {})}
    if kind == "Pod":
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": body}
    template = {"template": {"metadata": {}, "spec": body}}
    return {"apiVersion": "x", "kind": kind, "metadata": {}, "spec": {"jobTemplate": {"spec": template}} if kind == "CronJob" else template}


def obj(kind: str, body: str, version: str = "v1") -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, **yaml.safe_load(body)}


def shown(one: dict[str, Any], target: str = CLUSTER, facts: Facts = Facts()) -> list[tuple[str, str, str]]:  # noqa: B008
    return [(f.level, text(f.path), f.rule) for f in findings(one, target, facts) if f.rule != "bare-pod"]


C = "spec.containers[0]"
PODS = {
    "nothing": (pod(), []),
    "hostPath": (pod("volumes: [{name: v, hostPath: {path: /srv}}]"), [(WARNING, "spec.volumes[0].hostPath", "hostPath")]),
    "device": (
        pod("volumes: [{name: a}, {name: v, hostPath: {path: /dev/fuse, type: CharDevice}}]"),
        [(WARNING, "spec.volumes[1].hostPath", "device")],
    ),
    "CDI": (
        pod("", "resources: {limits: {memory: 1Mi, cpu: 1, nvidia.com/gpu=0: 1}}"),
        [(ERROR, f"{C}.resources.limits[nvidia.com/gpu=0]", "device")],
    ),
    "local image": (pod("", "image: localhost/web:1"), [(ERROR, f"{C}.image", "local-image")]),
    "a registry of this machine": (pod("", "image: 'localhost:5000/web:1'"), [(ERROR, f"{C}.image", "local-registry")]),
    "latest": (pod("", "image: web"), [(INFO, f"{C}.image", "latest")]),
    "latest by name": (pod("", "image: 'r:5000/web:latest'"), [(INFO, f"{C}.image", "latest")]),
    "a registry's port is no tag": (pod("", "image: 'r:5000/web'"), [(INFO, f"{C}.image", "latest")]),
    "digest": (pod("", f"image: web@sha256:{'0' * 64}"), []),
    "never pulled": (pod("", "imagePullPolicy: Never"), [(WARNING, f"{C}.imagePullPolicy", "never-pulled")]),
    "host port": (
        pod("", "ports: [{containerPort: 80}, {containerPort: 81, hostPort: 81, hostIP: 127.0.0.1}]"),
        [(WARNING, f"{C}.ports[1].hostPort", "hostPort"), (WARNING, f"{C}.ports[1].hostIP", "hostIP")],
    ),
    "host network": (
        pod("hostNetwork: true", "ports: [{containerPort: 80, hostPort: 80}]"),
        [(WARNING, "spec.hostNetwork", "hostNetwork")],
    ),
    "node": (
        pod("{nodeName: n, nodeSelector: {kubernetes.io/hostname: n}}"),
        [(ERROR, "spec.nodeName", "nodeName"), (WARNING, "spec.nodeSelector[kubernetes.io/hostname]", "node-selector")],
    ),
    "no amounts": (pod("", "resources: null"), [(INFO, f"{C}.resources", "no-limits"), (INFO, f"{C}.resources", "no-requests")]),
    "nothing requested": (
        pod("", "resources: {limits: {memory: 1Gi}, requests: {memory: '0', cpu: '0'}}"),
        [(WARNING, f"{C}.resources.requests[memory]", "no-requests")],
    ),
    "the engine's host name": (
        pod("", "env: [{name: A, value: 'http://host.containers.internal:80'}]"),
        [(WARNING, f"{C}.env[0].value", "host-name")],
    ),
    "of a workload": (
        pod("volumes: [{name: v, hostPath: {path: /srv}}]", kind="Deployment"),
        [(WARNING, "spec.template.spec.volumes[0].hostPath", "hostPath")],
    ),
    "of a CronJob": (
        pod("nodeName: n", kind="CronJob"),
        [(ERROR, "spec.jobTemplate.spec.template.spec.nodeName", "nodeName")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PODS)
def test_pods_for_a_cluster(case: str) -> None:
    given_, expected = PODS[case]
    assert shown(given_) == expected


OBJECTS = {
    "nodePort": (
        obj("Service", "spec: {type: NodePort, ports: [{port: 1}, {port: 2, nodePort: 30000}]}"),
        [(WARNING, "spec.ports[1].nodePort", "nodePort")],
    ),
    "headless": (obj("Service", "spec: {clusterIP: None}"), []),
    "addresses": (
        obj("Service", "spec: {type: LoadBalancer, clusterIP: 10.96.0.9, externalIPs: [192.0.2.1]}"),
        [(WARNING, "spec.clusterIP", "clusterIP"), (WARNING, "spec.externalIPs", "externalIPs"), (INFO, "spec.type", "load-balancer")],
    ),
    "claim": (
        obj(
            "PersistentVolumeClaim",
            "{metadata: {annotations: {volume.podman.io/type: x}}, spec: {accessModes: [ReadWriteMany], storageClassName: local}}",
        ),
        [(ERROR, "spec.storageClassName", "storage-class"), (WARNING, "metadata.annotations[volume.podman.io/type]", "annotation"),
         (WARNING, "spec.accessModes[0]", "access-mode")],
    ),
    "claim template": (
        obj("StatefulSet", "spec: {volumeClaimTemplates: [{spec: {storageClassName: local}}]}"),
        [(ERROR, "spec.volumeClaimTemplates[0].spec.storageClassName", "storage-class")],
    ),
    "volume": (obj("PersistentVolume", "spec: {hostPath: {path: /x}}"), [(WARNING, "spec.hostPath", "hostPath")]),
    "local volume": (obj("PersistentVolume", "spec: {local: {path: /x}}"), [(ERROR, "spec.local", "local-volume")]),
    "class": (obj("StorageClass", "provisioner: kubeplay.io/local"), [(ERROR, "provisioner", "storage-class")]),
    "hidden": (obj("Secret", f'data: {{a: "{PLACEHOLDER}", b: eA==}}'), [(ERROR, "data[a]", "hidden-secret")]),
    "slice": (obj("EndpointSlice", "endpoints: [{addresses: [192.0.2.1], nodeName: n}]"), [(WARNING, "endpoints[0].nodeName", "nodeName")]),
    "ingress": (obj("Ingress", "spec: {}"), [(INFO, "spec", "ingress-class")]),
}  # fmt: skip


@pytest.mark.parametrize("case", OBJECTS)
def test_objects_for_a_cluster(case: str) -> None:
    given_, expected = OBJECTS[case]
    assert shown(given_) == expected


def test_annotations_of_this_engine() -> None:
    one = pod()
    one["metadata"]["annotations"] = {
        "kubeplay.io/network": "none",
        "kubeplay.io/log-driver": "none",
        "io.podman.annotations.pids-limit/c": "5",
        "a": "b",
    }
    found = shown(one)
    assert [(level, path) for level, path, _ in found] == [
        (WARNING, "metadata.annotations[kubeplay.io/network]"),
        (WARNING, "metadata.annotations[io.podman.annotations.pids-limit/c]"),
        (INFO, "metadata.annotations[kubeplay.io/log-driver]"),
    ]


def test_an_image_that_was_made_here() -> None:
    assert shown(pod("", "image: 'shop/web:1'"), facts=Facts(frozenset(("shop/web:1",)))) == [(WARNING, f"{C}.image", "local-image")]
    assert shown(pod("", "image: 'shop/web:1'")) == []


@pytest.mark.parametrize(("policy", "remedy"), [("Always", "deployment"), ("Never", "job")])
def test_a_bare_pod(policy: str, remedy: str) -> None:
    (found,) = findings(pod(f"restartPolicy: {policy}"))
    assert (found.rule, found.level) == ("bare-pod", INFO) and remedy in found.remedy


LOCALS = {
    "another node": (pod("nodeName: n"), [(ERROR, "spec.nodeName", "nodeName")]),
    "this node": (pod("nodeName: here"), []),
    "a plugin's resource": (
        pod("", "resources: {limits: {nvidia.com/gpu: 1}}"),
        [(WARNING, f"{C}.resources.limits[nvidia.com/gpu]", "resource")],
    ),
    "CDI": (pod("", "resources: {limits: {nvidia.com/gpu=0: 1}}"), []),
    "a kind of others": (obj("Widget", "{}", "example.org/v1"), [(ERROR, "kind", "kind")]),
    "RBAC": (obj("Role", "rules: []", "rbac.authorization.k8s.io/v1"), [(INFO, "kind", "rbac")]),
}


@pytest.mark.parametrize("case", LOCALS)
def test_for_this_machine(case: str) -> None:
    given_, expected = LOCALS[case]
    assert shown(given_, LOCAL, Facts(node="here")) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(("kind", "spec", "template", "volumes", "containers", "ports", "image", "resources", "limits", "env", "data",
                         "metadata", "annotations", "nodeSelector", "hostPath", "endpoints", "accessModes", "jobTemplate", "x")),
        inner | st.sampled_from(("Pod", "CronJob", "Service", "Secret", "StatefulSet", "EndpointSlice", "PersistentVolumeClaim")),
        max_size=6,
    ),
)  # fmt: skip


@given(st.sampled_from(("Pod", "Deployment", "CronJob", "Service", "StatefulSet", "Secret")), JSON, st.sampled_from(TARGETS))
def test_any_shape_is_taken(kind: str, spec: Any, target: str) -> None:
    for found in findings({"apiVersion": "v1", "kind": kind, "spec": spec, "metadata": spec, "data": spec}, target):
        assert found.why and str(found)


CLAIM = obj("PersistentVolumeClaim", "{metadata: {name: c}, spec: {accessModes: [ReadWriteOnce]}}")
SHARED = obj("PersistentVolumeClaim", "{metadata: {name: c}, spec: {accessModes: [ReadWriteMany]}}")


def mounting(kind: str, replicas: int) -> dict[str, Any]:
    made = pod("volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]", kind=kind)
    made["spec"]["replicas"] = replicas
    return made


@pytest.mark.parametrize(
    ("claim", "kind", "replicas", "told"),
    [(CLAIM, "Deployment", 2, True), (CLAIM, "Deployment", 1, False), (CLAIM, "DaemonSet", 0, True), (SHARED, "Deployment", 2, False)],
)
def test_one_claim_of_several_pods(claim: dict[str, Any], kind: str, replicas: int, told: bool) -> None:
    found = together([claim, mounting(kind, replicas)])
    assert [(at, one.rule) for at, here in found.items() for one in here] == ([(1, "shared-claim")] if told else [])
    assert together([claim, mounting(kind, replicas)], LOCAL) == {}
