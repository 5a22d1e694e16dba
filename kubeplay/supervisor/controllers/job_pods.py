"""Which pods of a Job are made and which are ended now (JO1, JO2, JO4). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from kubeplay.kube import indexes, jobs
from kubeplay.play.kinds import job
from kubeplay.record import Record
from kubeplay.supervisor.controllers import job_account as accounts
from kubeplay.supervisor.controllers.job_account import Account, Delay
from kubeplay.supervisor.controllers.model import Json, Thing
from kubeplay.supervisor.controllers.stamps import seconds


class Plan(Record):
    """Bodies of pods to make, pods to end, and when to look again because of a back-off."""

    made: tuple[Json, ...] = ()
    ended: tuple[Thing, ...] = ()
    wake_at: float | None = None


def plan(own: Thing, account: Account, pods: Sequence[Thing], now: float) -> Plan:
    spec, running = own.body["spec"], accounts.active(pods, account.counted)
    wanted = _wanted(spec, account, len(running))
    ended = _surplus(spec, running, max(0, len(running) - wanted))[: job.AT_ONCE]
    if ended:  # either ends or makes pods: ends come first
        return Plan(ended=tuple(ended))
    leaving = accounts.terminating(pods) if spec.get("podReplacementPolicy") == "Failed" else []
    number = min(wanted - len(leaving) - len(running), job.AT_ONCE)
    if number <= 0:
        return Plan()
    if spec.get("backoffLimitPerIndex") is None and account.delay.until() > now:
        return Plan(wake_at=account.delay.until())
    if spec.get("completionMode") == jobs.INDEXED:
        return _by_index(own, account, [*running, *leaving], pods, number, now)
    return Plan(tuple(_bodies(own, account, pods, [None] * number)))


def _wanted(spec: Json, account: Account, running: int) -> int:
    """How many pods should run."""
    if spec.get("completions") is None:
        return running if account.succeeded else int(spec["parallelism"])
    return max(0, min(int(spec["completions"]) - account.succeeded, int(spec["parallelism"])))


def _by_index(own: Thing, account: Account, there: list[Thing], pods: Sequence[Thing], number: int, now: float) -> Plan:
    """The lowest indexes that are neither done nor lost nor there; with a limit for each those that need not wait."""
    spec = own.body["spec"]
    present = [index for index in map(accounts.index_of, there) if index is not None]
    taken = indexes.joined([*account.done, *account.lost], present)
    found = indexes.missing(taken, spec["completions"], number)
    delays = dict(account.delays) if spec.get("backoffLimitPerIndex") is not None else {}
    ready = [index for index in found if delays.get(index, Delay()).until() <= now]
    waits = [delays[index].until() for index in found if index not in ready]
    return Plan(tuple(_bodies(own, account, pods, ready)), wake_at=min(waits, default=None))


def _bodies(own: Thing, account: Account, pods: Sequence[Thing], wanted: Sequence[int | None]) -> list[Json]:
    """Pods of these indexes. The seed of a name tells instances of one Job apart: none is drawn twice."""
    delays, taken = dict(account.delays), {pod.key.name for pod in pods}
    seed, made = len(pods) + account.failed + account.succeeded, []
    for index in wanted:
        delay = delays.get(index, Delay()) if index is not None else Delay()
        made.append(job.pod_of(own.body, own.uid, index, seed, taken, (delay.failures, delay.ignored)))
    return made


def _surplus(spec: Json, running: list[Thing], number: int) -> list[Thing]:
    """Pods to end: those of no index or of one that another has, then the least useful (RP1)."""
    order = sorted(running, key=_usefulness)
    ended: list[Thing] = []
    if spec.get("completionMode") == jobs.INDEXED:
        seen: set[int] = set()
        for pod in reversed(order):
            index = accounts.index_of(pod)
            if accounts.is_stray(spec, pod) or index in seen:
                ended.append(pod)
            elif index is not None:
                seen.add(index)
    left = [pod for pod in order if pod not in ended]
    return ended + left[: max(0, number - len(ended))]


def _usefulness(pod: Thing) -> tuple[object, ...]:
    """RP1: unassigned, Pending, not ready, newly ready, often restarted and new pods are ended first."""
    conditions = {one["type"]: one for one in pod.status.get("conditions") or []}
    ready = conditions.get("Ready", {})
    is_ready = ready.get("status") == "True"
    since = seconds(ready["lastTransitionTime"]) if is_ready and ready.get("lastTransitionTime") else 0.0
    restarts = max((one["restartCount"] for one in pod.status.get("containerStatuses") or []), default=0)
    phase = {"Unknown": 1, "Running": 2}.get(pod.status.get("phase") or "Pending", 0)
    assigned = conditions.get("PodScheduled", {}).get("status", "True") == "True"
    return assigned, phase, is_ready, -since, -restarts, -pod.created, pod.key.name
