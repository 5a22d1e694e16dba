"""Section 14, ReplicaSet, in virtual time: RP1 and RP2."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.clock import rfc3339
from kubeplay.plan.stack import ObjectKey
from kubeplay.supervisor.controllers import model, replicaset
from tests.support.replicas import EPOCH, Cluster, deployed

Json = dict[str, Any]


def replica_set(replicas: int = 3, **spec: Any) -> Json:
    body = deployed(replicas)
    return {**body, "kind": "ReplicaSet", "spec": {name: body["spec"][name] for name in ("replicas", "selector", "template")} | spec}


def pod(name: str, status: Json | None = None, created: float = 0.0, **meta: Any) -> model.Thing:
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}, **meta}, "spec": {"nodeName": "n"}}
    return model.Thing(ObjectKey("Pod", "default", name), name, 1, 1, EPOCH + created, None, "rs", body, status or running())


def running(ready: float | None = 0.0, phase: str = "Running", restarts: int = 0) -> Json:
    condition = {"type": "Ready", "status": "False" if ready is None else "True", "lastTransitionTime": rfc3339(EPOCH + (ready or 0.0))}
    return {"phase": phase, "conditions": [condition], "containerStatuses": [{"restartCount": restarts}]}


def unassigned(name: str) -> model.Thing:
    found = pod(name)
    return found._replace(body={**found.body, "spec": {}})


COST = {"controller.kubernetes.io/pod-deletion-cost": "-5"}
PAIRS = {
    "unassigned": (unassigned("b"), pod("a", running(None, "Pending"))),
    "pending": (pod("b", running(None, "Pending")), pod("a", running(None))),
    "unknown": (pod("b", running(None, "Unknown")), pod("a", running(None))),
    "not ready": (pod("b", running(None)), pod("a", running(), annotations=COST)),
    "cheap": (pod("b", running(0.0), annotations=COST), pod("a", running(9.0))),
    "newer ready": (pod("b", running(9.0)), pod("a", running(5.0, restarts=7))),
    "more restarts": (pod("b", running(5.0, restarts=7)), pod("a", running(5.0), created=9.0)),
    "newer": (pod("b", created=9.0), pod("a", created=5.0)),
}


@pytest.mark.parametrize(("first", "second"), PAIRS.values(), ids=PAIRS.keys())
def test_rp1_which_pod_goes_first(first: model.Thing, second: model.Thing) -> None:
    own = model.Thing(ObjectKey("ReplicaSet", "default", "web"), "rs", 1, 1, EPOCH, None, "", replica_set(1), {"replicas": 2})
    for order in ((first, second), (second, first)):
        decision = replicaset.decide(model.World([own, *order]), own, EPOCH + 100)
        assert [action.key.name for action in decision.actions if isinstance(action, model.Delete)] == [first.key.name]


@pytest.mark.parametrize("text", ["", "x", "1.5", "99999999999999999999", "--1"])
def test_rp1_a_cost_that_is_no_number_costs_nothing(text: str) -> None:
    own = model.Thing(ObjectKey("ReplicaSet", "default", "web"), "rs", 1, 1, EPOCH, None, "", replica_set(1), {"replicas": 2})
    odd = pod("b", running(9.0), annotations={"controller.kubernetes.io/pod-deletion-cost": text})
    decision = replicaset.decide(model.World([own, odd, pod("a", running(5.0))]), own, EPOCH + 100)
    assert [action.key.name for action in decision.actions if isinstance(action, model.Delete)] == ["b"]


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_rp1_ended_pods_do_not_count_and_are_replaced(phase: str) -> None:
    cluster = Cluster()
    cluster.apply(replica_set(3))
    cluster.run()
    ended = cluster.pods()[0]
    cluster.become(ended, "False", phase)
    cluster.run()
    assert len(cluster.pods()) == 3 and cluster.find(ended.key) is not None
    assert cluster.sets()[0].status["replicas"] == 3


def test_rp1_a_pod_that_a_person_stopped_counts() -> None:
    cluster = Cluster()
    cluster.apply(replica_set(2))
    cluster.run()
    held = cluster.pods()[0]
    cluster.become(held, "False", "Succeeded")
    cluster.put(cluster.things[held.uid]._replace(held=True))
    cluster.run()
    assert len(cluster.made) == 3 and cluster.sets()[0].status["readyReplicas"] == 1


def test_rp1_pods_that_fail_at_once_are_not_made_without_end() -> None:
    cluster = Cluster()
    cluster.apply(replica_set(1))
    for _ in range(20):
        cluster.run(1000, until=lambda: bool(cluster.pods()))
        cluster.become(cluster.pods()[0], "False", "Failed")
    took = cluster.now - EPOCH
    assert took > 500, took
    cluster.run(0.0)
    assert sum(one.status.get("phase") == "Failed" for one in cluster.things.values() if one.deleted is None) <= 10


def test_rp1_orphans_that_match_are_adopted_and_strangers_let_go() -> None:
    cluster = Cluster()
    orphan = pod("orphan")._replace(owner_uid="", uid="uid-0")
    cluster.things[orphan.uid] = orphan
    cluster.apply(replica_set(2))
    cluster.run()
    own = cluster.sets()[0]
    assert cluster.things["uid-0"].owner_uid == own.uid and len(cluster.pods()) == 2
    body = cluster.things["uid-0"].body
    cluster.put(cluster.things["uid-0"]._replace(body={**body, "metadata": {**body["metadata"], "labels": {"app": "other"}}}))
    cluster.run()
    assert cluster.things["uid-0"].owner_uid == "" and len(cluster.pods(own)) == 2


def test_rp1_an_orphan_concerns_who_may_adopt_it() -> None:
    own = model.Thing(ObjectKey("ReplicaSet", "default", "web"), "rs", 1, 1, EPOCH, None, "", replica_set(1), {})
    orphan = pod("a")._replace(owner_uid="")
    assert list(replicaset.concerns(model.World([own]), orphan)) == [own.key]
    assert list(replicaset.concerns(model.World([own]), pod("a"))) == []


def test_rp2_after_a_refusal_one_pod_is_tried_at_a_time() -> None:
    own = model.Thing(ObjectKey("ReplicaSet", "default", "web"), "rs", 1, 1, EPOCH, None, "", replica_set(5), {})
    first = replicaset.decide(model.World([own]), own, EPOCH)
    assert sum(isinstance(action, model.Create) for action in first.actions) == 5
    assert {action.owner for action in first.actions if isinstance(action, model.Create)} == {"rs"}
