"""What to do next for one pod: a pure function of what was seen and the time.

The order is the kubelet's (RB8): a pod that must end, its sandbox (CO6), the init container whose turn it is (IN1), then all
app containers side by side, each with its own back-off (RB1-RB3).
"""

from __future__ import annotations

from kubeplay.engine.store.runtime import CREATE, CREATED, DELETE, RUNNING, STOP, BackoffRow
from kubeplay.kube.status import CRASH_LOOP, TERMINAL, Instance, restartable
from kubeplay.plan.container import INIT
from kubeplay.plan.probe import STARTUP
from kubeplay.plan.volumes import ImageVolume
from kubeplay.reconcile import backoff, sysctls
from kubeplay.reconcile.model import (
    AGAIN,
    EVICTED,
    HOLD,
    IMAGE,
    KILLED,
    REJECTED,
    SANDBOX,
    START,
    VOLUMES,
    Action,
    Begin,
    Decision,
    Kill,
    KillPod,
    MakeSandbox,
    Note,
    Observed,
    Reject,
    Seen,
    Start,
)
from kubeplay.record import Record

PULL_BACK_OFF = "ImagePullBackOff"
EVICTION_GRACE = 1.0  # a pod that takes more of the machine than it may gets no grace but the least (TE3)
SETTLE = 1.0  # RB5: the next look at a pod comes about a second later


class _Step(Record):
    """What one container asks for; `over`: it will not run again by itself."""

    action: Action | None = None
    wake_at: float | None = None
    over: bool = False


def decide(seen: Observed, now: float) -> Decision:
    """The next actions for the pod, none when it is as it should be."""
    if seen.void:
        return Decision()
    if seen.desired in (STOP, DELETE):
        return Decision() if _at_rest(seen) and (seen.phase in TERMINAL or seen.desired == DELETE) else Decision((KillPod(finish=True),))
    if seen.phase in TERMINAL:
        return Decision() if _at_rest(seen) else Decision((KillPod(finish=True),))
    evicted = seen.backoffs.get(EVICTED)
    if evicted is not None:
        return Decision((KillPod(True, evicted.reason, evicted.message, EVICTION_GRACE),))
    if REJECTED in seen.backoffs:
        return Decision()
    refused = sysctls.fault(seen.plan.sandbox)
    if refused:
        return Decision((Reject(sysctls.REASON, f"Pod was rejected: {refused}"),))
    if not (seen.sandbox and seen.sandbox_ready):
        return _sandbox(seen, now)
    mount = _retry(seen.backoffs.get(VOLUMES), now)
    if mount is not None:
        return Decision(wake_at=mount)
    if seen.desired == CREATE:
        return _created(seen, now)
    return _containers(seen, now)


def _at_rest(seen: Observed) -> bool:
    return not seen.sandbox and not any(c.current and c.current.state in (RUNNING, CREATED) for c in seen.containers)


def _sandbox(seen: Observed, now: float) -> Decision:
    """CO6: make one, unless nothing would run in it."""
    if seen.sandbox or not _at_rest(seen):
        return Decision((KillPod(),))
    app = [c for c in seen.containers if c.plan.kind != INIT]
    if app and all(_has_ended_for_good(seen, c) for c in app):
        return Decision((KillPod(finish=True),))
    wait = _retry(seen.backoffs.get(SANDBOX), now) or _retry(seen.backoffs.get(VOLUMES), now)
    if wait is not None:
        held = _held_images(seen, now)
        return _gather([step for c in seen.containers if (step := _blocked(seen, c, now, held[0]))]) if held else Decision(wake_at=wait)
    return Decision((MakeSandbox(seen.sandbox_attempts),))


def _held_images(seen: Observed, now: float) -> list[str]:
    """Images of volumes that wait for their next pull: the containers show it (VO12)."""
    images = [volume.source.reference for volume in seen.plan.volumes if isinstance(volume.source, ImageVolume)]
    return [image for image in images if _retry(seen.backoffs.get(IMAGE + image), now) is not None]


def _has_ended_for_good(seen: Observed, container: Seen) -> bool:
    current = container.current
    if current is None or AGAIN + container.plan.name in seen.backoffs:
        return False
    return _ended(current) and not _goes_on(seen, container, current)


def _created(seen: Observed, now: float) -> Decision:
    """play --start=false: every container made, none started."""
    steps = [_fresh(seen, c, now, run=False) for c in seen.containers if not (c.current and c.here)]
    return _gather(steps)


def _containers(seen: Observed, now: float) -> Decision:
    if not seen.initialized:
        for container in seen.containers:
            if container.plan.kind != INIT or _init_done(seen, container):
                continue
            step = _step(seen, container, now)
            if step.over and HOLD + container.plan.name not in seen.backoffs:
                return Decision((KillPod(finish=True),))
            return _gather([step])
    steps = [_step(seen, c, now) for c in seen.containers if c.plan.kind != INIT]
    if steps and all(step.over for step in steps) and not any(_held(seen, c) for c in seen.containers):
        return Decision((KillPod(finish=True),))
    return _gather(steps)


def _held(seen: Observed, container: Seen) -> bool:
    """Stopped by a person, and not by its policy: the pod waits for `start`."""
    code = container.current.exit_code if container.current else 1
    return HOLD + container.plan.name in seen.backoffs and restartable(container.plan, code)


def _init_done(seen: Observed, container: Seen) -> bool:
    current = container.current
    done = container.here and current is not None and _ended(current) and current.exit_code == 0
    return done and AGAIN + container.plan.name not in seen.backoffs


def _step(seen: Observed, container: Seen, now: float) -> _Step:
    """What one container needs (RB1, RB6)."""
    name, current = container.plan.name, container.current
    if current is not None and container.here and current.state == RUNNING:
        return _Step(_kill(container))
    if HOLD + name in seen.backoffs:
        return _Step(over=True)
    if current is not None and container.here and current.state == CREATED:
        return _Step(Begin(name))
    if current is None or AGAIN + name in seen.backoffs or (container.plan.kind == INIT and not container.here):
        return _fresh(seen, container, now)
    if not _goes_on(seen, container, current):
        return _Step(over=True)
    return _restart(seen, container, current, now)


def _kill(container: Seen) -> Kill | None:
    """PR10: an instance whose liveness or startup probe has given up is stopped; the text is the kubelet's."""
    plan, failed = container.plan, container.health.failed
    if not failed:
        return None
    probe = plan.startup if failed == STARTUP else plan.liveness
    again = ", will be restarted" if plan.restart_policy != "Never" else ""
    return Kill(plan.name, failed, f"Container {plan.name} failed {failed} probe{again}", probe.grace if probe else None)


def _goes_on(seen: Observed, container: Seen, current: Instance) -> bool:
    """Whether an instance that has ended is followed by another one (RB6). What we killed is, unless it may never be (RR1)."""
    killed = seen.backoffs.get(KILLED + container.plan.name)
    if killed is not None and killed.message == current.id:
        return container.plan.restart_policy != "Never"
    return restartable(container.plan, current.exit_code)


def _fresh(seen: Observed, container: Seen, now: float, run: bool = True) -> _Step:
    """A start that no crash back-off delays; a failed attempt does (RB4, RB5)."""
    name = container.plan.name
    blocked = _blocked(seen, container, now)
    if blocked is not None:
        return blocked
    attempt = container.current.attempt + 1 if container.current else 0
    return _Step(Start(name, attempt, 0.0, run))


def _restart(seen: Observed, container: Seen, current: Instance, now: float) -> _Step:
    name = container.plan.name
    entry = seen.backoffs.get(name)
    finished = current.finished if current.finished is not None else now
    until = backoff.held_until(entry, finished)
    if now < until and entry is not None:
        return _Step(_note(seen, name, entry), min(until, now + backoff.RESYNC))
    blocked = _blocked(seen, container, now)
    if blocked is not None:
        return blocked
    return _Step(Start(name, current.attempt + 1, backoff.next_delay(entry, finished)))


def _blocked(seen: Observed, container: Seen, now: float, image: str = "") -> _Step | None:
    """A start that failed a moment ago is not tried again yet (RB4, RB5). `image` "" = the container's own."""
    image = image or container.plan.image
    pull, failed = seen.backoffs.get(IMAGE + image), seen.backoffs.get(START + container.plan.name)
    due = _retry(pull, now)
    if pull is None or due is None:
        again = _retry(failed, now)
        return None if again is None else _Step(wake_at=again)
    if failed is None or failed.reason != pull.reason:
        return _Step(wake_at=due)
    if now < pull.since + SETTLE:  # the failure itself is shown for a moment, then the back-off (record 062, CS11)
        return _Step(wake_at=min(due, pull.since + SETTLE))
    return _Step(Note(container.plan.name, PULL_BACK_OFF, f'Back-off pulling image "{image}": {pull.reason}: {pull.message}'), due)


def _note(seen: Observed, name: str, entry: BackoffRow) -> Note | None:
    plan = seen.plan
    message = f"back-off {backoff.seconds(entry.delay)} restarting failed container={name} pod={plan.name}_{plan.namespace}({seen.uid})"
    known = seen.backoffs.get(START + name)
    return None if known and known.message == message else Note(name, CRASH_LOOP, message)


def _retry(entry: BackoffRow | None, now: float) -> float | None:
    """When to try again what failed, None = now."""
    due = entry.since + entry.delay if entry else 0.0
    return due if due > now else None


def _gather(steps: list[_Step]) -> Decision:
    times = [s.wake_at for s in steps if s.wake_at is not None]
    return Decision(tuple([s.action for s in steps if s.action is not None]), min(times) if times else None)


def _ended(instance: Instance) -> bool:
    return instance.state not in (RUNNING, CREATED)
