"""Faults of Jobs and CronJobs beyond the recorded ones: where kube-apiserver 1.36 finds them (pkg/apis/batch/validation)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubeplay.kube import check

Json = dict[str, Any]
POD: Json = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "i"}]}
INDEXED: Json = {"completionMode": "Indexed", "completions": 5}


def paths(body: Json) -> list[str]:
    return [fault.path for fault in check.inspect(json.dumps(body).encode(), "f").faults]


def job(spec: Json, *, meta: Json | None = None, pod: Json | None = None, template: Json | None = None) -> Json:
    made = {"metadata": template or {}, "spec": {**POD, **(pod or {})}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", **(meta or {})}, "spec": {"template": made, **spec}}


def cron(spec: Json, *, inner: Json | None = None, name: str = "c") -> Json:
    template = {"spec": {"template": {"spec": POD}, **(inner or {})}}
    body = {"schedule": "@daily", "jobTemplate": template, **spec}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name}, "spec": body}


def codes(**fields: Any) -> Json:
    return {"podFailurePolicy": {"rules": [{"action": "Count", "onExitCodes": {"operator": "In", "values": [1], **fields}}]}}


def rule(**fields: Any) -> Json:
    return {"podFailurePolicy": {"rules": [fields]}}


def success(**fields: Any) -> Json:
    return {**INDEXED, "successPolicy": {"rules": [fields]}}


RULE = "spec.podFailurePolicy.rules[0]"
FINE: list[Json] = [
    {}, {"completions": 0}, {"parallelism": 0}, {"activeDeadlineSeconds": 0}, {"ttlSecondsAfterFinished": 0}, {"backoffLimit": 0},
    INDEXED, {"completionMode": "Indexed"}, {**INDEXED, "backoffLimitPerIndex": 0, "maxFailedIndexes": 5},
    {"podReplacementPolicy": "Failed"}, {"managedBy": "kubernetes.io/job-controller"}, codes(containerName="main"),
    codes(values=[-1, 0, 1], operator="NotIn"),
    {"podFailurePolicy": {}}, {"podFailurePolicy": {"rules": []}}, rule(action="Ignore", onPodConditions=[{"type": "DisruptionTarget"}]),
    success(succeededIndexes="0,2-4"), success(succeededCount=5), success(succeededIndexes="", succeededCount=0),
    {"completions": 1_000_000}, {**INDEXED, "completions": 100_001}, {"selector": {}},
]  # fmt: skip


@pytest.mark.parametrize("spec", FINE, ids=str)
def test_fine(spec: Json) -> None:
    assert paths(job(spec)) == []


FAULTS: list[tuple[Json, list[str]]] = [
    *[({field: -1}, [f"spec.{field}"]) for field in ("parallelism", "completions", "activeDeadlineSeconds", "ttlSecondsAfterFinished")],
    ({**INDEXED, "backoffLimitPerIndex": -1}, ["spec.backoffLimitPerIndex"]),
    ({**INDEXED, "maxFailedIndexes": 1}, ["spec.backoffLimitPerIndex"]),
    ({"maxFailedIndexes": 1}, ["spec.backoffLimitPerIndex", "spec.maxFailedIndexes"]),
    ({**INDEXED, "backoffLimitPerIndex": 1, "maxFailedIndexes": -1}, ["spec.maxFailedIndexes"]),
    ({**INDEXED, "backoffLimitPerIndex": 1, "maxFailedIndexes": 6}, ["spec.maxFailedIndexes"]),
    ({**INDEXED, "parallelism": 100_001}, ["spec.parallelism"]),
    ({**INDEXED, "completions": 100_001, "backoffLimitPerIndex": 1}, ["spec.maxFailedIndexes"]),
    ({**INDEXED, "completions": 100_001, "backoffLimitPerIndex": 1, "maxFailedIndexes": 10_001}, ["spec.maxFailedIndexes"]),
    ({"completionMode": "indexed"}, ["spec.completionMode"]),
    ({"managedBy": "me"}, ["spec.managedBy"]),
    ({"managedBy": "example.com/" + "x" * 60}, ["spec.managedBy"]),
    ({"podReplacementPolicy": "Never"}, ["spec.podReplacementPolicy"]),
    (rule(onExitCodes={"operator": "In", "values": [1]}), [f"{RULE}.action"]),
    (rule(action="Fail", onExitCodes={"operator": "In", "values": [1]}), [f"{RULE}.action"]),
    (rule(action="FailIndex", onExitCodes={"operator": "In", "values": [1]}), [f"{RULE}.action"]),
    (rule(action="Count"), [RULE]),
    (rule(action="Count", onExitCodes={"operator": "In", "values": [1]}, onPodConditions=[{"type": "A"}]), [RULE]),
    (rule(action="Count", onPodConditions=[{"type": "A", "status": "Yes"}]), [f"{RULE}.onPodConditions[0].status"]),
    (rule(action="Count", onPodConditions=[{"type": "A B"}]), [f"{RULE}.onPodConditions[0].type"]),
    (codes(operator="Is"), [f"{RULE}.onExitCodes.operator"]),
    (codes(operator=""), [f"{RULE}.onExitCodes.operator"]),
    (codes(values=[]), [f"{RULE}.onExitCodes.values"]),
    (codes(values=[2, 1]), [f"{RULE}.onExitCodes.values"]),
    (codes(values=[1, 1]), [f"{RULE}.onExitCodes.values[1]"]),
    (codes(values=list(range(1, 257))), [f"{RULE}.onExitCodes.values"]),
    ({"podFailurePolicy": {"rules": codes()["podFailurePolicy"]["rules"] * 21}}, ["spec.podFailurePolicy.rules"]),
    ({"successPolicy": {"rules": [{"succeededCount": 1}]}}, ["spec.successPolicy"]),
    ({**INDEXED, "successPolicy": {"rules": []}}, ["spec.successPolicy.rules"]),
    (success(), ["spec.successPolicy.rules[0]"]),
    (success(succeededCount=6), ["spec.successPolicy.rules[0].succeededCount"]),
    (success(succeededCount=-1), ["spec.successPolicy.rules[0].succeededCount"]),
    (success(succeededIndexes="0,1", succeededCount=3), ["spec.successPolicy.rules[0].succeededCount"]),
    *[(success(succeededIndexes=text), ["spec.successPolicy.rules[0].succeededIndexes"])
      for text in ("5", "0-5", "1,0", "1,1", "2-1", "0-1-2", "a", "-1", "0,", " 0", "0-", "1_0")],
    ({"selector": {"matchLabels": {"a": "b"}}, "manualSelector": True}, ["spec.template.metadata.labels"]),
    ({"manualSelector": True}, ["spec.selector", "spec.template.metadata.labels"]),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "wanted"), FAULTS, ids=str)
def test_faults(spec: Json, wanted: list[str]) -> None:
    assert sorted(set(paths(job(spec)))) == sorted(wanted)


def test_the_template() -> None:
    assert paths(job({}, pod={"restartPolicy": "Always"})) == ["spec.template.spec.restartPolicy"]
    assert "spec.template.spec.restartPolicy" in paths(job({}, pod={"restartPolicy": "Sometimes"}))
    assert paths(job(codes(), pod={"restartPolicy": "OnFailure"})) == ["spec.template.spec.restartPolicy"]
    assert paths(job({}, pod={"activeDeadlineSeconds": 5})) == []
    init = {"initContainers": [{"name": "init", "image": "i"}]}
    assert paths(job(codes(containerName="init"), pod=init)) == []


def test_labels_that_the_server_makes() -> None:
    path = "spec.template.metadata.labels"
    assert paths(job({}, template={"labels": {"job-name": "j", "batch.kubernetes.io/job-name": "j"}})) == []
    assert set(paths(job({}, template={"labels": {"job-name": "other"}}))) == {f"{path}[job-name]"}
    assert set(paths(job({}, template={"labels": {"controller-uid": "other"}}))) == {f"{path}[controller-uid]"}
    wrong = {"labels": {"batch.kubernetes.io/controller-uid": "other"}}
    assert set(paths(job({}, template=wrong))) == {f"{path}[batch.kubernetes.io/controller-uid]", path}


def test_names() -> None:
    assert paths(job({}, meta={"name": "a.b"})) == []
    assert set(paths(job({}, meta={"name": "j" * 64}))) == {"spec.template.labels"}
    assert paths(job(INDEXED, meta={"name": "j" * 62})) == ["metadata.name"]
    assert paths(job({"completionMode": "Indexed", "completions": 11}, meta={"name": "j" * 61})) == ["metadata.name"]
    assert paths(job(INDEXED, meta={"name": "a.b"})) == ["metadata.name"]
    assert paths(job({}, meta={"name": None, "generateName": "job-"})) == []
    assert paths(cron({}, name="c" * 52)) == [] and paths(cron({}, name="c.d")) == []


@pytest.mark.parametrize(
    ("spec", "inner", "wanted"),
    [
        ({"concurrencyPolicy": "forbid"}, {}, ["spec.concurrencyPolicy"]),
        ({"successfulJobsHistoryLimit": -1}, {}, ["spec.successfulJobsHistoryLimit"]),
        ({"failedJobsHistoryLimit": -1}, {}, ["spec.failedJobsHistoryLimit"]),
        ({"timeZone": ""}, {}, ["spec.timeZone"]),
        ({"timeZone": "Local", "schedule": "TZ=UTC @daily"}, {}, ["spec.schedule", "spec.timeZone"]),
        ({"schedule": "* * * * * *"}, {"backoffLimit": -1}, ["spec.jobTemplate.spec.backoffLimit", "spec.schedule"]),
        ({}, {"selector": {"matchLabels": {"a": "b"}}}, ["spec.jobTemplate.spec.selector"]),
        ({}, {"manualSelector": True}, ["spec.jobTemplate.spec.manualSelector"]),
        ({}, {"manualSelector": False}, []),
        ({}, {"completionMode": "Indexed"}, ["spec.jobTemplate.spec.completions"]),
        ({}, {"template": {"spec": {"containers": POD["containers"]}}}, ["spec.jobTemplate.spec.template.spec.restartPolicy"]),
    ],
    ids=str,
)
def test_cron_jobs(spec: Json, inner: Json, wanted: list[str]) -> None:
    assert sorted(set(paths(cron(spec, inner=inner)))) == wanted
