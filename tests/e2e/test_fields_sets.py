"""StatefulSets, DaemonSets and disruption budgets with real containers: names, claims that outlive their pods, order (ST1-ST3, DS1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.covers import covers
from tests.support.kubeplay import Machine, playing

pytestmark = pytest.mark.root

RUN = 'image: "busybox:1", command: [sh, -c, "hostname -f >> /data/log; trap exit TERM; sleep 1000 & wait"]'
MANIFEST = f"""
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db}}
spec:
  serviceName: peers
  replicas: 2
  ordinals: {{start: 3}}
  podManagementPolicy: OrderedReady
  minReadySeconds: 0
  revisionHistoryLimit: 2
  updateStrategy: {{type: RollingUpdate, rollingUpdate: {{partition: 0}}}}
  persistentVolumeClaimRetentionPolicy: {{whenDeleted: Retain, whenScaled: Delete}}
  selector:
    matchLabels: {{app: db}}
    matchExpressions: [{{key: app, operator: In, values: [db]}}]
  template:
    metadata: {{labels: {{app: db}}}}
    spec:
      terminationGracePeriodSeconds: 2
      containers: [{{name: main, {RUN}, volumeMounts: [{{name: data, mountPath: /data}}]}}]
  volumeClaimTemplates:
  - apiVersion: v1
    kind: PersistentVolumeClaim
    metadata: {{name: data, labels: {{disk: own}}, annotations: {{note: text}}}}
    spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Mi}}}}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: db}}
spec:
  minAvailable: 50%
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector: {{matchLabels: {{app: db}}, matchExpressions: [{{key: app, operator: In, values: [db]}}]}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: agent}}
spec: {{maxUnavailable: 0, selector: {{matchLabels: {{app: agent}}}}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: agent}}
spec:
  minReadySeconds: 0
  revisionHistoryLimit: 2
  updateStrategy: {{type: RollingUpdate, rollingUpdate: {{maxSurge: 1, maxUnavailable: 0}}}}
  selector: {{matchLabels: {{app: agent}}, matchExpressions: [{{key: app, operator: In, values: [agent]}}]}}
  template:
    metadata: {{labels: {{app: agent}}}}
    spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: main, image: "busybox:1", command: [sleep, "1000"]}}]}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: "busybox:1"
        command: [sleep, "1000"]
        resources: {{requests: {{cpu: 1m, memory: 1Ki}}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{name: web}}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: ReplicaSet, name: web}}
  minReplicas: 1
  maxReplicas: 2
  metrics:
  - {{type: Resource, resource: {{name: memory, target: {{type: Utilization, averageUtilization: 10}}}}}}
  - {{type: ContainerResource, containerResource: {{name: memory, container: main, target: {{type: AverageValue, averageValue: 1Ki}}}}}}
  - {{type: Resource, resource: {{name: memory, target: {{type: AverageValue, averageValue: 1Ki}}}}}}
  - {{type: ContainerResource, containerResource: {{name: memory, container: main, target: {{type: Utilization, averageUtilization: 9}}}}}}
  behavior:
    scaleUp: {{stabilizationWindowSeconds: 0, selectPolicy: Max, policies: [{{type: Pods, value: 4, periodSeconds: 15}}]}}
    scaleDown: {{stabilizationWindowSeconds: 60, selectPolicy: Max, policies: [{{type: Percent, value: 100, periodSeconds: 15}}]}}
"""
FIRST = """
apiVersion: autoscaling/v1
kind: HorizontalPodAutoscaler
metadata: {name: idle}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: db}, maxReplicas: 3, targetCPUUtilizationPercentage: 50}
"""


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("sets"), image_archives, MANIFEST) as machine:
        machine.wait(lambda: told(machine, "sts/db").get("readyReplicas") == 2)
        yield machine


def told(kp: Machine, name: str) -> dict[str, Any]:
    """An object's status."""
    status: dict[str, Any] = kp("get", name, "-o", "json").json.get("status") or {}
    return status


def names(kp: Machine, app: str) -> list[str]:
    return [one.removeprefix("pod/") for one in kp("get", "pods", "-l", f"app={app}", "-o", "name").lines]


@covers("StatefulSet.spec.replicas StatefulSet.spec.template StatefulSet.spec.serviceName StatefulSet.spec.ordinals.start "
        "StatefulSet.spec.podManagementPolicy StatefulSet.spec.minReadySeconds StatefulSet.spec.updateStrategy.type "
        "StatefulSet.spec.updateStrategy.rollingUpdate.partition StatefulSet.spec.revisionHistoryLimit")  # fmt: skip
def test_st1_pods_have_names_and_hosts_of_their_own(kp: Machine) -> None:
    assert names(kp, "db") == ["db-3", "db-4"]
    assert kp.sh("db-4", "cat /data/log") == "db-4.peers.default.svc.cluster.local"
    first, second = (kp.pod(name)["metadata"]["creationTimestamp"] for name in ("db-3", "db-4"))
    assert first <= second
    status = told(kp, "sts/db")
    assert status["currentRevision"] == status["updateRevision"] and status["availableReplicas"] == 2


@covers("StatefulSet.spec.volumeClaimTemplates[].apiVersion StatefulSet.spec.volumeClaimTemplates[].kind "
        "StatefulSet.spec.volumeClaimTemplates[].metadata "
        "StatefulSet.spec.volumeClaimTemplates[].spec StatefulSet.spec.persistentVolumeClaimRetentionPolicy.whenDeleted "
        "StatefulSet.spec.persistentVolumeClaimRetentionPolicy.whenScaled")  # fmt: skip
def test_st1_a_pod_that_is_deleted_comes_again_with_its_data(kp: Machine) -> None:
    before = kp.pod("db-3")["metadata"]["uid"]
    kp("pod", "rm", "-f", "-t", "0", "db-3")
    kp.wait(lambda: "db-3" in names(kp, "db") and kp.pod("db-3")["metadata"]["uid"] != before and told(kp, "sts/db")["readyReplicas"] == 2)
    assert len(kp.sh("db-3", "cat /data/log").splitlines()) == 2
    claim = kp("get", "pvc/data-db-3", "-o", "json").json["metadata"]
    assert claim["labels"] == {"app": "db", "disk": "own"} and claim["annotations"]["note"] == "text"


@covers("DaemonSet.spec.template DaemonSet.spec.minReadySeconds DaemonSet.spec.revisionHistoryLimit DaemonSet.spec.updateStrategy.type "
        "DaemonSet.spec.updateStrategy.rollingUpdate.maxSurge DaemonSet.spec.updateStrategy.rollingUpdate.maxUnavailable")  # fmt: skip
def test_ds1_one_pod_that_comes_again(kp: Machine) -> None:
    (first,) = names(kp, "agent")
    kp("pod", "rm", "-f", "-t", "0", first)
    kp.wait(lambda: names(kp, "agent") not in ([], [first]) and told(kp, "ds/agent").get("numberAvailable") == 1)
    assert told(kp, "ds/agent")["desiredNumberScheduled"] == 1


@covers("PodDisruptionBudget.spec.minAvailable PodDisruptionBudget.spec.maxUnavailable PodDisruptionBudget.spec.unhealthyPodEvictionPolicy "
        "PodDisruptionBudget.spec.selector.matchLabels{} PodDisruptionBudget.spec.selector.matchExpressions[].key "
        "PodDisruptionBudget.spec.selector.matchExpressions[].operator "
        "PodDisruptionBudget.spec.selector.matchExpressions[].values[]")  # fmt: skip
def test_a_budget_counts_what_may_go(kp: Machine) -> None:
    wanted = {"expectedPods": 2, "desiredHealthy": 1, "currentHealthy": 2, "disruptionsAllowed": 1}
    assert kp.wait(lambda: told(kp, "pdb/db").items() >= wanted.items())


def test_what_a_budget_forbids_is_refused(kp: Machine) -> None:
    (agent,) = names(kp, "agent")
    kp.wait(lambda: "disruptionsAllowed" in told(kp, "pdb/agent"))
    refused = kp("delete", "pod", agent, "--evict", status=None)
    assert refused.status and "violate the pod's disruption budget" in refused.err and names(kp, "agent") == [agent]
    assert "--ignore-daemonsets" in kp("drain", status=None).err


def test_a_drain_evicts_no_faster_than_the_budget_allows(kp: Machine) -> None:
    before = {name: kp.pod(name)["metadata"]["uid"] for name in names(kp, "db")}
    said = kp("drain", "--pod-selector", "app=db", "--grace-period", "0", "--timeout", "100s")
    assert [line for line in said.lines if line.endswith(" evicted")] == ["pod/db-3 evicted", "pod/db-4 evicted"]
    kp.wait(lambda: told(kp, "sts/db").get("readyReplicas") == 2)
    assert not set(before.values()) & {kp.pod(name)["metadata"]["uid"] for name in names(kp, "db")}


@covers("StatefulSet.spec.selector.matchLabels{} StatefulSet.spec.selector.matchExpressions[].key "
        "StatefulSet.spec.selector.matchExpressions[].operator StatefulSet.spec.selector.matchExpressions[].values[] "
        "DaemonSet.spec.selector.matchLabels{} DaemonSet.spec.selector.matchExpressions[].key "
        "DaemonSet.spec.selector.matchExpressions[].operator DaemonSet.spec.selector.matchExpressions[].values[]")  # fmt: skip
def test_a_selector_that_misses_its_own_template_is_refused(kp: Machine) -> None:
    for kind in ("StatefulSet", "DaemonSet"):
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


@covers("HorizontalPodAutoscaler.spec.scaleTargetRef.apiVersion HorizontalPodAutoscaler.spec.scaleTargetRef.kind "
        "HorizontalPodAutoscaler.spec.scaleTargetRef.name HorizontalPodAutoscaler.spec.minReplicas "
        "HorizontalPodAutoscaler.spec.maxReplicas "
        "HorizontalPodAutoscaler.spec.metrics[].type HorizontalPodAutoscaler.spec.metrics[].resource.name "
        "HorizontalPodAutoscaler.spec.metrics[].resource.target.type "
        "HorizontalPodAutoscaler.spec.metrics[].resource.target.averageUtilization "
        "HorizontalPodAutoscaler.spec.metrics[].containerResource.name HorizontalPodAutoscaler.spec.metrics[].containerResource.container "
        "HorizontalPodAutoscaler.spec.metrics[].containerResource.target.type "
        "HorizontalPodAutoscaler.spec.metrics[].containerResource.target.averageValue "
        "HorizontalPodAutoscaler.spec.metrics[].resource.target.averageValue "
        "HorizontalPodAutoscaler.spec.metrics[].containerResource.target.averageUtilization "
        "HorizontalPodAutoscaler.spec.behavior.scaleUp.stabilizationWindowSeconds "
        "HorizontalPodAutoscaler.spec.behavior.scaleUp.selectPolicy HorizontalPodAutoscaler.spec.behavior.scaleUp.policies[].type "
        "HorizontalPodAutoscaler.spec.behavior.scaleUp.policies[].value "
        "HorizontalPodAutoscaler.spec.behavior.scaleUp.policies[].periodSeconds "
        "HorizontalPodAutoscaler.spec.behavior.scaleDown.stabilizationWindowSeconds "
        "HorizontalPodAutoscaler.spec.behavior.scaleDown.selectPolicy HorizontalPodAutoscaler.spec.behavior.scaleDown.policies[].type "
        "HorizontalPodAutoscaler.spec.behavior.scaleDown.policies[].value "
        "HorizontalPodAutoscaler.spec.behavior.scaleDown.policies[].periodSeconds")  # fmt: skip
def test_an_autoscaler_measures_and_scales(kp: Machine) -> None:
    """A sleeping busybox uses far more than 1 KiB of memory, so there are soon as many as may be."""
    kp.wait(lambda: len(names(kp, "web")) == 2)
    status = kp.wait(lambda: one if (one := told(kp, "hpa/web")).get("currentReplicas") == 2 else None) or {}
    assert {c["type"]: c["status"] for c in status["conditions"]}["ScalingActive"] == "True"


@covers("HorizontalPodAutoscaler.spec.targetCPUUtilizationPercentage")
def test_the_first_version_of_autoscalers_is_taken_too(kp: Machine) -> None:
    kp.play(FIRST)
    assert "/50%" in kp("get", "hpa").out
    assert "autoscaling/v1" in kp("generate", "kube", "hpa/idle").out
    kp.down(FIRST)


def test_st1_generate_gives_it_back(kp: Machine) -> None:
    text = kp("generate", "kube", "statefulset/db").out
    assert "volumeClaimTemplates" in text and "podManagementPolicy" not in text and "status" not in text
