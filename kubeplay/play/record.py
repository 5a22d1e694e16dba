"""The record of a play that is under way: which objects it holds and which of them it made, so that a kill -9 leaves nothing nameless.

One lease an object, holder `command:PID:START:BOOT`. Whoever comes next waits for a living holder; of a dead one it
either takes over what it wants to have anyway, or undoes it.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from kubeplay import record
from kubeplay.engine.host import processes
from kubeplay.engine.host.machine import boot_id
from kubeplay.errors import Conflict
from kubeplay.plan.stack import ObjectKey

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

POOL = "play"
HELD, MADE = "held", "made"  # values of a lease
WAIT_SECONDS = 600.0  # for another command that works on the same objects
VOLUME = "Volume"  # pseudo kind of a volume this command made


class Holder(record.Record):
    """The process behind a record."""

    process: processes.Process
    boot: str

    @property
    def alive(self) -> bool:
        return self.boot == boot_id() and processes.alive(self.process)


def text_of(key: ObjectKey) -> str:
    return f"{key.kind}/{key.namespace}/{key.name}"


def key_of(text: str) -> ObjectKey:
    kind, namespace, name = text.split("/", 2)
    return ObjectKey(kind, namespace, name)


class Record:
    """This process's hold on objects; a context manager."""

    def __init__(self, engine: Engine, keys: Iterable[ObjectKey]) -> None:
        self._engine = engine
        self._keys = sorted({text_of(key) for key in keys})
        mine = processes.identify(os.getpid())
        assert mine is not None
        # a process may play twice, in several threads: the object's id tells the records apart
        self.holder = f"command:{mine.pid}:{mine.start}:{boot_id()}:{id(self):x}"

    def take(self, blocked: Callable[[], None] | None = None) -> list[tuple[ObjectKey, str]]:
        """Hold all objects; what a dead holder of any of them left: (key, HELD or MADE). Raises Conflict after a long wait.

        `blocked` is called once when somebody else holds one of them, before the wait.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            blocker, left = self._try()
            if blocker is None:
                return left
            if time.monotonic() > deadline:
                raise Conflict(f"process {blocker.process.pid} is working on the same objects", hint="wait for it to end, or end it")
            if blocked is not None:
                blocked()
                blocked = None
                continue
            _await(blocker)

    def _try(self) -> tuple[Holder | None, list[tuple[ObjectKey, str]]]:
        """All or nothing in one transaction, so that two plays cannot each hold half."""
        leases = self._engine.store.leases
        left: list[tuple[ObjectKey, str]] = []
        with self._engine.store.write():
            there = {lease.key: lease for lease in leases.held(POOL)}
            dead = {lease.holder for lease in there.values() if not parse(lease.holder).alive}
            for key in self._keys:
                lease = there.get(key)
                if lease is not None and lease.holder not in dead and lease.holder != self.holder:
                    return parse(lease.holder), []
            for lease in there.values():
                if lease.holder in dead:
                    left.append((key_of(lease.key), lease.value))
                    leases.release(lease.holder, POOL, lease.key)
            for key in self._keys:
                leases.take(POOL, key, self.holder, HELD)
            for found, value in left:  # ours until they are undone, so that a second kill loses nothing
                if value == MADE:
                    self._note(text_of(found), MADE)
        return None, left

    def made(self, key: ObjectKey) -> None:
        """This command makes the object: undo it when the command fails. Call inside the transaction that makes it."""
        self._note(text_of(key), MADE)

    def settle(self, key: ObjectKey) -> None:
        """The object is not to be undone any more."""
        self._note(text_of(key), HELD)

    def _note(self, key: str, value: str) -> None:
        with self._engine.store.write() as db:
            db.execute("INSERT OR REPLACE INTO leases VALUES (?,?,?,?)", (POOL, key, self.holder, value))

    def made_keys(self) -> list[ObjectKey]:
        """What this record would undo, dependants last made first."""
        return [key_of(lease.key) for lease in self._engine.store.leases.held(POOL, self.holder) if lease.value == MADE]

    def release(self) -> None:
        self._engine.store.leases.release(self.holder, POOL)


def parse(holder: str) -> Holder:
    parts = holder.split(":")
    try:
        return Holder(processes.Process(int(parts[1]), int(parts[2])), parts[3])
    except (IndexError, ValueError):
        return Holder(processes.Process(0, 0), "")


def _await(blocker: Holder) -> None:
    """Until the process ends, or a moment: it may let go of the objects long before."""
    fd = processes.open_pidfd(blocker.process)
    if fd < 0:
        return
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(50)
    finally:
        os.close(fd)
