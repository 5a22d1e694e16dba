"""VL6, VO5: what `play kube --update` may change in place, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubeplay.kube import check
from kubeplay.play import stack as stacks
from kubeplay.play import update
from kubeplay.play.compile.options import CompileOptions

CONTAINER = {"name": "main", "image": "busybox:1"}


def pod(meta: dict[str, Any] | None = None, **spec: Any) -> Any:
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", **(meta or {})}, "spec": {"containers": [CONTAINER], **spec}}
    return stacks.build(check.read(json.dumps(obj).encode(), "x"), CompileOptions())


def faults(old: Any, new: Any) -> list[str]:
    return update.faults("Pod", old.objects[0].body, new.objects[0].body) or update.plan_faults(old.pods[0], new.pods[0])


TOLERATION = {"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}


@pytest.mark.parametrize(("old", "new"), [
    (pod(), pod({"labels": {"a": "b"}, "annotations": {"n": "x"}})),
    (pod(), pod(containers=[{**CONTAINER, "image": "busybox:2"}])),
    (pod(), pod(containers=[{**CONTAINER, "image": "busybox:latest"}])),
    (pod(initContainers=[{"name": "i", "image": "a:1"}]), pod(initContainers=[{"name": "i", "image": "b:1"}])),
    (pod(), pod(activeDeadlineSeconds=9)),
    (pod(activeDeadlineSeconds=9), pod(activeDeadlineSeconds=8)),
    (pod(), pod(tolerations=[TOLERATION])),
    (pod(tolerations=[TOLERATION]), pod(tolerations=[{**TOLERATION, "tolerationSeconds": 7}, {"operator": "Exists"}])),
    (pod(schedulingGates=[{"name": "g"}]), pod()),
    (pod(terminationGracePeriodSeconds=-5), pod(terminationGracePeriodSeconds=1)),
])  # fmt: skip
def test_vl6_what_may_change(old: Any, new: Any) -> None:
    assert faults(old, new) == []


@pytest.mark.parametrize(("old", "new", "said"), [
    (pod(), pod(containers=[{**CONTAINER, "command": ["x"]}]), "spec.containers[0].command"),
    (pod(), pod(containers=[{**CONTAINER, "imagePullPolicy": "Never"}]), "imagePullPolicy"),
    (pod(), pod(containers=[CONTAINER, {"name": "b", "image": "b:1"}]), "spec.containers[1]"),
    (pod(), pod(containers=[{**CONTAINER, "name": "other"}]), "spec.containers[0].name"),
    (pod(activeDeadlineSeconds=9), pod(activeDeadlineSeconds=10), "less than or equal to previous value 9"),
    (pod(activeDeadlineSeconds=9), pod(), "must not update from a positive integer to nil value"),
    (pod(tolerations=[TOLERATION]), pod(), "existing toleration can not be modified"),
    (pod(), pod(schedulingGates=[{"name": "g"}]), "g cannot be added"),
    (pod(), pod(terminationGracePeriodSeconds=1), "spec.terminationGracePeriodSeconds: 30 -> 1"),
    (pod(), pod(restartPolicy="Never"), "spec.restartPolicy"),
    (pod(), pod(volumes=[{"name": "v", "emptyDir": {}}]), "spec.volumes"),
    (pod(), pod(hostNetwork=True), "spec.hostNetwork"),
])  # fmt: skip
def test_vl6_what_may_not(old: Any, new: Any, said: str) -> None:
    found = faults(old, new)
    assert any(said in line for line in found), found


def test_vl6_an_annotation_that_changes_how_the_pod_runs_needs_a_new_pod() -> None:
    old = pod()
    new = stacks.build(check.read(json.dumps(json.loads(old.objects[0].body)).encode(), "x"), CompileOptions(networks=("none",)))
    found = faults(old, new)
    assert found and found[-1] == "an annotation or a flag changes how the pod runs"


def data(**fields: Any) -> str:
    return json.dumps({"metadata": {"name": "c"}, **fields})


@pytest.mark.parametrize(("kind", "old", "new", "said"), [
    ("ConfigMap", {"data": {"a": "1"}}, {"data": {"a": "2"}}, []),
    ("ConfigMap", {"data": {"a": "1"}}, {"binaryData": {"b": "AA=="}, "immutable": True}, []),
    ("ConfigMap", {"data": {"a": "1"}, "immutable": True}, {"data": {"a": "1"}, "immutable": True, "metadata": {"labels": {"x": "y"}}}, []),
    ("ConfigMap", {"data": {"a": "1"}, "immutable": True}, {"data": {"a": "2"}, "immutable": True}, ["data"]),
    ("ConfigMap", {"data": {"a": "1"}, "immutable": True}, {"data": {"a": "1"}}, ["immutable"]),
    ("Secret", {"data": {"a": "MQ=="}, "immutable": True}, {"stringData": {"a": "1"}, "immutable": True}, []),
    ("Secret", {"data": {"a": "MQ=="}, "type": "Opaque"}, {"data": {"a": "MQ=="}, "type": "x/y"}, ["type"]),
])  # fmt: skip
def test_vo5_immutable_objects(kind: str, old: dict[str, Any], new: dict[str, Any], said: list[str]) -> None:
    assert [line.split(":")[0] for line in update.faults(kind, data(**old), data(**new))] == said


def test_other_kinds_change_their_metadata_only() -> None:
    def storage(provisioner: str, **meta: Any) -> str:
        return json.dumps({"metadata": {"name": "s", **meta}, "provisioner": provisioner})

    assert update.faults("StorageClass", storage("a"), storage("a", labels={"a": "b"})) == []
    assert update.faults("StorageClass", storage("a"), storage("b")) == ['provisioner: "a" -> "b"']


TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}
LABELLED = {"metadata": {"labels": {"a": "b", "controller-uid": "u"}}, "spec": {"containers": []}}
SPEC: dict[str, Any] = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}


@pytest.mark.parametrize(("kind", "old", "new", "said"), [
    ("Deployment", {}, {"replicas": 7, "template": {}, "strategy": {"type": "Recreate"}, "paused": True}, []),
    ("Deployment", {}, {"selector": {"matchLabels": {"a": "c"}}}, ["spec.selector"]),
    ("ReplicaSet", {}, {"selector": {"matchLabels": {"a": "c"}}}, ["spec.selector"]),
    ("DaemonSet", {}, {"selector": {"matchLabels": {"a": "c"}}, "updateStrategy": {"type": "OnDelete"}}, ["spec.selector"]),
    ("StatefulSet", {}, {"replicas": 3, "template": {}, "minReadySeconds": 3, "ordinals": {"start": 1}}, []),
    ("StatefulSet", {}, {"serviceName": "other"}, ["spec"]),
    ("StatefulSet", {}, {"selector": {}, "podManagementPolicy": "Parallel"}, ["spec"]),
    ("Job", {}, {"parallelism": 3, "suspend": True, "backoffLimit": 1, "ttlSecondsAfterFinished": 3}, []),
    ("Job", {}, {"template": LABELLED}, []),
    ("Job", {"completions": 1}, {"completions": 2}, ["spec.completions"]),
    ("Job", {"completions": 1, "parallelism": 1, "completionMode": "Indexed"},
     {"completions": 2, "parallelism": 2, "completionMode": "Indexed"}, []),
    ("Job", {"completions": 1, "parallelism": 1, "completionMode": "Indexed"},
     {"completions": 2, "parallelism": 1, "completionMode": "Indexed"}, ["spec.completions"]),
    ("Job", {}, {"template": {"spec": {}}, "podFailurePolicy": {"rules": []}}, ["spec.podFailurePolicy", "spec.template"]),
    ("CronJob", {"schedule": "@daily"}, {"schedule": "@hourly", "suspend": True}, []),
])  # fmt: skip
def test_vl6_what_of_a_workload_stays(kind: str, old: dict[str, Any], new: dict[str, Any], said: list[str]) -> None:
    before, after = (json.dumps({"kind": kind, "metadata": {"name": "n"}, "spec": {**SPEC, **old, **one}}) for one in ({}, new))
    assert [line.split(":")[0] for line in update.faults(kind, before, after)] == said
