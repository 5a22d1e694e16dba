"""A second way into a runroot, for the root of a pod that may not pass the first.

An ordinary user's runroot lies in a directory that is closed to everybody else (/run/user/UID), so to the subordinate ids as well. Where a
pod's ids do not hold the user's own, its runtime gets the runroot at a directory of ours in /tmp: mounted there within the user's own
mount namespace, so the machine's other users see an empty directory. The runroot is a shared mount: what is mounted in it later is at both.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from zlib import crc32

from kubeplay.engine.host import syscalls
from kubeplay.errors import SandboxError

_PARENTS = ("/tmp", "/var/tmp", "/dev/shm")  # hier(7), shm_overview(7): everybody may make a directory in them, and remove only the own
_TRIES = 10  # names that others have taken
_EINVAL, _ENOENT, _ENOTEMPTY, _EBUSY = 22, 2, 39, 16


def through(runroot: str) -> str:
    """The path by which the runroot can be reached, mounted if it is not. Raises SandboxError where no directory can be had."""
    for path in _candidates(runroot):
        if _is(path, runroot):
            return path
    for path in _candidates(runroot):
        if _made(path):
            syscalls.mount(runroot, path, "", syscalls.MS_BIND)
            return path
    what = f"none of {', '.join(_PARENTS)} can hold a directory that lets the root of this pod pass"
    raise SandboxError(what, hint="--userns=keep-id, or --userns=host")


def close(runroot: str) -> None:
    """Undo `through`; not having been there is fine."""
    for path in _candidates(runroot):
        while _is(path, runroot):
            syscalls.umount(path, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
        if _ours(path):
            try:
                os.rmdir(path)
            except OSError as error:
                if error.errno not in (_ENOENT, _ENOTEMPTY, _EBUSY):
                    raise


def _candidates(runroot: str) -> Iterator[str]:
    tag = f"{crc32(os.path.realpath(runroot).encode()):08x}"
    for parent in _PARENTS:
        yield from (f"{parent}/kubeplay-{tag}-{number}" for number in range(_TRIES) if _usable(parent))


def _usable(parent: str) -> bool:
    """Whether everybody passes it, and nobody can rename what is not theirs."""
    try:
        mode = os.stat(parent).st_mode
    except OSError:
        return False
    return bool(mode & stat.S_IXOTH) and (not mode & stat.S_IWOTH or bool(mode & stat.S_ISVTX))


def _is(path: str, runroot: str) -> bool:
    try:
        one, other = os.stat(path, follow_symlinks=False), os.stat(runroot)
    except OSError:
        return False
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _made(path: str) -> bool:
    """Make the directory; False where somebody else has the name, or it cannot be."""
    try:
        os.mkdir(path, 0o711)
    except FileExistsError:
        if not _ours(path):
            return False
    except OSError:
        return False
    os.chmod(path, 0o711)  # whatever the umask says
    return True


def _ours(path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
