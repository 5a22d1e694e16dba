"""Back-off arithmetic, pure. The numbers are the kubelet's (RB1, RB2, RB4, CS5)."""

from __future__ import annotations

from kubeplay.engine.store.runtime import BackoffRow
from kubeplay.plan.container import ContainerPlan

FIRST, LONGEST = 10.0, 300.0  # RB1, RB4
STABLE = 600.0  # RB2: an instance that ran this long starts the count again
MOUNT_FIRST, MOUNT_LONGEST = 0.5, 122.0  # retries of a mount: 0.5 s doubling (record 045), at most 2m2s (CS5)
RETRY = 10.0  # RB5: a failed sync is retried after about 10 s
RESYNC = 60.0  # RB5


def stamp(plan: ContainerPlan) -> str:
    """What a container's crash back-off belongs to: with another image or other resources it begins anew (RB3)."""
    return f"{plan.image} {'-'.join(str(value) for value in plan.resources)}"


def valid(entry: BackoffRow | None, plan: ContainerPlan) -> BackoffRow | None:
    """The entry, unless it was made for another image or other resources (RB3)."""
    return entry if entry is None or entry.message in ("", stamp(plan)) else None


def held_until(entry: BackoffRow | None, finished: float) -> float:
    """When a container that ended at `finished` may start again: the end plus the delay in force (RB1)."""
    if entry is None or entry.delay <= 0 or finished - entry.since > STABLE:
        return 0.0
    return finished + entry.delay


def next_delay(entry: BackoffRow | None, finished: float) -> float:
    """The delay in force once the container is restarted: it counts for the end after this one (RB1, RB2)."""
    if entry is None or entry.delay <= 0 or finished - entry.since > STABLE:
        return FIRST
    return min(entry.delay * 2, LONGEST)


def next_pull(entry: BackoffRow | None, now: float) -> float:
    """Delay after one more failed pull (RB4)."""
    if entry is None or now - entry.since > STABLE:
        return FIRST
    return min(entry.delay * 2, LONGEST)


def next_mount(entry: BackoffRow | None) -> float:
    """Delay after one more failed volume set-up."""
    return MOUNT_FIRST if entry is None else min(entry.delay * 2, MOUNT_LONGEST)


def next_start(entry: BackoffRow | None) -> float:
    """Delay before a start that failed without leaving an instance is tried again: soon once, then by RB5 (record 052)."""
    return 1.0 if entry is None or entry.delay <= 0 else RETRY


def seconds(delay: float) -> str:
    """A duration as Go prints it: 10s, 1m20s, 5m0s."""
    whole = int(delay)
    return f"{whole // 60}m{whole % 60}s" if whole >= 60 else f"{whole}s"
