"""DaemonSets in virtual time (DS1): one pod on the one node, replaced when the template changes or it fails."""

from __future__ import annotations

from typing import Any

from kubeplay.kube import defaults, kinds
from kubeplay.plan.stack import ObjectKey
from kubeplay.supervisor.controllers import daemonset
from kubeplay.supervisor.controllers.model import Delete
from tests.support.cluster import Behaviour, Cluster

SET = ObjectKey("DaemonSet", "default", "agent")
SLOW = Behaviour(starts=1, ready=2, stops=3)


def daemon(**spec: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "agent"}},
            "template": {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}},
            **spec,
        },
    }
    kind = kinds.find("apps/v1", "DaemonSet")
    assert kind is not None
    return defaults.apply(body, kind)


class Watched(Cluster):
    """A cluster that counts how many pods live and how many are ready at any moment."""

    def __init__(self, behaviour: Behaviour = SLOW) -> None:
        super().__init__(daemonset, behave=lambda pod: behaviour)
        self.most = 0
        self.least = 99
        self.invariant = Watched._count

    def _count(self) -> None:
        living = [pod for pod in self.pods() if pod.deleted is None and pod.status.get("phase") != "Failed"]
        self.most = max(self.most, len(living))
        self.least = min(self.least, sum(1 for pod in living if daemonset.pods.ready(pod)))

    def told(self) -> dict[str, Any]:
        found = self.find(SET)
        assert found is not None
        return found.status

    def images(self) -> list[str]:
        return [pod.body["spec"]["containers"][0]["image"] for pod in self.pods()]


def running(cluster: Watched, **spec: Any) -> Watched:
    cluster.add(daemon(**spec))
    cluster.run(60)
    assert cluster.told()["numberReady"] == 1
    cluster.most, cluster.least = 0, 99
    return cluster


def roll(body: dict[str, Any]) -> None:
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "i:2"


def test_ds1_one_pod_and_its_status() -> None:
    cluster = running(Watched())
    (pod,) = cluster.pods()
    assert pod.key.name.startswith("agent-") and pod.body["metadata"]["generateName"] == "agent-"
    assert pod.body["metadata"]["labels"]["pod-template-generation"] == "1"
    told = cluster.told()
    names = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled", "numberAvailable")
    assert [told[name] for name in names] == [1] * 5 and told["numberMisscheduled"] == 0 and "numberUnavailable" not in told


def test_ds1_its_pods_stay_on_a_cordoned_node() -> None:
    (pod,) = running(Watched()).pods()
    assert {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"} in pod.body["spec"]["tolerations"]


def test_ds1_update_removes_the_old_pod_first() -> None:
    cluster = running(Watched())
    cluster.change(SET, roll)
    cluster.run(60)
    assert cluster.images() == ["i:2"] and cluster.most == 1
    assert cluster.told()["updatedNumberScheduled"] == 1


def test_ds1_update_with_a_surge_is_never_without_a_ready_pod() -> None:
    cluster = running(Watched(), updateStrategy={"rollingUpdate": {"maxSurge": "10%", "maxUnavailable": 0}})
    cluster.change(SET, roll)
    cluster.run(60)
    assert cluster.images() == ["i:2"] and cluster.most == 2 and cluster.least == 1


def test_ds1_a_surge_that_never_gets_ready_leaves_the_old_pod() -> None:
    cluster = running(Watched(), updateStrategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    cluster.behave = lambda pod: Behaviour(ready=None)
    cluster.change(SET, roll)
    cluster.run(600)
    assert sorted(cluster.images()) == ["i:1", "i:2"] and cluster.least == 1


def test_ds1_on_delete_waits_for_a_person() -> None:
    cluster = running(Watched(), updateStrategy={"type": "OnDelete"})
    cluster.change(SET, roll)
    cluster.run(60)
    assert cluster.images() == ["i:1"] and "updatedNumberScheduled" not in cluster.told()
    (pod,) = cluster.pods()
    cluster._apply(Delete(pod.key, pod.uid))
    cluster.run(60)
    assert cluster.images() == ["i:2"]


def test_ds1_failed_pods_come_again_after_one_second_doubling() -> None:
    cluster = Watched(Behaviour(ready=None, runs=0, code=1))
    cluster.add(daemon())
    times: list[float] = []
    seen: set[str] = set()

    def note(_: Cluster) -> None:
        for pod in cluster.pods():
            if pod.uid not in seen:
                seen.add(pod.uid)
                times.append(cluster.now)

    cluster.invariant = note
    cluster.run(130)
    waits = [round(later - sooner) for sooner, later in zip(times, times[1:])]
    assert waits[:6] == [1, 2, 4, 8, 16, 32]


def test_ds1_failed_pods_wait_at_most_fifteen_minutes() -> None:
    cluster = Watched(Behaviour(ready=None, runs=0, code=1))
    cluster.add(daemon())
    cluster.run(4 * 3600)
    before = {pod.uid for pod in cluster.pods()}
    took = cluster.run_until(lambda: not before & {pod.uid for pod in cluster.pods()})
    assert took <= 901


def test_ds1_history_and_rollback() -> None:
    cluster = running(Watched(), revisionHistoryLimit=1)
    for image in ("i:2", "i:3", "i:2"):
        cluster.change(SET, lambda body, i=image: body["spec"]["template"]["spec"]["containers"][0].update(image=i))  # type: ignore[misc]
        cluster.run(60)
    assert cluster.images() == ["i:2"]
    assert sorted(one.body["revision"] for one in cluster.list("ControllerRevision")) == [3, 4]
