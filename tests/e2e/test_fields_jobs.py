"""Jobs and CronJobs with real containers: every field once. What takes long is told in virtual time (tests/semantics/test_s16_*)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.covers import covers
from tests.support.kubeplay import Machine, kill, playing, processes

pytestmark = pytest.mark.root

_JOB = """---
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}}}
spec:
  {fields}
  template:
    {meta}
    spec:
      restartPolicy: {restart}
      terminationGracePeriodSeconds: 0
      containers: [{{name: main, image: "busybox:1", command: [sh, -c, '{script}']}}]
"""


def job(name: str, fields: str, script: str, meta: str = "metadata: {}", restart: str = "Never") -> str:
    return _JOB.format(name=name, fields=fields.replace("; ", "\n  "), script=script, meta=meta, restart=restart)


INDEX = 'echo "$JOB_COMPLETION_INDEX $(hostname)"; echo done'
RULES = """podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget, status: "True"}]},
    {action: FailJob, onExitCodes: {containerName: main, operator: In, values: [42]}}]}"""
JOBS = {
    "some": job("some", "completions: 3; parallelism: 2", "exit 0"),
    "indexed": job("indexed", "completionMode: Indexed; completions: 3; parallelism: 3", INDEX),
    "policy": job("policy", RULES, "exit 42"),
    "each": job("each", "completionMode: Indexed; completions: 2; parallelism: 2; backoffLimitPerIndex: 0; maxFailedIndexes: 0",
                'sleep "$JOB_COMPLETION_INDEX"0; exit 1'),
    "enough": job("enough", 'completionMode: Indexed; completions: 2; parallelism: 2; successPolicy: {rules: [{succeededIndexes: "0,1",'
                  " succeededCount: 1}]}", 'test "$JOB_COMPLETION_INDEX" = 0 || sleep 1000'),
    "short": job("short", "ttlSecondsAfterFinished: 1", "exit 0"),
    "late": job("late", "activeDeadlineSeconds: 1", "sleep 1000"),
    "never": job("never", "backoffLimit: 0", "exit 3"),
    "again": job("again", "backoffLimit: 1", "exit 3", restart="OnFailure"),
    "other": job("other", "managedBy: example.com/other", "exit 0"),
    "manual": job("manual", "manualSelector: true; selector: {matchLabels: {a: b}, matchExpressions: [{key: a, operator: In,"
                  " values: [b]}]}", "exit 0", "metadata: {labels: {a: b}}"),
    "lost": job("lost", "podReplacementPolicy: Failed", "sleep 1000"),
}  # fmt: skip
WAITING = job("waiting", "suspend: true", "exit 0")
CRON = """---
apiVersion: batch/v1
kind: CronJob
metadata: {name: %s}
spec:
  schedule: "@every 1s"
  timeZone: Asia/Kolkata
  startingDeadlineSeconds: 100
  concurrencyPolicy: Forbid
  suspend: %s
  successfulJobsHistoryLimit: %s
  failedJobsHistoryLimit: 0
  jobTemplate:
    metadata: {labels: {made: here}}
    spec:
      backoffLimit: 0
      template:
        metadata: {labels: {a: b}}
        spec:
          restartPolicy: Never
          containers: [{name: main, image: "busybox:1", command: [sh, -c, 'exit %s']}]
"""
CRONS = CRON % ("tick", "false", 3, 0) + CRON % ("gone", "false", 0, 0) + CRON % ("bad", "false", 3, 1) + CRON % ("still", "true", 3, 0)


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("jobs"), image_archives, "".join(JOBS.values()) + WAITING + CRONS) as machine:
        yield machine


def stored(kp: Machine, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = kp("get", kind, name, "-o", "json").json
    return found


def pods(kp: Machine, name: str) -> list[dict[str, Any]]:
    """A Job's pods."""
    found: list[dict[str, Any]] = kp("get", "pods", "-l", f"job-name={name}", "-o", "json").json["items"]
    return found


def finished(kp: Machine, name: str) -> tuple[str, str]:
    """How a Job has ended, and why."""

    def end() -> list[tuple[str, str]]:
        found = stored(kp, "job", name).get("status", {}).get("conditions", [])
        return [(one["type"], one["reason"]) for one in found if one["type"] in ("Complete", "Failed")]

    return kp.wait(end)[0]


def numbers(kp: Machine, name: str) -> tuple[int, int, int]:
    status = stored(kp, "job", name)["status"]
    return status.get("active", 0), status.get("succeeded", 0), status.get("failed", 0)


@covers("Job.spec.completions Job.spec.parallelism Job.spec.template")
def test_jo1_as_many_as_asked_for(kp: Machine) -> None:
    assert finished(kp, "some") == ("Complete", "CompletionsReached")
    assert numbers(kp, "some") == (0, 3, 0)
    found = pods(kp, "some")
    uid = stored(kp, "job", "some")["metadata"]["uid"]
    assert len(found) == 3 and all(re.fullmatch(r"some-[bcdfghjklmnpqrstvwxz2456789]{5}", pod["metadata"]["name"]) for pod in found)
    labels = {"batch.kubernetes.io/controller-uid": uid, "controller-uid": uid, "batch.kubernetes.io/job-name": "some", "job-name": "some"}
    assert all(pod["metadata"]["labels"] == labels for pod in found)


@covers("Job.spec.completionMode")
def test_jo2_indexed_pods_know_their_index(kp: Machine) -> None:
    assert finished(kp, "indexed") == ("Complete", "CompletionsReached")
    names = [pod["metadata"]["name"] for pod in pods(kp, "indexed")]
    assert [kp.logged(name)[0] for name in sorted(names)] == [f"{index} indexed-{index}" for index in range(3)]
    assert stored(kp, "job", "indexed")["status"]["completedIndexes"] == "0-2"


@covers("Job.spec.backoffLimit")
def test_jo3_failures_beyond_the_limit(kp: Machine) -> None:
    assert finished(kp, "never") == ("Failed", "BackoffLimitExceeded") and numbers(kp, "never") == (0, 0, 1)
    assert finished(kp, "again") == ("Failed", "BackoffLimitExceeded")
    kp.wait(lambda: not pods(kp, "again"))


@covers("Job.spec.activeDeadlineSeconds")
def test_jo3_the_deadline(kp: Machine) -> None:
    assert finished(kp, "late") == ("Failed", "DeadlineExceeded")
    kp.wait(lambda: not pods(kp, "late"))


@covers("Job.spec.backoffLimitPerIndex Job.spec.maxFailedIndexes")
def test_jo4_a_lost_index(kp: Machine) -> None:
    assert finished(kp, "each") == ("Failed", "MaxFailedIndexesExceeded")
    assert stored(kp, "job", "each")["status"]["failedIndexes"] == "0"


@covers("Job.spec.podFailurePolicy.rules[].action Job.spec.podFailurePolicy.rules[].onExitCodes.containerName "
        "Job.spec.podFailurePolicy.rules[].onExitCodes.operator Job.spec.podFailurePolicy.rules[].onExitCodes.values[] "
        "Job.spec.podFailurePolicy.rules[].onPodConditions[].type Job.spec.podFailurePolicy.rules[].onPodConditions[].status")  # fmt: skip
def test_jo5_a_code_that_fails_the_job(kp: Machine) -> None:
    assert finished(kp, "policy") == ("Failed", "PodFailurePolicy")
    message = stored(kp, "job", "policy")["status"]["conditions"][-1]["message"]
    assert "failed with exit code 42 matching FailJob rule at index 1" in message


@covers("Job.spec.successPolicy.rules[].succeededIndexes Job.spec.successPolicy.rules[].succeededCount")
def test_jo5_enough_has_succeeded(kp: Machine) -> None:
    assert finished(kp, "enough") == ("Complete", "SuccessPolicy")
    assert numbers(kp, "enough") == (0, 1, 0)


@covers("Job.spec.ttlSecondsAfterFinished")
def test_jo6_it_goes_after_its_time(kp: Machine) -> None:
    kp.wait(lambda: kp("get", "job", "short", status=None).status != 0)
    kp.wait(lambda: not pods(kp, "short"))


@covers("Job.spec.suspend")
def test_jo6_suspended_it_waits_until_it_is_let_go(kp: Machine) -> None:
    kp.wait(lambda: [one for one in stored(kp, "job", "waiting").get("status", {}).get("conditions", []) if one["type"] == "Suspended"])
    assert not pods(kp, "waiting")
    kp.play(WAITING.replace("suspend: true", "suspend: false"), "--update")
    assert finished(kp, "waiting") == ("Complete", "CompletionsReached")


@covers("Job.spec.managedBy Job.spec.manualSelector Job.spec.selector.matchLabels{} Job.spec.selector.matchExpressions[].key "
        "Job.spec.selector.matchExpressions[].operator Job.spec.selector.matchExpressions[].values[]")  # fmt: skip
def test_jo2_labels_of_the_authors_own_and_managers_of_others(kp: Machine) -> None:
    assert finished(kp, "manual") == ("Complete", "CompletionsReached")
    (pod,) = kp("get", "pods", "-l", "a=b,!controller-uid", "-o", "json").json["items"]
    assert pod["metadata"]["labels"] == {"a": "b"}
    assert not pods(kp, "other") and not stored(kp, "job", "other").get("status")


@covers("Job.spec.podReplacementPolicy")
def test_jo1_a_pod_that_is_removed_is_replaced(kp: Machine) -> None:
    (first,) = kp.wait(lambda: pods(kp, "lost"))
    kp("pod", "rm", "-f", "-t", "0", first["metadata"]["name"])
    kp.wait(lambda: [pod for pod in pods(kp, "lost") if pod["metadata"]["uid"] != first["metadata"]["uid"]])


def test_lr5_a_supervisor_that_is_killed_again_and_again_counts_every_pod_once(kp: Machine) -> None:
    script = 'test -e /tmp/never || exit "$((JOB_COMPLETION_INDEX % 2))"'
    kp.play(job("many", "completionMode: Indexed; completions: 12; parallelism: 3; backoffLimitPerIndex: 0", script))
    where = str(kp.root)
    for _ in range(6):
        for pid in [pid for pid, words in processes() if "kubeplay.supervisor" in words and f"root={where}" in words]:
            kill(pid)
        time.sleep(0.5)  # how long it may work before the next one: no test depends on it
    assert finished(kp, "many") == ("Failed", "FailedIndexes")
    assert numbers(kp, "many") == (0, 6, 6) and len(pods(kp, "many")) == 12
    status = stored(kp, "job", "many")["status"]
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,2,4,6,8,10", "1,3,5,7,9,11")


@covers("CronJob.spec.schedule CronJob.spec.timeZone CronJob.spec.startingDeadlineSeconds CronJob.spec.concurrencyPolicy "
        "CronJob.spec.jobTemplate.metadata CronJob.spec.jobTemplate.spec")  # fmt: skip
def test_cj1_a_job_when_its_time_has_come(kp: Machine) -> None:
    kp.wait(lambda: stored(kp, "cronjob", "tick").get("status", {}).get("lastSuccessfulTime"))
    made = [one for one in kp("get", "jobs", "-l", "made=here", "-o", "json").json["items"] if one["metadata"]["name"].startswith("tick-")]
    marks = made[0]["metadata"]["annotations"]
    assert marks["batch.kubernetes.io/cronjob-scheduled-timestamp"].endswith("+05:30")
    assert finished(kp, made[0]["metadata"]["name"])[0] == "Complete"
    assert re.fullmatch(r"tick-\d{8,}", made[0]["metadata"]["name"]) and made[0]["metadata"]["ownerReferences"][0]["name"] == "tick"


@covers("CronJob.spec.suspend CronJob.spec.successfulJobsHistoryLimit CronJob.spec.failedJobsHistoryLimit")
def test_cj2_history_and_suspension(kp: Machine) -> None:
    for name in ("gone", "bad"):
        kp.wait(lambda name=name: "Deleted job" in kp("describe", "cronjob", name).out)  # type: ignore[misc]
    assert not stored(kp, "cronjob", "still").get("status", {}).get("lastScheduleTime")


def test_jobs_and_their_account_are_shown_as_kubectl_shows_them(kp: Machine) -> None:
    body = stored(kp, "job", "some")
    assert body["spec"]["selector"]["matchLabels"] == {"batch.kubernetes.io/controller-uid": body["metadata"]["uid"]}
    assert not [field for field in body["status"] if "/" in field]
    assert re.search(r"^some +Complete +3/3 +\d+s +\d+s$", kp("get", "jobs").out, re.MULTILINE)
    assert "3 Succeeded" in kp("describe", "job", "some").out


def test_jobs_come_back_as_files(kp: Machine) -> None:
    text = kp("generate", "kube", "job/indexed").out
    assert " selector" not in text and "controller-uid" not in text and "completionMode: Indexed" in text and "backoffLimit" not in text
    kp("play", "kube", "--dry-run", kp.file("again.yaml", text))
    cron = kp("generate", "kube", "cronjob/still").out
    assert "jobTemplate" in cron and "suspend: true" in cron and "status" not in cron


def test_a_job_by_hand_from_a_cronjob(kp: Machine) -> None:
    assert kp("create", "job", "by-hand", "--from=cronjob/still").out == "job.batch/by-hand created\n"
    assert finished(kp, "by-hand")[0] == "Complete"
    marks = stored(kp, "job", "by-hand")["metadata"]["annotations"]
    assert marks == {"cronjob.kubernetes.io/instantiate": "manual"}
