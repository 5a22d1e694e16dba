"""Stored objects back to manifests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubeplay.errors import InvalidInput
from kubeplay.generate import documents, storage, write
from kubeplay.generate.options import GenerateOptions, Volume, Wanted
from kubeplay.plan.stack import ObjectKey
from tests.support.manifests import play

POD = """apiVersion: v1
kind: Pod
metadata:
  name: p
  labels:
    app: p
spec:
  containers:
  - name: c
    image: i:1
    envFrom:
    - configMapRef:
        name: m
    ports:
    - containerPort: 80
      hostPort: 8080
    - containerPort: 53
      protocol: UDP
    volumeMounts:
    - name: d
      mountPath: /d
  - name: e
    image: e:latest
    command:
    - sleep
    - "1"
  volumes:
  - name: d
    persistentVolumeClaim:
      claimName: data
  - name: s
    secret:
      secretName: pw
"""
REST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: m}
data: {a: "1", script: "#!/bin/sh\\necho\\n"}
---
apiVersion: v1
kind: Secret
metadata: {name: pw}
stringData: {password: hunter2}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""
DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector:
    matchLabels:
      a: b
  template:
    metadata:
      labels:
        a: b
    spec:
      containers:
      - name: c
        image: i
        ports:
        - containerPort: 80
"""


def objects(text: str) -> dict[ObjectKey, dict[str, Any]]:
    return {one.key: json.loads(one.body) for one in play(text).objects}


def generate(text: str, *names: str, **options: Any) -> list[dict[str, Any]]:
    """Manifests of the objects `Kind/name` among those that playing `text` stores."""
    stored = objects(text)
    wanted = [obj for key, obj in stored.items() if f"{key.kind}/{key.name}" in names]
    assert len(wanted) == len(names)
    return documents.generate(Wanted(tuple(wanted)), stored.get, GenerateOptions(**options))


def yaml_of(text: str, *names: str, **options: Any) -> str:
    return write.to_yaml(generate(text, *names, **options), comment=False)


@pytest.mark.parametrize(("text", "name"), [(POD, "Pod/p"), (DEPLOYMENT, "Deployment/web")])
def test_df1_de1_what_was_written_comes_back_to_the_letter(text: str, name: str) -> None:
    assert yaml_of(text, name) == text


def test_what_a_pod_uses_comes_with_it_in_podmans_order() -> None:
    made = generate(POD + "---" + REST, "Pod/p", show_secrets=True)
    assert [obj["kind"] for obj in made] == ["PersistentVolumeClaim", "ConfigMap", "Secret", "Pod"]
    assert made[2]["data"] == {"password": "aHVudGVyMg=="}
    assert "type" not in made[2]


def test_secrets_are_hidden_and_such_a_file_is_refused() -> None:
    made = generate(REST, "Secret/pw")
    assert made[0]["data"] == {"password": storage.PLACEHOLDER}
    text = write.to_yaml(made)
    assert "aHVudGVyMg" not in text and "hunter2" not in text and "--show-secrets" in text.splitlines()[1]
    with pytest.raises(InvalidInput) as caught:
        play(text)
    assert "data" in str(caught.value)


def test_a_pod_of_a_deployment_is_written_as_a_pod() -> None:
    stored = objects(DEPLOYMENT)
    pod = next(obj for key, obj in stored.items() if key.kind == "Pod")
    (made,) = documents.generate(Wanted((pod,)), stored.get)
    assert set(made["metadata"]) == {"name", "labels"}
    assert made["metadata"]["labels"] == {"a": "b"}


def test_type_deployment_wraps_a_pod() -> None:
    (made,) = generate(POD, "Pod/p", type="deployment", replicas=3)
    assert (made["kind"], made["metadata"]["name"], made["spec"]["replicas"]) == ("Deployment", "p-deployment", 3)
    assert made["spec"]["selector"] == {"matchLabels": {"app": "p"}}
    assert made["spec"]["template"]["metadata"] == {"labels": {"app": "p"}}
    assert "restartPolicy" not in made["spec"]["template"]["spec"]
    assert play(write.to_yaml([made])).pods


def test_type_without_labels_gets_one_to_select_by() -> None:
    (made,) = generate(POD.replace("  labels:\n    app: p\n", ""), "Pod/p", type="deployment")
    assert made["spec"]["selector"]["matchLabels"] == made["spec"]["template"]["metadata"]["labels"] == {"app": "p"}
    assert "replicas" not in made["spec"]


@pytest.mark.parametrize(("type_", "policy"), [("deployment", "Never"), ("daemonset", "OnFailure"), ("job", "Always")])
def test_type_refuses_a_restart_policy_that_kubernetes_forbids(type_: str, policy: str) -> None:
    with pytest.raises(InvalidInput, match=f"has restartPolicy {policy}"):
        generate(POD.replace("spec:\n", f"spec:\n  restartPolicy: {policy}\n", 1), "Pod/p", type=type_)


def test_type_job_and_daemonset() -> None:
    (job,) = generate(POD.replace("spec:\n", "spec:\n  restartPolicy: Never\n", 1), "Pod/p", type="job")
    assert (job["apiVersion"], job["kind"], job["metadata"]["name"]) == ("batch/v1", "Job", "p-job")
    assert (job["spec"]["completions"], job["spec"]["parallelism"], "selector" in job["spec"]) == (1, 1, False)
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert "imagePullPolicy" not in job["spec"]["template"]["spec"]["containers"][0]
    (daemon,) = generate(POD, "Pod/p", type="daemonset")
    assert (daemon["kind"], daemon["spec"]["selector"]) == ("DaemonSet", {"matchLabels": {"app": "p"}})


def test_stored_deployments_change_replicas_and_type() -> None:
    assert generate(DEPLOYMENT, "Deployment/web", replicas=5)[0]["spec"]["replicas"] == 5
    assert generate(DEPLOYMENT, "Deployment/web", type="daemonset")[0]["metadata"]["name"] == "web"
    (pod,) = generate(DEPLOYMENT, "Deployment/web", type="pod")
    assert (pod["kind"], pod["metadata"]) == ("Pod", {"name": "web", "labels": {"a": "b"}})


def test_service_publishes_what_the_pod_publishes() -> None:
    service, pod = generate(POD, "Pod/p", service=True)
    assert service["kind"] == "Service" and service["spec"]["type"] == "NodePort"
    assert service["spec"]["selector"] == {"app": "p"}
    assert service["spec"]["ports"] == [{"name": "80", "port": 80}]
    assert pod["spec"]["containers"][0]["ports"] == [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]
    service, deployment = generate(DEPLOYMENT, "Deployment/web", service=True)
    assert service["spec"]["selector"] == {"a": "b"}
    assert deployment["kind"] == "Deployment"


def test_service_of_a_pod_without_ports_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="no ports"):
        generate("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i}]}\n", "Pod/p", service=True)


def test_containers_share_one_pod_with_the_volumes_they_mount() -> None:
    stored = objects(POD)
    pod = stored[ObjectKey("Pod", "default", "p")]
    (made,) = documents.generate(Wanted(containers=((pod, "c"),)), stored.get)
    assert made["metadata"]["name"] == "c-pod"
    assert [c["name"] for c in made["spec"]["containers"]] == ["c"]
    assert [v["name"] for v in made["spec"]["volumes"]] == ["d"]
    (both,) = documents.generate(Wanted(containers=((pod, "e"), (pod, "c"))), stored.get)
    assert (both["metadata"]["name"], len(both["spec"]["containers"])) == ("e-pod", 2)
    with pytest.raises(InvalidInput, match="same name"):
        documents.generate(Wanted(containers=((pod, "c"), (pod, "c"))), stored.get)


def test_a_bare_volume_is_a_claim() -> None:
    (made,) = documents.generate(Wanted(volumes=(Volume("default", "v", (("uid", "7"),)),)), {}.get)
    assert made["metadata"] == {"name": "v", "annotations": {"volume.podman.io/uid": "7"}}
    assert made["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def test_a_namespace_is_kept_unless_it_is_the_default() -> None:
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n---\n"
    stored = objects(namespace + "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: other}\n")
    both = documents.generate(Wanted(tuple(stored.values())), stored.get)
    assert [obj["metadata"] for obj in both] == [{"name": "other"}, {"name": "m", "namespace": "other"}]
    assert "spec" not in both[0]


def test_nothing_is_written_twice() -> None:
    made = generate(POD + "---" + REST, "Pod/p", "ConfigMap/m", show_secrets=True)
    assert [obj["kind"] for obj in made].count("ConfigMap") == 1
