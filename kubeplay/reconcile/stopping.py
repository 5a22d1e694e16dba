"""Carry out the end of containers as `order` decides it: one loop that waits for their ends, their hooks and the next moment."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING

from kubeplay.engine.host import processes
from kubeplay.engine.store.events import WARNING
from kubeplay.engine.store.runtime import PAUSED, ContainerRow
from kubeplay.plan.container import ContainerPlan
from kubeplay.reconcile import grace, order, parallel, patience
from kubeplay.reconcile.observe import Look, key_of

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

LOOK_SECONDS = 0.2  # how soon a second, shorter deletion is noticed
_PATIENT = 0.5  # who waits longer than this leaves a worker's place


class Stopping:
    """The end of some running containers of one pod. `own` is their grace in seconds, `explicit` when a person gave it just now."""

    def __init__(self, engine: Engine, look: Look, rows: list[ContainerRow], own: float, explicit: bool) -> None:
        from kubeplay.engine import container

        self.engine, self.look = engine, look
        self.rows: Mapping[str, ContainerRow] = {row.name: row for row in rows}
        self.plans: Mapping[str, ContainerPlan] = {c.name: c for c in look.seen.plan.containers}
        for row in rows:
            if row.reason == PAUSED:
                from kubeplay.engine import pausing

                pausing.resume(engine, row)  # what stands still can neither act on its signal nor run a hook
        self.signals = {row.name: container.stop_signal(engine, row, self._wanted(row.name)) for row in rows}
        self.fds = {row.name: processes.open_pidfd(container.process(row)) for row in rows}
        self.ended = {name for name, fd in self.fds.items() if fd < 0}
        self.settled: set[str] = set()
        self.hooked: set[str] = set()
        self.done = -1
        now = time.monotonic()
        self.until = now + own
        self._hurry()
        least = {row.name: grace.least(own, explicit, not own and self._catches(row)) for row in rows}
        self.goings = order.begin(look.seen.plan.containers, least, now, self.until)

    def run(self) -> None:
        """Until all of them are gone and their rows say so."""
        try:
            for hook in order.hooks(self.goings):
                self._begin_hook(hook.name)
            while True:
                self._settle({name for name in self.ended if name not in self.settled})
                self.goings, commands, wake = order.step(self.goings, time.monotonic(), self.until, self.ended, self.hooked)
                for each in commands:
                    if isinstance(each, order.Signal):
                        self.engine.signal_container(self.rows[each.name], self.signals[each.name])
                if order.over(self.goings):
                    return
                kills = {each.name for each in commands if isinstance(each, order.Kill)}
                if kills:
                    self._settle(kills)
                else:
                    self._wait(wake)
        finally:
            for fd in (*self.fds.values(), self.done):
                if fd >= 0:
                    os.close(fd)

    def _wanted(self, name: str) -> str:
        return self.plans[name].stop_signal if name in self.plans else ""

    def _catches(self, row: ContainerRow) -> bool:
        """Whether the process has a handler for its stop signal; without one it dies of it at once, or as PID 1 ignores it."""
        try:
            with open(f"/proc/{row.pid}/status", encoding="utf-8", errors="replace") as file:
                mask = next((int(line.split()[1], 16) for line in file if line.startswith("SigCgt:")), 0)
        except OSError:
            return False
        return bool(mask >> (self.signals[row.name] - 1) & 1)

    def _settle(self, names: set[str]) -> None:
        """Kill what is left of these containers and bring their rows up to date."""
        parallel.each(lambda name: _finish(self.engine, self.rows[name]), sorted(names))
        self.ended |= names
        self.settled |= names

    def _hurry(self) -> None:
        due = grace.due(self.engine, self.look.row.uid)
        if due is not None:
            self.until = min(self.until, due)

    def _wait(self, wake: float | None) -> None:
        """For an end, a hook that is through, the next moment, or a shorter grace period."""
        poll = select.poll()
        by_fd = {fd: name for name, fd in self.fds.items() if name not in self.ended}
        for fd in (*by_fd, *([self.done] if self.done >= 0 else [])):
            poll.register(fd, select.POLLIN)
        long = wake is not None and wake - time.monotonic() > _PATIENT
        with patience.resting(self.look.row.uid) if long else nullcontext():
            events = self._poll(poll, wake)
        for fd, _ in events:
            if fd == self.done:
                os.eventfd_read(fd)
            else:
                self.ended.add(by_fd[fd])

    def _poll(self, poll: select.poll, wake: float | None) -> list[tuple[int, int]]:
        while True:
            left = LOOK_SECONDS if wake is None else wake - time.monotonic()
            events = poll.poll(max(0.0, min(left, LOOK_SECONDS)) * 1000 + 1)
            before = self.until
            self._hurry()
            if events or wake is None or self.until < before or time.monotonic() >= wake:
                return events

    # hooks
    def _begin_hook(self, name: str) -> None:
        """In a thread that may be left behind: nothing but the container's end stops a hook that outlasts the grace period (TE2)."""
        from kubeplay.engine.host import threads

        if self.done < 0:
            self.done = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        tell = _teller(self.done)
        threads.start(lambda: self._hook(name, tell))

    def _hook(self, name: str, tell: Callable[[], None]) -> None:
        from kubeplay.reconcile import hooks

        try:
            hooks.pre_stop(self.engine, self.look, self.rows[name], self.plans[name], self.until - time.monotonic())
        except hooks.HookFailed:
            if any(each.name == name and each.stage == order.HOOK for each in self.goings):  # one that was left behind says nothing more
                key = key_of(self.look.row)
                self.engine.store.events.add(key, self.look.row.uid, hooks.FAILED_PRE_STOP, hooks.PRE_STOP_FAILED, WARNING)
        finally:
            self.hooked.add(name)
            tell()


def _finish(engine: Engine, row: ContainerRow) -> None:
    engine.stop_container(row, 0)


def _teller(fd: int) -> Callable[[], None]:
    """Write to a duplicate: the loop may have closed its own when a hook that was left behind comes to its end."""
    mine = os.dup(fd)

    def tell() -> None:
        try:
            os.eventfd_write(mine, 1)
        finally:
            os.close(mine)

    return tell
