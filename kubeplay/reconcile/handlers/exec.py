"""exec: run a program in the container, with no shell (PR6, LH3).

One of a name at a time: the runtime's process holds a lock, so a supervisor that was killed and is back finds the
probe that still runs, and ends it before it runs the next.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from kubeplay.engine import exec as runner
from kubeplay.engine.host import processes
from kubeplay.errors import KubeplayError
from kubeplay.kube.expand import expand
from kubeplay.plan.env import EnvEntry, EnvLiteral
from kubeplay.reconcile.handlers.steps import OUTPUT, POLLIN, Answer, OutOfTime, Steps, Wait, complete

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.store.runtime import ContainerRow

_AGAIN = 0.05  # seconds between looks whether a former one has let go


def run(engine: Engine, row: ContainerRow, command: Sequence[str], seconds: float | None, name: str) -> Answer:
    """Run a command and wait for its end (`seconds` None = no limit); `name` says what for: one of a name runs at a time."""
    return complete(asking(engine, row, command, seconds, name), seconds)


def static(command: Sequence[str], env: Sequence[EnvEntry]) -> tuple[str, ...]:
    """A probe's arguments with references to the container's literal variables replaced; one from elsewhere counts as empty (PR6)."""
    if not any("$" in word for word in command):
        return tuple(command)
    values = {entry.name: entry.value if isinstance(entry, EnvLiteral) else "" for entry in env}
    return tuple([expand(word, values.get) for word in command])


def asking(engine: Engine, row: ContainerRow, command: Sequence[str], seconds: float | None, name: str) -> Steps:
    if not command or not command[0]:
        return Answer(False, "failed to exec in container: no command given", errored=True)
    directory = f"{engine.paths.bundle(row.id)}/exec-{name}"
    try:
        lock = yield from _alone(directory)
        try:
            return (yield from _run(engine, row, command, seconds, directory, lock))
        finally:
            os.close(lock)
    except OutOfTime:
        return _late(command, seconds)
    except (KubeplayError, OSError) as error:
        return Answer(False, f"failed to exec in container: {error}", errored=True)


def _late(command: Sequence[str], seconds: float | None) -> Answer:
    return Answer(False, f'command timed out: "{" ".join(command)}" timed out after {seconds or 0:g}s')  # record 143


def _alone(directory: str) -> Generator[Wait, None, int]:
    """The directory's lock; whoever has it is a probe that its supervisor's end has left running."""
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        pass
    fd = os.open(f"{directory}/lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return fd
            except BlockingIOError:
                _kill(directory)
                yield Wait(seconds=_AGAIN)
    except BaseException:
        os.close(fd)
        raise


def _run(
    engine: Engine, row: ContainerRow, command: Sequence[str], seconds: float | None, directory: str, lock: int
) -> Generator[Wait, None, Answer]:
    outputs = (_Output(), _Output())
    pid = -1
    try:
        argv = runner.prepare(engine, row, command, directory)
        held = os.dup(lock)  # the runtime's process holds the lock for as long as it lives; it gives it to nobody (--preserve-fds 0)
        try:
            pid = processes.spawn(argv, fds={1: outputs[0].write, 2: outputs[1].write, 3: held})
        finally:
            os.close(held)
            for output in outputs:
                output.wrote()
        yield from _ended(pid, outputs)
        status = processes.wait(pid)
        pid = -1
        for output in outputs:
            output.read()
        return _answer(directory, status, argv, outputs)
    except OutOfTime:
        _kill(directory)
        yield from _reap(pid)
        pid = -1
        return _late(command, seconds)
    finally:
        for output in outputs:
            output.close()
        if pid > 0:
            _kill(directory)
            os.kill(pid, signal.SIGKILL)
            processes.wait(pid)


class _Output:
    """A pipe from the program, of which the first bytes are kept and the rest is read away."""

    def __init__(self) -> None:
        self.fd, self.write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self.write, True)
        self.data = b""

    def wrote(self) -> None:
        """The other end is the program's alone now."""
        os.close(self.write)
        self.write = -1

    def read(self) -> None:
        """All there is; `fd` is -1 once nobody can write any more."""
        while self.fd >= 0:
            try:
                piece = os.read(self.fd, 65536)
            except BlockingIOError:
                return
            self.data += piece[: OUTPUT - len(self.data)]
            if not piece:
                os.close(self.fd)
                self.fd = -1

    def close(self) -> None:
        for fd in (self.fd, self.write):
            if fd >= 0:
                os.close(fd)
        self.fd = self.write = -1


def _ended(pid: int, outputs: Sequence[_Output]) -> Generator[Wait, None, None]:
    """Until the runtime's process has ended. It waits for whoever holds the program's output, as containerd does: what a program leaves in
    the background makes a probe run out of time.
    """
    process = os.pidfd_open(pid)
    try:
        while not select.select((process,), (), (), 0)[0]:
            yield Wait(((process, POLLIN), *[(output.fd, POLLIN) for output in outputs if output.fd >= 0]))
            for output in outputs:
                output.read()
    finally:
        os.close(process)


def _reap(pid: int) -> Generator[Wait, None, None]:
    """After KILL: the runtime's process ends with the program; one that does not is killed, too."""
    if pid <= 0:
        return
    process = os.pidfd_open(pid)
    try:
        yield Wait(((process, POLLIN),), 1.0)
    except OutOfTime:
        pass
    finally:
        os.close(process)
        os.kill(pid, signal.SIGKILL)
        processes.wait(pid)


def _kill(directory: str) -> None:
    """Kill what the command of this directory runs: it leads a session of its own, so its process group is all it started."""
    try:
        with open(f"{directory}/pid", encoding="ascii") as file:
            pid = int(file.read())
    except (OSError, ValueError):
        return
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass  # it has ended


def _answer(directory: str, status: int, argv: Sequence[str], outputs: Sequence[_Output]) -> Answer:
    """Exit 0 is a success. A program that cannot be started counts as nothing, as with containerd."""
    started = os.path.exists(f"{directory}/pid")
    if not started and status != 0:
        return Answer(False, f"failed to exec in container: {runner.complaint(directory) or f'exit status {status}'}", errored=True)
    text = b"".join([output.data for output in outputs])[:OUTPUT].decode(errors="replace")
    return Answer(status == 0, text)
