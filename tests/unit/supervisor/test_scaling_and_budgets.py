"""Autoscaling in virtual time: the arithmetic, the windows and policies, what is said; disruption budgets beside it."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.clock import rfc3339
from kubeplay.kube import defaults, kinds
from kubeplay.plan.stack import ObjectKey
from kubeplay.supervisor import evicting
from kubeplay.supervisor.controllers import horizontalpodautoscaler, poddisruptionbudget, replicaset, scaling
from kubeplay.supervisor.controllers.metrics import Usage
from kubeplay.supervisor.controllers.model import Thing
from kubeplay.supervisor.controllers.scaling import Demand
from tests.support.cluster import Cluster

HPA = ObjectKey("HorizontalPodAutoscaler", "default", "h")
WEB = ObjectKey("ReplicaSet", "default", "web")
PODS = {"kind": "ReplicaSet", "name": "web", "apiVersion": "apps/v1"}


@pytest.mark.parametrize(
    ("demand", "wanted"),
    [
        (Demand(3, {"a": 300, "b": 500, "c": 700}, requests=dict.fromkeys("abc", 1000), share=30), 5),
        (Demand(3, {"a": 300, "b": 320, "c": 310}, requests=dict.fromkeys("abc", 1000), share=30), 3),  # within the tolerance
        (Demand(3, {"a": 100, "b": 100, "c": 100}, requests=dict.fromkeys("abc", 1000), share=30), 1),
        (Demand(4, {"a": 900}, unready="bcd", requests=dict.fromkeys("abcd", 1000), share=30), 4),  # the unready count as idle
        (Demand(3, {"a": 100}, missing="bc", requests=dict.fromkeys("abc", 1000), share=30), 3),  # the unknown as busy
        (Demand(2, {"a": 200, "b": 400}, average=100), 6),
    ],
)
def test_how_many_pods_a_metric_wants(demand: Demand, wanted: int) -> None:
    assert scaling.proposal(demand) == wanted


def test_it_grows_at_most_twofold_or_by_four_in_15_seconds() -> None:
    memory = scaling.Memory()
    assert scaling.step(memory, {}, 1, 100, (1, 100), 0.0).replicas == 5
    memory.changes.append((0.0, 4))
    assert scaling.step(memory, {}, 5, 100, (1, 100), 10.0).replicas == 5, "the period is not over"
    assert scaling.step(memory, {}, 5, 100, (1, 100), 16.0).replicas == 10


def test_it_shrinks_after_five_minutes_of_lower_recommendations() -> None:
    memory = scaling.Memory()
    assert scaling.step(memory, {}, 10, 10, (1, 100), 0.0).replicas == 10
    held = scaling.step(memory, {}, 10, 2, (1, 100), 100.0)
    assert held.replicas == 10 and held.held is not None and held.held[0] == "ScaleDownStabilized"
    assert scaling.step(memory, {}, 10, 2, (1, 100), 301.0).replicas == 2


@pytest.mark.parametrize(
    ("rules", "replicas"),
    [
        ({"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}], "stabilizationWindowSeconds": 0}, 9),
        ({"policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}], "stabilizationWindowSeconds": 0}, 5),
        ({"selectPolicy": "Disabled", "stabilizationWindowSeconds": 0}, 10),
        ({"stabilizationWindowSeconds": 0, "selectPolicy": "Min", "policies": [
            {"type": "Pods", "value": 1, "periodSeconds": 60}, {"type": "Percent", "value": 50, "periodSeconds": 60}]}, 9),
    ],
)  # fmt: skip
def test_policies_of_scaling_down(rules: dict[str, Any], replicas: int) -> None:
    assert scaling.step(scaling.Memory(), {"scaleDown": rules}, 10, 1, (1, 100), 0.0).replicas == replicas


def test_bounds_are_said() -> None:
    step = scaling.step(scaling.Memory(), {}, 4, 9, (1, 6), 0.0)
    assert step.replicas == 6 and step.limited is not None and step.limited[0] == "TooManyReplicas"


def body(kind: str, version: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    found = kinds.find(version, kind)
    assert found is not None
    obj = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec}
    return defaults.apply(obj, found)


class Load(Cluster):
    """A ReplicaSet whose pods share a load evenly."""

    def __init__(self, replicas: int = 1, version: str = "autoscaling/v2", **spec: Any) -> None:
        super().__init__(replicaset, horizontalpodautoscaler)
        container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "100m", "memory": "10Mi"}}}
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
        self.add(
            body("ReplicaSet", "apps/v1", "web", {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template})
        )
        self.run(600)
        self.load = 0
        self.add(body("HorizontalPodAutoscaler", version, "h", {"scaleTargetRef": PODS, "maxReplicas": 10, **spec}))

    def under(self, load: int, seconds: float) -> int:
        """So much load for a while; how many pods that makes."""
        until = self.now + seconds
        while self.now < until:
            there = [pod for pod in self.pods() if pod.deleted is None]
            for pod in there:
                self.usage[pod.uid] = {"c": Usage(self.now, 15.0, load // len(there), 1 << 20)}
            self.run(15)
        return self.size()

    def size(self) -> int:
        found = self.find(WEB)
        assert found is not None
        return int(found.body["spec"]["replicas"])

    def condition(self, kind: str) -> dict[str, Any]:
        found = self.find(HPA)
        assert found is not None
        return next(c for c in found.status["conditions"] if c["type"] == kind)


def test_the_size_follows_the_load_up_and_later_down() -> None:
    cluster = Load(metrics=[{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}])
    assert cluster.under(300, 120) == 6
    assert cluster.under(5000, 120) == 10 and cluster.condition("ScalingLimited")["reason"] == "TooManyReplicas"
    assert cluster.under(100, 60) == 10 and cluster.condition("AbleToScale")["reason"] == "ScaleDownStabilized"
    assert cluster.under(100, 600) == 2
    assert any(note.reason == "SuccessfulRescale" and "All metrics below target" in note.message for note in cluster.notes)


def test_the_first_version_has_the_cpu_alone() -> None:
    cluster = Load(version="autoscaling/v1", targetCPUUtilizationPercentage=50)
    assert cluster.under(300, 120) == 6
    status = cluster.find(HPA).status  # type: ignore[union-attr]
    assert status["currentReplicas"] == 6 and status["currentCPUUtilizationPercentage"] == 50


def test_bounds_hold_without_any_metric() -> None:
    cluster = Load(replicas=1, minReplicas=3)
    cluster.run(1)
    assert cluster.size() == 3


def test_what_cannot_be_measured_is_said() -> None:
    cluster = Load()
    cluster.run(1)
    assert cluster.condition("ScalingActive")["reason"] == "FailedGetResourceMetric"
    cluster.delete(WEB)
    cluster.run(30)
    assert cluster.condition("AbleToScale")["reason"] == "FailedGetScale"


def test_nothing_is_scaled_from_none() -> None:
    cluster = Load(replicas=0)
    cluster.run(30)
    assert cluster.size() == 0 and cluster.condition("ScalingActive")["reason"] == "ScalingDisabled"


# budgets
def budget(spec: dict[str, Any], replicas: int = 4) -> Cluster:
    cluster = Cluster(replicaset, poddisruptionbudget)
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    chosen = {"matchLabels": {"app": "web"}}
    cluster.add(body("ReplicaSet", "apps/v1", "web", {"replicas": replicas, "selector": chosen, "template": template}))
    cluster.add(body("PodDisruptionBudget", "policy/v1", "b", {"selector": chosen, **spec}))
    cluster.run(10)
    return cluster


def told(cluster: Cluster) -> Thing:
    found = cluster.find(ObjectKey("PodDisruptionBudget", "default", "b"))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("spec", "wanted", "allowed"),
    [
        ({"minAvailable": 3}, 3, 1),
        ({"minAvailable": "50%"}, 2, 2),
        ({"minAvailable": "51%"}, 3, 1),  # rounded up
        ({"maxUnavailable": 1}, 3, 1),
        ({"maxUnavailable": "30%"}, 2, 2),  # rounded up too
        ({"maxUnavailable": 0}, 4, 0),
        ({"minAvailable": 9}, 9, 0),
    ],
)
def test_a_budget_in_numbers(spec: dict[str, Any], wanted: int, allowed: int) -> None:
    status = told(budget(spec)).status
    assert (status["desiredHealthy"], status["disruptionsAllowed"], status["expectedPods"]) == (wanted, allowed, 4)
    assert status["conditions"][0]["reason"] == ("SufficientPods" if allowed else "InsufficientPods")


def test_a_budget_follows_its_pods() -> None:
    cluster = budget({"minAvailable": 3})
    cluster.status(cluster.pods()[0].uid, phase="Running", ready=False)
    cluster.run(1)
    assert told(cluster).status["currentHealthy"] == 3 and told(cluster).status["disruptionsAllowed"] == 0


# eviction
def test_one_more_than_the_budget_allows_is_refused() -> None:
    cluster = budget({"minAvailable": 3})
    first = evicting.verdict(cluster, cluster.pods()[0], cluster.now)
    assert not first.why and first.budget is not None and first.budget.key.name == "b"
    cluster.status(cluster.pods()[0].uid, phase="Running", ready=False)
    refused = evicting.verdict(cluster, cluster.pods()[1], cluster.now)
    assert refused.why == f"{evicting.REFUSED} The disruption budget b needs 3 healthy pods and has 3 currently"
    assert not evicting.verdict(cluster, cluster.pods()[0], cluster.now).why, "an unready pod may go: the others suffice"


@pytest.mark.parametrize(("policy", "may"), [("AlwaysAllow", True), ("IfHealthyBudget", False)])
def test_unready_pods_of_a_budget_in_trouble(policy: str, may: bool) -> None:
    cluster = budget({"minAvailable": 4, "unhealthyPodEvictionPolicy": policy})
    cluster.status(cluster.pods()[0].uid, phase="Running", ready=False)
    assert (not evicting.verdict(cluster, cluster.pods()[0], cluster.now).why) == may


def test_two_budgets_of_one_pod_are_too_many() -> None:
    cluster = budget({"maxUnavailable": 4})
    cluster.add(body("PodDisruptionBudget", "policy/v1", "c", {"selector": {"matchLabels": {"app": "web"}}, "minAvailable": 0}))
    cluster.run(1)
    assert evicting.verdict(cluster, cluster.pods()[0], cluster.now).why == evicting.SEVERAL


def test_an_eviction_that_is_not_seen_yet_counts() -> None:
    cluster = budget({"minAvailable": 3})
    own = told(cluster)
    cluster._put(own._replace(status={**own.status, "disruptedPods": {cluster.pods()[0].key.name: rfc3339(cluster.now)}}))
    assert evicting.verdict(cluster, cluster.pods()[1], cluster.now).why
    cluster.run(130)
    assert told(cluster).status["disruptionsAllowed"] == 1, "one that never happened is forgotten"
