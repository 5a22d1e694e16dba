"""A Job's account: which pods have been counted, and what they add up to (JO3, JO4, JO6). Pure.

Kubernetes marks counted pods by taking a finalizer away. Here the account lies in the Job's status, under a key of our own, and is
stored with the numbers in one write (LR5): a pod counts once, however often the supervisor is killed and whether its object stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubeplay.kube import indexes, jobs
from kubeplay.kube.status import FAILED, SUCCEEDED, TERMINAL
from kubeplay.record import Record
from kubeplay.supervisor.controllers import job_policy
from kubeplay.supervisor.controllers.model import Json, Thing
from kubeplay.supervisor.controllers.stamps import seconds

FIRST, LONGEST = 10.0, 600.0  # JO4: seconds before a failed pod is replaced, doubling


class Delay(Record):
    """Failures in a row, and when the last of them was; `ignored` ones make the next wait but do not count."""

    failures: int = 0
    ignored: int = 0
    last: float = 0.0

    def until(self) -> float:
        """When the next pod may be made."""
        number = self.failures + self.ignored
        return self.last + min(FIRST * 2 ** min(number - 1, 10), LONGEST) if number else 0.0


class Account(Record):
    """`counted`: uids of pods that are there and have been dealt with. `done` and `lost`: indexes that succeeded and failed.

    `delay` is the Job's, `delays` those of its indexes. `failure`: why a policy fails the Job.
    """

    counted: frozenset[str] = frozenset()
    succeeded: int = 0
    failed: int = 0
    done: tuple[indexes.Interval, ...] = ()
    lost: tuple[indexes.Interval, ...] = ()
    delay: Delay = Delay()
    delays: tuple[tuple[int, Delay], ...] = ()
    failure: str = ""


def read(spec: Json, status: Json) -> Account:
    """The account as it was stored."""
    kept, most = status.get(jobs.ACCOUNT) or {}, spec.get("completions") or 0
    return Account(
        counted=frozenset(kept.get("counted") or ()),
        succeeded=status.get("succeeded", 0),
        failed=status.get("failed", 0),
        done=tuple(indexes.known(status.get("completedIndexes"), most)),
        lost=tuple(indexes.known(status.get("failedIndexes"), most)),
        delay=Delay(*kept.get("delay") or ()),
        delays=tuple([(int(index), Delay(*delay)) for index, delay in (kept.get("delays") or {}).items()]),
    )


def written(account: Account) -> Json:
    """What is kept in the status beside the numbers; empty when there is nothing to keep."""
    kept: Json = {"counted": sorted(account.counted)} if account.counted else {}
    if account.delay.last:
        kept["delay"] = list(account.delay)
    if account.delays:
        kept["delays"] = {str(index): list(delay) for index, delay in account.delays}
    return kept


def index_of(pod: Thing) -> int | None:
    """The completion index of a pod, None of one that has none."""
    text = (pod.body["metadata"].get("annotations") or {}).get(jobs.INDEX) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def has_failed(spec: Json, pod: Thing) -> bool:
    """A pod that is being deleted counts as failed at once, unless only ended ones are replaced."""
    phase = pod.status.get("phase")
    if pod.held:
        return False  # a person stopped it, and may start it again
    if phase == FAILED or spec.get("podReplacementPolicy") == "Failed":
        return phase == FAILED
    return pod.deleted is not None and phase != SUCCEEDED


def terminating(pods: Iterable[Thing]) -> list[Thing]:
    return [pod for pod in pods if pod.deleted is not None and pod.status.get("phase") not in TERMINAL]


def active(pods: Iterable[Thing], counted: frozenset[str] = frozenset()) -> list[Thing]:
    """Pods that run or will; one that a person stopped before it was counted, too."""

    def stopped(pod: Thing) -> bool:
        return pod.held and pod.status.get("phase") == FAILED and pod.uid not in counted

    return [pod for pod in pods if pod.deleted is None and (pod.status.get("phase") not in TERMINAL or stopped(pod))]


def taken(account: Account, spec: Json, pods: Sequence[Thing], now: float) -> Account:
    """The account with what has ended since."""
    there = {pod.uid for pod in pods}
    fresh = [pod for pod in pods if pod.uid not in account.counted]
    good = [pod for pod in fresh if pod.status.get("phase") == SUCCEEDED]
    bad = sorted([pod for pod in fresh if has_failed(spec, pod)], key=lambda pod: finished_at(pod, now))
    account = account._replace(delay=_delayed(account.delay, good, bad, now))
    if spec.get("completionMode") == jobs.INDEXED:
        account = _indexed(account, spec, good, bad, now)
    else:
        account = account._replace(succeeded=account.succeeded + len(good))
    verdicts = [job_policy.verdict(spec, pod) for pod in bad if not is_stray(spec, pod)]
    return account._replace(
        counted=account.counted & there | {pod.uid for pod in (*good, *bad)},
        failed=account.failed + sum(one.counts for one in verdicts),
        failure=next((one.failed for one in verdicts if one.failed), account.failure),
    )


def released(account: Account, pods: Iterable[Thing], failed: int = 0) -> Account:
    """Pods that the controller ends itself: they count for nothing any more, or `failed` of them as failures."""
    return account._replace(counted=account.counted | {pod.uid for pod in pods}, failed=account.failed + failed)


def is_stray(spec: Json, pod: Thing) -> bool:
    """Whether a pod of an Indexed Job is of no index that it has now."""
    index = index_of(pod)
    return spec.get("completionMode") == jobs.INDEXED and (index is None or index >= spec["completions"])


def _delayed(delay: Delay, good: Sequence[Thing], bad: Sequence[Thing], now: float) -> Delay:
    """JO4: only failures since the last success."""
    ends = [finished_at(pod, now) for pod in bad]
    if good:
        last = max(finished_at(pod, now) for pod in good)
        delay, ends = Delay(), [end for end in ends if end > last]
    return Delay(delay.failures + len(ends), 0, ends[-1]) if ends else delay


def _indexed(account: Account, spec: Json, good: Sequence[Thing], bad: Sequence[Thing], now: float) -> Account:
    """The indexes that are done and, with a limit for each of them, those that are lost."""
    limit: int | None = spec.get("backoffLimitPerIndex")
    done = indexes.joined(account.done, [i for i in map(index_of, good) if i is not None and i < spec["completions"]])
    lost: list[int] = []
    delays = dict(account.delays)
    for pod in bad:
        index = index_of(pod)
        if limit is None or index is None or index >= spec["completions"]:
            continue
        before, said = delays.get(index, Delay()), job_policy.verdict(spec, pod)
        if said.lost or (said.counts and before.failures >= limit):
            lost.append(index)
        delays[index] = Delay(before.failures + said.counts, before.ignored + (not said.counts), finished_at(pod, now))
    every = indexes.joined(account.lost, lost)
    kept = tuple([(i, delay) for i, delay in delays.items() if not indexes.has(done, i) and not indexes.has(every, i)])
    return account._replace(succeeded=indexes.count(done), done=tuple(done), lost=tuple(every), delays=kept)


def finished_at(pod: Thing, now: float) -> float:
    """When its last container ended, as far as its status tells."""
    ends = []
    for field in ("containerStatuses", "initContainerStatuses"):
        for container in pod.status.get(field) or []:
            stamp = (container["state"].get("terminated") or {}).get("finishedAt")
            if stamp:
                ends.append(seconds(stamp))
    return min(max(ends), now) if ends else now
