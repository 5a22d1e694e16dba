"""Who to reconcile when: timers of the store, wake-ups through the FIFO, one thread per pod that needs something.

Crash-only: it holds no state. At the start it looks at every pod once; killed at any point, the next one does the same. It ends by
itself when nothing is due: then the root has no kubeplay process at all.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import threading
import time
from typing import TYPE_CHECKING

from kubeplay.config import Settings
from kubeplay.engine.engine import Engine
from kubeplay.engine.host.on_exit import SUPERVISOR
from kubeplay.engine.store.locks import Lock
from kubeplay.engine.store.runtime import DELETE, EXITED, RUN, STOP
from kubeplay.errors import KubeplayError
from kubeplay.reconcile import eviction, patience, rouse, services
from kubeplay.reconcile.model import Outcome
from kubeplay.reconcile.pod import reconcile
from kubeplay.supervisor import controllers, logs, start
from kubeplay.supervisor.probing import Prober

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubeplay.engine.net.apply import Watch
    from kubeplay.supervisor.controllers.manager import Manager

WORKERS = 8
MOST = 256  # pods looked after at once, counting those that only wait for a grace period or a hook
LOG_SECONDS = 10.0  # CS12: how often log sizes are checked
BUSY_SECONDS = 1.0  # a pod somebody else holds is looked at again
LINGER = 0.5  # a burst of exits is served by one process
CALM = 3.0  # controllers rest three times as long as they worked: a burst of changes is one look, and not many
CALM_SECONDS = 0.5  # at most: with 200 pods a look takes 0.1 s, and each that is saved is a pod more
MOVING_SECONDS = 0.1  # SV3: changes of endpoints wait no longer than this for one another
FAILED_SECONDS = 10.0  # RB5: after an error of ours


def run(settings: Settings, shell: int = 0) -> int:
    """The supervisor's life: 0 when nothing is due any more or another one runs. `shell` is who starts it again, 0 = nobody."""
    parent = _pidfd(os.getppid())
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    if not os.path.exists(f"{settings.runroot}/boot_id"):
        return 0  # the root was reset: do not bring its directories back
    engine = Engine(settings)
    lock = Lock(engine.paths.lock(SUPERVISOR))
    if not lock.try_take():
        return 0
    engine.cgroups.adopt_monitor(os.getpid())
    if shell and os.getppid() != shell:  # killed before we could watch it
        _hand_over(engine, lock)
    try:
        engine.mend()
    except (KubeplayError, OSError):
        pass  # a person's command says it, or the next pod that needs it
    loop = Loop(engine, lock, parent)
    if parent >= 0:  # who started it may have been too slow to move it before it forked us
        engine.cgroups.adopt_monitor(os.getppid())
    while True:
        if not loop.run():
            return 0
        lock.release()
        # an exit noted between our last look and the release saw the lock held and left it to us
        if not (start.due(engine) or loop.woken()) or not lock.try_take():
            return 0


class Loop:
    """One supervisor's loop; `run` returns when nothing is due. `lock` is the supervisor's own, which its replacement will want."""

    def __init__(self, engine: Engine, lock: Lock | None = None, parent: int = -1) -> None:
        self.engine, self.lock = engine, lock
        # open for writing too: the FIFO then never reports end of file
        self.fifo = os.open(engine.paths.wake, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.done_read, self.done_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.waiting: dict[str, float] = {}
        self.active: set[str] = set()
        self.resting: dict[str, int] = {}  # of the active ones, what each of them waits for
        self.again: set[str] = set()
        self.results: list[tuple[str, Outcome | None]] = []
        self.told: list[str] = []  # pods whose probes say something else now
        self.guard = threading.Lock()
        self.routes = False
        self.rules = _watch(engine)
        self.next_logs = 0.0
        self.watching = False  # a log that grows fast, a pod that may take so much of the disk
        self.measuring = False
        self.parent = parent
        self.manager: Manager | None = None
        self.calm = 0.0  # monotonic: until then changes are collected before the controllers look at them
        self.settle = 0.0  # monotonic: until then changes of endpoints are collected while pods are worked on
        self.seen = -1  # the newest change of the store that no controller was interested in
        self.ended = False  # a pod has gone
        self.prober = Prober(engine, self.settled, lambda: self._nudge(b"i"))

    def close(self) -> None:
        """Give back what it heard through; a process that ends need not."""
        if self.rules is not None:
            self.rules.close()
        for fd in (self.fifo, self.done_read, self.done_write, *([self.parent] if self.parent >= 0 else ())):
            os.close(fd)
        self.prober.close()

    def run(self) -> bool:
        """Serve until nothing is due; False when the root was removed under us."""
        self._adopt()
        self.next_logs = 0.0
        quiet_since = time.monotonic()
        while True:
            if not os.fstat(self.fifo).st_nlink:
                return False
            self._collect()
            now = self.engine.clock.now()
            self._control(now)
            self._begin(now)
            self._rotate()
            if self._busy():
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since >= LINGER:
                return True
            self._sleep(now)

    def _busy(self) -> bool:
        return bool(
            self.active or self.waiting or self.watching or self.prober.busy or self.engine.store.runtime.next_wake() is not None
            or (self.manager is not None and self.manager.timers)
        )  # fmt: skip

    def _control(self, now: float) -> None:
        """Let the controllers decide. Where nothing is controlled they are not even imported."""
        try:
            if self.manager is None:
                newest = self.engine.store.controllers.newest()
                if newest == self.seen or not controllers.due(self.engine):
                    self.seen = newest
                    return
                from kubeplay.supervisor.controllers.manager import Manager

                self.manager = Manager(self.engine)
            began = time.monotonic()
            if began < self.calm:
                return
            for uid in self.manager.turn(now):
                self.waiting[uid] = 0.0
            if self.manager.ending:  # TE4: traffic leaves them before anything of theirs is ended
                self._refresh_services()
            ended = time.monotonic()
            self.calm = ended + min(CALM * (ended - began), CALM_SECONDS)
        except (KubeplayError, OSError) as error:
            print(f"kubeplay supervisor: controllers: {error}", flush=True)

    def settled(self, uid: str) -> None:
        """A probe's result has flipped, or a pod is to be evicted: the pod is to be looked at, by us or by whoever holds it."""
        rouse.mark(self.engine, uid)
        with self.guard:
            self.told.append(uid)
        self._nudge(b"p")

    def _nudge(self, what: bytes) -> None:
        """Have the loop look again."""
        try:
            os.write(self.done_write, what)
        except BlockingIOError:
            pass  # a full pipe wakes it just as well

    def woken(self) -> bool:
        """Whether somebody wrote to the FIFO or marked a pod meanwhile."""
        names = self._read_fifo()
        self.waiting.update({name: 0.0 for name in names if name})
        return bool(names)

    def _adopt(self) -> None:
        """Everything that may need something after a start: marked pods, unfinished ends, containers whose end nobody saw."""
        self.engine.refresh()
        for uid in start.marked(self.engine):
            self.waiting[uid] = 0.0
        ended = {row.pod_uid for row in self.engine.store.runtime.containers() if row.state == EXITED}
        for row in self.engine.store.runtime.pods():
            if row.desired in (STOP, DELETE) or (row.desired == RUN and row.uid in ended):
                self.waiting[row.uid] = 0.0
        # a result may have flipped just before a kill: what follows from it is not lost with the mark
        self.waiting.update({row.pod_uid: 0.0 for row in self.engine.store.probes.running()})
        self.prober.look()

    def _begin(self, now: float) -> None:
        for uid in self.engine.store.runtime.due(now):
            self.waiting.setdefault(uid, 0.0)
        ready = [uid for uid, when in self.waiting.items() if when <= now]
        for uid in ready:
            if uid in self.active:
                self.again.add(uid)
                del self.waiting[uid]
            elif not self._full():
                del self.waiting[uid]
                self.active.add(uid)
                threading.Thread(target=self._work, args=(uid,), daemon=True).start()

    def _full(self) -> bool:
        """Whether every worker's place is taken: one that only waits leaves its own (TE2: a grace period is no other pod's business)."""
        return self._working() >= WORKERS or len(self.active) >= MOST

    def _working(self) -> int:
        with self.guard:
            return len(self.active) - len(self.resting)

    def _rest(self, uid: str, change: int) -> None:
        with self.guard:
            count = self.resting.get(uid, 0) + change
            self.resting[uid] = count
            if not count:
                del self.resting[uid]
        os.write(self.done_write, b"r")

    def _work(self, uid: str) -> None:
        outcome: Outcome | None = None
        try:
            with patience.heard(uid, lambda change: self._rest(uid, change)):
                outcome = reconcile(self.engine, uid, wait_lock=False)
        except (KubeplayError, OSError) as error:
            print(f"kubeplay supervisor: pod {uid}: {error}", flush=True)
        finally:
            with self.guard:
                self.results.append((uid, outcome))
            os.write(self.done_write, b"x")

    def _collect(self) -> None:
        with self.guard:
            results, self.results = self.results, []
            told, self.told = self.told, []
        self.waiting.update(dict.fromkeys(told, 0.0))
        if results:
            gc.enable()  # start.py began without: the first restart is waited for
            self.prober.look()
        now = self.engine.clock.now()
        for uid, outcome in results:
            self.active.discard(uid)
            if outcome is None:
                self.waiting[uid] = now + FAILED_SECONDS
            elif outcome.busy:
                self.waiting[uid] = now + BUSY_SECONDS
            else:
                self.routes = self.routes or outcome.routes
                self.ended = self.ended or outcome.gone
            if uid in self.again:
                self.again.discard(uid)
                self.waiting.setdefault(uid, 0.0)
        if self.routes and (not self._working() or time.monotonic() >= self.settle):
            self._refresh_services()
        if self.ended and not self.active:
            self.ended = False
            self.waiting.update(dict.fromkeys(self._clear(), 0.0))

    def _refresh_services(self) -> None:
        """At once where nobody works on a pod; else what some more of them bring is waited for, a moment only: traffic must move."""
        self.routes = False
        began = time.monotonic()
        try:
            services.refresh(self.engine)
            ended = time.monotonic()
            self.settle = ended + min(CALM * (ended - began), MOVING_SECONDS)
        except (KubeplayError, OSError) as error:
            self.routes = True
            print(f"kubeplay supervisor: services: {error}", flush=True)

    def _clear(self) -> list[str]:
        """The last pods may have gone without a command: the network and the DNS server go with them; the latter's uid."""
        from kubeplay.play import down

        try:
            return down.clear(self.engine)
        except (KubeplayError, OSError) as error:
            print(f"kubeplay supervisor: network: {error}", flush=True)
            return []

    def _rotate(self) -> None:
        if time.monotonic() < self.next_logs:
            return
        self.next_logs = time.monotonic() + LOG_SECONDS
        logs.rotate_all(self.engine)
        limited = bool(eviction.watched(self.engine))
        self.watching = limited or logs.growing(self.engine)
        if limited and not self.measuring:
            self.measuring = True
            threading.Thread(target=self._measure, daemon=True).start()

    def _measure(self) -> None:
        """Disk usage of pods with limits (VO7, RS8); a walk over their files may take its time."""
        try:
            for uid in eviction.check(self.engine):
                self.settled(uid)
        except (KubeplayError, OSError) as error:
            print(f"kubeplay supervisor: disk usage: {error}", flush=True)
        finally:
            self.measuring = False

    def _sleep(self, now: float) -> None:
        """Until a wake-up, a finished worker, the next timer, or our parent's death."""
        times: list[float] = list(self._timers(now))
        seconds = min(times) - now if times else LOG_SECONDS if self.watching or self.prober.busy else LINGER
        if self.active:
            seconds = min(seconds, 60.0) if times else 60.0
        poll = select.poll()
        for fd in (self.fifo, self.done_read, self.parent, self.rules.fileno() if self.rules is not None else -1):
            if fd >= 0:
                poll.register(fd, select.POLLIN)
        for fd, _ in poll.poll(max(0.0, min(seconds, LOG_SECONDS)) * 1000 + 1):
            if fd == self.fifo:
                self.waiting.update({name: 0.0 for name in self._read_fifo() if name})
                self.prober.look()
            elif fd == self.done_read:
                os.read(self.done_read, 4096)
            elif fd == self.parent:
                self._replace_parent()
            elif self.rules is not None and fd == self.rules.fileno():
                self.rules.drain()
                self._mend()

    def _mend(self) -> None:
        """Somebody has changed rules of this machine; mostly not ours."""
        try:
            self.engine.net.revive()
        except (KubeplayError, OSError) as error:
            print(f"kubeplay supervisor: rules: {error}", flush=True)

    def _timers(self, now: float) -> Iterable[float]:
        """When something is to be begun. What is due by now has been begun or waits for its turn: its wake time means nothing more."""
        if self._full():
            return  # one that is done wakes us
        control = self.manager.next_wake() if self.manager is not None else None
        if control is not None:
            yield control
        if self.routes:
            yield now + max(0.0, self.settle - time.monotonic())
        calm = self.calm - time.monotonic()
        if calm > 0 and self.manager is not None and self.manager.mirror.stale():
            yield now + calm
        due = self.engine.store.runtime.next_wake(now)
        if due is not None:
            yield due
        yield from self.waiting.values()

    def _read_fifo(self) -> set[str]:
        try:
            data = os.read(self.fifo, 65536)
        except BlockingIOError:
            return set()
        return {name.decode(errors="replace") for name in data.split(b"\n")} if data else set()

    def _replace_parent(self) -> None:
        """The respawning shell was killed: leave it to a new one, which starts a new supervisor."""
        os.close(self.parent)
        self.parent = -1
        _hand_over(self.engine, self.lock)


def _watch(engine: Engine) -> Watch | None:
    try:
        return engine.net.watch()
    except (KubeplayError, OSError):  # a kernel without nftables: there are no rules to watch
        return None


def _hand_over(engine: Engine, lock: Lock | None) -> None:
    """Leave everything to a new shell, which starts a new supervisor. Does not return."""
    start.install(engine)
    if lock is not None:
        lock.release()  # the new one ends when it finds the lock taken, and so would its shell: nobody would be left
    start.begin(engine)
    os._exit(0)


def _pidfd(pid: int) -> int:
    """A descriptor of the shell that respawns us; -1 when we were started in another way."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
        return os.pidfd_open(pid) if any(word.endswith(start.LOOP.encode()) for word in words) else -1
    except OSError:
        return -1
