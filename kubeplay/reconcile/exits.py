"""Wait for containers to end without polling: inotify(7) on the directory where conmon notes exits."""

from __future__ import annotations

import ctypes
import os

_IN_CLOSE_WRITE, _IN_MOVED_TO, _IN_CREATE = 0x8, 0x80, 0x100  # linux/inotify.h
_BUFFER = 64 * 1024


class ExitWatch:
    """A descriptor that becomes readable when any container of the root has ended; `drain()` makes it quiet again."""

    def __init__(self, directory: str) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self.fd < 0 or libc.inotify_add_watch(self.fd, os.fsencode(directory), _IN_CLOSE_WRITE | _IN_MOVED_TO | _IN_CREATE) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), directory)

    def drain(self) -> set[str]:
        """The container ids that ended since the last call."""
        found: set[str] = set()
        while True:
            try:
                data = os.read(self.fd, _BUFFER)
            except BlockingIOError:
                return found
            at = 0
            while at + 16 <= len(data):  # struct inotify_event: wd, mask, cookie, len, name
                length = int.from_bytes(data[at + 12 : at + 16], "little")
                found.add(os.fsdecode(data[at + 16 : at + 16 + length].rstrip(b"\0")))
                at += 16 + length

    def close(self) -> None:
        os.close(self.fd)
