"""Section 16, Job, in virtual time: JO1-JO6, with what holds between any two steps."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.kube import jobs
from kubeplay.play.kinds import job as kinds
from kubeplay.supervisor.controllers import job
from kubeplay.supervisor.controllers.model import Status, Thing
from tests.support.batch import KEY, Batch, of_job
from tests.support.cluster import EPOCH

INDEXED: dict[str, Any] = {"completionMode": "Indexed"}
COMPLETE, EXCEEDED = ("Complete", "CompletionsReached"), ("Failed", "BackoffLimitExceeded")


# JO1
@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, (1, 1, 6, "NonIndexed", False, "TerminatingOrFailed")),
        ({"parallelism": 3}, (None, 3, 6, "NonIndexed", False, "TerminatingOrFailed")),
        ({"completions": 4}, (4, 1, 6, "NonIndexed", False, "TerminatingOrFailed")),
        ({**INDEXED, "completions": 2, "backoffLimitPerIndex": 1}, (2, 1, 2**31 - 1, "Indexed", False, "TerminatingOrFailed")),
        ({"podFailurePolicy": {"rules": []}}, (1, 1, 6, "NonIndexed", False, "Failed")),
    ],
)
def test_jo1_defaults(given: dict[str, Any], wanted: tuple[object, ...]) -> None:
    spec = of_job(**given)["spec"]
    fields = ("completions", "parallelism", "backoffLimit", "completionMode", "suspend", "podReplacementPolicy")
    assert tuple([spec.get(field) for field in fields]) == wanted


@pytest.mark.parametrize(("completions", "parallelism"), [(1, 1), (5, 2), (3, 10), (7, 3), (0, 2)])
def test_jo1_as_many_as_asked_for_and_never_more_at_once(completions: int, parallelism: int) -> None:
    cluster = Batch()
    most = min(parallelism, completions)

    def bounds(world: Any) -> None:
        running = [pod for pod in world.pods() if pod.status.get("phase") in ("Pending", "Running")]
        assert len(running) <= most and len(world.pods()) <= completions

    cluster.invariant = bounds
    cluster.play(completions=completions, parallelism=parallelism)
    assert cluster.until_finished() == COMPLETE
    assert cluster.numbers() == (0, completions, 0) and len(cluster.pods()) == completions
    assert cluster.job.status["completionTime"]


def test_jo1_without_completions_one_success_ends_it_once_all_have_ended() -> None:
    cluster = Batch(1, 0, 1, runs=None)
    cluster.play(parallelism=3)
    cluster.settle()
    first, second, third = cluster.pods()
    cluster.end(first.uid, 0)
    cluster.run(1)
    assert cluster.numbers() == (2, 1, 0) and not cluster.conditions(), "those that run go on"
    cluster.end(second.uid, 3)
    cluster.end(third.uid, 0)
    assert cluster.until_finished() == COMPLETE
    assert len(cluster.pods()) == 3, "none is made after the first success"


def test_jo1_first_pods_are_those_that_play_makes() -> None:
    for given, number in (({}, 1), ({"parallelism": 3}, 3), ({"completions": 2, "parallelism": 5}, 2), ({"suspend": True}, 0),
                          ({"parallelism": 0}, 0), ({"parallelism": 9999, "completions": 9999}, kinds.AT_ONCE),
                          ({"managedBy": "example.com/other"}, 0)):  # fmt: skip
        assert kinds.first(of_job(**given)) == number, given


# JO2
def test_jo2_labels_and_the_selector_come_from_the_uid() -> None:
    cluster = Batch(runs=None)
    own = cluster.play()
    cluster.settle()
    (pod,) = cluster.pods()
    labels = {"batch.kubernetes.io/controller-uid": own.uid, "controller-uid": own.uid,
              "batch.kubernetes.io/job-name": "work", "job-name": "work"}  # fmt: skip
    assert pod.body["metadata"]["labels"] == labels
    assert pod.body["metadata"]["generateName"] == "work-" and pod.key.name.startswith("work-") and len(pod.key.name) == 10
    shown = jobs.labelled(own.body, own.uid)
    assert shown["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": own.uid}}
    assert shown["metadata"]["labels"] == shown["spec"]["template"]["metadata"]["labels"] == labels


def test_jo2_a_selector_of_the_authors_own_is_left_alone() -> None:
    body = of_job()
    body["spec"].update(manualSelector=True, selector={"matchLabels": {"a": "b"}})
    body["spec"]["template"]["metadata"]["labels"] = {"a": "b"}
    assert jobs.labelled(body, "uid") == body
    assert kinds.pod_of(body, "uid", None, 0, set())["metadata"]["labels"] == {"a": "b"}


def test_jo2_indexed_pods_know_their_index() -> None:
    cluster = Batch(runs=None)
    cluster.play(**INDEXED, completions=3, parallelism=2)
    cluster.settle()
    for index, pod in enumerate(cluster.pods()):
        meta, spec = pod.body["metadata"], pod.body["spec"]
        assert pod.key.name.startswith(f"work-{index}-") and meta["generateName"] == f"work-{index}-"
        assert spec["hostname"] == f"work-{index}"
        assert meta["labels"]["batch.kubernetes.io/job-completion-index"] == str(index)
        assert meta["annotations"] == {"batch.kubernetes.io/job-completion-index": str(index)}
        path = "metadata.labels['batch.kubernetes.io/job-completion-index']"
        wanted = {"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
        assert spec["containers"][0]["env"] == [wanted]


def test_jo2_a_long_name_is_cut_before_its_index() -> None:
    assert kinds.base_of("j" * 60, 12) == "j" * 54 + "-12-"


# JO3
def test_jo3_more_failures_than_the_limit_fail_the_job() -> None:
    cluster = Batch(3)
    cluster.play(backoffLimit=1)
    assert cluster.until_finished() == EXCEEDED
    assert cluster.numbers() == (0, 0, 2) and len(cluster.pods()) == 2
    assert cluster.conditions() == ["FailureTarget", "Failed"]
    assert cluster.reasons() == ["SuccessfulCreate", "SuccessfulCreate", "BackoffLimitExceeded"]
    status = {field: value for field, value in cluster.job.status.items() if field not in ("conditions", "startTime")}
    assert status == {"failed": 2, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}}


@pytest.mark.parametrize(("limit", "restarts", "fails"), [(0, 0, False), (0, 1, True), (1, 1, True), (2, 1, False), (6, 6, True)])
def test_jo3_with_on_failure_restarts_count(limit: int, restarts: int, fails: bool) -> None:
    cluster = Batch(runs=None)
    cluster.play(restart="OnFailure", backoffLimit=limit)
    cluster.settle()
    (pod,) = cluster.pods()
    statuses = [{"name": "main", "restartCount": restarts, "state": {"running": {}}}]
    cluster.status(pod.uid, phase="Running", ready=True, containerStatuses=statuses)
    cluster.run(1)
    assert (jobs.finished(cluster.job.status) == "Failed") == fails
    assert bool(cluster.pods()) != fails, "the pod that runs is ended"


def test_jo3_a_deadline_ends_it_and_what_runs_counts_as_failed() -> None:
    cluster = Batch(runs=None, stops=3.0)
    cluster.play(parallelism=2, completions=2, activeDeadlineSeconds=60)
    cluster.run(59)
    assert cluster.numbers() == (2, 0, 0) and not cluster.conditions()
    cluster.run(2)
    assert cluster.conditions() == ["FailureTarget"] and cluster.job.status["terminating"] == 2, "the last word waits for the pods"
    cluster.run(3)
    assert cluster.conditions() == ["FailureTarget", "Failed"] and cluster.numbers() == (0, 0, 2)
    assert cluster.until_finished() == ("Failed", "DeadlineExceeded")
    assert cluster.reasons().count("SuccessfulDelete") == 2


def test_jo3_success_has_its_condition_before() -> None:
    cluster = Batch()
    cluster.play()
    assert cluster.until_finished() == COMPLETE
    assert cluster.conditions() == ["SuccessCriteriaMet", "Complete"]
    assert cluster.reasons() == ["SuccessfulCreate", "Completed"]


# JO4
def test_jo4_pods_are_replaced_after_ten_seconds_doubling_up_to_ten_minutes() -> None:
    cluster = Batch(1, runs=0.0)
    cluster.play(backoffLimit=9)
    assert cluster.until_finished() == EXCEEDED
    times = [at for at, _ in cluster.made]
    gaps = [round(later - earlier) for earlier, later in zip(times, times[1:])]
    assert gaps == [10, 20, 40, 80, 160, 320, 600, 600, 600]


def test_jo4_a_success_begins_the_delays_anew() -> None:
    cluster = Batch(1, 1, 0, 1, 0, runs=0.0)
    cluster.play(completions=2)
    assert cluster.until_finished() == COMPLETE
    assert [at for at, _ in cluster.made] == [0, 10, 30, 30, 40]


def test_jo4_each_index_waits_by_itself() -> None:
    cluster = Batch(runs=0.0, by_index={0: [1, 1, 0], 1: [0], 2: [1, 0]})
    cluster.play(**INDEXED, completions=3, parallelism=3, backoffLimitPerIndex=2)
    assert cluster.until_finished() == COMPLETE
    assert sorted(cluster.made) == [(0, 0), (0, 1), (0, 2), (10, 0), (10, 2), (30, 0)]
    assert cluster.job.status["completedIndexes"] == "0-2" and cluster.job.status["failedIndexes"] == ""
    counts = [pod.body["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"] for pod in cluster.pods()]
    assert sorted(counts) == ["0", "0", "0", "1", "1", "2"]


@pytest.mark.parametrize(
    ("given", "how"),
    [({"backoffLimitPerIndex": 0}, "FailedIndexes"), ({"backoffLimitPerIndex": 0, "maxFailedIndexes": 0}, "MaxFailedIndexesExceeded")],
)
def test_jo4_lost_indexes_fail_it_at_the_end_or_at_once(given: dict[str, int], how: str) -> None:
    cluster = Batch(runs=5.0, by_index={0: [1], 1: [0], 2: [0]})
    cluster.play(**INDEXED, completions=3, **given)
    assert cluster.until_finished() == ("Failed", how)
    assert cluster.job.status["failedIndexes"] == "0"
    assert cluster.job.status.get("completedIndexes") == ("1,2" if how == "FailedIndexes" else None)


# JO5
def _policy(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"podFailurePolicy": {"rules": list(rules)}}


def _codes(action: str, operator: str, *values: int, **more: str) -> dict[str, Any]:
    return {"action": action, "onExitCodes": {"operator": operator, "values": list(values), **more}}


def test_jo5_fail_job_fails_it_at_once_with_its_words() -> None:
    cluster = Batch(42)
    cluster.play(**_policy(_codes("FailJob", "In", 42)))
    assert cluster.until_finished() == ("Failed", "PodFailurePolicy")
    (pod,) = cluster.pods()
    text = f"Container main for pod default/{pod.key.name} failed with exit code 42 matching FailJob rule at index 0"
    assert cluster.job.status["conditions"][-1]["message"] == text
    assert cluster.numbers() == (0, 0, 1)


def test_jo5_ignored_failures_do_not_count_but_wait() -> None:
    cluster = Batch(7, 7, 7, 1, 0, runs=0.0)
    cluster.play(backoffLimit=1, **_policy(_codes("Ignore", "In", 7)))
    assert cluster.until_finished() == COMPLETE
    assert cluster.numbers() == (0, 1, 1)
    assert [at for at, _ in cluster.made] == [0, 10, 30, 70, 150]


def test_jo5_the_first_rule_that_matches_decides() -> None:
    cluster = Batch(3)
    cluster.play(backoffLimit=0, **_policy(_codes("FailJob", "In", 3, containerName="main"), _codes("Ignore", "NotIn", 0)))
    assert cluster.until_finished() == ("Failed", "PodFailurePolicy")


def test_jo5_fail_index_loses_an_index_at_once() -> None:
    cluster = Batch(runs=0.0, by_index={0: [9], 1: [1, 0]})
    rule = _codes("FailIndex", "In", 9)
    cluster.play(**INDEXED, completions=2, parallelism=2, backoffLimitPerIndex=3, **_policy(rule))
    assert cluster.until_finished() == ("Failed", "FailedIndexes")
    assert (cluster.job.status["completedIndexes"], cluster.job.status["failedIndexes"]) == ("1", "0")


def test_jo5_conditions_of_the_pod() -> None:
    cluster = Batch(runs=None)
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    cluster.play(backoffLimit=0, **_policy(rule))
    cluster.settle()
    (pod,) = cluster.pods()
    condition = {"type": "DisruptionTarget", "status": "True"}
    cluster.status(pod.uid, phase="Failed", ready=False, code=137, conditions=[condition])
    cluster.run(30)
    assert not cluster.conditions() and len(cluster.pods()) == 2 and cluster.numbers() == (1, 0, 0)


@pytest.mark.parametrize(
    ("rule", "done", "met"),
    [
        ({"succeededIndexes": "0,2"}, (0, 2), True),
        ({"succeededIndexes": "0,2"}, (0, 1), False),
        ({"succeededIndexes": "0-2", "succeededCount": 2}, (1, 2), True),
        ({"succeededIndexes": "0-2", "succeededCount": 2}, (1, 3), False),
        ({"succeededCount": 2}, (1, 3), True),
    ],
)
def test_jo5_success_policy_ends_the_rest(rule: dict[str, Any], done: tuple[int, ...], met: bool) -> None:
    cluster = Batch(runs=None)
    cluster.play(**INDEXED, completions=4, parallelism=4, successPolicy={"rules": [rule]})
    cluster.settle()
    for index in done:
        cluster.end(cluster.pods()[index].uid, 0)
    cluster.run(5)
    assert cluster.conditions() == (["SuccessCriteriaMet", "Complete"] if met else [])
    assert cluster.numbers() == ((0, 2, 0) if met else (2, 2, 0)), "those that are ended have not failed"
    if met:
        assert cluster.until_finished() == ("Complete", "SuccessPolicy")
        assert cluster.job.status["conditions"][-1]["message"] == "Matched rules at index 0"


# JO6
@pytest.mark.parametrize("ttl", [0, 100])
def test_jo6_a_finished_job_goes_after_its_time(ttl: int) -> None:
    cluster = Batch()
    cluster.play(ttlSecondsAfterFinished=ttl)
    took = cluster.run_until(lambda: cluster.find(KEY) is None, 1000)
    cluster.settle()
    assert not cluster.pods(), "its pods go with it"
    assert 1 + ttl <= took <= 2.1 + ttl


def test_jo6_without_a_time_it_stays() -> None:
    cluster = Batch()
    cluster.play()
    cluster.run(10_000_000)
    assert cluster.find(KEY) is not None and len(cluster.pods()) == 1


def _suspend(cluster: Batch, value: bool) -> None:
    cluster.change(KEY, lambda body: body["spec"].update(suspend=value))


def test_jo6_suspended_nothing_runs_and_the_clock_stands_still() -> None:
    cluster = Batch(runs=None)
    cluster.play(parallelism=2, completions=4, activeDeadlineSeconds=100)
    cluster.run(50)
    _suspend(cluster, True)
    cluster.run(500)
    assert not cluster.pods() and "startTime" not in cluster.job.status and cluster.conditions() == ["Suspended"]
    assert cluster.numbers() == (0, 0, 0), "pods that are ended for a rest have not failed"
    _suspend(cluster, False)
    cluster.run(90)
    assert cluster.numbers() == (2, 0, 0) and not cluster.conditions(), "the time begins anew"
    assert [reason for reason in cluster.reasons() if not reason.startswith("Successful")] == ["Suspended", "Resumed"]
    assert cluster.until_finished() == ("Failed", "DeadlineExceeded")


def test_jo6_made_suspended_it_waits() -> None:
    cluster = Batch()
    cluster.play(suspend=True)
    cluster.run(100)
    assert not cluster.pods() and "startTime" not in cluster.job.status
    _suspend(cluster, False)
    assert cluster.until_finished() == COMPLETE


def test_jo6_parallelism_may_change_and_nothing_pauses() -> None:
    cluster = Batch(runs=None)
    cluster.play(parallelism=3, completions=9)
    cluster.settle()
    cluster.change(KEY, lambda body: body["spec"].update(parallelism=0))
    cluster.run(1)
    assert cluster.numbers() == (0, 0, 0) and not cluster.pods() and not cluster.conditions()
    cluster.change(KEY, lambda body: body["spec"].update(parallelism=5))
    cluster.run(1)
    assert cluster.numbers() == (5, 0, 0)


def test_jo6_the_surplus_that_is_ended_is_the_least_useful() -> None:
    cluster = Batch(runs=None)
    cluster.play(parallelism=3, completions=9)
    cluster.settle()
    cluster.run(1)
    pending = cluster.pods()[1]
    cluster._put(pending._replace(status={"phase": "Pending"}))
    cluster.change(KEY, lambda body: body["spec"].update(parallelism=2))
    cluster.run(1)
    assert pending.uid not in {pod.uid for pod in cluster.pods()}


def test_jo6_an_elastic_indexed_job_ends_the_indexes_that_it_has_no_more() -> None:
    cluster = Batch(runs=None)
    cluster.play(**INDEXED, completions=4, parallelism=4)
    cluster.settle()
    cluster.change(KEY, lambda body: body["spec"].update(completions=2, parallelism=2))
    cluster.run(1)
    assert [job.accounts.index_of(pod) for pod in cluster.pods()] == [0, 1]
    for pod in cluster.pods():
        cluster.end(pod.uid, 0)
    assert cluster.until_finished() == COMPLETE and cluster.job.status["completedIndexes"] == "0,1"


def test_jo6_ready_and_terminating_are_shown() -> None:
    cluster = Batch(runs=None, ready=5.0, stops=10.0)
    cluster.play(parallelism=2, completions=2)
    cluster.run(1)
    assert (cluster.job.status["ready"], cluster.numbers()) == (0, (2, 0, 0))
    cluster.run(5)
    assert cluster.job.status["ready"] == 2
    cluster.delete(cluster.pods()[0].key)
    cluster.run(1)
    assert cluster.job.status["terminating"] == 1


@pytest.mark.parametrize(("policy", "at_once"), [("TerminatingOrFailed", True), ("Failed", False)])
def test_jo1_a_pod_that_is_deleted_is_replaced_at_once_or_when_it_is_gone(policy: str, at_once: bool) -> None:
    cluster = Batch(runs=None, stops=30.0)
    cluster.play(podReplacementPolicy=policy)
    cluster.settle()
    cluster.delete(cluster.pods()[0].key)
    cluster.run(15)
    assert len(cluster.pods()) == (2 if at_once else 1)
    cluster.run(60)
    assert len([pod for pod in cluster.pods() if pod.deleted is None]) == 1


def test_jo1_a_pod_that_a_person_stopped_is_neither_failed_nor_replaced() -> None:
    cluster = Batch(runs=None)
    cluster.play(backoffLimit=0)
    cluster.settle()
    (pod,) = cluster.pods()
    cluster.status(pod.uid, phase="Failed", ready=False, code=143)
    cluster._put(cluster.pods()[0]._replace(held=True))
    cluster.run(60)
    assert len(cluster.pods()) == 1 and cluster.numbers() == (1, 0, 0) and not cluster.conditions()
    cluster._put(cluster.pods()[0]._replace(held=False, status={"phase": "Succeeded"}))
    assert cluster.until_finished() == COMPLETE


# LR5
class Forgetful(Batch):
    """A cluster whose supervisor is killed after every single action: only what is stored is left."""

    def _decide(self, module: Any, own: Thing) -> bool:
        decision = module.decide(self, own, self.now)
        if decision.wake_at is not None:
            self._wakes[own.key] = max(decision.wake_at, self.now + 0.001)
        return any(self._apply(action) for action in decision.actions)


@pytest.mark.parametrize("given", [{}, INDEXED, {**INDEXED, "backoffLimitPerIndex": 2}])
def test_lr5_jo6_a_killed_supervisor_counts_nothing_twice_and_forgets_nothing(given: dict[str, Any]) -> None:
    cluster = Forgetful(1, 0, 1, 0, 0, by_index={2: [1, 0], 4: [1, 1, 0]})
    cluster.play(**{"completions": 6, "parallelism": 3, "backoffLimit": 20, **given})
    assert cluster.until_finished() == COMPLETE
    _, succeeded, failed = cluster.numbers()
    assert succeeded == 6 == len([pod for pod in cluster.pods() if pod.status["phase"] == "Succeeded"])
    assert failed == len([pod for pod in cluster.pods() if pod.status["phase"] == "Failed"])


def test_lr5_counted_pods_may_be_removed() -> None:
    cluster = Batch(0, 1, 0)
    cluster.play(completions=2)
    cluster.run(5)
    for pod in [pod for pod in cluster.pods() if pod.status["phase"] in ("Succeeded", "Failed")]:
        cluster.delete(pod.key)
    assert cluster.until_finished() == COMPLETE
    assert cluster.numbers() == (0, 2, 1)


def test_lr5_the_account_is_nobody_elses_business() -> None:
    cluster = Batch(1)
    cluster.play()
    cluster.run(2)
    assert jobs.ACCOUNT in cluster.job.status and jobs.ACCOUNT not in jobs.shown(cluster.job.status)


def test_jo1_a_job_of_another_manager_is_left_alone() -> None:
    cluster = Batch()
    cluster.play(managedBy="example.com/other")
    cluster.run(100)
    assert not cluster.pods() and not cluster.job.status


def test_jo1_a_create_that_is_refused_is_tried_again() -> None:
    cluster = Batch()
    cluster.refuse = lambda body: "exceeded quota" if cluster.now < EPOCH + 5 else ""
    cluster.play()
    assert cluster.until_finished() == COMPLETE and cluster.numbers() == (0, 1, 0)


def test_jo6_an_equal_status_is_not_written() -> None:
    cluster = Batch(runs=None)
    cluster.play()
    cluster.run(1)
    again = job.decide(cluster, cluster.job, cluster.now)
    assert not [action for action in again.actions if isinstance(action, Status)] and not again.actions
