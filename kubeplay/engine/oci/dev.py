"""A container's /dev, made by us, and the proof that what hides parts of /proc and /sys is in its place.

A runtime that finds a bind at /dev makes nothing there. One that makes it itself writes links to ROOTFS/dev by path: an image whose
/dev is a link, or a volume mounted over the root, would choose the directory of the host that they land in (GHSA-xjvp-4fhw-gc47).
And it hides files behind whatever the container has as /dev/null, which a volume mounted at /dev can make another file
(CVE-2025-31133): so once the container is made and before its program runs, the masks are looked at.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.engine.host.machine import machine
from kubeplay.engine.host.syscalls import MS_BIND, MS_NOSUID, MS_STRICTATIME, RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, mount, openat2
from kubeplay.errors import ContainerError

if TYPE_CHECKING:
    from kubeplay.engine.oci.spec import Device

# runtime-spec, config-linux.md "Default Devices" and "Dev symbolic links"; numbers of Documentation/admin-guide/devices.txt
_NODES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))
_LINKS = (
    ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)  # fmt: skip
_NULL = os.makedev(1, 3)


def make(path: str, *, terminal: bool = False) -> None:
    """Mount a tmpfs at the new directory `path` and fill it: what the runtimes' own /dev holds, of the same size.

    `terminal`: with a place for the console, which crun binds the container's terminal to and does not make.
    """
    os.makedirs(path, mode=0o700)
    mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k")
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if machine().user_namespace:
            _bind_nodes(path)
        for name, major, minor in () if machine().user_namespace else _NODES:
            os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(major, minor), dir_fd=directory)
            os.chmod(name, 0o666, dir_fd=directory)  # whatever the umask
        if terminal:
            os.close(os.open("console", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o620, dir_fd=directory))
        for name, target in _LINKS:
            os.symlink(target, name, dir_fd=directory)
    finally:
        os.close(directory)


def add(path: str, device: Device, root: tuple[int, int]) -> bool:
    """Make one more node in a /dev of ours; False where it has to be bound instead: outside of /dev, or in a user namespace."""
    if machine().user_namespace or not device.path.startswith("/dev/"):
        return False
    at = f"{path}{device.path.removeprefix('/dev')}"
    os.makedirs(os.path.dirname(at), mode=0o755, exist_ok=True)
    kind = stat.S_IFBLK if device.kind == "b" else stat.S_IFCHR
    try:
        os.mknod(at, kind | stat.S_IMODE(device.mode), os.makedev(device.major, device.minor))
    except FileExistsError:
        return True
    os.chmod(at, stat.S_IMODE(device.mode))
    os.chown(at, device.uid or root[0], device.gid or root[1])
    return True


def _bind_nodes(path: str) -> None:
    """In a user namespace nobody makes device nodes: the machine's own are bound (and so /dev must be, with what is below it)."""
    for name, _, _ in _NODES:
        os.close(os.open(f"{path}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
        mount(f"/dev/{name}", f"{path}/{name}", flags=MS_BIND)


def check_masks(pid: int, paths: Sequence[str]) -> None:
    """Raises ContainerError unless each of `paths` is hidden in the file system of process `pid`, or not there at all."""
    if not paths:
        return
    root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path in paths:
            if not _masked(root, path):
                raise ContainerError(
                    "CreateContainerError", f"{path} would not be hidden from the container: its /dev/null is not the null device",
                    hint="mount nothing at /dev that lacks the standard devices",
                )  # fmt: skip
    finally:
        os.close(root)


def _masked(root: int, path: str) -> bool:
    """A file is hidden by the null device, a directory by a file system of its own."""
    try:
        found = _status(root, path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # a link where the kernel has none
    if stat.S_ISDIR(found.st_mode):
        return found.st_dev != _status(root, os.path.dirname(path)).st_dev
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == _NULL


def _status(root: int, path: str) -> os.stat_result:
    fd = openat2(root, path, os.O_PATH | os.O_NOFOLLOW, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)
