"""The last lines of a container's log, for messages about one that died (CS12)."""

from __future__ import annotations

import os
import stat

LINES, BYTES = 20, 4096  # enough to see why, short enough for an error message


def tail(path: str, lines: int = LINES, limit: int = BYTES) -> str:
    """The last lines of a CRI log without its prefixes; "" when there is none."""
    raw = _end(path, limit + lines * 128)
    found: list[bytes] = []
    for line in raw.splitlines(keepends=True):
        parts = line.split(b" ", 3)
        if len(parts) == 4 and parts[1] in (b"stdout", b"stderr"):
            found.append(parts[3] if parts[2] == b"F" else parts[3].removesuffix(b"\n"))
    text = b"".join(b"".join(found).splitlines(keepends=True)[-lines:])
    return text[-limit:].decode(errors="replace")


def _end(path: str, limit: int) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return b""
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return b""
        return os.pread(fd, limit, max(0, status.st_size - limit))
    finally:
        os.close(fd)
