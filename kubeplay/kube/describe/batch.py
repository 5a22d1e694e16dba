"""`describe` of Job and CronJob (kubectl/pkg/describe/describe.go of 1.36)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeplay.kube import columns, printers
from kubeplay.kube.describe import text
from kubeplay.kube.describe.text import NONE, Page
from kubeplay.kube.describe.workloads import template

Json = dict[str, Any]
_UNSET = "<unset>"


def job(body: Json, pods: Sequence[Json], _: Sequence[Json], events: Sequence[Json], now: float) -> str:
    page, spec, status = Page(), body.get("spec") or {}, body.get("status") or {}
    meta = body["metadata"]
    page.pair(0, "Name", meta["name"])
    page.pair(0, "Namespace", meta.get("namespace") or "default")
    page.pair(0, "Selector", printers.selector(spec.get("selector")))
    text.marks(page, meta)
    text.controlled(page, body)
    page.pair(0, "Parallelism", _or_unset(spec.get("parallelism")))
    page.pair(0, "Completions", _or_unset(spec.get("completions")))
    page.pair(0, "Completion Mode", spec.get("completionMode") or "NonIndexed")
    page.pair(0, "Suspend", "true" if spec.get("suspend") else "false")
    page.pair(0, "Backoff Limit", _or_unset(spec.get("backoffLimit")))
    for label, field in (("Backoff Limit Per Index", "backoffLimitPerIndex"), ("Max Failed Indexes", "maxFailedIndexes"),
                         ("TTL Seconds After Finished", "ttlSecondsAfterFinished")):  # fmt: skip
        if spec.get(field) is not None:
            page.pair(0, label, spec[field])
    _times(page, spec, status)
    counts = f"{status.get('active') or 0} Active ({status.get('ready') or 0} Ready)"
    page.pair(0, "Pods Statuses", f"{counts} / {status.get('succeeded') or 0} Succeeded / {status.get('failed') or 0} Failed")
    if spec.get("completionMode") == "Indexed":
        page.pair(0, "Completed Indexes", status.get("completedIndexes") or NONE)
        if spec.get("backoffLimitPerIndex") is not None:
            page.pair(0, "Failed Indexes", status.get("failedIndexes") or NONE)
    template(page, spec.get("template"))
    text.conditions(page, status.get("conditions") or [], "reason", "message")  # ours: kubectl does not say why a Job has failed
    text.events(page, events, now)
    return page.text()


def _or_unset(value: Any) -> Any:
    return _UNSET if value is None else value


def _times(page: Page, spec: Json, status: Json) -> None:
    start, end = status.get("startTime"), status.get("completionTime")
    if start:
        page.pair(0, "Start Time", text.moment(start))
    if end:
        page.pair(0, "Completed At", text.moment(end))
    if start and end:
        page.pair(0, "Duration", columns.age(printers.seconds(end) - printers.seconds(start)))
    if spec.get("activeDeadlineSeconds") is not None:
        page.pair(0, "Active Deadline Seconds", f"{spec['activeDeadlineSeconds']}s")


def cron_job(body: Json, pods: Sequence[Json], jobs: Sequence[Json], events: Sequence[Json], now: float) -> str:
    page, spec, status = Page(), body.get("spec") or {}, body.get("status") or {}
    text.head(page, body)
    page.pair(0, "Schedule", spec.get("schedule", ""))
    if spec.get("timeZone"):
        page.pair(0, "Time Zone", spec["timeZone"])
    page.pair(0, "Concurrency Policy", spec.get("concurrencyPolicy") or "Allow")
    page.pair(0, "Suspend", str(bool(spec.get("suspend"))))
    for label, field in (("Successful", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
        page.pair(0, f"{label} Job History Limit", _or_unset(spec.get(field)))
    deadline = spec.get("startingDeadlineSeconds")
    page.pair(0, "Starting Deadline Seconds", _UNSET if deadline is None else f"{deadline}s")
    made = (spec.get("jobTemplate") or {}).get("spec") or {}
    page.pair(0, "Selector", printers.selector(made["selector"]) if made.get("selector") else _UNSET)
    page.pair(0, "Parallelism", _or_unset(made.get("parallelism")))
    page.pair(0, "Completions", _or_unset(made.get("completions")))
    if made.get("activeDeadlineSeconds") is not None:
        page.pair(0, "Active Deadline Seconds", f"{made['activeDeadlineSeconds']}s")
    template(page, made.get("template"))
    last = status.get("lastScheduleTime")
    page.pair(0, "Last Schedule Time", text.moment(last) if last else _UNSET)
    page.pair(0, "Active Jobs", ", ".join(one.get("name", "") for one in status.get("active") or []) or NONE)
    text.events(page, events, now)
    return page.text()
