"""A pod in virtual time: decide() drives, this plays kubelet's hands and the containers' behaviour.

Nothing of the engine is imitated; actions are applied to the records that decide() and pod_status() read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from kubeplay.engine.store.runtime import BackoffRow
from kubeplay.kube.status import CRASH_LOOP, RESTARTING_ALL, TERMINAL, ContainerView, Instance, PodView, pod_status
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.pod import PodPlan, SandboxPlan
from kubeplay.reconcile.decide import decide
from kubeplay.reconcile.model import (
    AGAIN,
    EVICTED,
    START,
    UNSCHEDULED,
    Begin,
    Health,
    Kill,
    KillPod,
    MakeSandbox,
    Note,
    Observed,
    Reject,
    RestartAll,
    Seen,
    Start,
)

EPOCH = 1_000_000.0


class Run(NamedTuple):
    """What one instance does: runs `seconds` (None = for ever), ends with `code`."""

    seconds: float | None = None
    code: int = 0


class Fail(NamedTuple):
    """The start fails: `reason`; 128 = it leaves a StartError instance, None = it leaves nothing."""

    reason: str
    message: str = "why"
    code: int | None = None


def pod(*containers: ContainerPlan, **fields: Any) -> PodPlan:
    values = {"namespace": "default", "name": "p", "sandbox": SandboxPlan("p"), "containers": containers, **fields}
    return PodPlan(**values)


class Simulation:
    """`behaviour[name]` lists what each instance does; the last entry repeats."""

    def __init__(self, plan: PodPlan, desired: str = "run", **behaviour: list[Run | Fail]) -> None:
        self.plan = plan
        self.behaviour = behaviour
        self.now = EPOCH
        self.seen = Observed("uid-1", plan, desired, created=EPOCH, accepted=EPOCH, containers=tuple(Seen(c) for c in plan.containers))
        self.ends: dict[str, tuple[float, int]] = {}
        self.log: list[tuple[float, str]] = []
        self.status: dict[str, Any] = {}
        self.history: list[tuple[float, dict[str, Any]]] = []
        self.finished = False
        self.codes: dict[str, int] = {}  # what a container ends with when it is stopped, 137 if not here
        self.unstarted: set[str] = set()  # containers whose startup probe has yet to succeed

    def run(self, until: float) -> Simulation:
        """Advance to EPOCH + until."""
        end = EPOCH + until
        while True:
            wake = self._settle()
            due = [t for t, _ in self.ends.values()] + ([wake] if wake is not None else [])
            following = min((t for t in due), default=end + 1)
            if following > end:
                self.now = end
                return self
            self.now = max(self.now, following)
            self._expire()

    def at(self, event: str) -> list[float]:
        """Seconds since the beginning of each `event` (as `start main 0`), rounded."""
        return [round(t - EPOCH, 1) for t, e in self.log if e == event]

    def starts(self, name: str) -> list[float]:
        return [round(t - EPOCH, 1) for t, e in self.log if e.startswith(f"start {name} ")]

    def kill(self, name: str, code: int = 137) -> None:
        self.ends[name] = (self.now, code)
        self._expire()

    def container(self, name: str) -> dict[str, Any]:
        both = self.status.get("initContainerStatuses", []) + self.status["containerStatuses"]
        return next(c for c in both if c["name"] == name)

    def condition(self, kind: str) -> tuple[str, str, str]:
        c = next(c for c in self.status["conditions"] if c["type"] == kind)
        return c["status"], c.get("reason", ""), c.get("message", "")

    def _settle(self) -> float | None:
        for _ in range(100):
            decision = decide(self.seen, self.now)
            self._write_status()
            for action in decision.actions:
                self._apply(action)
            if all(isinstance(a, Note) and a.reason == CRASH_LOOP for a in decision.actions):
                return decision.wake_at
        raise AssertionError("decide never settles")

    def _apply(self, action: Any) -> None:
        if isinstance(action, MakeSandbox):
            self.log.append((self.now, f"sandbox {action.attempt}"))
            containers = tuple(c._replace(here=False) for c in self.seen.containers)
            self.seen = self.seen._replace(
                sandbox=f"s{action.attempt}", sandbox_ready=True, sandbox_attempts=action.attempt + 1, addresses=("10.88.0.2",),
                containers=containers, initialized=False,
            )  # fmt: skip
        elif isinstance(action, Start):
            self._start(action)
        elif isinstance(action, Begin):
            self.log.append((self.now, f"begin {action.name}"))
            self._change(action.name, lambda i: i._replace(state="running", started=self.now))
            self.health(action.name, started=action.name not in self.unstarted, ready=action.name not in self.unstarted)
            self._plan_end(action.name, self._next(action.name, 0))
        elif isinstance(action, Note):
            self._backoff(START + action.name, 0.0, action.reason, action.message)
        elif isinstance(action, KillPod):
            self._kill_pod(action)
        elif isinstance(action, Kill):
            self._kill(action)
        elif isinstance(action, RestartAll):
            self._restart_all(action.trigger)
        elif isinstance(action, Reject):
            self.status = pod_status(self._view()._replace(rejected=True, reason=action.reason, message=action.message), self.now)
            self.seen = self.seen._replace(phase="Failed")

    def _start(self, action: Start) -> None:
        does = self._next(action.name, action.attempt)
        self.log.append((self.now, f"start {action.name} {action.attempt}"))
        plan = next(c for c in self.plan.containers if c.name == action.name)
        if plan.kind == "app":
            self.seen = self.seen._replace(initialized=True) if action.run else self.seen
        if action.delay:
            self._backoff(action.name, action.delay)
        self._forget(AGAIN + action.name)
        if isinstance(does, Fail):
            self._backoff(START + action.name, 0.0 if does.code is not None else 10.0, does.reason, does.message)
            if does.code is not None:
                self._add(action.name, Instance(f"{action.name}{action.attempt}", action.attempt, "exited", finished=self.now,
                                                exit_code=does.code, reason="StartError"))  # fmt: skip
            return
        self._forget(START + action.name)
        state = "running" if action.run else "created"
        begun = self.now if action.run else None
        self._add(action.name, Instance(f"{action.name}{action.attempt}", action.attempt, state, plan.image, started=begun))
        if action.run:
            self._plan_end(action.name, does)

    def _plan_end(self, name: str, does: Run | Fail) -> None:
        if isinstance(does, Run) and does.seconds is not None:
            self.ends[name] = (self.now + does.seconds, does.code)

    def _next(self, name: str, attempt: int) -> Run | Fail:
        does = self.behaviour.get(name, [Run()])
        return does[min(attempt, len(does) - 1)]

    def health(self, name: str, **values: Any) -> None:
        """What its probes say of the newest instance from now on."""
        self._replace(name, lambda c: c._replace(health=Health(**values)))

    def _kill(self, action: Kill) -> None:
        """Ends with 137, or with what `codes` says of a container that minds TERM."""
        current = next(c.current for c in self.seen.containers if c.plan.name == action.name)
        assert current is not None
        self._replace(action.name, lambda c: c._replace(killed=action.reason))
        self.log.append((self.now, f"kill {action.name} {action.reason}"))
        self.ends.pop(action.name, None)
        self._end(action.name, self.codes.get(action.name, 137))

    def _restart_all(self, trigger: str) -> None:
        self.seen = self.seen._replace(initialized=False)
        for c in self.seen.containers:
            if c.current and c.current.state == "running":
                self.ends.pop(c.plan.name, None)
                self._end(c.plan.name, self.codes.get(c.plan.name, 137))
            if c.current:
                self._replace(c.plan.name, lambda s: s._replace(here=False))
                self._change(c.plan.name, lambda i: i._replace(exit_code=137, reason=RESTARTING_ALL))
        self.log.append((self.now, f"restart all {trigger}"))

    def _kill_pod(self, action: KillPod) -> None:
        finish = action.finish
        if action.reason and EVICTED not in self.seen.backoffs:
            self._backoff(EVICTED, 0.0, action.reason, action.message)
        for c in self.seen.containers:
            if c.current and c.current.state == "running":
                self.ends.pop(c.plan.name, None)
                self._end(c.plan.name, self.codes.get(c.plan.name, 137))
        self.log.append((self.now, "finish" if finish else "kill"))
        self.finished = finish
        self.seen = self.seen._replace(sandbox="", sandbox_ready=False, addresses=())
        if finish:
            self._write_status()
            self.seen = self.seen._replace(phase=self.status["phase"])

    def _expire(self) -> None:
        for name, (when, code) in list(self.ends.items()):
            if when <= self.now:
                del self.ends[name]
                self._end(name, code)

    def _end(self, name: str, code: int) -> None:
        self.log.append((self.now, f"end {name} {code}"))
        self._change(name, lambda i: i._replace(state="exited", finished=self.now, exit_code=code))

    def _add(self, name: str, instance: Instance) -> None:
        begun = name not in self.unstarted
        fresh = {"current": instance, "here": True, "health": Health(begun, begun), "killed": ""}
        self._replace(name, lambda c: c._replace(previous=c.current, **fresh))

    def _change(self, name: str, how: Any) -> None:
        self._replace(name, lambda c: c._replace(current=how(c.current)))

    def _replace(self, name: str, how: Any) -> None:
        self.seen = self.seen._replace(containers=tuple(how(c) if c.plan.name == name else c for c in self.seen.containers))

    def _backoff(self, key: str, delay: float, reason: str = "", message: str = "") -> None:
        rows = dict(self.seen.backoffs)
        rows[key] = BackoffRow("uid-1", key, delay, self.now, reason, message)
        self.seen = self.seen._replace(backoffs=rows)

    def _forget(self, key: str) -> None:
        self.seen = self.seen._replace(backoffs={k: v for k, v in self.seen.backoffs.items() if k != key})

    def _view(self) -> PodView:
        views = []
        for c in self.seen.containers:
            why = self.seen.backoffs.get(START + c.plan.name)
            waiting, message = (why.reason, why.message) if why else ("", "")
            views.append(ContainerView(c.plan, c.current, c.previous, waiting, message, c.health.started, c.health.ready, c.killed))
        started = any(c.plan.kind == "app" and c.current and c.current.started for c in self.seen.containers)
        ending = self.seen.desired in ("stop", "delete")
        evicted = self.seen.backoffs.get(EVICTED)
        waits = self.seen.backoffs.get(UNSCHEDULED)
        reason, why = (evicted.reason, evicted.message) if evicted else ("", "")
        return PodView(
            self.plan, EPOCH, tuple(views), self.seen.sandbox_ready, self.seen.addresses, "192.0.2.2", initialized=started,
            ending=ending, finished=self.finished, failed=evicted is not None, reason=reason, message=why,
            unscheduled=(waits.reason, waits.message) if waits else None,
        )  # fmt: skip

    def _write_status(self) -> None:
        if self.seen.phase in TERMINAL and not self.finished:
            return
        new = pod_status(self._view(), self.now, self.status or None)
        if new != self.status:
            self.status = new
            self.history.append((self.now - EPOCH, new))
