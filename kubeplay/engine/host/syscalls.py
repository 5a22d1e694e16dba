"""The system calls Python 3.11 lacks, each raising OSError with errno and path, like os.* does."""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)

# linux/mount.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_STRICTATIME = 1, 2, 4, 8, 32, 1 << 24
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE, MS_SLAVE, MS_SHARED = 4096, 8192, 16384, 1 << 18, 1 << 19, 1 << 20
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8

# linux/sched.h
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000

# linux/openat2.h
RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT = 1, 2, 4, 8, 16

_OPENAT2 = ctypes.c_long(437)  # the number is the same on every architecture (asm-generic/unistd.h)


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


_HOW_SIZE = ctypes.c_size_t(ctypes.sizeof(_OpenHow))
_hows: dict[tuple[int, int, int], Any] = {}  # a layer's files are opened by the thousand, with few modes


def mount(source: str, target: str, fstype: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    raw = [os.fsencode(source), os.fsencode(target), fstype.encode() or None, ctypes.c_ulong(flags), os.fsencode(data) or None]
    _check(_libc.mount(*raw), target)


def umount(target: str, flags: int = MNT_DETACH | UMOUNT_NOFOLLOW) -> None:
    """umount2(2)."""
    _check(_libc.umount2(os.fsencode(target), flags), target)


def unshare(flags: int) -> None:
    """unshare(2) of the calling thread."""
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int, nstype: int = 0) -> None:
    """setns(2) of the calling thread."""
    _check(_libc.setns(fd, nstype), "setns")


def sethostname(name: str) -> None:
    """sethostname(2) in the calling thread's UTS namespace."""
    raw = name.encode()
    _check(_libc.sethostname(raw, ctypes.c_size_t(len(raw))), name)


def openat2(dirfd: int, path: str, flags: int, resolve: int, mode: int = 0) -> int:
    """openat2(2): open `path` under `dirfd` with `resolve` restrictions; O_CLOEXEC is always set."""
    how = _hows.get((flags, mode, resolve))
    if how is None:
        how = _hows[flags, mode, resolve] = ctypes.byref(_OpenHow(flags | os.O_CLOEXEC, mode, resolve))  # the kernel only reads it
    while True:
        fd = _libc.syscall(_OPENAT2, ctypes.c_int(dirfd), os.fsencode(path), how, _HOW_SIZE)
        if fd >= 0:
            return int(fd)
        number = ctypes.get_errno()
        if number != 11:  # EAGAIN: a rename raced with the lookup, the manual says to try again
            raise OSError(number, os.strerror(number), path)


def open_ordinary(dirfd: int, path: str, resolve: int) -> int:
    """openat2(2) for reading, of a file or directory only; EINVAL for anything else, which is not even opened.

    A container may have made a device node: for some of them (a watchdog, a tape) opening is doing.
    """
    import stat

    found = openat2(dirfd, path, os.O_PATH | (os.O_NOFOLLOW if resolve & RESOLVE_NO_SYMLINKS else 0), resolve)
    try:
        mode = os.fstat(found).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise OSError(22, "neither a file nor a directory", path)
        return os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(found)


def call(number: int, *arguments: Any) -> int:
    """A bare system call of this thread by its number: the result, or minus the error number."""
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    return -ctypes.get_errno() if result < 0 else result


def _check(result: int, path: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
