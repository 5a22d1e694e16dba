"""Run a further command in a running container: the OCI runtime's own exec with our stdio, nothing in between.

Where a terminal is wanted the runtime proxies the one we have; without any, it gets a pty of ours. Exit codes follow podman: 126 the
command cannot be invoked, 127 it is not there, else its own.
"""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

from kubeplay.engine.host import processes
from kubeplay.engine.host.credentials import spawned
from kubeplay.engine.oci import user as users
from kubeplay.engine.oci.runtime import remove_tree
from kubeplay.engine.store.runtime import PAUSED, RUNNING, ContainerRow
from kubeplay.errors import EXIT_CANNOT_INVOKE, EXIT_NOT_FOUND, InvalidInput, NotInvoked, NotRunning, RuntimeFailed
from kubeplay.plan.security import Security

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

_FORWARD = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT)
_FROM_KEYS = (signal.SIGINT, signal.SIGQUIT)  # a terminal sends these to the whole group, so the runtime has them already
_ABSENT = ("executable file not found", "no such file or directory", "not found in $PATH")


def run(
    engine: Engine,
    row: ContainerRow,
    argv: Sequence[str],
    *,
    tty: bool = False,
    stdin: bool = False,
    env: Sequence[tuple[str, str]] = (),
    user: str = "",
    workdir: str = "",
    detach: bool = False,
    privileged: bool = False,
) -> int:
    """Run `argv` and return its exit code; `detach` returns 0 once it runs. Raises NotRunning, NotInvoked, InvalidInput, RuntimeFailed."""
    if not argv or not argv[0]:
        raise InvalidInput("no command given to exec")
    if row.state != RUNNING:
        raise NotRunning(f"container {row.name} is {row.state}, not running")
    if row.reason == PAUSED:
        raise NotRunning(f"container {row.name} is paused", hint=f"kubeplay unpause {row.id[:12]}")
    if workdir:
        _check_workdir(row, workdir)
    bundle = engine.paths.bundle(row.id)
    directory = f"{bundle}/exec-{os.urandom(6).hex()}"
    os.mkdir(directory, 0o700)
    try:
        _write_process(bundle, directory, argv, tty, env, user, workdir, privileged)
        command = _command(engine, directory, row.id, detach)
        if detach:
            status = processes.wait(spawned(lambda: processes.spawn(command)))
        elif tty and not _terminals():
            status = _with_pty(command, stdin)
        else:
            status = _with_stdio(command, stdin)
        return _exit_code(directory, status, command)
    finally:
        remove_tree(directory)


def _check_workdir(row: ContainerRow, workdir: str) -> None:
    """Say of a working directory that cannot be entered what the runtime says in words of its own. Raises InvalidInput, NotInvoked."""
    from kubeplay.engine.host.syscalls import RESOLVE_IN_ROOT, openat2

    if not workdir.startswith("/"):
        raise InvalidInput(f"the working directory {workdir!r} is not an absolute path")
    if os.path.normpath(workdir).startswith("/proc"):
        return  # what is there depends on who looks: only the runtime can tell
    try:
        root = os.open(f"/proc/{row.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return  # it has just ended: the runtime says so
    try:
        os.close(openat2(root, workdir, os.O_PATH | os.O_DIRECTORY, RESOLVE_IN_ROOT))
    except FileNotFoundError:
        raise NotInvoked(f"working directory {workdir} is not there in container {row.name}", EXIT_NOT_FOUND) from None
    except NotADirectoryError:
        raise NotInvoked(f"working directory {workdir} is no directory in container {row.name}", EXIT_CANNOT_INVOKE) from None
    except OSError:
        return  # a link into /proc, or no right: the runtime's to judge
    finally:
        os.close(root)


def capture(engine: Engine, row: ContainerRow, argv: Sequence[str], seconds: float, stdin: bytes = b"") -> processes.Result:
    """Run a command and keep what it writes (bounded), for hooks, probes and copying. Raises NotRunning, Timeout."""
    if row.state != RUNNING:
        raise NotRunning(f"container {row.name} is {row.state}, not running")
    bundle = engine.paths.bundle(row.id)
    directory = f"{bundle}/exec-{os.urandom(6).hex()}"
    os.mkdir(directory, 0o700)
    try:
        _write_process(bundle, directory, argv, False, (), "", "", False)
        command = _command(engine, directory, row.id, False)
        result = processes.run(command, stdin=stdin, check=False, seconds=seconds)
        return result._replace(status=_exit_code(directory, result.status, command))
    finally:
        remove_tree(directory)


def prepare(engine: Engine, row: ContainerRow, argv: Sequence[str], directory: str) -> list[str]:
    """The runtime's command line that runs `argv` in the container, for those who wait for its end themselves (probes, hooks).

    `directory` is theirs alone while it runs. It is for this `argv` and instance only: what it needs is written once.
    """
    if row.state != RUNNING:
        raise NotRunning(f"container {row.name} is {row.state}, not running")
    for name in ("pid", "log"):
        try:
            os.unlink(f"{directory}/{name}")
        except FileNotFoundError:
            pass
    if not os.path.exists(f"{directory}/process.json"):
        made = f"{directory}/new-{os.urandom(6).hex()}"
        os.mkdir(made, 0o700)
        _write_process(engine.paths.bundle(row.id), made, argv, False, (), "", "", False)
        os.rename(f"{made}/process.json", f"{directory}/process.json")
        os.rmdir(made)
    return _command(engine, directory, row.id, False)


def complaint(directory: str) -> str:
    """Why the runtime could not run the command of this directory, in its own words; "" when it said nothing."""
    from kubeplay.engine.oci.runtime import said

    try:
        with open(f"{directory}/log", encoding="utf-8", errors="replace") as file:
            return said(file.read(1 << 16))
    except OSError:
        return ""


def _command(engine: Engine, directory: str, container_id: str, detach: bool) -> list[str]:
    options = ["--process", f"{directory}/process.json", "--pid-file", f"{directory}/pid", *(["--detach"] if detach else [])]
    return engine.runtime.argv("--log", f"{directory}/log", "exec", *options, container_id)


def _write_process(
    bundle: str, directory: str, argv: Sequence[str], tty: bool, env: Sequence[tuple[str, str]], user: str, workdir: str, privileged: bool
) -> None:
    """The container's own process description with the caller's changes."""
    with open(f"{bundle}/config.json", encoding="utf-8") as file:
        config = json.load(file)
    process: dict[str, Any] = config["process"]
    values = dict(entry.partition("=")[::2] for entry in process["env"])
    if tty:
        values.setdefault("TERM", "xterm")
    if user:
        from kubeplay.engine.oci.mappings import read

        identity = users.resolve(Security(), user, users.read_accounts(f"{bundle}/rootfs"))
        users.check_mapped(identity, "exec", read(config["linux"]))
        process["user"] = {"uid": identity.uid, "gid": identity.gid, "additionalGids": list(identity.groups)}
        values["HOME"] = identity.home
    if privileged:
        from kubeplay.engine.host.machine import machine
        from kubeplay.engine.oci import capabilities

        process["capabilities"] = capabilities.sets(capabilities.names((), (), privileged=True, available=machine().capabilities))
    values.update(env)
    process |= {"args": list(argv), "terminal": tty, "env": [f"{k}={v}" for k, v in values.items()]}
    if workdir:
        process["cwd"] = workdir
    fd = os.open(f"{directory}/process.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        file.write(json.dumps(process))


def _with_stdio(command: list[str], stdin: bool) -> int:
    fds = {1: 1, 2: 2, **({0: 0} if stdin else {})}
    return _await(spawned(lambda: processes.spawn(command, fds=fds, cwd=None, session=False)))


def _await(pid: int) -> int:
    """Wait for the runtime, passing signals on to it; it passes them on to the command."""
    before: dict[int, Any] = {}

    def forward(number: int, _: FrameType | None) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    try:
        before = _install(forward)
        return processes.wait(pid)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _install(forward: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """Signal handlers while we wait; none when we are not the main thread, which alone may set them."""
    import threading

    if threading.current_thread() is not threading.main_thread():
        return {}
    before: dict[int, Any] = {number: signal.signal(number, forward) for number in _FORWARD}
    keys = signal.SIG_IGN if _in_foreground() else forward
    before.update({number: signal.signal(number, keys) for number in _FROM_KEYS})
    return before


def _in_foreground() -> bool:
    try:
        fd = os.open("/dev/tty", os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(fd)


def _terminals() -> bool:
    """Whether the runtime would find a terminal among our stdio."""
    return any(os.isatty(fd) for fd in (0, 1, 2))


def _with_pty(command: list[str], stdin: bool) -> int:
    """Give the runtime a pty and copy between it and our stdio, which is no terminal."""
    import tty

    ours, theirs = os.openpty()
    # Raw from the start: an end of input that comes before the runtime has made it so would turn into a NUL.
    tty.setraw(theirs)
    try:
        pid = spawned(lambda: processes.spawn(command, fds={0: theirs, 1: theirs, 2: theirs}, cwd=None))
    finally:
        os.close(theirs)
    try:
        _pump(ours, stdin)
    finally:
        os.close(ours)
    return processes.wait(pid)


def _pump(master: int, stdin: bool) -> None:
    poll = select.poll()
    poll.register(master, select.POLLIN)
    if stdin:
        poll.register(0, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            try:
                data = os.read(fd, 65536)
            except OSError:  # EIO: the other end of the pty is closed
                return
            if fd == master and not data:
                return
            if fd == master:
                _write_all(1, data)
            elif data:
                _write_all(master, data)
            else:
                poll.unregister(0)
                _write_all(master, b"\x04")  # end of input, as a terminal says it


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _exit_code(directory: str, status: int, command: Sequence[str]) -> int:
    """The command's own code when it ran, else what podman returns for commands that could not be invoked."""
    if status < 0:
        return 128 - status
    if os.path.exists(f"{directory}/pid") or status == 0:
        return status
    try:
        with open(f"{directory}/log", encoding="utf-8", errors="replace") as file:
            said = file.read(1 << 16)
    except OSError:
        said = ""
    if any(text in said for text in _ABSENT):
        return EXIT_NOT_FOUND
    if "permission denied" in said or "exec format error" in said or "is a directory" in said:
        return EXIT_CANNOT_INVOKE
    if "stopped container" in said or "does not exist" in said:
        raise NotRunning("the container has just ended")
    raise RuntimeFailed(command, status, said or "the command could not be started")
