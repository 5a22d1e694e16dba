"""What one container of a pod asks for next: pure (RB1, RB4-RB7, PR10)."""

from __future__ import annotations

from kubeplay.engine.store.runtime import CREATED, RUNNING, BackoffRow
from kubeplay.kube.restarts import CHANGED, follows
from kubeplay.kube.status import CRASH_LOOP, RESTARTING_ALL, Instance
from kubeplay.plan.container import EPHEMERAL, INIT, SIDECAR
from kubeplay.plan.probe import STARTUP
from kubeplay.reconcile import backoff
from kubeplay.reconcile.model import AGAIN, HOLD, IMAGE, START, Action, Begin, Decision, Kill, Note, Observed, Seen, Start
from kubeplay.record import Record

PULL_BACK_OFF = "ImagePullBackOff"
SETTLE = 1.0  # RB5: the next look at a pod comes about a second later


class Step(Record):
    """What one container asks for; `over`: it will not run again by itself."""

    action: Action | None = None
    wake_at: float | None = None
    over: bool = False


def step(seen: Observed, container: Seen, now: float) -> Step:
    """What one container needs (RB1, RB6)."""
    name, current = container.plan.name, container.current
    if current is not None and container.here and current.state == RUNNING:
        return Step(_kill(container, current))
    if HOLD + name in seen.backoffs:  # one that joined a running pod is made, and not started
        return fresh(seen, container, now, run=False) if current is None else Step(over=True)
    if current is not None and container.here and current.state == CREATED:
        return Step(Begin(name))
    if current is not None and container.plan.kind == EPHEMERAL:
        return Step(over=True)  # it runs once, whoever asks
    if current is None or AGAIN + name in seen.backoffs or _begins_anew(container, current):
        return fresh(seen, container, now)
    if not goes_on(container):
        return Step(over=True)
    return _restart(seen, container, current, now)


def _begins_anew(container: Seen, current: Instance) -> bool:
    """Whether nothing of its past counts: an init container in a new sandbox (IN7), all containers after RR2."""
    return not container.here and (container.plan.kind == INIT or current.reason == RESTARTING_ALL)


def goes_on(container: Seen) -> bool:
    """Whether the newest instance is followed by another one once it has ended (RB6, RR1)."""
    current = container.current
    return current is None or follows(container.plan, current.exit_code, container.killed)


def _kill(container: Seen, current: Instance) -> Kill | None:
    """PR10: an instance whose liveness or startup probe has given up is stopped; RB7: so is one whose image is another now."""
    plan, failed = container.plan, container.health.failed
    what = "Init container" if plan.kind == SIDECAR else "Container"
    again = ", will be restarted" if plan.kind != SIDECAR else ""  # the kubelet's words
    if plan.image != current.image and current.image and plan.kind != INIT:
        return Kill(plan.name, CHANGED, f"{what} {plan.name} definition changed{again}", None)
    if not failed:
        return None
    probe = plan.startup if failed == STARTUP else plan.liveness
    again = again if plan.restart_policy != "Never" else ""
    return Kill(plan.name, failed, f"{what} {plan.name} failed {failed} probe{again}", probe.grace if probe else None)


def fresh(seen: Observed, container: Seen, now: float, run: bool = True) -> Step:
    """A start that no crash back-off delays; a failed attempt does (RB4, RB5)."""
    name = container.plan.name
    held = blocked(seen, container, now)
    if held is not None:
        return held
    attempt = container.current.attempt + 1 if container.current else 0
    return Step(Start(name, attempt, 0.0, run))


def _restart(seen: Observed, container: Seen, current: Instance, now: float) -> Step:
    name = container.plan.name
    entry = backoff.valid(seen.backoffs.get(name), container.plan)
    finished = current.finished if current.finished is not None else now
    if container.killed and blocked(seen, container, now) is None:
        before = container.previous.finished if container.previous else None
        if before is None or backoff.held_until(entry, before) <= finished:
            # a kubelet restarts what it kills in the same sync, which sees the end before this one (record 147)
            return Step(Start(name, current.attempt + 1, backoff.next_delay(entry, before) if before is not None else 0.0))
    until = backoff.held_until(entry, finished)
    if now < until and entry is not None:
        failed = seen.backoffs.get(START + name)
        if failed is not None and failed.reason != CRASH_LOOP and now < failed.since + SETTLE:
            return Step(wake_at=min(until, failed.since + SETTLE))  # the failure itself is shown for a moment (record 204)
        return Step(_note(seen, name, entry), min(until, now + backoff.RESYNC))
    held = blocked(seen, container, now)
    if held is not None:
        return held
    return Step(Start(name, current.attempt + 1, backoff.next_delay(entry, finished)))


def blocked(seen: Observed, container: Seen, now: float, image: str = "") -> Step | None:
    """A start that failed a moment ago is not tried again yet (RB4, RB5). `image` "" = the container's own."""
    image = image or container.plan.image
    pull, failed = seen.backoffs.get(IMAGE + image), seen.backoffs.get(START + container.plan.name)
    due = retry(pull, now)
    if pull is None or due is None:
        again = retry(failed, now)
        return None if again is None else Step(wake_at=again)
    if failed is None or failed.reason != pull.reason:
        return Step(wake_at=due)
    if now < pull.since + SETTLE:  # the failure itself is shown for a moment, then the back-off (record 062, CS11)
        return Step(wake_at=min(due, pull.since + SETTLE))
    return Step(Note(container.plan.name, PULL_BACK_OFF, f'Back-off pulling image "{image}": {pull.reason}: {pull.message}'), due)


def _note(seen: Observed, name: str, entry: BackoffRow) -> Note | None:
    plan = seen.plan
    message = f"back-off {backoff.seconds(entry.delay)} restarting failed container={name} pod={plan.name}_{plan.namespace}({seen.uid})"
    known = seen.backoffs.get(START + name)
    return None if known and known.message == message else Note(name, CRASH_LOOP, message)


def retry(entry: BackoffRow | None, now: float) -> float | None:
    """When to try again what failed, None = now."""
    due = entry.since + entry.delay if entry else 0.0
    return due if due > now else None


def gather(steps: list[Step]) -> Decision:
    """All steps at once, and the first of their wake times."""
    times = [s.wake_at for s in steps if s.wake_at is not None]
    return Decision(tuple([s.action for s in steps if s.action is not None]), min(times) if times else None)


def ended(instance: Instance | None) -> bool:
    return instance is not None and instance.state not in (RUNNING, CREATED)
