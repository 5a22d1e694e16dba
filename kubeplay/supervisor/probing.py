"""Ask the probes of everything that runs, in one thread of the supervisor: the only one in the root that does, for it holds its lock.

Which instances there are comes from the store, whenever somebody says that something has changed (`look`); when a result flips, the store
has it first, then the pod is to be reconciled (`settled`). Killed at any point, the next supervisor goes on from the store (RB9).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from kubeplay.engine.host import processes
from kubeplay.engine.store.events import WARNING
from kubeplay.engine.store.probes import Probed
from kubeplay.engine.store.runtime import DELETE, PAUSED, STOP
from kubeplay.errors import KubeplayError
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.probe import LIVENESS, READINESS, STARTUP, ExecAction, Probe
from kubeplay.plan.stack import ObjectKey
from kubeplay.reconcile import observe
from kubeplay.reconcile.handlers.dial import Make
from kubeplay.reconcile.handlers.steps import Answer, Steps
from kubeplay.reconcile.probes import asking, state, worker
from kubeplay.reconcile.probes.worker import SUCCESS
from kubeplay.supervisor.tasks import Task, Tasks

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

AGAIN = 1.0  # seconds after an error of ours
_TITLES = {STARTUP: "Startup", READINESS: "Readiness", LIVENESS: "Liveness"}


class _Worker:
    """One probe of one instance."""

    def __init__(self, row: Probed, key: ObjectKey, plan: ContainerPlan, probe: Probe, address: str, make: Make) -> None:
        self.row, self.key, self.plan, self.probe, self.address, self.make = row, key, plan, probe, address, make
        self.kind = row.kind
        self.subject = worker.Subject(row.started)
        self.memory: worker.Memory | None = None
        self.task: Task | None = None
        self.tries = 0


class Prober:
    """Its thread calls `settled(uid)` when a result of that pod has flipped, `done()` when there is nothing to ask any more."""

    def __init__(self, engine: Engine, settled: Callable[[str], None], done: Callable[[], None]) -> None:
        self.engine, self.settled, self.done = engine, settled, done
        self.read, self.write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.workers: dict[tuple[str, str], _Worker] = {}
        self.tasks = Tasks(self.read)
        self.thread: threading.Thread | None = None
        self.stale = False
        self._wall, self._mono = engine.clock.now(), time.monotonic()

    def close(self) -> None:
        """Only before it was ever asked to look at a probe: its thread never ends."""
        if self.thread is None:
            os.close(self.read)
            os.close(self.write)

    @property
    def busy(self) -> bool:
        """Whether any probe will be asked again."""
        return self.stale or any(not self._idle(each) for each in list(self.workers.values()))

    def look(self) -> None:
        """Something has changed: look at the store again. Costs nothing where nothing is probed."""
        if self.thread is None and not self.engine.store.probes.due():
            return
        self.stale = True
        if self.thread is None:
            self.thread = threading.Thread(target=self._run, daemon=True)
            self.thread.start()
        try:
            os.write(self.write, b"!")
        except BlockingIOError:
            pass

    # the thread
    def _run(self) -> None:
        while True:
            try:
                if self.stale:
                    self.stale = False
                    self._scan()
                    if not self.busy:
                        self.done()
                wakes = self._tick()
                self.tasks.turn(None if wakes is None else self._mono + (wakes - self._wall))
            except Exception as error:  # whatever it is, the others are asked on
                print(f"kubeplay supervisor: probes: {type(error).__name__}: {error}", flush=True)
                time.sleep(AGAIN)
                self.stale = True
            self._drain()

    def _drain(self) -> None:
        try:
            os.read(self.read, 4096)
        except BlockingIOError:
            pass

    def _now(self) -> float:
        """The time of the store's rows, going on evenly also when somebody sets the clock."""
        return self._wall + time.monotonic() - self._mono

    def _scan(self) -> None:
        """Workers for exactly the probes of what runs."""
        rows = self.engine.store.probes.running()
        lets_in = {row.container_id: row.result == SUCCESS for row in rows if row.kind == STARTUP}
        now, places = self._now(), _Places(self.engine)
        for row in rows:
            known = self.workers.get((row.container_id, row.kind)) or self._new(row, places)
            if known is None:
                continue
            before = known.subject.started
            known.subject = worker.Subject(row.started, lets_in.get(row.container_id, True), row.desired in (DELETE, STOP))
            if known.memory is None:
                known.memory = worker.begin(row.kind, known.probe, row.admitted, known.subject, now, row.result)
            elif row.kind == READINESS and known.subject.started and not before:
                known.memory = worker.started(known.memory, now)
        for gone in self.workers.keys() - {(row.container_id, row.kind) for row in rows}:
            former = self.workers.pop(gone)
            if former.task is not None:
                self.tasks.drop(former.task)

    def _new(self, row: Probed, places: _Places) -> _Worker | None:
        found = places.of(row.pod_uid)
        if found is None:
            return None
        plan, address, make = found
        container = next((c for c in plan.containers if c.name == row.name), None)
        probe = dict(state.probes(container)).get(row.kind) if container else None
        if container is None or probe is None:
            return None
        made = _Worker(row, ObjectKey("Pod", plan.namespace, plan.name), container, probe, address, make)
        self.workers[row.container_id, row.kind] = made
        return made

    def _idle(self, each: _Worker) -> bool:
        return each.memory is None or worker.idle(each.kind, each.memory, each.subject)

    def _tick(self) -> float | None:
        """Begin what is due; when the next one is."""
        now = self._now()
        following: list[float] = []
        for each in self.workers.values():
            memory = each.memory
            if memory is None or self._idle(each):
                continue
            if memory.at <= now:
                each.memory = memory = worker.ticked(memory, each.probe, now)
                if each.task is None and worker.asks(each.kind, each.probe, memory, each.subject, now):
                    self._ask(each)
            following.append(memory.at)
        return min(following, default=None)

    def _ask(self, each: _Worker) -> None:
        def make() -> Steps:
            return asking.asking(self.engine, each.plan, each.row.container_id, each.kind, each.probe, each.address, each.make)

        heavy = isinstance(each.probe.handler, ExecAction)
        each.task = Task(make, float(each.probe.timeout), heavy, lambda answer: self._answered(each, answer))
        self.tasks.add(each.task)

    def _answered(self, each: _Worker, answer: Answer) -> None:
        each.task = None
        if (each.row.container_id, each.kind) not in self.workers or each.memory is None:
            return
        if not answer.ok and not self._runs(each):
            return  # it has ended meanwhile, or stands still: that is no answer of its probe
        if answer.errored:
            each.tries += 1
            if each.tries < worker.TRIES:
                self._ask(each)
                return
        each.tries = 0
        self._tell(each, answer)
        if answer.errored:
            return
        before = each.memory.result
        each.memory = worker.answered(each.probe, each.memory, answer.ok)
        if each.memory.result != before:
            self._flipped(each, answer)

    def _runs(self, each: _Worker) -> bool:
        row = self.engine.store.runtime.container(each.row.container_id)
        return row is not None and row.reason != PAUSED and processes.alive(processes.Process(row.pid, row.pid_start))

    def _tell(self, each: _Worker, answer: Answer) -> None:
        """PR13."""
        title = _TITLES[each.kind]
        if answer.errored:
            reason, text = "Unhealthy", f"{title} probe errored and resulted in {answer.state} state: {answer.text}"
        elif not answer.ok:
            reason, text = "Unhealthy", f"{title} probe failed: {answer.text}"
        elif answer.warning:
            reason, text = "ProbeWarning", f"{title} probe warning: {answer.text}"
        else:
            return
        self.engine.store.events.add(each.key, each.row.pod_uid, reason, text, WARNING)

    def _flipped(self, each: _Worker, answer: Answer) -> None:
        assert each.memory is not None
        if not self.engine.store.probes.set(each.row.container_id, each.kind, each.memory.result, "" if answer.ok else answer.text):
            return
        if each.kind == STARTUP and answer.ok:
            self._let_in(each.row.container_id)
        self.settled(each.row.pod_uid)  # which also has the loop ask whether there is more to do

    def _let_in(self, container_id: str) -> None:
        """The container has started: its other probes run from now on, readiness at once (PR2)."""
        now = self._now()
        for kind in _TITLES:
            other = self.workers.get((container_id, kind))
            if other is not None and other.memory is not None:
                other.subject = other.subject._replace(started=True)
                if kind == READINESS:
                    other.memory = worker.started(other.memory, now)


class _Places:
    """Plans and addresses of pods, each read once a scan."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.known: dict[str, tuple[PodPlan, str, Make] | None] = {}

    def of(self, uid: str) -> tuple[PodPlan, str, Make] | None:
        if uid not in self.known:
            self.known[uid] = self._read(uid)
        return self.known[uid]

    def _read(self, uid: str) -> tuple[PodPlan, str, Make] | None:
        try:
            plan = observe.plan_of(self.engine.store.runtime.pod(uid))
        except KubeplayError:
            return None  # removed meanwhile
        sandboxes = self.engine.store.runtime.sandboxes(uid)
        addresses = sandboxes[-1].addresses if sandboxes else ()
        address = addresses[0] if addresses else observe.host_ip(self.engine) if plan.sandbox.host_network else ""
        return plan, address, asking.place(self.engine, plan)
