"""Who merely waits says so: a supervisor's worker whose pod waits for a grace period or a hook leaves its place to another pod."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_told: dict[str, Callable[[int], None]] = {}


@contextmanager
def heard(uid: str, told: Callable[[int], None]) -> Iterator[None]:
    """Have `told` called with 1 when something of the pod begins to wait for long, with -1 when it goes on; from any thread."""
    _told[uid] = told
    try:
        yield
    finally:
        del _told[uid]


@contextmanager
def resting(uid: str) -> Iterator[None]:
    """Around a wait for others."""
    told = _told.get(uid)
    if told is None:
        yield
        return
    told(1)
    try:
        yield
    finally:
        told(-1)
