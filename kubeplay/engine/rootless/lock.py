"""The lock of a user's namespaces: one makes or ends them at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

NAME = "lock"


@contextmanager
def locked(directory: str) -> Iterator[None]:
    """Hold it. A child made meanwhile holds it too until it runs another program: when we are killed, it is not half way.

    Raises FileNotFoundError when the directory has been removed.
    """
    fd = _take(f"{directory}/{NAME}")
    try:
        yield
    finally:
        os.close(fd)


def _take(path: str) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            if os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False)):
                return fd
        except FileNotFoundError:
            pass
        os.close(fd)  # removed by a reset while we waited
