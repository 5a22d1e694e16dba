"""Work in a thread that ends with it: namespaces and cgroups belong to a thread, so the caller keeps its own.

Making a thread keeps the interpreter's lock, and the kernel may hold it up (spawning.py says why). Whoever is about to start runtimes
makes the threads before (`reserve`).
"""

from __future__ import annotations

import _thread
import os
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_SIGNAL_SECONDS = 1.0  # the interpreter sees a signal that came just before a wait only when that ends
MOST_SPARE = 64  # threads that wait; each costs 40 µs to make and a page or two


class Task:
    """Something that runs in a thread of its own."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._done = _thread.allocate_lock()
        self._done.acquire()
        self._results: list[Any] = []
        self._errors: list[BaseException] = []

    def run(self) -> None:
        """For the thread."""
        try:
            self._results.append(self._work())
        except BaseException as error:  # handed to the caller's thread
            self._errors.append(error)
        finally:
            self._done.release()

    def wait(self) -> BaseException | None:
        """Wait for the end: the exception that the work ended with. To be called once; raises only what a signal's handler does."""
        while not self._done.acquire(timeout=_SIGNAL_SECONDS):
            pass
        return self._errors[0] if self._errors else None

    def result(self) -> Any:
        """Wait for the end: what the work returned, or its exception raised. To be called once."""
        error = self.wait()
        if error is not None:
            raise error
        return self._results[0]


def _place() -> tuple[int, ...]:
    """The namespaces that the calling thread is in, and a thread it makes will be."""
    return tuple([os.stat(f"/proc/thread-self/ns/{kind}").st_ino for kind in ("net", "mnt", "ipc")])


class _Spare:
    """A thread that waits for the one task of its life; `place`: where it was made, and so is."""

    def __init__(self, place: tuple[int, ...]) -> None:
        self.place = place
        self._begin = _thread.allocate_lock()
        self._begin.acquire()
        self._task: Task | None = None
        _thread.start_new_thread(self._run, ())

    def _run(self) -> None:
        self._begin.acquire()
        if self._task is not None:
            self._task.run()

    def give(self, task: Task) -> None:
        self._task = task
        self._begin.release()


_spare: deque[_Spare] = deque()


def reserve(count: int) -> None:
    """Have `count` threads ready (at most MOST_SPARE)."""
    place = _place()
    while len(_spare) < min(count, MOST_SPARE):
        _spare.append(_Spare(place))


def start(work: Callable[[], Any]) -> Task:
    """Begin `work` in a thread of its own, which no other work has had or gets. It starts in the caller's namespaces."""
    task = Task(work)
    place = _place()
    try:
        thread = _spare.popleft()
        if thread.place != place:  # the caller has moved since, as the network's threads of an ordinary user do
            _spare.append(thread)
            thread = _Spare(place)
    except IndexError:
        thread = _Spare(place)
    thread.give(task)
    return task


def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread of its own, whose namespaces and cgroups die with it; its exception is raised here.

    The thread gets no signal handlers (those run in the main thread), so it is never left half way.
    """
    found: T = start(work).result()
    return found
