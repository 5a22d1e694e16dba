"""Deployments, ReplicaSets, namespaces, lists: how many pods there really are, their names, and who owns them (DE, RS)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.covers import covers
from tests.support.kubeplay import Machine, playing

pytestmark = pytest.mark.root

WEB = 'image: "busybox:1", command: [sh, -c, "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"]'
MANIFEST = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: space, labels: {{team: a}}, annotations: {{note: text}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: space, labels: {{l: deployment}}}}
spec:
  replicas: 3
  paused: false
  selector:
    matchLabels: {{app: web}}
    matchExpressions: [{{key: tier, operator: In, values: [front, back]}}, {{key: old, operator: DoesNotExist}}]
  template:
    metadata: {{labels: {{app: web, tier: front}}, annotations: {{from: template}}}}
    spec:
      terminationGracePeriodSeconds: 0
      initContainers: [{{name: init, image: "busybox:1", command: [hostname]}}]
      containers: [{{name: main, {WEB}, ports: [{{containerPort: 8080}}]}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: space}}
spec: {{selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {{name: set}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: set}}, matchExpressions: [{{key: app, operator: Exists}}, {{key: app, operator: NotIn, values: [web]}}]}}
  template:
    metadata: {{labels: {{app: set}}}}
    spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: main, image: "busybox:1", command: [sleep, "1000"]}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: none}}
spec:
  replicas: 0
  selector: {{matchLabels: {{app: none}}}}
  template: {{metadata: {{labels: {{app: none}}}}, spec: {{containers: [{{name: main, image: "busybox:1"}}]}}}}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {{name: listed}}
  data: {{k: from-a-list}}
- apiVersion: v1
  kind: Pod
  metadata: {{generateName: made-, labels: {{app: made}}}}
  spec:
    terminationGracePeriodSeconds: 0
    containers: [{{name: main, image: "busybox:1", command: [sleep, "1000"], envFrom: [{{configMapRef: {{name: listed}}}}]}}]
"""


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("workloads"), image_archives, MANIFEST) as machine:
        yield machine


def names(kp: Machine, namespace: str = "default") -> list[str]:
    """The pods of a namespace."""
    return sorted({row["Name"] for row in kp("-n", namespace, "pod", "ps", "--format", "json").json})


def inspected(kp: Machine, pod: str, namespace: str) -> dict[str, Any]:
    found: Any = kp("-n", namespace, "pod", "inspect", pod, "--format", "json").json
    return dict(found[0] if isinstance(found, list) else found)


@covers("Deployment.spec.replicas Deployment.spec.template Deployment.spec.paused Namespace.spec meta.namespace meta.labels{} "
        "meta.annotations{} Any.apiVersion Any.kind")  # fmt: skip
def test_de2_a_deployment_is_really_that_many_pods(kp: Machine) -> None:
    pods = names(kp, "space")
    assert len(pods) == 3 and len({name.rsplit("-", 1)[0] for name in pods}) == 1
    assert all(re.fullmatch(r"web-[0-9a-z]+-[bcdfghjklmnpqrstvwxz2456789]{5}", name) for name in pods)
    metadata = inspected(kp, pods[0], "space")["metadata"]
    assert metadata["labels"].items() >= {"app": "web", "tier": "front"}.items() and metadata["annotations"]["from"] == "template"
    assert metadata["labels"]["pod-template-hash"] in pods[0]
    owner = metadata["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("ReplicaSet", pods[0].rsplit("-", 1)[0], True)
    assert not [name for name in names(kp) if name.startswith("none-")]


@covers("ReplicaSet.spec.replicas ReplicaSet.spec.template")
def test_rs_a_replica_set_is_really_that_many_pods(kp: Machine) -> None:
    pods = [name for name in names(kp) if name.startswith("set-")]
    assert len(pods) == 2
    assert {inspected(kp, name, "default")["metadata"]["ownerReferences"][0]["kind"] for name in pods} == {"ReplicaSet"}


@covers("Deployment.spec.selector.matchLabels{} Deployment.spec.selector.matchExpressions[].key "
        "Deployment.spec.selector.matchExpressions[].operator Deployment.spec.selector.matchExpressions[].values[] "
        "ReplicaSet.spec.selector.matchLabels{} ReplicaSet.spec.selector.matchExpressions[].key "
        "ReplicaSet.spec.selector.matchExpressions[].operator ReplicaSet.spec.selector.matchExpressions[].values[]")  # fmt: skip
def test_de1_a_selector_that_misses_its_own_template_is_refused(kp: Machine) -> None:
    for kind in ("Deployment", "ReplicaSet"):
        for selector in ("matchLabels: {app: other}", "matchExpressions: [{key: app, operator: NotIn, values: [mine]}]"):
            text = f"""
apiVersion: apps/v1
kind: {kind}
metadata: {{name: wrong}}
spec:
  selector: {{{selector}}}
  template: {{metadata: {{labels: {{app: mine}}}}, spec: {{containers: [{{name: main, image: "busybox:1"}}]}}}}
"""
            assert "selector" in kp.play(text, status=125).err


@covers("meta.name meta.namespace")
def test_sv1_every_replica_serves_and_names_reach_across_namespaces(kp: Machine) -> None:
    pods = names(kp, "space")
    client = next(name for name in names(kp) if name.startswith("set-"))

    def served() -> list[str]:
        return sorted(set(kp.sh(client, "for i in $(seq 40); do timeout 60 wget -qO- http://web.space; done", status=None).split()))

    assert kp.wait(lambda: served() if served() == pods else None) == pods
    assert "bad address" in kp.sh(client, "timeout 60 wget -qO- http://web.default.svc.cluster.local. 2>&1; true")


@covers("meta.generateName")
def test_a_list_and_a_generated_name(kp: Machine) -> None:
    made = [name for name in names(kp) if name.startswith("made-")]
    assert len(made) == 1 and re.fullmatch(r"made-[0-9a-z]{5}", made[0])
    assert kp.sh(made[0], "echo $k") == "from-a-list"
    assert kp.play(MANIFEST).lines[0] == "Nothing has changed."  # the generated name stays the same
    assert [name for name in names(kp) if name.startswith("made-")] == made


def test_down_takes_what_the_controllers_own(kp: Machine) -> None:
    text = MANIFEST.replace("name: space", "name: other").replace("namespace: space", "namespace: other")
    text = "---".join([*text.split("---")[:3]])
    kp.play(text)
    assert len(names(kp, "other")) == 3
    kp.down(text)
    assert names(kp, "other") == [] and len(names(kp, "space")) == 3
    assert not [line for line in kp("-n", "other", "ps", "-a", "-q").lines if line]
