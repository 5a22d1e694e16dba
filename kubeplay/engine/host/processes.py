"""Start programs cheaply, know processes by more than a number, signal and await them.

Children are made with posix_spawn (vfork inside): `subprocess` costs 13 ms of import and a fork of the whole
interpreter. A child gets only the descriptors, variables and directory given here: nothing of the caller's.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import threading
import time
from collections.abc import Mapping, Sequence

from kubeplay.errors import CommandFailed, MissingPrerequisite, Timeout
from kubeplay.record import Record

CLEAN_ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
CLONE_FS = 0x00000200  # linux/sched.h
OUTPUT_LIMIT = 1 << 20  # bytes kept of a program's output; ours say a few lines
RUN_SECONDS = 120.0  # as containerd's and cri-o's runtime request timeout (2 min)

# Debian package of each program we run
PACKAGES = {"conmon": "conmon", "nft": "nftables", "catatonit": "catatonit", "sh": "dash", "flock": "util-linux"}


class Result(Record):
    """How a program ended: `status` is its exit code, or minus the signal."""

    status: int
    stdout: bytes
    stderr: bytes


class Process(Record):
    """A process beyond doubt: number and start time in clock ticks since boot (proc_pid_stat(5) field 22)."""

    pid: int
    start: int


_programs: dict[str, str] = {}
_local = threading.local()


def program(name: str) -> str:
    """The path of a program. Raises MissingPrerequisite naming the package to install."""
    if name not in _programs:
        _programs[name] = name if name.startswith("/") and os.access(name, os.X_OK) else _search(name)
    return _programs[name]


def _search(name: str) -> str:
    for directory in CLEAN_ENV["PATH"].split(":"):
        path = f"{directory}/{name}"
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    package = PACKAGES.get(name, name)
    raise MissingPrerequisite(f"the program {name} is not installed", hint=f"apt-get install {package}")


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    fds: Mapping[int, int] | None = None,
    cwd: str | None = "/",
    session: bool = True,
) -> int:
    """Start `argv[0]` (a path) and return its pid; `fds` maps the child's descriptors to ours, 0-2 default to /dev/null.

    `session` puts it into a session of its own, `cwd` None keeps our directory. Raises MissingPrerequisite when the program is not there.
    """
    from kubeplay.engine.host import spawning  # ctypes: only those pay for it who start something

    wanted = dict(fds or {})
    actions = _file_actions(wanted)
    try:
        with _directory(cwd):
            return spawning.posix_spawn(argv[0], list(argv), dict(CLEAN_ENV if env is None else env), actions, session=session)
    except FileNotFoundError as error:
        raise MissingPrerequisite(f"{argv[0]} is not there", hint=f"apt-get install {os.path.basename(argv[0])}") from error


def _file_actions(wanted: dict[int, int]) -> list[tuple[int, ...]]:
    actions: list[tuple[int, ...]] = []
    top = max(wanted, default=2)
    # dup2 onto numbers that are themselves sources would lose them: park every source above all targets first
    parked = {}
    for place, (child, ours) in enumerate(wanted.items()):
        parked[child] = max(top, max(wanted.values())) + 100 + place
        actions.append((os.POSIX_SPAWN_DUP2, ours, parked[child]))
    for number in (0, 1, 2):
        if number not in wanted:
            actions.append((os.POSIX_SPAWN_OPEN, number, b"/dev/null", os.O_RDWR, 0))  # type: ignore[arg-type]
    for child, place in parked.items():
        actions.append((os.POSIX_SPAWN_DUP2, place, child))
        actions.append((os.POSIX_SPAWN_CLOSE, place))
    actions += [(os.POSIX_SPAWN_CLOSE, fd) for fd in foreign_descriptors() if fd not in wanted]
    return actions


def foreign_descriptors() -> list[int]:
    """Our descriptors above 2 that a child would inherit: the shell's that started us, never Python's own."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        try:
            if fd > 2 and os.get_inheritable(fd):
                found.append(fd)
        except OSError:
            continue  # the listing's own descriptor, or closed by another thread
    return found


class _directory:
    """Have this thread alone stand in `path` for a moment: posix_spawn has no working directory of its own."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._back = -1

    def __enter__(self) -> None:
        if self._path is None:
            return
        if not getattr(_local, "own_fs", False):
            from kubeplay.engine.host import syscalls

            syscalls.unshare(CLONE_FS)
            _local.own_fs = True
        self._back = os.open(".", os.O_PATH | os.O_CLOEXEC)
        os.chdir(self._path)

    def __exit__(self, *_: object) -> None:
        if self._back >= 0:
            os.fchdir(self._back)
            os.close(self._back)


def run(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    check: bool = True,
    seconds: float = RUN_SECONDS,
    failure: type[CommandFailed] = CommandFailed,
) -> Result:
    """Run a program to its end and return what it wrote. Raises `failure` when `check` and it failed, Timeout when it hangs."""
    out, out_child = os.pipe2(os.O_CLOEXEC)
    err, err_child = os.pipe2(os.O_CLOEXEC)
    source, feed = os.pipe2(os.O_CLOEXEC) if stdin else (-1, -1)
    try:
        pid = spawn(argv, env=env, fds={1: out_child, 2: err_child, **({0: source} if stdin else {})})
    except BaseException:
        for fd in (out, err, feed):
            _close(fd)
        raise
    finally:
        for fd in (out_child, err_child, source):
            _close(fd)
    try:
        texts = _converse({out: bytearray(), err: bytearray()}, feed, stdin, time.monotonic() + seconds)
    except Timeout:
        os.kill(pid, signal.SIGKILL)
        wait(pid)
        raise Timeout(f"{argv[0]} did not finish within {seconds:.0f} s: {' '.join(argv[:6])}") from None
    result = Result(wait(pid), bytes(texts[out]), bytes(texts[err]))
    if check and result.status != 0:
        raise failure(argv, result.status, result.stderr.decode(errors="replace"))
    return result


def _converse(outputs: dict[int, bytearray], feed: int, data: bytes, deadline: float) -> dict[int, bytearray]:
    poll = select.poll()
    for fd in outputs:
        poll.register(fd, select.POLLIN)
    if feed >= 0:
        os.set_blocking(feed, False)
        poll.register(feed, select.POLLOUT)
    left = len(outputs)
    try:
        while left or feed >= 0:
            events = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not events:
                raise Timeout("timeout")
            for fd, _ in events:
                if fd == feed:
                    data, done = _feed(feed, data)
                    if done:
                        poll.unregister(feed)
                        _close(feed)
                        feed = -1
                    continue
                piece = os.read(fd, 65536)
                outputs[fd] += piece[: max(0, OUTPUT_LIMIT - len(outputs[fd]))]
                if not piece:
                    poll.unregister(fd)
                    left -= 1
    finally:
        for fd in (*outputs, feed):
            _close(fd)
    return outputs


def _feed(fd: int, data: bytes) -> tuple[bytes, bool]:
    try:
        data = data[os.write(fd, data[:65536]) :]
    except BlockingIOError:
        return data, False
    except BrokenPipeError:
        return b"", True
    return data, not data


def wait(pid: int) -> int:
    """Wait for a child of ours: its exit code, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def identify(pid: int) -> Process | None:
    """The process with this number now; None when there is none or it is a zombie."""
    return stat(pid)[0]


def stat(pid: int) -> tuple[Process | None, int]:
    """The process with this number and its parent's number; (None, 0) when gone or a zombie."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None, 0
    try:
        text = os.read(fd, 4096)
    except OSError:
        return None, 0
    finally:
        os.close(fd)
    fields = text[text.rindex(b")") + 2 :].split()  # the name may hold spaces and parentheses
    if fields[0] in (b"Z", b"X"):
        return None, 0
    return Process(pid, int(fields[19])), int(fields[1])


def alive(process: Process) -> bool:
    """Whether this very process runs."""
    return process.pid > 0 and identify(process.pid) == process


def open_pidfd(process: Process) -> int:
    """A descriptor of this very process, or -1 when it has ended."""
    try:
        fd = os.pidfd_open(process.pid)
    except OSError as error:
        if error.errno in (errno.ESRCH, errno.EINVAL):
            return -1
        raise
    if not alive(process):
        os.close(fd)
        return -1
    return fd


def send(process: Process, number: int) -> bool:
    """Send a signal to this very process; False when it has ended."""
    fd = open_pidfd(process)
    if fd < 0:
        return False
    try:
        signal.pidfd_send_signal(fd, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)


def await_end(process: Process, seconds: float) -> bool:
    """Wait until the process has ended, at most `seconds`; True when it has."""
    fd = open_pidfd(process)
    if fd < 0:
        return True
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(max(0.0, seconds) * 1000))
    finally:
        os.close(fd)


def _close(fd: int) -> None:
    if fd >= 0:
        try:
            os.close(fd)
        except OSError:
            pass
