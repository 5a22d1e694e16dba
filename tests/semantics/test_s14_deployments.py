"""Section 14, Deployment, in virtual time: DE1-DE6, with what holds between any two steps of a rollout."""

from __future__ import annotations

import re

import pytest

from kubeplay.kube import rollout
from kubeplay.play.kinds import deployment as kinds
from kubeplay.supervisor.controllers import model
from tests.support.replicas import Cluster, deployed, rolling

SHAPES: list[tuple[int, int | str, int | str]] = [
    (1, "25%", "25%"), (3, "25%", "25%"), (4, 1, 0), (4, 0, 1), (10, "25%", "25%"), (10, "100%", 0), (10, 0, "100%"), (7, 3, 2),
    (5, 0, "0%"), (50, "25%", "25%"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("replicas", "value", "surge", "unavailable"),
    [
        (10, "25%", 3, 2),
        (1, "25%", 1, 0),
        (3, "25%", 1, 0),
        (4, "25%", 1, 1),
        (3, 2, 2, 2),
        (2, 9, 9, 2),
        (10, "100%", 10, 10),
        (0, "25%", 0, 0),
    ],
)
def test_de1_surge_is_rounded_up_and_unavailable_down(replicas: int, value: int | str, surge: int, unavailable: int) -> None:
    spec = {"replicas": replicas, "strategy": rolling(value, value)}
    assert (rollout.surge(spec), rollout.unavailable(spec)) == (surge, unavailable)


def test_de1_both_nothing_becomes_one_unavailable() -> None:
    spec = {"replicas": 3, "strategy": rolling("0%", "1%")}
    assert (rollout.surge(spec), rollout.unavailable(spec)) == (0, 1)


def test_de1_recreate_has_neither() -> None:
    spec = {"replicas": 3, "strategy": {"type": "Recreate"}}
    assert (rollout.surge(spec), rollout.unavailable(spec)) == (0, 0)


def test_de2_names_and_the_label_of_the_hash() -> None:
    cluster = Cluster()
    cluster.apply(deployed(2))
    cluster.run()
    replica_set = cluster.sets()[0]
    found = re.fullmatch(r"web-([bcdfghjklmnpqrstvwxz2456789]{1,10})", replica_set.key.name)
    assert found
    for labels in (
        replica_set.body["metadata"]["labels"], replica_set.body["spec"]["selector"]["matchLabels"],
        *[pod.body["metadata"]["labels"] for pod in cluster.pods()],
    ):  # fmt: skip
        assert labels == {"app": "web", "pod-template-hash": found[1]}
    assert all(pod.body["metadata"]["generateName"] == f"{replica_set.key.name}-" for pod in cluster.pods())


def test_de2_a_name_that_is_taken_counts_a_collision() -> None:
    cluster = Cluster()
    body = deployed(1)
    taken = kinds.replica_set_of(body, kinds.code(body["spec"]["template"]), 0, 1)
    taken["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    taken["metadata"]["labels"] = {"app": "other"}
    cluster.apply(taken)
    cluster.apply(body)
    cluster.run()
    assert cluster.deployment().status["collisionCount"] == 1
    assert cluster.available() == 1 and len(cluster.sets()) == 2


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("replicas", "surge", "unavailable"), SHAPES, ids=lambda value: str(value))
def test_de3_never_below_available_never_above_surge(replicas: int, surge: int | str, unavailable: int | str, seed: int) -> None:
    cluster = Cluster(start=lambda pod: 0.5 + int(pod.uid[4:]) % 7, seed=seed)
    cluster.apply(deployed(replicas, strategy=rolling(surge, unavailable)))
    cluster.run(until=lambda: cluster.available() == replicas)
    spec = cluster.deployment().body["spec"]
    most, least = replicas + rollout.surge(spec), replicas - rollout.unavailable(spec)

    def check() -> None:
        assert len(cluster.pods()) <= most
        assert cluster.available() >= least

    cluster.after = check
    for image in ("a:2", "a:3"):
        cluster.image(image)
        cluster.run(300, until=lambda image=image: cluster.images() == {image: replicas} and cluster.available() == replicas)  # type: ignore[misc]
    cluster.run()
    assert cluster.condition("Progressing") == ("True", "NewReplicaSetAvailable")


def test_de3_the_new_one_grows_first_and_the_oldest_shrinks_first() -> None:
    cluster = Cluster()
    cluster.apply(deployed(10))
    cluster.run()
    cluster.events.clear()
    cluster.image("a:2")
    cluster.run(0.5)
    old, new = (one.key.name for one in cluster.sets())
    assert [text for text in cluster.events if text.startswith("Scaled")] == [
        f"Scaled up replica set {new} from 0 to 3",
        f"Scaled down replica set {old} from 10 to 8",
        f"Scaled up replica set {new} from 3 to 5",
    ]


def test_de3_unhealthy_old_pods_go_first() -> None:
    """A template that never becomes ready is given up for another one at once, while the good old pods stay."""
    cluster = Cluster(start=lambda pod: None if pod.body["spec"]["containers"][0]["image"] == "bad:1" else 1.0)
    cluster.apply(deployed(4, strategy=rolling(1, 0)))
    cluster.run()
    cluster.image("bad:1")
    cluster.run()
    assert cluster.images() == {"a:1": 4, "bad:1": 1}
    cluster.after = lambda: _at_least(cluster, 4)
    cluster.image("a:3")
    cluster.run(0.5)
    assert cluster.images() == {"a:1": 4, "a:3": 1}
    cluster.run()
    assert cluster.images() == {"a:3": 4}


def _at_least(cluster: Cluster, count: int) -> None:
    assert cluster.available() >= count


def test_de3_recreate_waits_until_the_old_pods_are_gone() -> None:
    cluster = Cluster(grace=5.0)
    cluster.apply(deployed(3, strategy={"type": "Recreate"}))
    cluster.run()

    def check() -> None:
        found = {pod.body["spec"]["containers"][0]["image"] for pod in cluster.things.values() if pod.key.kind == "Pod"}
        assert len(found) <= 1

    cluster.after = check
    cluster.image("a:2")
    cluster.run(4.9)
    assert cluster.images() == {}
    cluster.run()
    assert cluster.images() == {"a:2": 3}


def test_de3_rollback_gives_an_older_template_a_new_revision() -> None:
    cluster = Cluster()
    cluster.apply(deployed(2))
    cluster.run()
    for image in ("a:2", "a:1"):
        cluster.image(image)
        cluster.run()
    first, second = cluster.sets()
    assert (kinds.revision(first.body), kinds.revision(second.body)) == (3, 2)
    assert first.body["metadata"]["annotations"][kinds.HISTORY] == "1"
    assert kinds.revision(cluster.deployment().body) == 3
    assert cluster.images() == {"a:1": 2}


def test_de4_marks_of_the_replica_set() -> None:
    cluster = Cluster()
    body = deployed(10)
    body["metadata"]["annotations"] = {"kubernetes.io/change-cause": "why", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    cluster.apply(body)
    cluster.run()
    assert cluster.sets()[0].body["metadata"]["annotations"] == {
        "kubernetes.io/change-cause": "why", "deployment.kubernetes.io/revision": "1", "deployment.kubernetes.io/desired-replicas": "10",
        "deployment.kubernetes.io/max-replicas": "13",
    }  # fmt: skip


def test_de4_scaling_rolls_nothing() -> None:
    cluster = Cluster()
    cluster.apply(deployed(2))
    cluster.run()
    before = {pod.uid for pod in cluster.pods()}
    cluster.edit(replicas=5)
    cluster.run()
    assert before < {pod.uid for pod in cluster.pods()} and cluster.available() == 5
    cluster.edit(replicas=0)
    cluster.run()
    assert cluster.pods() == [] and len(cluster.sets()) == 1
    assert cluster.sets()[0].body["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"] == "0"


def test_de4_old_replica_sets_are_kept_up_to_the_limit() -> None:
    cluster = Cluster()
    cluster.apply(deployed(1, revisionHistoryLimit=2))
    for number in range(2, 7):
        cluster.run()
        cluster.image(f"a:{number}")
    cluster.run()
    assert [kinds.revision(one.body) for one in cluster.sets()] == [4, 5, 6]


def test_de4_available_means_ready_for_so_many_seconds() -> None:
    cluster = Cluster(start=lambda pod: 1.0)
    cluster.apply(deployed(2, minReadySeconds=10, strategy=rolling(1, 0)))
    cluster.run(10.0)
    assert cluster.deployment().status["readyReplicas"] == 2 and "availableReplicas" not in cluster.deployment().status
    cluster.run(1.5)
    assert cluster.deployment().status["availableReplicas"] == 2
    cluster.after = lambda: _at_least(cluster, 2)
    cluster.image("a:2")
    cluster.run(21.0)
    assert cluster.images() == {"a:1": 1, "a:2": 2}
    cluster.run()
    assert cluster.images() == {"a:2": 2}


def test_de5_status_and_conditions_of_a_rollout() -> None:
    cluster = Cluster()
    cluster.apply(deployed(3))
    seen: list[tuple[str, str]] = []

    def look() -> None:
        found = cluster.condition("Progressing")
        if not seen or seen[-1] != found:
            seen.append(found)

    cluster.after = look
    cluster.run()
    assert [reason for _, reason in seen if reason] == ["NewReplicaSetCreated", "ReplicaSetUpdated", "NewReplicaSetAvailable"]
    status = dict(cluster.deployment().status)
    del status["conditions"]
    assert status == {
        "observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3, "terminatingReplicas": 0,
    }  # fmt: skip
    assert cluster.condition("Available") == ("True", "MinimumReplicasAvailable")


def test_de5_progress_that_does_not_come_is_told_and_told_off() -> None:
    stuck = {"a:2"}
    cluster = Cluster(start=lambda pod: None if pod.body["spec"]["containers"][0]["image"] in stuck else 1.0)
    cluster.apply(deployed(4, progressDeadlineSeconds=30))
    cluster.run()
    cluster.image("a:2")
    cluster.run(29)
    assert cluster.condition("Progressing") == ("True", "ReplicaSetUpdated")
    cluster.run(5)
    assert cluster.condition("Progressing") == ("False", "ProgressDeadlineExceeded")
    assert cluster.condition("Available") == ("True", "MinimumReplicasAvailable")
    cluster.image("a:3")
    cluster.run()
    assert cluster.condition("Progressing") == ("True", "NewReplicaSetAvailable")


def test_de5_without_a_deadline_there_is_no_such_condition() -> None:
    cluster = Cluster()
    cluster.apply(deployed(1, progressDeadlineSeconds=2147483647))
    cluster.run()
    assert cluster.condition("Progressing") == ("", "")


def test_de5_what_refuses_pods_is_shown() -> None:
    cluster = Cluster()
    cluster.apply(deployed(3))
    cluster.run(until=lambda: bool(cluster.sets()))
    cluster.failures[cluster.sets()[0].uid] = 'pods "web" is forbidden: exceeded quota'
    cluster.run()
    assert cluster.condition("ReplicaFailure") == ("True", "FailedCreate")
    assert cluster.condition("Available") == ("False", "MinimumReplicasUnavailable")
    cluster.failures.clear()
    cluster.run()
    assert cluster.condition("ReplicaFailure") == ("", "") and cluster.available() == 3


def test_de6_paused_edits_collect_and_one_rollout_follows() -> None:
    cluster = Cluster()
    cluster.apply(deployed(3))
    cluster.run()
    cluster.edit(paused=True)
    for image in ("a:2", "a:3"):
        cluster.image(image)
        cluster.run()
    assert cluster.images() == {"a:1": 3} and len(cluster.sets()) == 1
    assert cluster.condition("Progressing") == ("Unknown", "DeploymentPaused")
    cluster.edit(paused=False)
    cluster.run(0.5)
    assert cluster.condition("Progressing")[1] in ("DeploymentResumed", "NewReplicaSetCreated", "ReplicaSetUpdated")
    cluster.run()
    assert cluster.images() == {"a:3": 3} and len(cluster.sets()) == 2


def test_de6_scaling_while_paused_in_a_rollout_is_proportional() -> None:
    cluster = Cluster(start=lambda pod: None if pod.body["spec"]["containers"][0]["image"] == "a:2" else 1.0)
    cluster.apply(deployed(10, strategy=rolling(3, 2)))
    cluster.run()
    cluster.image("a:2")
    cluster.run()
    assert cluster.images() == {"a:1": 8, "a:2": 5}
    cluster.edit(paused=True)
    cluster.run()
    cluster.edit(replicas=15)
    cluster.run()
    assert cluster.images() == {"a:1": 11, "a:2": 7}  # the example of the Kubernetes documentation: 15 + 3
    cluster.edit(replicas=5)
    cluster.run()
    assert sum(cluster.images().values()) == 5 + 3


@pytest.mark.parametrize("seed", range(4))
def test_de6_scaled_again_and_again_in_the_middle_of_rollouts(seed: int) -> None:
    """Whatever is asked for in the middle: it comes to rest, and there are never more than any of the wishes allowed."""
    cluster = Cluster(start=lambda pod: 0.5 + int(pod.uid[4:]) % 5, seed=seed)
    cluster.apply(deployed(6))
    most = 8
    for wish in (12, "a:2", 3, "a:3", 9, "a:1"):
        cluster.run(1.7)
        if isinstance(wish, str):
            cluster.image(wish)
        else:
            cluster.edit(replicas=wish)
            most = max(most, wish + rollout.surge(cluster.deployment().body["spec"]))
        assert len(cluster.pods()) <= most
    cluster.run(300)
    assert cluster.images() == {"a:1": 9} and cluster.available() == 9
    assert cluster.condition("Progressing") == ("True", "NewReplicaSetAvailable")


def test_de3_a_decision_of_what_is_settled_changes_nothing() -> None:
    cluster = Cluster()
    cluster.apply(deployed(3))
    cluster.run()
    number = cluster.number
    cluster.run(3600)
    assert cluster.number == number and cluster.wakes == {}
    assert isinstance(cluster.deployment(), model.Thing)
