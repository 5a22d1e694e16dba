"""What to do next: a pure function of (status, what the source has, whether something drifts, now)."""

from __future__ import annotations

from kubeplay.record import Record
from kubeplay.sync.model import APPLY, Error, Spec, Status

BRING, HEAL, REST = "bring", "heal", "rest"
# Argo CD's retry of a sync that failed: 5 times, 5 s doubling, at most 3 min (its documentation, "Automatic Sync Policy" and `retry`).
LIMIT, FIRST, MOST = 5, 5.0, 180.0


class Seen(Record):
    """What a look found: the source's `revision` ("" = it could not be asked or read), and whether what runs differs from `applied`.

    `begun`: this process looks for the first time. Pods may have been stopped, or lost with a reboot, and no object shows it.
    """

    revision: str = ""
    drifted: bool = False
    begun: bool = False


def decide(status: Status, seen: Seen, now: float) -> str:
    """BRING the source's revision about, HEAL what drifted from the applied one, or REST."""
    if seen.revision and (seen.begun or seen.revision != status.applied) and _tries(status, seen.revision, now):
        return BRING
    if (seen.drifted or seen.begun) and status.applied and _tries(status, status.applied, now):
        return HEAL
    return REST


def _tries(status: Status, revision: str, now: float) -> bool:
    """Whether a revision is worth a try: a new one is; one that failed half-way is tried again a few times, ever more rarely.

    Without the limit a bad commit would be rolled out and back for ever.
    """
    failure = _failure(status, revision)
    if failure is None:
        return True
    if failure.stage == APPLY and failure.times > LIMIT:
        return False
    return now >= failure.when + delay(failure.times)


def _failure(status: Status, revision: str) -> Error | None:
    return next((one for one in status.failures if one.revision == revision), None)


def delay(times: int) -> float:
    """Seconds to wait after so many failures in a row."""
    return float(min(MOST, FIRST * 2 ** min(times - 1, 10)))


def failed(status: Status, stage: str, revision: str, message: str, now: float) -> Status:
    """The status after a failure: the same one again counts up. `revision` "": the source itself could not be asked or read."""
    before = _failure(status, revision) if revision else status.error
    again = before is not None and (before.stage, before.revision) == (stage, revision)
    error = Error(stage, revision, message, before.times + 1 if again and before else 1, now)
    others = tuple(one for one in status.failures if one.revision != revision)
    return status._replace(error=error, failures=(*others, error) if revision else others)


def kept(status: Status, *revisions: str) -> Status:
    """The status with the failures of these revisions alone: the last of them is what is wrong now."""
    failures = tuple(one for one in status.failures if one.revision in revisions)
    return status._replace(failures=failures, error=failures[-1] if failures else None)


def due(spec: Spec, status: Status, now: float) -> float:
    """When the source is asked again: after the interval, or earlier when it could not be asked last time."""
    wait = spec.interval
    if status.error is not None and not status.error.revision:
        wait = min(wait, delay(status.error.times))
    return now if status.looked > now else max(now, status.looked + wait)  # the clock may have been set back
