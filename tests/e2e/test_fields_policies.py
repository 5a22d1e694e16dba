"""What rules over pods: PriorityClass, ServiceAccount, LimitRange, ResourceQuota; and roles, which rule over nothing here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.covers import covers
from tests.support.kubeplay import Machine, playing

pytestmark = pytest.mark.root

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: team}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: main, image: "busybox:1", command: [sleep, "1000"], resources: {resources}}}]
"""
SET = """
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web, namespace: team}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: "busybox:1", command: [sleep, "1000"]}]
"""
RULES = """
apiVersion: v1
kind: Namespace
metadata: {name: team}
---
apiVersion: v1
kind: LimitRange
metadata: {name: sizes, namespace: team}
spec:
  limits:
  - type: Container
    default: {memory: 64Mi}
    defaultRequest: {memory: 32Mi, cpu: 10m}
    min: {cpu: 5m}
    max: {memory: 128Mi}
    maxLimitRequestRatio: {memory: "4"}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: room, namespace: team}
spec: {hard: {pods: "3", requests.memory: 200Mi, configmaps: "1"}}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: short-lived, namespace: team}
spec:
  hard: {pods: "0"}
  scopes: [Terminating]
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: urgent, namespace: team}
spec:
  hard: {pods: "0"}
  scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In, values: [forbidden]}]}
"""


CLASSES = """
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: usual}
value: 7
globalDefault: true
description: what others get
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: forbidden}
value: 9
"""


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("policies"), image_archives) as machine:
        machine.play(RULES)
        yield machine


def _get(kp: Machine, what: str) -> Any:
    import json

    return json.loads(kp("-n", "team", "get", what, "-o", "json").out)


@covers("LimitRange.spec.limits[].type LimitRange.spec.limits[].default{} LimitRange.spec.limits[].defaultRequest{}")
def test_a_container_gets_the_namespaces_defaults(kp: Machine) -> None:
    kp.play(POD.format(name="plain", resources="{}"))
    pod = _get(kp, "pod/plain")
    assert pod["spec"]["containers"][0]["resources"] == {"limits": {"memory": "64Mi"}, "requests": {"cpu": "10m", "memory": "32Mi"}}
    said = pod["metadata"]["annotations"]["kubernetes.io/limit-ranger"]
    assert said.startswith("LimitRanger plugin set: ") and "for container main" in said
    files = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max"  # v1 and v2
    limit = kp("-n", "team", "exec", "plain", "sh", "-c", files, status=None).out
    assert str(64 << 20) in limit
    kp("-n", "team", "pod", "rm", "-f", "plain")


@covers("LimitRange.spec.limits[].min{} LimitRange.spec.limits[].max{} LimitRange.spec.limits[].maxLimitRequestRatio{}")
@pytest.mark.parametrize(
    ("resources", "why"),
    [
        ("{requests: {cpu: 1m}}", "minimum cpu usage per Container is 5m, but request is 1m"),
        ("{limits: {memory: 1Gi}}", "maximum memory usage per Container is 128Mi, but limit is 1Gi"),
        ("{limits: {memory: 100Mi}, requests: {memory: 10Mi}}", "ratio per Container is 4, but provided ratio is 10.000000"),
    ],
)
def test_bounds_are_kept(kp: Machine, resources: str, why: str) -> None:
    said = kp.play(POD.format(name="odd", resources=resources), status=125)
    assert 'pods "odd" is forbidden' in said.err and why in said.err
    assert not _get(kp, "pods")["items"]


@covers("ResourceQuota.spec.hard{} ResourceQuota.spec.scopes[]")
def test_a_quota_lets_in_what_it_has_room_for(kp: Machine) -> None:
    kp.play(POD.format(name="first", resources="{}"))
    said = kp.play(SET)
    assert 'exceeded quota: room, requested: pods=1, used: pods=3, limited: pods=3' in said.err
    kp.wait(lambda: _get(kp, "rs/web")["status"].get("replicas") == 2)
    status = {one["metadata"]["name"]: one["status"] for one in _get(kp, "quota")["items"]}
    assert status["room"]["used"] == {"pods": "3", "requests.memory": "96Mi", "configmaps": "0"}
    assert status["short-lived"]["used"] == {"pods": "0"}
    refused = kp.play(POD.format(name="second", resources="{}"), status=125)
    assert 'pods "second" is forbidden: exceeded quota: room' in refused.err
    kp("-n", "team", "pod", "rm", "-f", "first")
    kp.wait(lambda: _get(kp, "rs/web")["status"].get("replicas") == 3)  # its controller tries again
    kp.down(SET)
    short = POD.format(name="short", resources="{}").replace("spec:\n", "spec:\n  activeDeadlineSeconds: 100\n")
    assert "exceeded quota: short-lived" in kp.play(short, status=125).err


@covers(
    "PriorityClass.value PriorityClass.globalDefault PriorityClass.description ResourceQuota.spec.scopeSelector.matchExpressions[].values[]"
    " ResourceQuota.spec.scopeSelector.matchExpressions[].scopeName ResourceQuota.spec.scopeSelector.matchExpressions[].operator"
)
def test_a_pod_has_the_priority_of_its_class(kp: Machine) -> None:
    kp.play(CLASSES)
    kp.play(POD.format(name="some", resources="{}"))
    spec = _get(kp, "pod/some")["spec"]
    assert (spec["priorityClassName"], spec["priority"]) == ("usual", 7)
    kp("-n", "team", "pod", "rm", "-f", "some")
    named = POD.format(name="named", resources="{}").replace("spec:\n", "spec:\n  priorityClassName: forbidden\n")
    assert "exceeded quota: urgent" in kp.play(named, status=125).err
    nobody = POD.format(name="n", resources="{}").replace("spec:\n", "spec:\n  priorityClassName: nobody\n")
    assert "no PriorityClass with name nobody was found" in kp.play(nobody, status=125).err


@covers("ServiceAccount.imagePullSecrets[] ServiceAccount.imagePullSecrets[].name")
def test_a_pod_has_its_accounts_pull_secrets(kp: Machine) -> None:
    account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: puller, namespace: team}\nimagePullSecrets: [{name: login}]\n---\n"
    pod = POD.format(name="as", resources="{}").replace("spec:\n", "spec:\n  serviceAccountName: puller\n")
    assert 'service account "team/puller" not found' in kp.play(pod, status=125).err
    kp.play(account + pod)
    assert _get(kp, "pod/as")["spec"]["imagePullSecrets"] == [{"name": "login"}]
    kp.down(account + pod)


def test_roles_are_kept_and_said_to_have_no_effect(kp: Machine) -> None:
    role = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: team}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: read, namespace: team}
roleRef: {kind: Role, name: reader}
subjects: [{kind: User, name: jane}]
"""
    said = kp.play(role, "--log-level", "debug")
    assert "nobody asks for permission on one machine" in said.err
    assert _get(kp, "rolebinding/read")["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"
    kp.down(role)
