"""StatefulSets in virtual time (ST1-ST3): names, claims, the order in which pods come, go and are replaced."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.kube import defaults, kinds
from kubeplay.plan.stack import ObjectKey
from kubeplay.supervisor.controllers import statefulset
from kubeplay.supervisor.controllers.model import Thing
from tests.support.cluster import Behaviour, Cluster

SET = ObjectKey("StatefulSet", "default", "db")
SLOW = Behaviour(starts=1, ready=2, stops=3)


def stateful(**spec: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {
            "serviceName": "db",
            "selector": {"matchLabels": {"app": "db"}},
            "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}},
            **spec,
        },
    }
    kind = kinds.find("apps/v1", "StatefulSet")
    assert kind is not None
    return defaults.apply(body, kind)


class Watched(Cluster):
    """A cluster that notes when which pod comes, becomes ready and goes."""

    def __init__(self, **behaves: Behaviour) -> None:
        super().__init__(statefulset, behave=lambda pod: behaves.get(pod.key.name.rpartition("-")[2], behaves.get("all", SLOW)))
        self.story: list[str] = []
        self._before: dict[str, str] = {}
        self.invariant = Watched._note

    def _note(self) -> None:
        state = {pod.key.name + " " + pod.uid: "-" if pod.deleted is not None else "r" if ready(pod) else "+" for pod in self.pods()}
        for name in {**self._before, **state}:
            if state.get(name, "gone") != self._before.get(name):
                self.story.append(f"{name.split()[0]} {state.get(name, 'gone')}")
        self._before = state

    def at(self, name: str) -> Thing:
        found = self.find(ObjectKey("Pod", "default", name))
        assert found is not None
        return found

    def names(self) -> list[str]:
        return [pod.key.name for pod in self.pods()]

    def image(self, name: str) -> str:
        return str(self.at(name).body["spec"]["containers"][0]["image"])

    def told(self) -> dict[str, Any]:
        found = self.find(SET)
        assert found is not None
        return found.status


def ready(pod: Thing) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.status.get("conditions", []))


def roll(body: dict[str, Any]) -> None:
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "i:2"


def running(cluster: Watched, replicas: int = 3, **spec: Any) -> Watched:
    cluster.add(stateful(replicas=replicas, **spec))
    cluster.run(60)
    assert cluster.told()["readyReplicas"] == replicas
    cluster.story.clear()
    return cluster


def test_st1_names_labels_host_and_subdomain() -> None:
    cluster = running(Watched(), 2, ordinals={"start": 5})
    assert cluster.names() == ["db-5", "db-6"]
    body = cluster.at("db-6").body
    assert body["spec"]["hostname"] == "db-6" and body["spec"]["subdomain"] == "db"
    labels = body["metadata"]["labels"]
    assert labels["statefulset.kubernetes.io/pod-name"] == "db-6" and labels["apps.kubernetes.io/pod-index"] == "6"
    assert labels["controller-revision-hash"] == cluster.told()["updateRevision"]
    assert body["metadata"]["ownerReferences"][0]["controller"] is True


CLAIMS = [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}]


def claims(cluster: Cluster) -> list[str]:
    return [one.key.name for one in cluster.list("PersistentVolumeClaim")]


def test_st1_claims_are_made_used_and_kept() -> None:
    cluster = running(Watched(), 2, volumeClaimTemplates=CLAIMS)
    assert claims(cluster) == ["data-db-0", "data-db-1"]
    volume = cluster.at("db-1").body["spec"]["volumes"][0]
    assert volume == {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-1"}}
    cluster.change(SET, lambda body: body["spec"].update(replicas=0))
    cluster.run(60)
    cluster.delete(SET)
    cluster.run(60)
    assert cluster.names() == [] and claims(cluster) == ["data-db-0", "data-db-1"]


def test_st1_claim_template_replaces_a_volume_of_its_name() -> None:
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    template["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}, {"name": "x", "emptyDir": {}}]  # type: ignore[index]
    cluster = running(Watched(), 1, template=template, volumeClaimTemplates=CLAIMS)
    found = {volume["name"]: "persistentVolumeClaim" in volume for volume in cluster.at("db-0").body["spec"]["volumes"]}
    assert found == {"data": True, "x": False}


@pytest.mark.parametrize("policy, left", [("Delete", []), ("Retain", ["data-db-0"])])
def test_st1_when_deleted(policy: str, left: list[str]) -> None:
    retention = {"whenDeleted": policy, "whenScaled": "Retain"}
    cluster = running(Watched(), 1, volumeClaimTemplates=CLAIMS, persistentVolumeClaimRetentionPolicy=retention)
    cluster.delete(SET)
    cluster.run(60)
    assert claims(cluster) == left


@pytest.mark.parametrize("policy, left", [("Delete", ["data-db-0"]), ("Retain", ["data-db-0", "data-db-1"])])
def test_st1_when_scaled(policy: str, left: list[str]) -> None:
    retention = {"whenDeleted": "Retain", "whenScaled": policy}
    cluster = running(Watched(), 2, volumeClaimTemplates=CLAIMS, persistentVolumeClaimRetentionPolicy=retention)
    cluster.change(SET, lambda body: body["spec"].update(replicas=1))
    cluster.run(60)
    assert claims(cluster) == left and cluster.names() == ["db-0"]


def test_st2_ordered_pods_come_one_after_the_other() -> None:
    cluster = Watched()
    cluster.add(stateful(replicas=3))
    cluster.run(60)
    assert cluster.story == ["db-0 +", "db-0 r", "db-1 +", "db-1 r", "db-2 +", "db-2 r"]


def test_st2_min_ready_seconds_are_waited_for() -> None:
    cluster = Watched(all=Behaviour())
    cluster.add(stateful(replicas=2, minReadySeconds=10))
    assert cluster.run_until(lambda: "db-1" in cluster.names()) == pytest.approx(10, abs=0.1)
    assert cluster.told()["readyReplicas"] == 1 and cluster.told()["availableReplicas"] == 1


def test_st2_a_pod_that_is_not_ready_holds_up_the_next() -> None:
    cluster = Watched(**{"1": Behaviour(ready=None)})
    cluster.add(stateful(replicas=3))
    cluster.run(600)
    assert cluster.names() == ["db-0", "db-1"]


def test_st2_scaling_down_goes_from_the_highest_one_at_a_time() -> None:
    cluster = running(Watched())
    cluster.change(SET, lambda body: body["spec"].update(replicas=1))
    cluster.run(60)
    assert cluster.story == ["db-2 -", "db-2 gone", "db-1 -", "db-1 gone"]


def test_st2_scaling_down_stops_while_a_lower_pod_is_unhealthy() -> None:
    cluster = running(Watched())
    cluster.status(cluster.at("db-0").uid, phase="Running", ready=False)
    cluster.change(SET, lambda body: body["spec"].update(replicas=1))
    cluster.run(60)
    assert cluster.names() == ["db-0", "db-1", "db-2"]
    cluster.status(cluster.at("db-0").uid, phase="Running", ready=True)
    cluster.run(60)
    assert cluster.names() == ["db-0"]


def test_st2_parallel_comes_and_goes_at_once() -> None:
    cluster = Watched()
    cluster.add(stateful(replicas=3, podManagementPolicy="Parallel"))
    cluster.settle()
    assert cluster.names() == ["db-0", "db-1", "db-2"]
    cluster.run(60)
    cluster.change(SET, lambda body: body["spec"].update(replicas=0))
    cluster.settle()
    assert all(pod.deleted is not None for pod in cluster.pods())


@pytest.mark.parametrize("code", [0, 1])
def test_st2_ended_pods_come_again_under_their_name(code: int) -> None:
    cluster = running(Watched())
    first = cluster.at("db-1").uid
    cluster.end(first, code)
    cluster.run(60)
    assert cluster.at("db-1").uid != first and cluster.told()["readyReplicas"] == 3
    assert not any(line.startswith(("db-0", "db-2")) for line in cluster.story)


def test_st2_a_pod_that_fails_at_once_is_not_made_anew_without_end() -> None:
    cluster = Watched(all=Behaviour(ready=None, runs=0, code=1))
    cluster.add(stateful(replicas=1))
    cluster.run(100)
    assert len([line for line in cluster.story if line == "db-0 +"]) <= 11


def test_st3_update_from_the_highest_down_each_after_the_last_is_ready() -> None:
    cluster = running(Watched())
    cluster.change(SET, roll)
    cluster.run(120)
    turns = [[f"db-{n} -", f"db-{n} gone", f"db-{n} +", f"db-{n} r"] for n in (2, 1, 0)]
    assert cluster.story == [line for turn in turns for line in turn]
    told = cluster.told()
    assert told["currentRevision"] == told["updateRevision"] and told["updatedReplicas"] == told["currentReplicas"] == 3


def test_st3_update_of_parallel_goes_one_by_one_too() -> None:
    cluster = running(Watched(), podManagementPolicy="Parallel")
    cluster.change(SET, roll)
    cluster.run(120)
    assert [line for line in cluster.story if line.endswith(" -")] == ["db-2 -", "db-1 -", "db-0 -"]
    assert cluster.story.index("db-2 r") < cluster.story.index("db-1 -")


def test_st3_below_the_partition_the_old_revision_stays() -> None:
    cluster = running(Watched(), updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}})
    cluster.change(SET, roll)
    cluster.run(120)
    assert [cluster.image(f"db-{n}") for n in range(3)] == ["i:1", "i:1", "i:2"]
    cluster._apply(statefulset.Delete(ObjectKey("Pod", "default", "db-0"), cluster.at("db-0").uid))
    cluster.run(60)
    assert cluster.image("db-0") == "i:1", "what is made anew below the partition is of the old revision"
    told = cluster.told()
    assert told["currentRevision"] != told["updateRevision"] and (told["currentReplicas"], told["updatedReplicas"]) == (2, 1)
    cluster.change(SET, lambda body: body["spec"]["updateStrategy"]["rollingUpdate"].update(partition=0))
    cluster.run(120)
    assert [cluster.image(f"db-{n}") for n in range(3)] == ["i:2"] * 3


def test_st3_on_delete_waits_for_a_person() -> None:
    cluster = running(Watched(), updateStrategy={"type": "OnDelete"})
    cluster.change(SET, roll)
    cluster.run(120)
    assert cluster.story == []
    cluster._apply(statefulset.Delete(ObjectKey("Pod", "default", "db-1"), cluster.at("db-1").uid))
    cluster.run(60)
    assert [cluster.image(f"db-{n}") for n in range(3)] == ["i:1", "i:2", "i:1"]


def test_st3_an_update_that_never_gets_ready_stops_at_its_first_pod() -> None:
    cluster = running(Watched())
    cluster.behave = lambda pod: Behaviour(ready=None) if pod.body["spec"]["containers"][0]["image"] == "i:2" else SLOW
    cluster.change(SET, roll)
    cluster.run(600)
    assert [cluster.image(f"db-{n}") for n in range(3)] == ["i:1", "i:1", "i:2"]


def test_st3_a_rollback_takes_the_old_revision_again() -> None:
    cluster = running(Watched())
    first = cluster.told()["updateRevision"]
    cluster.change(SET, roll)
    cluster.run(120)
    cluster.change(SET, lambda body: body["spec"]["template"]["spec"]["containers"][0].update(image="i:1"))
    cluster.run(120)
    assert cluster.told()["updateRevision"] == first
    assert sorted(one.body["revision"] for one in cluster.list("ControllerRevision")) == [2, 3]


def test_st3_history_is_kept_up_to_its_limit() -> None:
    cluster = running(Watched(), 1, revisionHistoryLimit=2)
    for number in range(2, 7):
        cluster.change(SET, lambda body, n=number: body["spec"]["template"]["spec"]["containers"][0].update(image=f"i:{n}"))  # type: ignore[misc]
        cluster.run(60)
    assert len(cluster.list("ControllerRevision")) == 3, "two old ones and the present"


def test_st2_a_pod_of_the_name_that_nobody_owns_is_adopted() -> None:
    cluster = Watched()
    meta = {"name": "db-0", "namespace": "default", "labels": {"app": "db"}}
    cluster.add({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {}})
    own = cluster.add(stateful(replicas=1))
    cluster.run(30)
    assert cluster.at("db-0").owner_uid == own.uid


def test_st1_the_highest_ordinals_are_recognised() -> None:
    cluster = running(Watched(), 2, ordinals={"start": 2147483646})
    assert cluster.names() == ["db-2147483646", "db-2147483647"]
