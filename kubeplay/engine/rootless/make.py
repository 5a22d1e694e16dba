"""Make a user's namespaces, or find those whose holder has died: once a boot, under a lock.

The child unshares and waits; the parent has newuidmap and newgidmap write its maps, since an ordinary user may map no id but the own one;
the child then cuts itself off from everything of the caller's, notes itself down and becomes the holder, `catatonit -P`. A process killed
anywhere on this way leaves nothing: a child without a parent ends, and what is noted down is believed only while it lives.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from kubeplay.engine.host import faults, processes, syscalls
from kubeplay.engine.host.userns import Range
from kubeplay.engine.rootless import subids, who
from kubeplay.engine.rootless.enter import NEWNS, NEWUSER, RECORD, Holder, opened, read, started
from kubeplay.errors import CommandFailed, KubeplayError, MissingPrerequisite

LOCK = "lock"
GO, READY = b"g", b"r"


def namespaces(directory: str) -> tuple[int, int]:
    """Descriptors of the user's user and mount namespace: the living ones, or new ones. Raises MissingPrerequisite."""
    with _locked(f"{directory}/{LOCK}"):
        found = opened(read(directory))  # somebody else's first command was quicker
        if found is None:
            _hold(directory)
            found = opened(read(directory))
        if found is None:
            raise KubeplayError("the process that keeps your namespaces ended as soon as it was started", hint="kubeplay system check")
        return found


@contextmanager
def _locked(path: str) -> Iterator[None]:
    """The lock is the child's too until it has become the holder: a parent that is killed does not let a second one in half way."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _hold(directory: str) -> None:
    """Start a holder of new namespaces and wait until it is one."""
    catatonit = processes.program("catatonit")
    me = who.user()
    uids, gids = wanted(me)
    ours, its = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)  # the child reads `its`, we read `ours`
    pid = os.fork()
    if pid == 0:
        os.close(its[1])
        _become(directory, catatonit, its[0], ours[1], len(gids) > 1)
    os.close(its[0])
    os.close(ours[1])
    try:
        if os.read(ours[0], 1) != READY:
            raise MissingPrerequisite("this machine does not let you make a user namespace", hint="kubeplay system check")
        faults.point("rootless:unshared")
        _write_maps(pid, uids, gids)
        faults.point("rootless:mapped")
        os.write(its[1], GO)
        words = b"".join(iter(lambda: os.read(ours[0], 4096), b""))  # until exec(2) closes it
        if words:
            raise KubeplayError(f"your namespaces could not be made: {words.decode(errors='replace')}")
    finally:
        os.close(its[1])
        os.close(ours[0])


def wanted(me: who.User) -> tuple[tuple[Range, ...], tuple[Range, ...]]:
    """The maps to be made: with subordinate ids when there are both kinds and the helpers, else of the own ids alone."""
    uids = subids.mapping(me.uid, subids.of(subids.read("uid"), me.name, me.uid))
    gids = subids.mapping(me.gid, subids.of(subids.read("gid"), me.name, me.uid))
    if len(uids) > 1 and len(gids) > 1 and helpers():
        return uids, gids
    return uids[:1], gids[:1]


def helpers() -> bool:
    """Whether newuidmap and newgidmap are installed."""
    try:
        return bool(processes.program("newuidmap") and processes.program("newgidmap"))
    except MissingPrerequisite:
        return False


def _write_maps(pid: int, uids: tuple[Range, ...], gids: tuple[Range, ...]) -> None:
    if len(uids) == len(gids) == 1:
        for name, text in (("setgroups", "deny"), ("uid_map", subids.text(uids)), ("gid_map", subids.text(gids))):
            with open(f"/proc/{pid}/{name}", "w", encoding="ascii") as file:
                file.write(text)
        return
    for name, ranges in (("newuidmap", uids), ("newgidmap", gids)):
        words = [str(number) for r in ranges for number in r]
        try:
            processes.run([processes.program(name), str(pid), *words])
        except CommandFailed as error:
            raise MissingPrerequisite(f"{name}: {error.stderr.strip()}", hint="apt-get install --reinstall uidmap") from error


def _become(directory: str, catatonit: str, orders: int, answers: int, groups: bool) -> None:
    """The child: never returns."""
    try:
        syscalls.unshare(NEWUSER | NEWNS)
        os.write(answers, READY)
        if os.read(orders, 1) != GO:
            os._exit(1)
        if groups:
            os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_SLAVE)
        os.setsid()
        os.chdir("/")
        os.umask(0o077)
        _only(answers)
        note(directory, os.getpid())
        faults.point("rootless:noted")
        os.execve(catatonit, ["catatonit", "-P"], {})
    except BaseException as error:
        try:
            os.write(answers, str(error).encode())
        finally:
            os._exit(1)


def _only(kept: int) -> None:
    """Have /dev/null for 0 to 2 and close all else but `kept`, which exec(2) closes, and the lock, which is closed by it as well."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for fd in processes.foreign_descriptors():
        os.close(fd)


def note(directory: str, pid: int) -> None:
    """Write down that `pid` holds the namespaces it is in; whole or not at all."""
    user, mnt = (os.stat(f"/proc/{pid}/ns/{kind}").st_ino for kind in ("user", "mnt"))
    holder = Holder(pid, started(pid), user, mnt)
    temporary = f"{directory}/{RECORD}.{pid}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(fd, (" ".join(map(str, holder)) + "\n").encode())
    finally:
        os.close(fd)
    os.rename(temporary, f"{directory}/{RECORD}")
