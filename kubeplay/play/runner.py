"""Drive the pods of one play until each has started (or is ready): worker threads reconcile, this loop waits.

It waits in poll(2) for: a worker that finished, a container that ended (inotify on conmon's exit notes), a timer, a signal. Nothing is
polled while all goes well.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from kubeplay.engine.host.trace import trace
from kubeplay.errors import Interrupted, Timeout
from kubeplay.kube.status import TERMINAL
from kubeplay.reconcile import services
from kubeplay.reconcile.exits import ExitWatch
from kubeplay.reconcile.model import Outcome
from kubeplay.reconcile.pod import reconcile
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

WORKERS = 8  # pods made side by side; more only queue up in the kernel's network lock
LOOK_SECONDS = 5.0  # a look at unfinished pods if nobody told of an exit (a killed conmon)


class Job(Record):
    """A pod to bring up; `tolerant`: it may wait and retry like on a kubelet without failing the play."""

    uid: str
    name: str
    tolerant: bool = False
    system: bool = False


class Runner:
    """Brings up jobs; `check(job, outcome)` raises when the outcome means that the play has failed."""

    def __init__(
        self,
        engine: Engine,
        jobs: Sequence[Job],
        check: Callable[[Job, Outcome], None],
        seen: Callable[[Job, Outcome], None],
        routes: bool = False,
        probed: Collection[str] = (),
    ) -> None:
        self.engine = engine
        self.jobs = {job.uid: job for job in jobs}
        self.check = check
        self.seen = seen
        self.outcomes: dict[str, Outcome] = {}
        self.watch = ExitWatch(engine.paths.exits)
        # the supervisor asks the probes; of these pods it tells by their marks (reconcile/rouse.py) when a result has flipped
        self.probed = frozenset(probed)
        self.marks = ExitWatch(os.path.dirname(engine.paths.lock("any"))) if probed else None
        self.read, self.write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.interrupted = False
        self._queue: deque[str] = deque()
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._results: list[tuple[str, Outcome | BaseException]] = []
        self._guard = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._routes = routes  # Services without a rule and a name yet: theirs come before the pods', which may ask for them at once
        self._stopping = False

    def interrupt(self) -> None:
        """A signal has come: `run` raises Interrupted as soon as the workers let go."""
        self.interrupted = True
        try:
            os.write(self.write, b"!")
        except (BlockingIOError, OSError):
            pass

    def run(self, done: Callable[[Job, Outcome], bool], deadline: float | None = None) -> None:
        """Until `done` for every job. Raises what `check` raises, Interrupted, Timeout at `deadline` (monotonic)."""
        for uid in self.jobs:
            self._submit(uid)
        self._sync()
        while True:
            for uid, result in self._take():
                if isinstance(result, BaseException):
                    raise result
                self._note(uid, result)
            if self.interrupted:
                raise Interrupted("interrupted")
            if not self._busy and not self._queue:
                self._sync()
                waiting = [job for uid, job in self.jobs.items() if not done(job, self.outcomes[uid])]
                if not waiting:
                    return
            elif self._routes and self._only_waiting(done):
                self._sync()
            self._sleep(deadline)

    def _only_waiting(self, done: Callable[[Job, Outcome], bool]) -> bool:
        """Every pod has been through its first round: a pod that waits may need the others' Services now."""
        return all(uid in self.outcomes for uid in self.jobs)

    def _note(self, uid: str, outcome: Outcome) -> None:
        self.outcomes[uid] = outcome
        self._routes = self._routes or outcome.routes
        self.seen(self.jobs[uid], outcome)
        self.check(self.jobs[uid], outcome)
        if uid in self._again:
            self._again.discard(uid)
            self._submit(uid)

    def _sync(self) -> None:
        """One transaction for all pods' rules and names."""
        if self._routes:
            self._routes = False
            with trace("services and sync"):
                services.refresh(self.engine)

    def _sleep(self, deadline: float | None) -> None:
        clock = self.engine.clock
        seconds = LOOK_SECONDS
        now = clock.now()
        wakes = [o.wake_at for o in self.outcomes.values() if o.wake_at is not None]
        if wakes:
            seconds = min(seconds, max(0.0, min(wakes) - now))
        if deadline is not None:
            left = deadline - clock.monotonic()
            if left <= 0:
                raise Timeout("the pods did not come up in time: " + ", ".join(sorted(self._unfinished())))
            seconds = min(seconds, left)
        poll = select.poll()
        poll.register(self.read, select.POLLIN)
        poll.register(self.watch.fd, select.POLLIN)
        if self.marks is not None:
            poll.register(self.marks.fd, select.POLLIN)
        events = poll.poll(seconds * 1000 + 1)
        if not events and not self._busy:
            self._look_again(clock.now())
        for fd, _ in events:
            if fd == self.read:
                os.read(self.read, 4096)
            elif fd == self.watch.fd:
                self._exits()
            elif self.marks is not None:
                for uid in self.probed & {name.removesuffix(".dirty") for name in self.marks.drain() if name.endswith(".dirty")}:
                    self._submit(uid)

    def _unfinished(self) -> list[str]:
        return [job.name for uid, job in self.jobs.items() if not (uid in self.outcomes and self.outcomes[uid].ready)]

    def _look_again(self, now: float) -> None:
        """A timer is due, or nothing was heard for a while."""
        due = [uid for uid, o in self.outcomes.items() if o.wake_at is not None and o.wake_at <= now]
        for uid in due or [u for u, o in self.outcomes.items() if o.phase not in TERMINAL]:
            self._submit(uid)

    def _exits(self) -> None:
        for container_id in self.watch.drain():
            row = self.engine.store.runtime.container(container_id)
            if row is not None and row.pod_uid in self.jobs:
                self._submit(row.pod_uid)

    # workers
    def _submit(self, uid: str) -> None:
        with self._guard:
            if uid in self._busy:
                self._again.add(uid)
                return
            if uid in self._queue:
                return
            self._queue.append(uid)
            if len(self._threads) < min(WORKERS, len(self.jobs)):
                thread = threading.Thread(target=self._work, daemon=True)
                self._threads.append(thread)
                thread.start()
            self._guard.notify()

    def _work(self) -> None:
        while True:
            with self._guard:
                while not self._queue and not self._stopping:
                    self._guard.wait()
                if self._stopping:
                    return
                uid = self._queue.popleft()
                self._busy.add(uid)
            result: Outcome | BaseException
            try:
                result = reconcile(self.engine, uid)
            except BaseException as error:  # raised again in the main thread
                result = error
            with self._guard:
                self._results.append((uid, result))
            os.write(self.write, b".")

    def _take(self) -> list[tuple[str, Outcome | BaseException]]:
        with self._guard:
            results, self._results = self._results, []
            self._busy -= {uid for uid, _ in results}
        return results

    def close(self) -> None:
        """End the workers; those in the middle of a step finish it first."""
        with self._guard:
            self._stopping = True
            self._queue.clear()
            self._guard.notify_all()
        for thread in self._threads:
            thread.join()
        self.watch.close()
        if self.marks is not None:
            self.marks.close()
        os.close(self.read)
        os.close(self.write)
