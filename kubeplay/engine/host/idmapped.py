"""Ids of a pod's own user namespace: its map, mounts that show files through it, and work done as its root.

A mount is cloned and told to translate ids by a user namespace (mount_setattr(2), MOUNT_ATTR_IDMAP): files keep the ids they have on
the disk, and are shown with the ids of the namespace. Only the machine's root may, and only for file systems that know how (ext4, xfs,
btrfs since 5.12 to 5.15, overlayfs' layers since 5.19, tmpfs since 6.3).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import TypeVar

from kubeplay.engine.host import syscalls
from kubeplay.engine.host.threads import in_thread
from kubeplay.engine.host.userns import Range
from kubeplay.record import Record

T = TypeVar("T")

# asm-generic/unistd.h: the same number on every architecture
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_CLONE, _CLOEXEC, _RECURSIVE = 1, 0o2000000, 0x8000  # linux/mount.h, linux/fcntl.h
_EMPTY_PATH, _MOVE_EMPTY = 0x1000, 4
_IDMAP = 0x00100000
_AT_FDCWD = -100


class Map(Record):
    """A pod's ids: ranges of (inside, outside, length), outside as this process sees them."""

    uids: tuple[Range, ...]
    gids: tuple[Range, ...]

    @property
    def root(self) -> tuple[int, int]:
        """What the pod's root is outside."""
        return outside(self.uids, 0), outside(self.gids, 0)


def outside(ranges: tuple[Range, ...], inside: int) -> int:
    """The id outside; -1 for one that the map has not."""
    return next((r.outside + inside - r.inside for r in ranges if r.inside <= inside < r.inside + r.length), -1)


def inside(ranges: tuple[Range, ...], outside: int) -> int:
    """The id inside; -1 for one that the map has not."""
    return next((r.inside + outside - r.outside for r in ranges if r.outside <= outside < r.outside + r.length), -1)


class Crossing(Record):
    """From files that one pod sees to files that another sees; None on either side is this process's own view."""

    source: Map | None = None
    target: Map | None = None

    def read(self, owner: tuple[int, int]) -> tuple[int, int]:
        """An owner as stat(2) tells us, as the source's pod has it; what it has not is its root's."""
        if self.source is None:
            return owner
        return max(0, inside(self.source.uids, owner[0])), max(0, inside(self.source.gids, owner[1]))

    def write(self, owner: tuple[int, int]) -> tuple[int, int]:
        """An owner as the target's pod has it, as we are to set it; what it has not becomes its root's."""
        if self.target is None:
            return owner
        uid, gid = outside(self.target.uids, owner[0]), outside(self.target.gids, owner[1])
        return uid if uid >= 0 else self.target.root[0], gid if gid >= 0 else self.target.root[1]


def text(ranges: tuple[Range, ...]) -> str:
    """For /proc/PID/uid_map."""
    return "".join(f"{r.inside} {r.outside} {r.length}\n" for r in ranges)


class _Attributes(ctypes.Structure):
    """struct mount_attr of linux/mount.h."""

    _fields_ = [("set", ctypes.c_uint64), ("clear", ctypes.c_uint64), ("propagation", ctypes.c_uint64), ("userns", ctypes.c_uint64)]


def clone(source: str, target: str, userns: str, *, recursive: bool = False) -> None:
    """Mount at `target` what is at `source`, its ids shown through the user namespace pinned at `userns`. Raises OSError."""
    flags = _CLONE | _CLOEXEC | (_RECURSIVE if recursive else 0)
    tree = _checked(syscalls.call(_OPEN_TREE, _AT_FDCWD, os.fsencode(source), flags), source)
    try:
        fd = os.open(userns, os.O_RDONLY | os.O_CLOEXEC)
        try:
            wanted = _Attributes(set=_IDMAP, userns=fd)
            flags = _EMPTY_PATH | (_RECURSIVE if recursive else 0)
            _checked(syscalls.call(_MOUNT_SETATTR, tree, b"", flags, ctypes.byref(wanted), ctypes.c_size_t(ctypes.sizeof(wanted))), source)
        finally:
            os.close(fd)
        _checked(syscalls.call(_MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(target), _MOVE_EMPTY), target)
    finally:
        os.close(tree)


def _checked(result: int, path: str) -> int:
    if result < 0:
        raise OSError(-result, os.strerror(-result), path)
    return result


def acting_as(owner: tuple[int, int], work: Callable[[], T]) -> T:
    """Run `work` in a thread that makes files for `owner` (uid, gid) and keeps its capabilities otherwise.

    An idmapped mount takes no file of an id that its map has not, so not one of the machine's root. Raises what `work` raises.
    """

    def body() -> T:
        _become(owner)
        return work()

    return in_thread(body)


def _become(owner: tuple[int, int]) -> None:
    """setfsuid and setfsgid of this thread; leaving 0 takes effective capabilities away (capabilities(7)), which are taken back."""
    header = ctypes.byref(ctypes.create_string_buffer(b"\x22\x05\x08\x20" + bytes(4), 8))  # _LINUX_CAPABILITY_VERSION_3, this thread
    data = (ctypes.c_uint32 * 6)()
    capget, capset, setfsuid, setfsgid = _numbers()
    _checked(syscalls.call(setfsgid, owner[1]), "setfsgid")
    _checked(syscalls.call(setfsuid, owner[0]), "setfsuid")
    _checked(syscalls.call(capget, header, ctypes.byref(data)), "capget")
    data[0], data[3] = data[1], data[4]
    _checked(syscalls.call(capset, header, ctypes.byref(data)), "capset")


def _numbers() -> tuple[int, int, int, int]:
    """capget, capset, setfsuid, setfsgid: libc's own calls are for all threads, or not there."""
    if os.uname().machine == "x86_64":
        return 125, 126, 122, 123  # asm/unistd_64.h
    return 90, 91, 151, 152  # asm-generic/unistd.h: arm64, riscv64
