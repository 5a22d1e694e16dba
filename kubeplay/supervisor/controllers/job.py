"""Job: pods until enough have succeeded, or until it has failed (JO1-JO6) [K: controller/job/job_controller.go].

The order of a decision: what has ended is counted (job_account.py), then it is asked whether the Job has come to its end; if not, pods
are made or ended (job_pods.py). The status goes first, so that no count is lost with a killed supervisor.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubeplay.clock import rfc3339
from kubeplay.kube import indexes, jobs
from kubeplay.record import Record
from kubeplay.supervisor.controllers import job_account as accounts
from kubeplay.supervisor.controllers import job_pods, job_policy
from kubeplay.supervisor.controllers.job_account import Account
from kubeplay.supervisor.controllers.model import Action, Create, Decision, Delete, Json, Note, Status, Thing, World
from kubeplay.supervisor.controllers.stamps import seconds

KIND = "Job"
_FINAL = {"SuccessCriteriaMet": jobs.COMPLETE, "FailureTarget": jobs.FAILED}


class End(Record):
    """How a Job ends: the condition before the last one, and why."""

    kind: str
    reason: str
    message: str


def decide(world: World, own: Thing, now: float) -> Decision:
    """What is to be done about a Job now."""
    spec = own.body["spec"]
    if spec.get("managedBy") not in (None, jobs.CONTROLLER):
        return Decision()
    if jobs.finished(own.status):
        return _outlived(own, now)
    pods = world.owned(own.uid, "Pod")
    account = accounts.taken(accounts.read(spec, own.status), spec, pods, now)
    end = _end(own, account, pods, now)
    if end is not None:
        return _finish(own, account, pods, end, now)
    if spec.get("suspend"):
        return _suspended(own, account, pods, now)
    return _go_on(own, account, pods, now, world.failed(own.uid))


def _outlived(own: Thing, now: float) -> Decision:
    """JO6: a finished Job goes when its time is over."""
    ttl, finish = own.body["spec"].get("ttlSecondsAfterFinished"), jobs.finish(own.status)
    if ttl is None or finish is None:
        return Decision()
    when = seconds(finish["lastTransitionTime"]) + ttl
    return Decision(wake_at=when) if when > now else Decision((Delete(own.key, own.uid),))


# the end
def _end(own: Thing, account: Account, pods: list[Thing], now: float) -> End | None:
    """Whether the Job has come to its end, by the first reason there is."""
    spec, status = own.body["spec"], own.status
    for kind in _FINAL:
        there = _condition(status, kind)
        if there is not None:
            return End(kind, there.get("reason", ""), there.get("message", ""))
    if account.failure:
        return _failure("PodFailurePolicy", account.failure)
    if account.failed > spec["backoffLimit"] or _restarted_too_often(spec, pods):
        return _failure("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    deadline = _deadline(own)
    if deadline is not None and deadline <= now:
        return _failure("DeadlineExceeded", "Job was active longer than specified deadline")
    if spec.get("completionMode") != jobs.INDEXED:
        return None
    lost = indexes.count(account.lost)
    if spec.get("maxFailedIndexes") is not None and lost > spec["maxFailedIndexes"]:
        return _failure("MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes")
    if lost and lost + account.succeeded >= spec["completions"]:
        return _failure("FailedIndexes", "Job has failed indexes")
    rule = job_policy.met(spec, account.done)
    return End("SuccessCriteriaMet", "SuccessPolicy", rule) if rule else None


def _failure(reason: str, message: str) -> End:
    return End("FailureTarget", reason, message)


def _deadline(own: Thing) -> float | None:
    spec, started = own.body["spec"], own.status.get("startTime")
    if spec.get("activeDeadlineSeconds") is None or not started or spec.get("suspend"):
        return None
    return seconds(started) + float(spec["activeDeadlineSeconds"])


def _restarted_too_often(spec: Json, pods: Iterable[Thing]) -> bool:
    """JO3: with OnFailure the containers' restarts count."""
    if spec["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    restarts = sum(
        container["restartCount"]
        for pod in pods if pod.status.get("phase") in ("Pending", "Running")
        for field in ("initContainerStatuses", "containerStatuses")
        for container in pod.status.get(field) or []
    )  # fmt: skip
    return bool(restarts > 0 if spec["backoffLimit"] == 0 else restarts >= spec["backoffLimit"])


def _finish(own: Thing, account: Account, pods: list[Thing], end: End, now: float) -> Decision:
    """What still runs is ended; the last word is said when nothing does."""
    running = accounts.active(pods, account.counted)
    failing = end.kind == "FailureTarget"
    meant = [pod for pod in running if not accounts.is_stray(own.body["spec"], pod)]
    account = accounts.released(account, running, len(meant) if failing else 0)
    status = _status(own, account, [], pods, running)
    if _condition(status, end.kind) is None:
        _add(status, end.kind, "True", end.reason, end.message, now)
    notes: list[Action] = []
    if not running and not accounts.terminating(pods):
        _add(status, _FINAL[end.kind], "True", end.reason, end.message, now)
        if failing:
            notes.append(Note(own.key, "Warning", end.reason, end.message))
        else:
            status["completionTime"] = rfc3339(now)
            notes.append(Note(own.key, "Normal", "Completed", "Job completed"))
        status.pop(jobs.ACCOUNT, None)  # nothing is counted any more
    return Decision((*_stored(own, status), *_ended(own, running), *notes), _ttl(own, status))


def _ttl(own: Thing, status: Json) -> float | None:
    finish, ttl = jobs.finish(status), own.body["spec"].get("ttlSecondsAfterFinished")
    return None if finish is None or ttl is None else seconds(finish["lastTransitionTime"]) + float(ttl)


# on the way
def _suspended(own: Thing, account: Account, pods: list[Thing], now: float) -> Decision:
    """JO6: nothing runs, and the time that it may take begins anew when it goes on."""
    running = accounts.active(pods, account.counted)
    account = accounts.released(account, running)
    status = _status(own, account, [], pods, running)
    status.pop("startTime", None)
    notes: list[Action] = []
    if (_condition(status, "Suspended") or {}).get("status") != "True":
        _add(status, "Suspended", "True", "JobSuspended", "Job suspended", now)
        notes.append(Note(own.key, "Normal", "Suspended", "Job suspended"))
    if _complete(own.body["spec"], account, 0):
        return _finish(own, account, pods, _success(), now)
    return Decision((*_stored(own, status), *_ended(own, running), *notes))


def _success() -> End:
    return End("SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods")


def _complete(spec: Json, account: Account, active: int) -> bool:
    if spec.get("completions") is None:
        return account.succeeded > 0 and not active
    return bool(account.succeeded >= spec["completions"] and not active)


def _go_on(own: Thing, account: Account, pods: list[Thing], now: float, trouble: str) -> Decision:
    plan = job_pods.plan(own, account, pods, now)
    account = accounts.released(account, plan.ended)
    running = [pod for pod in accounts.active(pods, account.counted) if pod not in plan.ended]
    if _complete(own.body["spec"], account, len(running) + len(plan.made)):
        return _finish(own, account, pods, _success(), now)
    status = _status(own, account, running, pods, plan.ended, 0 if trouble else len(plan.made))
    notes = _begun(own, status, pods, now)
    created: list[Action] = []
    for body in plan.made:
        created += [Create(body, own.uid), Note(own.key, "Normal", "SuccessfulCreate", f"Created pod: {body['metadata']['name']}")]
    times = [when for when in (plan.wake_at, _deadline(own._replace(status=status))) if when is not None]
    return Decision((*_stored(own, status), *notes, *_ended(own, plan.ended), *created), min(times, default=None))


def _begun(own: Thing, status: Json, pods: list[Thing], now: float) -> list[Action]:
    """The start of a Job's time: at first, and whenever it goes on after a rest."""
    if (_condition(status, "Suspended") or {}).get("status") == "True":
        _add(status, "Suspended", "False", "JobResumed", "Job resumed", now)
        status["startTime"] = rfc3339(now)
        return [Note(own.key, "Normal", "Resumed", "Job resumed")]
    if status.get("startTime"):
        return []
    status["startTime"] = rfc3339(own.created if pods else now)  # those that play made
    return [Note(own.key, "Normal", "SuccessfulCreate", f"Created pod: {pod.key.name}") for pod in pods]


def _ended(own: Thing, pods: Iterable[Thing]) -> list[Action]:
    found: list[Action] = []
    for pod in pods:
        found += [Delete(pod.key, pod.uid), Note(own.key, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.key.name}")]
    return found


# the status
def _status(own: Thing, account: Account, running: list[Thing], pods: list[Thing], ended: Iterable[Thing], more: int = 0) -> Json:
    """JO6: the numbers as the decision leaves them; `ended` pods are about to be terminating, `more` to be there."""
    spec = own.body["spec"]
    gone = ("active", "succeeded", "failed", "completedIndexes", "failedIndexes", jobs.ACCOUNT)
    status = {field: value for field, value in own.status.items() if field not in gone}
    status["conditions"] = [dict(condition) for condition in own.status.get("conditions") or []]
    numbers = {"active": len(running) + more, "succeeded": account.succeeded, "failed": account.failed}
    status.update({field: number for field, number in numbers.items() if number})
    if spec.get("completionMode") == jobs.INDEXED:
        status.update({"completedIndexes": indexes.text(account.done)} if account.done else {})
        if spec.get("backoffLimitPerIndex") is not None:
            status["failedIndexes"] = indexes.text(account.lost)
    status["ready"] = sum(1 for pod in running if _is_ready(pod))
    status["terminating"] = len(accounts.terminating(pods)) + len(list(ended))
    status["uncountedTerminatedPods"] = {}
    kept = accounts.written(account)
    status.update({jobs.ACCOUNT: kept} if kept else {})
    if not status["conditions"]:
        del status["conditions"]
    return status


def _is_ready(pod: Thing) -> bool:
    return (_condition(pod.status, "Ready") or {}).get("status") == "True"


def _stored(own: Thing, status: Json) -> tuple[Action, ...]:
    return () if status == own.status else (Status(own.key, status),)


def _condition(status: Json, kind: str) -> Json | None:
    return next((one for one in status.get("conditions") or [] if one["type"] == kind), None)


def _add(status: Json, kind: str, value: str, reason: str, message: str, now: float) -> None:
    """Set a condition, in its place when it is there."""
    stamp = rfc3339(now)
    made = {
        "type": kind, "status": value, "lastProbeTime": stamp, "lastTransitionTime": stamp, "reason": reason, "message": message
    }  # fmt: skip
    found = _condition(status, kind)
    if found is None:
        status.setdefault("conditions", []).append(made)
    else:
        found.update(made)
