"""What to do next for one pod: a pure function of what was seen and the time.

The order is the kubelet's (RB8): a pod that must end (AD1, PH3), its sandbox (CO6), ephemeral containers, the init containers and
sidecars whose turn it is (IN1, IN3), then all app containers side by side, each with its own back-off (RB1-RB3).
"""

from __future__ import annotations

from kubeplay.engine.store.runtime import CREATE, CREATED, DELETE, RUN, RUNNING, STOP
from kubeplay.kube import resize
from kubeplay.kube.restarts import RESTART_ALL, follows, rule
from kubeplay.kube.status import TERMINAL
from kubeplay.plan.container import APP, EPHEMERAL
from kubeplay.plan.volumes import ImageVolume
from kubeplay.reconcile import schedule, sysctls
from kubeplay.reconcile.model import (
    AGAIN,
    EVICTED,
    HOLD,
    IMAGE,
    REJECTED,
    RESIZE,
    SANDBOX,
    UNSCHEDULED,
    VOLUMES,
    Bind,
    Decision,
    KillPod,
    MakeSandbox,
    Observed,
    Reject,
    Resize,
    RestartAll,
    Seen,
    Unschedule,
)
from kubeplay.reconcile.steps import SETTLE, blocked, ended, fresh, gather, retry, step
from kubeplay.reconcile.turns import turn

EVICTION_GRACE = 1.0  # a pod that takes more of the machine than it may gets the least grace there is (TE3)
DEADLINE = "DeadlineExceeded"  # AD1
DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"


def decide(seen: Observed, now: float) -> Decision:
    """The next actions for the pod, none when it is as it should be."""
    made = _decide(seen, now)
    due = _deadline(seen)
    if due is None or due <= now:
        return made
    return made._replace(wake_at=due if made.wake_at is None else min(due, made.wake_at))


def _decide(seen: Observed, now: float) -> Decision:
    if seen.void:
        return Decision()
    if seen.desired in (STOP, DELETE):
        return Decision() if _at_rest(seen) and (seen.phase in TERMINAL or seen.desired == DELETE) else Decision((KillPod(finish=True),))
    if seen.phase in TERMINAL:
        return Decision() if _at_rest(seen) else Decision((KillPod(finish=True),))
    if not (seen.bound or REJECTED in seen.backoffs or EVICTED in seen.backoffs):
        return _bind(seen)
    must = _must_end(seen, now)
    if must is not None:
        return must
    if not seen.containers:
        return Decision()  # `pod create`: its sandbox comes with its first container
    if not (seen.sandbox and seen.sandbox_ready):
        return _sandbox(seen, now)
    mount = retry(seen.backoffs.get(VOLUMES), now)
    if mount is not None:
        return Decision(wake_at=mount)
    if seen.desired == CREATE:
        return gather([fresh(seen, c, now, run=False) for c in seen.containers if c.plan.kind != EPHEMERAL and not (c.current and c.here)])
    if seen.resizable:
        return Decision((Resize(),))
    made = _restart_all(seen, now) or _containers(seen, now)
    tries = seen.backoffs.get(RESIZE)
    if tries is None or tries.reason != resize.FAILED:
        return made
    again = tries.since + tries.delay
    return made._replace(wake_at=again if made.wake_at is None else min(again, made.wake_at))


def _must_end(seen: Observed, now: float) -> Decision | None:
    """What keeps a pod from running at all; None = nothing."""
    evicted, due = seen.backoffs.get(EVICTED), _deadline(seen)
    if evicted is not None:
        return Decision((KillPod(True, evicted.reason, evicted.message, None if evicted.reason == DEADLINE else EVICTION_GRACE),))
    if REJECTED in seen.backoffs or UNSCHEDULED in seen.backoffs:
        return Decision()
    if due is not None and due <= now:
        return Decision((KillPod(True, DEADLINE, DEADLINE_MESSAGE),))
    refused = sysctls.fault(seen.plan.sandbox)
    return Decision((Reject(sysctls.REASON, f"Pod was rejected: {refused}"),)) if refused else None


def _deadline(seen: Observed) -> float | None:
    """When the pod has been active for too long (AD1); None = never, or it is not active."""
    seconds = seen.plan.deadline_seconds
    idle = seen.void or seen.desired != RUN or seen.phase in TERMINAL or UNSCHEDULED in seen.backoffs
    return None if seconds is None or idle else seen.accepted + seconds


def _bind(seen: Observed) -> Decision:
    """LR1: bind it, refuse it, or note why it waits; it is looked at again when room appears or its gates go."""
    found = schedule.verdict(seen.plan, seen.room)
    if found.refused:
        return Decision((Reject(found.reason, found.message),))
    if not found.reason:
        return Decision((Bind(),))
    noted = seen.backoffs.get(UNSCHEDULED)
    same = noted is not None and (noted.reason, noted.message) == (found.reason, found.message)
    return Decision() if same else Decision((Unschedule(found.reason, found.message),))


def _at_rest(seen: Observed) -> bool:
    return not seen.sandbox and not any(c.current and c.current.state in (RUNNING, CREATED) for c in seen.containers)


def _sandbox(seen: Observed, now: float) -> Decision:
    """CO6: make one, unless nothing would run in it."""
    if seen.sandbox or not _at_rest(seen):
        return Decision((KillPod(),))
    app = [c for c in seen.containers if c.plan.kind == APP]
    if app and all(_has_ended_for_good(seen, c) for c in app):
        return Decision((KillPod(finish=True),))
    wait = retry(seen.backoffs.get(SANDBOX), now) or retry(seen.backoffs.get(VOLUMES), now)
    if wait is not None:
        held = _held_images(seen, now)
        return gather([each for c in seen.containers if (each := blocked(seen, c, now, held[0]))]) if held else Decision(wake_at=wait)
    return Decision((MakeSandbox(seen.sandbox_attempts),))


def _held_images(seen: Observed, now: float) -> list[str]:
    """Images of volumes that wait for their next pull: the containers show it (VO12)."""
    images = [volume.source.reference for volume in seen.plan.volumes if isinstance(volume.source, ImageVolume)]
    return [image for image in images if retry(seen.backoffs.get(IMAGE + image), now) is not None]


def _has_ended_for_good(seen: Observed, container: Seen) -> bool:
    current = container.current
    if current is None or AGAIN + container.plan.name in seen.backoffs:
        return False
    return ended(current) and not follows(container.plan, current.exit_code, container.killed)


def _restart_all(seen: Observed, now: float) -> Decision | None:
    """RR2: one that ended as its rule says makes all containers begin anew; again and again at the pace of a kubelet's looks."""
    for container in seen.containers:
        current, name = container.current, container.plan.name
        if current is None or not container.here or not ended(current) or container.killed or HOLD + name in seen.backoffs:
            continue
        if rule(container.plan, current.exit_code) != RESTART_ALL or AGAIN + name in seen.backoffs:
            continue
        pause = (current.finished or now) + SETTLE
        return Decision(wake_at=pause) if current.attempt and now < pause else Decision((RestartAll(name),))
    return None


def _containers(seen: Observed, now: float) -> Decision:
    debug = [step(seen, c, now) for c in seen.containers if c.plan.kind == EPHEMERAL]
    before = turn(seen, now)
    if before.failed:
        return Decision((KillPod(finish=True),))
    if not before.open:
        return gather([*debug, *before.steps])
    app = [step(seen, c, now) for c in seen.containers if c.plan.kind == APP]
    if app and all(each.over for each in app) and not any(_held(seen, c) for c in seen.containers):
        return Decision((KillPod(finish=True),))  # RB7: sidecars go with the last of them
    return gather([*debug, *before.steps, *app])


def _held(seen: Observed, container: Seen) -> bool:
    """Stopped by a person, and not by its policy, or not started by one yet: the pod waits for `start`."""
    if container.current is None or container.current.state == CREATED:
        return HOLD + container.plan.name in seen.backoffs
    code = container.current.exit_code
    return container.plan.kind == APP and HOLD + container.plan.name in seen.backoffs and follows(container.plan, code)
