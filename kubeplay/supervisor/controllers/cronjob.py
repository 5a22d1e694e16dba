"""CronJob: a Job at each time of its schedule (CJ1, CJ2) [K: controller/cronjob/cronjob_controllerv2.go].

When it last ran is read from its Jobs as well as from its status, and each time has a Job of one name only: a supervisor that is killed
between the two neither forgets a run nor makes it twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from kubeplay.clock import rfc3339
from kubeplay.kube import cron, jobs
from kubeplay.plan.stack import ObjectKey
from kubeplay.play.kinds import cronjob
from kubeplay.record import Record
from kubeplay.supervisor.controllers.model import Action, Create, Decision, Delete, Json, Note, Status, Thing, World
from kubeplay.supervisor.controllers.stamps import seconds, zoned

KIND = "CronJob"
MANY = 100  # missed runs that are worth a warning
_LATE = 0.05  # seconds after a time, so that it is certainly past


class Missed(Record):
    """The newest time that has come and was not run (None: there is none), of about how many; `since` is where the search began."""

    newest: int | None
    number: int
    since: float


def decide(world: World, own: Thing, now: float) -> Decision:
    """Keep the history short and the status true; make a Job when its time has come."""
    found = world.owned(own.uid, "Job")
    tidied = _history(own, found)
    gone = {action.uid for action in tidied if isinstance(action, Delete)}
    running = [job for job in found if jobs.SCHEDULED in _marks(job) and not jobs.finished(job.status) and job.deleted is None]
    status = _status(own, found, running)
    done: list[Action] = [*_news(own, found), *([Status(own.key, status)] if status != own.status else []), *tidied]
    spec, zone = own.body["spec"], cronjob.zone_of(own.body)
    if zone is None:
        done.append(Note(own.key, "Warning", "UnknownTimeZone", f'invalid timeZone: "{spec["timeZone"]}"'))
    if spec.get("suspend") or zone is None:
        return Decision(tuple(done))
    schedule = cron.parse(spec["schedule"])
    missed = _missed(own, status, schedule, now, zone, spec.get("startingDeadlineSeconds"))
    started = _run(world, own, [job for job in running if job.uid not in gone], missed, now)
    return Decision((*done, *started), _next(own, status, schedule, now, zone))


def _run(world: World, own: Thing, running: list[Thing], missed: Missed, now: float) -> list[Action]:
    """What is done about the newest time that was not run."""
    at, spec = missed.newest, own.body["spec"]
    if at is None:
        return []
    notes: list[Action] = []
    if missed.number > MANY:
        text = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
        notes.append(Note(own.key, "Warning", "TooManyMissedTimes", text))
    deadline = spec.get("startingDeadlineSeconds")
    if deadline is not None and at + deadline < now:
        text = f"Missed scheduled time to start a job: {time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime(at))}"
        return [*notes, Note(own.key, "Warning", "MissSchedule", text)]
    name = cronjob.name_at(own.key.name, at)
    if world.find(ObjectKey("Job", own.key.namespace, name)) is not None:
        return []
    if running and spec["concurrencyPolicy"] == "Forbid":
        text = "Not starting job because prior execution is running and concurrency policy is Forbid"
        return [*notes, Note(own.key, "Normal", "JobAlreadyActive", text)]
    ended: list[Action] = []
    if spec["concurrencyPolicy"] == "Replace":
        ended = [action for job in running for action in _removal(own, job)]
    made = cronjob.job_of(own.body, at)
    told = Note(own.key, "Normal", "SuccessfulCreate", f"Created job {name}")
    return [*notes, *ended, Create(made, own.uid), told]


# when
def _missed(own: Thing, status: Json, schedule: cron.Schedule, now: float, zone: cron.Zone, deadline: int | None) -> Missed:
    """CJ2: only the most recent of the times since the last run."""
    since = seconds(status["lastScheduleTime"]) if status.get("lastScheduleTime") else own.created
    if deadline is not None:
        since = max(since, now - deadline)
    first = cron.following(schedule, since, zone)
    if first is None or first > now:
        return Missed(None, 0, since)
    second = cron.following(schedule, first, zone)
    if second is None or second > now:
        return Missed(first, 1, since)
    step = max(1, second - first)
    number = int(now - first) // step + 1
    return Missed(_newest(schedule, first, now, zone, step), number, since)


def _newest(schedule: cron.Schedule, first: int, now: float, zone: cron.Zone, step: int) -> int:
    """The last time up to `now`: from ever further back, since the steps of a schedule differ (weekdays, months)."""
    if schedule.every:
        return first + int(now - first) // schedule.every * schedule.every
    back = step
    while True:
        begin = max(first - 1, int(now) - back)
        at = cron.following(schedule, begin, zone)
        if at is not None and at <= now:
            break
        back *= 4
    while True:
        later = cron.following(schedule, at, zone)
        if later is None or later > now:
            return at
        at = later


def _next(own: Thing, status: Json, schedule: cron.Schedule, now: float, zone: cron.Zone) -> float | None:
    missed = _missed(own, status, schedule, now, zone, None)
    at = cron.following(schedule, missed.since if missed.newest is None else missed.newest, zone)
    return None if at is None else at + _LATE


# the status
def _status(own: Thing, found: list[Thing], running: list[Thing]) -> Json:
    status = {field: value for field, value in own.status.items() if field != "active"}
    if running:
        status["active"] = [_reference(job) for job in running]
    times = [zoned(_marks(job)[jobs.SCHEDULED]) for job in found if jobs.SCHEDULED in _marks(job)]
    ends = [seconds(job.status["completionTime"]) for job in found if jobs.finished(job.status) == jobs.COMPLETE]
    for field, values in (("lastScheduleTime", times), ("lastSuccessfulTime", ends)):
        before = [seconds(status[field])] if status.get(field) else []
        if values or before:
            status[field] = rfc3339(max([*values, *before]))
    return status


def _reference(job: Thing) -> Json:
    where = {"namespace": job.key.namespace, "name": job.key.name, "uid": job.uid}
    return {"apiVersion": "batch/v1", "kind": "Job", **where}


def _marks(job: Thing) -> dict[str, str]:
    found: dict[str, str] = job.body["metadata"].get("annotations") or {}
    return found


def _news(own: Thing, found: list[Thing]) -> Iterable[Action]:
    """Jobs that were running when it last looked and are not any more."""
    there = {job.uid: job for job in found}
    for reference in own.status.get("active") or []:
        job = there.get(reference["uid"])
        if job is None:
            yield Note(own.key, "Normal", "MissingJob", f"Active job went missing: {reference['name']}")
        elif jobs.finished(job.status):
            text = f"Saw completed job: {job.key.name}, condition: {jobs.finished(job.status)}"
            yield Note(own.key, "Normal", "SawCompletedJob", text)


# the history
def _history(own: Thing, found: list[Thing]) -> list[Action]:
    """CJ2: of the finished Jobs the newest stay."""
    spec = own.body["spec"]
    actions: list[Action] = []
    for how, limit in ((jobs.COMPLETE, spec.get("successfulJobsHistoryLimit")), (jobs.FAILED, spec.get("failedJobsHistoryLimit"))):
        ended = sorted([job for job in found if jobs.finished(job.status) == how and job.deleted is None], key=_started)
        for job in ended[: max(0, len(ended) - limit)] if limit is not None else ():
            actions += _removal(own, job)
    return actions


def _started(job: Thing) -> tuple[str, str]:
    return job.status.get("startTime") or "", job.key.name


def _removal(own: Thing, job: Thing) -> list[Action]:
    return [Delete(job.key, job.uid), Note(own.key, "Normal", "SuccessfulDelete", f"Deleted job {job.key.name}")]
