"""Kernel locks: whoever holds a pod's lock reconciles it; the kernel frees it when the holder dies."""

from __future__ import annotations

import fcntl
import os
from types import TracebackType


class Lock:
    """An flock on a file of its own, close-on-exec so that no child inherits it.

    Use as a context manager (waits), or `try_take()` / `release()`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1

    def try_take(self) -> bool:
        """True when the lock is ours now, False when another process or thread has it."""
        return self._take(fcntl.LOCK_EX | fcntl.LOCK_NB)

    def take(self) -> None:
        """Wait for the lock."""
        self._take(fcntl.LOCK_EX)

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Lock:
        self.take()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

    def _take(self, how: int) -> bool:
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, how)
            except BlockingIOError:
                os.close(fd)
                return False
            except BaseException:
                os.close(fd)
                raise
            if _same_file(fd, self.path):  # it may have been removed while we waited
                self._fd = fd
                return True
            os.close(fd)


def _same_file(fd: int, path: str) -> bool:
    try:
        here, there = os.fstat(fd), os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)

def try_lock_directory(path: str) -> int:
    """A descriptor of the directory holding its flock, or -1 when someone has it or it is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _same_file(fd, path):
            return fd
    except OSError:
        pass
    os.close(fd)
    return -1
