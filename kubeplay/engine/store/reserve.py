"""A MiB kept back beside the database. SQLite needs room even to read (its shared memory and log are files), and removing images
is how a person makes room: on a full disk the reserve is let go, so that `rmi`, `prune` and `down` still work.
"""

from __future__ import annotations

import os

SIZE = 1 << 20  # bytes: 32 KiB of shared memory and a few hundred pages of log
_LOW = 1 << 18  # bytes free below which the reserve is let go
_PLENTY = 4 * SIZE


def keep(database: str) -> None:
    """Make the reserve where there is room and none yet."""
    name = _name(database)
    if os.path.exists(name) or free(database) < _PLENTY:
        return
    try:
        fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError:
        return  # another process was quicker, or the directory is read-only
    try:
        os.posix_fallocate(fd, 0, SIZE)
    except OSError:
        pass  # a smaller reserve then
    finally:
        os.close(fd)


def release(database: str) -> None:
    """Let the reserve go when the disk is full."""
    if is_full(database):
        try:
            os.unlink(_name(database))
        except OSError:
            pass


def is_full(database: str) -> bool:
    return free(database) < _LOW


def free(database: str) -> int:
    """Bytes that root can still write on the database's file system; very many where nobody can tell."""
    try:
        found = os.statvfs(os.path.dirname(database) or ".")
    except OSError:
        return 1 << 62
    return found.f_bfree * found.f_frsize


def _name(database: str) -> str:
    return f"{database}.reserve"
