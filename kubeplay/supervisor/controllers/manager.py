"""Which objects have to be decided about again: changed ones, their owners, whom they concern, and those whose time has come.

Level-triggered and crash-only. The cursor in the store moves when everything up to it has been decided and done, so what a killed
supervisor had begun is decided again by the next one. Everything happens in the thread that calls `turn`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubeplay.errors import KubeplayError
from kubeplay.plan.stack import ObjectKey
from kubeplay.supervisor.controllers import CONTROLLERS, controller, garbage
from kubeplay.supervisor.controllers.act import Actor
from kubeplay.supervisor.controllers.mirror import Mirror
from kubeplay.supervisor.controllers.model import Decision, Note, Status, Thing

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.stats import Sample

ROUNDS = 200  # decisions that never settle are a fault, not a reason to spin
FIRST, LONGEST = 1.0, 60.0  # seconds before a Create that failed is tried again, doubling: ours, Kubernetes has 5 ms to 1000 s
SOONEST = 0.01  # seconds: who asks to be asked again at once does not keep a processor busy
FAILED_SECONDS = 10.0  # after an error of ours
AUTOSCALER = "HorizontalPodAutoscaler"  # who needs to know what pods use


class Manager:
    """One supervisor's controllers."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.mirror = Mirror(engine.store)
        self.timers: dict[ObjectKey, float] = engine.store.controllers.timers()
        self.tries: dict[str, int] = {}
        self.begun = False
        self.ending = False  # the last turn had pods end
        self.samples: dict[str, Sample] = {}  # for autoscalers

    def turn(self, now: float) -> list[str]:
        """Decide and act until nothing is left to do now; the uids of pods that have to be looked at."""
        due = {key for key, when in self.timers.items() if when <= now}
        self.ending = False
        if self.begun and not due and not self.mirror.stale():
            return []
        pods: dict[str, None] = {}
        for _ in range(ROUNDS):
            actor = Actor(self.engine, self.mirror)
            if not self._round(actor, due):
                break
            due = set()
            self.ending = self.ending or actor.ending
            pods.update(dict.fromkeys(actor.pods))
        self.engine.store.controllers.set_cursor(self.mirror.version)
        return list(pods)

    def next_wake(self) -> float | None:
        """When to call `turn` although nothing changes."""
        return min(self.timers.values(), default=None)

    def _round(self, actor: Actor, due: set[ObjectKey]) -> bool:
        """One look and what follows from it; False when there was nothing to look at."""
        changed = self.mirror.refresh()
        keys = due | set(self._keys(changed))
        if not self.begun:  # nobody knows what the last supervisor had begun
            keys |= {thing.key for thing in self.mirror.all() if thing.key.kind in CONTROLLERS}
            self.begun = True
        for action in garbage.decide(self.mirror) if changed else ():
            thing = self.mirror.by_uid(action.uid)
            if thing is not None:
                self._carry_out(actor, thing, Decision((action,)))
        for key in sorted(keys):
            self._decide(actor, key)
        return bool(changed or keys)

    def _keys(self, changed: Iterable[Thing]) -> Iterable[ObjectKey]:
        """Who has to be decided about because these things changed."""
        changed = list(changed)
        for thing in changed:
            if thing.key.kind in CONTROLLERS:
                yield thing.key
            owner = self.mirror.by_uid(thing.owner_uid) if thing.owner_uid else None
            if owner is not None and owner.key.kind in CONTROLLERS:
                yield owner.key
        for kind in CONTROLLERS if changed else ():
            if self.mirror.list(kind):
                module = controller(kind)
                for thing in changed if hasattr(module, "concerns") else ():
                    yield from module.concerns(self.mirror, thing)

    def _decide(self, actor: Actor, key: ObjectKey) -> None:
        own = self.mirror.find(key)
        if own is None or key.kind not in CONTROLLERS or own.deleted is not None:
            self._timer(key, None)
            return
        now = self.engine.clock.now()
        if key.kind == AUTOSCALER:
            from kubeplay.supervisor.controllers import metrics

            metrics.read(self.engine, self.mirror, own, self.samples)
        decision: Decision = controller(key.kind).decide(self.mirror, own, now)
        failed = self._carry_out(actor, own, decision)
        if failed is None:
            self._timer(key, now + FAILED_SECONDS)
        elif failed:
            self._timer(key, _earlier(decision.wake_at, self._failed(actor, own, failed, now)))
        else:
            if decision.actions and self.mirror.failures.pop(own.uid, None) is not None:
                del self.tries[own.uid]
            self._timer(key, decision.wake_at)

    def _failed(self, actor: Actor, own: Thing, why: str, now: float) -> float:
        """A Create failed: what is shown of it, and when it is tried again."""
        self.mirror.failures[own.uid] = why
        shown: Decision = controller(own.key.kind).decide(self.mirror, own, now)
        self._carry_out(actor, own, Decision(tuple([one for one in shown.actions if isinstance(one, (Status, Note))])))
        tried = self.tries[own.uid] = self.tries.get(own.uid, 0) + 1
        return now + float(min(FIRST * 2 ** (tried - 1), LONGEST))

    def _carry_out(self, actor: Actor, own: Thing, decision: Decision) -> str | None:
        """What Actor.carry_out says; None when something of ours went wrong."""
        try:
            return actor.carry_out(own, decision)
        except (KubeplayError, OSError) as error:
            print(f"kubeplay supervisor: {own.key}: {error}", flush=True)
            return None

    def _timer(self, key: ObjectKey, wake_at: float | None) -> None:
        if wake_at is not None:
            wake_at = max(wake_at, self.engine.clock.now() + SOONEST)
        if self.timers.get(key) == wake_at:
            return
        self.engine.store.controllers.set_timer(key, wake_at)
        if wake_at is None:
            self.timers.pop(key, None)
        else:
            self.timers[key] = wake_at


def _earlier(one: float | None, other: float) -> float:
    return other if one is None else min(one, other)
