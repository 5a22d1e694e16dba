"""The user's network namespace: made on demand, pinned in his mount namespace, entered by threads.

A thread that is inside can never come back: the host's network belongs to another user namespace, and only its owner may
enter it. So each call runs in a thread of its own, while the calling thread waits and does what has to be done outside
(`outside`: a host port is bound in the host's network).
"""

from __future__ import annotations

import fcntl
import os
import threading
from _queue import SimpleQueue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from kubeplay.engine.host import syscalls
from kubeplay.engine.host.paths import ensure_directory
from kubeplay.engine.host.threads import in_thread
from kubeplay.engine.net import netns, rtnl
from kubeplay.engine.net.netlink import Netlink
from kubeplay.errors import SandboxError

T = TypeVar("T")
_local = threading.local()
MARK = 0x6B700001  # on the forwarder's packets to pods (forwarder.py has it too)
ANSWER = MARK + 1  # on pods' answers to them: another one, because a socket's mark decides its own route too
_TABLE = 0x6B70  # routing table of the answers to the forwarder
PREFIX = "kp"  # what the devices of every kubeplay root begin with (config.Settings.bridge)


class Place:
    """The namespace of one user. `directory` is his alone (who.user_directory), the same for all his roots."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        # where podman has its own and Debian's AppArmor profile lets pasta look: $XDG_RUNTIME_DIR/netns
        self.pin = f"{os.path.dirname(directory)}/netns/kubeplay"

    def exists(self) -> bool:
        return netns.is_pinned(self.pin)

    def call(self, work: Callable[[], T], make: bool = False) -> T:
        """Run `work` in the namespace. Where there is none, `make` makes it; else the work sees an empty one, gone when it ends.

        Raises what `work` raises, SandboxError when no namespace can be made.
        """
        if getattr(_local, "visit", None) is not None:
            return work()
        if not make and not self.exists():
            return _visit(lambda: syscalls.unshare(syscalls.CLONE_NEWNET), work)
        with self.kept():
            return _visit(self._enter, work)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """The namespace is there, and stays for as long as the block runs."""
        with self._locked("netns.lock", fcntl.LOCK_SH):
            if not self.exists():
                self._make()
            yield

    def remove_if_empty(self, before: Callable[[], None]) -> bool:
        """Take the namespace away when no root has a device in it; `before` ends the processes that hold it. True when it is gone."""
        with self._locked("netns.lock", fcntl.LOCK_EX):
            if self.exists() and _visit(self._enter, _devices):
                return False
            before()
            self._unpin()
            return True

    def _enter(self) -> None:
        fd = os.open(self.pin, os.O_RDONLY | os.O_CLOEXEC)
        try:
            syscalls.setns(fd, syscalls.CLONE_NEWNET)
        finally:
            os.close(fd)

    def _make(self) -> None:
        with self.alone("netns-make"):  # the other one is held, shared, by several
            if not self.exists():
                self._unpin()
                self._pin()

    def _pin(self) -> None:
        ensure_directory(os.path.dirname(self.pin))

        def work() -> None:
            syscalls.unshare(syscalls.CLONE_NEWNET)
            with Netlink() as netlink:
                netlink.run(rtnl.up(1, "lo"), *rtnl.answers_here(ANSWER, _TABLE))
            os.close(os.open(self.pin, os.O_CREAT | os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            syscalls.mount("/proc/thread-self/ns/net", self.pin, flags=syscalls.MS_BIND)

        try:
            in_thread(work)
        except OSError as error:
            hint = "see: sysctl user.max_net_namespaces, and /proc/sys/user" if error.errno == 28 else ""
            raise SandboxError(f"cannot make the user's network namespace: {error.strerror}", hint=hint) from error

    def _unpin(self) -> None:
        while netns.is_pinned(self.pin):
            syscalls.umount(self.pin)
        try:
            os.unlink(self.pin)
        except FileNotFoundError:
            pass

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Held by one of this user's commands at a time, for the thing of that name."""
        with self._locked(f"{name}.lock", fcntl.LOCK_EX):
            yield

    @contextmanager
    def _locked(self, name: str, how: int) -> Iterator[None]:
        """`netns.lock` is held shared by whoever is inside, exclusively to take the namespace away."""
        fd = os.open(f"{self.directory}/{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, how)
            yield
        finally:
            os.close(fd)


def outside(work: Callable[[], T]) -> T:
    """Run `work` where the call came from; in a thread that is not inside, that is here. Not while the store is locked for the caller."""
    visit: _Visit | None = getattr(_local, "visit", None)
    if visit is None:
        return work()
    found: T = visit.ask(work)
    return found


def _devices() -> list[str]:
    with Netlink() as netlink:
        return [link.name for link in rtnl.links(netlink) if link.kind == "bridge" and link.name.startswith(PREFIX)]


class _Visit:
    """A thread inside, and what it wants from the one that waits for it."""

    def __init__(self) -> None:
        self.wishes: SimpleQueue[tuple[Callable[[], Any], SimpleQueue[Any]] | None] = SimpleQueue()

    def ask(self, work: Callable[[], Any]) -> Any:
        answer: SimpleQueue[Any] = SimpleQueue()
        self.wishes.put((work, answer))
        found, error = answer.get()
        if error is not None:
            raise error
        return found


def _visit(enter: Callable[[], None], work: Callable[[], T]) -> T:
    """An interrupt of the waiting thread is raised when the work is done: nothing stays half made, no lock stays held."""
    visit = _Visit()
    found: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        _local.visit = visit
        try:
            enter()
            found.append(work())
        except BaseException as error:  # handed to the waiting thread
            errors.append(error)
        finally:
            visit.wishes.put(None)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    interrupted = _serve(visit)
    thread.join()
    if interrupted is not None:
        raise interrupted
    if errors:
        raise errors[0]
    return found[0]


def _serve(visit: _Visit) -> BaseException | None:
    interrupted: BaseException | None = None
    while True:
        try:
            wish = visit.wishes.get()
            if wish is None:
                return interrupted
        except BaseException as error:  # a signal's
            interrupted = error
            continue
        try:
            wish[1].put((wish[0](), None))
        except BaseException as error:
            wish[1].put((None, error))
