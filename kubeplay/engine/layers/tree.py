"""Remove directory trees by descriptor: no symbolic link is followed, whatever happens meanwhile."""

from __future__ import annotations

import os
import stat

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEEP = 200  # levels entered with an open descriptor each; deeper trees are first moved up


def remove(path: str) -> None:
    """Remove `path`, whatever it is; nothing there is fine. Goes on after an error and raises the first at the end."""
    parent, name = os.path.split(path)
    try:
        fd = os.open(parent or ".", _DIRECTORY)
    except FileNotFoundError:
        return
    try:
        remove_at(fd, os.fsencode(name))
    finally:
        os.close(fd)


def remove_at(dirfd: int, name: bytes) -> None:
    """Remove the entry `name` of the directory open at `dirfd`."""
    job = _Removal(dirfd)
    job.names.append(name)
    while job.names:
        job.remove(dirfd, job.names.pop(), 0)
    if job.errors:
        raise job.errors[0]


class _Removal:
    """One removal; `names` are entries of the top directory still to go."""

    def __init__(self, top: int) -> None:
        self._top = top
        self.names: list[bytes] = []
        self.errors: list[OSError] = []

    def remove(self, dirfd: int, name: bytes, depth: int) -> None:
        try:
            os.unlink(name, dir_fd=dirfd)
        except FileNotFoundError:
            pass
        except (IsADirectoryError, PermissionError):  # Linux says EISDIR, POSIX says EPERM
            self._remove_directory(dirfd, name, depth)
        except OSError as error:
            self.errors.append(error)

    def _remove_directory(self, dirfd: int, name: bytes, depth: int) -> None:
        try:
            if depth >= _DEEP:
                self._lift(dirfd, name)
                return
            fd = os.open(name, _DIRECTORY, dir_fd=dirfd)
            try:
                for child in os.listdir(fd):
                    self.remove(fd, os.fsencode(child), depth + 1)
            finally:
                os.close(fd)
            os.rmdir(name, dir_fd=dirfd)
        except FileNotFoundError:
            pass
        except OSError as error:
            self.errors.append(error)

    def _lift(self, dirfd: int, name: bytes) -> None:
        """Move a very deep directory up beside the tree's root: depth then costs neither stack nor descriptors."""
        lifted = b".deep-%d-%d" % (os.getpid(), os.stat(name, dir_fd=dirfd, follow_symlinks=False).st_ino)
        os.rename(name, lifted, src_dir_fd=dirfd, dst_dir_fd=self._top)
        self.names.append(lifted)


def is_directory(dirfd: int, name: bytes) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=dirfd, follow_symlinks=False).st_mode)
