"""Whose turn it is before the app containers: init containers one after the other, sidecars that stay (IN1, IN3): pure."""

from __future__ import annotations

from kubeplay.engine.store.runtime import CREATED, RUNNING
from kubeplay.plan.container import INIT, SIDECAR
from kubeplay.reconcile.model import AGAIN, HOLD, Observed, Seen
from kubeplay.reconcile.steps import Step, ended, step
from kubeplay.record import Record


class Turn(Record):
    """What init containers and sidecars ask for now. `open`: app containers may run; `failed`: an init container never will succeed."""

    steps: tuple[Step, ...]
    open: bool
    failed: bool = False


def turn(seen: Observed, now: float) -> Turn:
    """Sidecars that had their turn are kept running; the first container that holds up the others is the last one looked at."""
    row = [c for c in seen.containers if c.plan.kind in (INIT, SIDECAR)]
    if seen.initialized:
        return Turn(tuple([step(seen, c, now) for c in row if c.plan.kind == SIDECAR]), True)
    begun = max((i for i, c in enumerate(row) if c.here and c.current is not None and c.current.state != CREATED), default=-1)
    steps: list[Step] = []
    for index, container in enumerate(row):
        if container.plan.kind == INIT and _done(seen, container):
            continue
        steps.append(step(seen, container, now))
        if container.plan.kind == INIT:
            return Turn(tuple(steps), False, steps[-1].over and HOLD + container.plan.name not in seen.backoffs)
        if index >= begun and not _has_started(container):
            return Turn(tuple(steps), False)
    return Turn(tuple(steps), True)


def _done(seen: Observed, container: Seen) -> bool:
    current = container.current
    done = container.here and current is not None and ended(current) and current.exit_code == 0
    return done and AGAIN + container.plan.name not in seen.backoffs


def _has_started(container: Seen) -> bool:
    """IN3: the next may start. One that nothing has to confirm may have ended again: a kubelet sees it run by luck (record 198)."""
    current, plan = container.current, container.plan
    if current is None or not container.here:
        return False
    if plan.startup is None and plan.post_start is None:
        return bool(current.started)
    return current.state == RUNNING and container.health.started
