"""Defaults of Job and CronJob (JO1), in place. The selector and the labels made of a Job's uid are not made here: there is no uid yet."""

from __future__ import annotations

from typing import Any

from kubeplay.kube import defaults_pod
from kubeplay.kube.defaults_pod import records

Object = dict[str, Any]
NO_LIMIT = 2**31 - 1


def job(obj: Object) -> None:
    """JO1."""
    spec = _record(obj, "spec")
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    for field, value in (("parallelism", 1), ("completionMode", "NonIndexed"), ("suspend", False), ("manualSelector", False)):
        spec.setdefault(field, value)
    spec.setdefault("backoffLimit", NO_LIMIT if spec.get("backoffLimitPerIndex") is not None else 6)
    policy = spec.get("podFailurePolicy")
    spec.setdefault("podReplacementPolicy", "Failed" if policy is not None else "TerminatingOrFailed")
    template(spec)
    labels = spec["template"]["metadata"].get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)


def cron_job(obj: Object) -> None:
    """The Job's own defaults come when a Job is made of the template."""
    spec = _record(obj, "spec")
    if not spec.get("concurrencyPolicy"):
        spec["concurrencyPolicy"] = "Allow"
    for field, value in (("suspend", False), ("successfulJobsHistoryLimit", 3), ("failedJobsHistoryLimit", 1)):
        spec.setdefault(field, value)
    made = _record(spec, "jobTemplate")
    _record(made, "metadata")
    template(_record(made, "spec"))


def template(spec: Object) -> None:
    """The pod template of a Job's spec, and what a rule of its failure policy leaves open."""
    made = _record(spec, "template")
    _record(made, "metadata")
    defaults_pod.template(_record(made, "spec"))
    policy = spec.get("podFailurePolicy")
    for rule in records(policy, "rules") if isinstance(policy, dict) else ():
        for pattern in records(rule, "onPodConditions"):
            if not pattern.get("status"):
                pattern["status"] = "True"


def _record(parent: Object, field: str) -> Object:
    value = parent.get(field)
    if not isinstance(value, dict):
        value = parent[field] = {}
    return value
