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
    errors: list[OSError] = []
    _remove(dirfd, name, dirfd, errors, 0)
    if errors:
        raise errors[0]


def _remove(dirfd: int, name: bytes, top: int, errors: list[OSError], depth: int) -> None:
    try:
        os.unlink(name, dir_fd=dirfd)
        return
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):  # Linux says EISDIR, POSIX says EPERM
        pass
    except OSError as error:
        errors.append(error)
        return
    if depth >= _DEEP:
        name, dirfd = _lift(dirfd, name, top)
        depth = 0
    try:
        _empty(dirfd, name, top, errors, depth)
        os.rmdir(name, dir_fd=dirfd)
    except FileNotFoundError:
        pass
    except OSError as error:
        errors.append(error)


def _empty(dirfd: int, name: bytes, top: int, errors: list[OSError], depth: int) -> None:
    fd = os.open(name, _DIRECTORY, dir_fd=dirfd)
    try:
        for child in os.listdir(fd):
            _remove(fd, os.fsencode(child), top, errors, depth + 1)
    finally:
        os.close(fd)


def _lift(dirfd: int, name: bytes, top: int) -> tuple[bytes, int]:
    """Move a very deep directory beside the tree's root, so that depth costs neither stack nor descriptors."""
    lifted = b".deep-%d-%d" % (os.getpid(), os.stat(name, dir_fd=dirfd, follow_symlinks=False).st_ino)
    os.rename(name, lifted, src_dir_fd=dirfd, dst_dir_fd=top)
    return lifted, top


def is_directory(dirfd: int, name: bytes) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=dirfd, follow_symlinks=False).st_mode)
