"""Start the supervisor, or wake it: by whoever makes something that it has to look after, before the command's end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kubeplay.engine.host import processes
from kubeplay.engine.host.credentials import shed
from kubeplay.engine.host.on_exit import COMMAND, SUPERVISOR
from kubeplay.engine.host.threads import in_thread
from kubeplay.engine.store.locks import Lock

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine


def rouse(engine: Engine) -> None:
    """Have somebody look what there is to look after. Nothing happens where no command has installed what starts the supervisor."""
    if running(engine):
        wake(engine)
    elif os.path.exists(f"{engine.paths.runroot}/{COMMAND}"):
        begin(engine)


def running(engine: Engine) -> bool:
    """Whether a supervisor holds the root's supervisor lock."""
    lock = Lock(engine.paths.lock(SUPERVISOR))
    if lock.try_take():
        lock.release()
        return False
    return True


def begin(engine: Engine) -> None:
    """Start it in the background, out of our session and control groups: killing those must not hurt it (DESIGN.md)."""

    def work() -> int:
        engine.cgroups.leave()
        shed()
        return processes.spawn([processes.program("sh"), f"{engine.paths.runroot}/{COMMAND}"])

    pid = in_thread(work)
    engine.cgroups.adopt_monitor(pid)  # before it forks, or the program below moves itself
    processes.wait(pid)


def wake(engine: Engine, uid: str = "") -> None:
    """Have a running supervisor look again, at one pod or at its timers. Nothing happens when none runs."""
    try:
        fd = os.open(engine.paths.wake, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # ENXIO: nobody reads
        return
    try:
        os.write(fd, f"{uid}\n".encode())
    except BlockingIOError:
        pass  # a full pipe wakes it just as well
    finally:
        os.close(fd)


def mark(engine: Engine, uid: str) -> None:
    """Whoever holds the pod's lock looks again before letting go (on_exit.py does the same after an exit)."""
    path = engine.paths.lock(uid)
    if os.path.exists(path):
        os.close(os.open(f"{path}.dirty", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
