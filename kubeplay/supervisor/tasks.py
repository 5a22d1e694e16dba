"""Many handlers under way in one thread: which descriptor wakes which, whose time is over, how many programs run at once."""

from __future__ import annotations

import os
import select
import time
from collections import deque
from collections.abc import Callable

from kubeplay.reconcile.handlers.steps import CLEANING, Answer, OutOfTime, Steps

Done = Callable[[Answer], None]
STARTING = max(2, 2 * (os.cpu_count() or 1))  # programs that start at the same time: a runtime takes 40 ms of a core to run one
RUNNING = 64  # programs that run at the same time
FRESH = 0.2  # seconds that a program counts as starting
_STUCK = "the probe could not be ended"


class Task:
    """One handler: `make` begins it once there is room, `seconds` are counted from then. `heavy`: it runs a program."""

    __slots__ = ("began", "done", "fds", "heavy", "late", "make", "seconds", "steps", "until", "wakes")

    def __init__(self, make: Callable[[], Steps], seconds: float, heavy: bool, done: Done) -> None:
        self.make, self.seconds, self.heavy, self.done = make, seconds, heavy, done
        self.steps: Steps | None = None
        self.fds: tuple[tuple[int, int], ...] = ()
        self.began = self.until = self.wakes = 0.0
        self.late = False


class Tasks:
    """The tasks of one thread, which alone calls this; `extra` is a descriptor that merely wakes it."""

    def __init__(self, extra: int) -> None:
        self.epoll = select.epoll()
        self.extra = extra
        self.epoll.register(extra, select.EPOLLIN)
        self.running: set[Task] = set()
        self.queue: deque[Task] = deque()
        self.owners: dict[int, Task] = {}

    def add(self, task: Task) -> None:
        self.queue.append(task)

    def drop(self, task: Task) -> None:
        """Nobody wants its answer any more."""
        if task in self.running:
            self._forget(task)
            if task.steps is not None:
                task.steps.close()
        elif task in self.queue:
            self.queue.remove(task)

    def turn(self, until: float | None) -> None:
        """Begin what there is room for, wait (until `until`, monotonic), go on with what is ready or whose time is over."""
        self._begin()
        now = time.monotonic()
        times = [t for t in (until, *self._times()) if t is not None]
        seconds = max(0.0, min(times) - now) if times else -1
        for fd, _ in self.epoll.poll(seconds):
            owner = self.owners.get(fd)
            if owner is not None:
                self._go(owner)
            elif fd != self.extra:
                self._unregister(fd)
        now = time.monotonic()
        for task in [t for t in self.running if t.until <= now]:
            self._expire(task)
        for task in [t for t in self.running if t.wakes and t.wakes <= now]:
            self._go(task)

    def _times(self) -> list[float]:
        found = [task.until for task in self.running] + [task.wakes for task in self.running if task.wakes]
        fresh = [task.began + FRESH for task in self.running if task.heavy and task.began + FRESH > time.monotonic()]
        return found + (fresh if self.queue else [])

    def _begin(self) -> None:
        now = time.monotonic()
        heavy = [task for task in self.running if task.heavy]
        total, starting = len(heavy), sum(task.began + FRESH > now for task in heavy)
        waiting: deque[Task] = deque()
        while self.queue:
            task = self.queue.popleft()
            if task.heavy and (total >= RUNNING or starting >= STARTING):
                waiting.append(task)
                continue
            total, starting = total + task.heavy, starting + task.heavy
            task.began, task.until = now, now + task.seconds
            task.steps = task.make()
            self.running.add(task)
            self._go(task)
        self.queue = waiting

    def _expire(self, task: Task) -> None:
        if task.late:
            self.drop(task)
            task.done(Answer(False, _STUCK, errored=True))
            return
        task.late, task.until = True, time.monotonic() + CLEANING
        self._go(task, OutOfTime())

    def _go(self, task: Task, error: Exception | None = None) -> None:
        """One step; the end is told."""
        if task.steps is None or task not in self.running:
            return
        try:
            wait = task.steps.throw(error) if error else next(task.steps)
        except StopIteration as end:
            self._forget(task)
            task.done(end.value)
            return
        except Exception as fault:  # a handler's own fault must not end the others
            self._forget(task)
            task.done(Answer(False, f"{type(fault).__name__}: {fault}", errored=True))
            return
        task.wakes = time.monotonic() + wait.seconds if wait.seconds is not None else 0.0
        self._register(task, wait.fds)

    def _register(self, task: Task, fds: tuple[tuple[int, int], ...]) -> None:
        """Also where they are the same numbers as before: a redirect's connection may have that of the one before it, which is closed."""
        for each in task.fds:
            if each not in fds and self.owners.get(each[0]) is task:
                self._unregister(each[0])
        for fd, events in fds:
            try:
                self.epoll.modify(fd, events)
            except OSError:
                self.epoll.register(fd, events)
            self.owners[fd] = task
        task.fds = fds

    def _forget(self, task: Task) -> None:
        self._register(task, ())
        self.running.discard(task)

    def _unregister(self, fd: int) -> None:
        self.owners.pop(fd, None)
        try:
            self.epoll.unregister(fd)
        except OSError:
            pass  # closed by its handler: the kernel has forgotten it
