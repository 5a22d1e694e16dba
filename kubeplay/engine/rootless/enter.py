"""The way of an ordinary user's command into the user's namespaces: the first thing it does, before any thread and any heavy import.

With a holder alive this is a handful of system calls. Making one is `engine/rootless/make.py`'s; it happens once a boot.
"""

from __future__ import annotations

import fcntl
import os
import sys

from kubeplay import config
from kubeplay.engine.host.userns import VARIABLE, handed_on
from kubeplay.engine.rootless import who
from kubeplay.errors import KubeplayError
from kubeplay.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

RECORD = "holder"  # in the user's directory, 0600
_LONGEST = 8192  # bytes of it: numbers, and a path (PATH_MAX 4096)
# linux/sched.h
NEWNS, NEWUSER = 0x00020000, 0x10000000
RTLD_NOW = 2  # dlfcn.h
# linux/nsfs.h
NS_GET_USERNS, NS_GET_PARENT, NS_GET_OWNER_UID = 0xB701, 0xB702, 0xB704


class Holder(Record):
    """The process that keeps the namespaces: its number, start time (proc_pid_stat(5) field 22) and the namespaces' inodes.

    `single` is 1 when only the user's own id is mapped, which an administrator may have changed since. `directory` is the user's directory
    that goes with the namespaces: a session with another XDG_RUNTIME_DIR has a note of its own, which leads there.
    """

    pid: int
    start: int
    user: int
    mnt: int
    single: int
    directory: str


def enter() -> None:
    """Be in the user's namespaces from here on, as uid 0 there; nothing happens for root, and for who is inside already.

    Raises MissingPrerequisite, Forbidden with what an administrator has to do when there can be no namespaces.
    """
    handed = handed_on()
    if handed is None and os.geteuid() == 0:
        os.environ.pop(VARIABLE, None)  # left over from somebody else's environment
        return
    directory = who.user_directory()
    _settle(os.path.dirname(directory))
    if handed is not None:
        return
    uid, gid = os.geteuid(), os.getegid()
    holder, namespaces = _living(directory) or _make()
    _settle(os.path.dirname(holder.directory))
    join(*namespaces)
    who.entered()
    os.environ[VARIABLE] = f"{uid}:{gid}:{holder.directory}"
    if started(holder.pid) != holder.start:  # it died just now: without one, the next command would not find us
        from kubeplay.engine.rootless import make

        make.stay(holder)


def _living(directory: str) -> tuple[Holder, tuple[int, int]] | None:
    """What is noted down, when it lives and nothing is to be done about it."""
    holder = read(directory)
    if holder is None or holder.single or holder.directory != directory and not who.private(holder.directory):
        return None
    found = opened(holder)
    return (holder, found) if found else None


def _settle(runtime: str) -> None:
    """Have everything that looks for the user's files and settings find the user's, also after `su` or `sudo` without a session."""
    os.environ["HOME"] = who.home()
    if not who.private(os.environ.get("XDG_RUNTIME_DIR", "")):
        os.environ["XDG_RUNTIME_DIR"] = runtime
    config.lie_below(os.environ["HOME"], runtime)


refusal: KubeplayError | None = None


def attempt() -> None:
    """`enter` for a command that can do without; `refusal` says why it stands outside."""
    global refusal
    try:
        enter()
    except KubeplayError as error:
        refusal = error


def _make() -> tuple[Holder, tuple[int, int]]:
    from kubeplay.engine.rootless import make

    while True:
        try:
            return make.namespaces(who.user_directory())
        except FileNotFoundError as error:
            if os.path.exists(os.path.dirname(error.filename or "/")):
                raise  # not because a reset has just removed the directory


def read(directory: str) -> Holder | None:
    """Who held the namespaces when they were last made."""
    try:
        fd = os.open(f"{directory}/{RECORD}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        *numbers, last = os.fsdecode(os.read(fd, _LONGEST)).rstrip("\n").split(" ", len(Holder._fields) - 1)
    finally:
        os.close(fd)
    if len(numbers) != len(Holder._fields) - 1 or not all(word.isdecimal() for word in numbers) or not last.startswith("/"):
        return None
    pid, start, user, mnt, single = map(int, numbers)
    return Holder(pid, start, user, mnt, single, last)


def opened(holder: Holder | None) -> tuple[int, int] | None:
    """Descriptors of the user and the mount namespace of that very process; None when it is gone, or its namespaces are not the user's."""
    if holder is None or started(holder.pid) != holder.start:
        return None
    found = namespaces_of(holder.pid)
    if found is None:
        return None
    if tuple(os.fstat(fd).st_ino for fd in found) == (holder.user, holder.mnt):
        return found
    for fd in found:
        os.close(fd)
    return None


def started(pid: int) -> int:
    """When the process began, in clock ticks since boot; 0 when there is none or it is a zombie."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        text = os.read(fd, 4096)
    except OSError:
        return 0
    finally:
        os.close(fd)
    fields = text[text.rindex(b")") + 2 :].split()
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def namespaces_of(pid: int) -> tuple[int, int] | None:
    """Open a process's user and mount namespace, when the first was made by this user in our own and the second belongs to it.

    What somebody else prepared is never joined: the kernel itself says who made it (ioctl_ns(2)).
    """
    found: list[int] = []
    try:
        for kind in ("user", "mnt"):
            found.append(os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC))
        if _ours(*found):
            return found[0], found[1]
    except OSError:
        pass
    for fd in found:
        os.close(fd)
    return None


def _ours(user: int, mnt: int) -> bool:
    owner = bytearray(4)
    fcntl.ioctl(user, NS_GET_OWNER_UID, owner)
    if int.from_bytes(owner, sys.byteorder) != os.geteuid():
        return False
    parent, belongs = fcntl.ioctl(user, NS_GET_PARENT), fcntl.ioctl(mnt, NS_GET_USERNS)
    try:
        mine = os.stat("/proc/self/ns/user").st_ino
        return os.fstat(parent).st_ino == mine and os.fstat(belongs).st_ino == os.fstat(user).st_ino
    finally:
        os.close(parent)
        os.close(belongs)


def join(user: int, mnt: int) -> None:
    """setns(2) to both; the working directory stays what it was, by name, as the mounts are the same there."""
    setns = _setns()
    name, there = _directory()
    setns(user, NEWUSER)
    setns(mnt, NEWNS)  # puts us into /
    for fd in (user, mnt):
        os.close(fd)
    try:
        os.chdir(name)
    except OSError:  # removed meanwhile, hidden there, or closed to this user
        if there >= 0:
            os.fchdir(there)
    if there >= 0:
        os.close(there)
    os.setresgid(0, 0, 0)  # who began with `newgrp` has a group that does not exist inside


def _directory() -> tuple[str, int]:
    """The working directory's name and a descriptor of it; "" and -1 for what there is not: `su` leaves root's, closed to the user."""
    try:
        name = os.getcwd()
    except OSError:
        name = ""
    try:
        return name, os.open(".", os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return name, -1


def _setns() -> Callable[[int, int], None]:
    """os.setns, which Python has since 3.12; before, the C half of ctypes: the other half costs a start 3 ms."""
    if sys.version_info >= (3, 12):
        return os.setns
    import _ctypes

    native: Any = _ctypes
    integer = type("integer", (native._SimpleCData,), {"_type_": "i"})
    flags = native.FUNCFLAG_CDECL | native.FUNCFLAG_USE_ERRNO
    function = type("function", (native.CFuncPtr,), {"_flags_": flags, "_restype_": integer, "_argtypes_": (integer, integer)})
    call = function(native.dlsym(native.dlopen(None, RTLD_NOW), "setns"))

    def setns(fd: int, kind: int) -> None:
        if call(fd, kind) != 0:
            number = native.get_errno()
            raise OSError(number, os.strerror(number), "setns")

    return setns
