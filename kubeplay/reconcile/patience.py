"""Who merely waits says so: a supervisor's worker that does leaves its place to another pod meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_local = threading.local()


def install(told: Callable[[bool], None]) -> None:
    """Have `told` called in this thread: True when what it does begins to wait for long, False when it goes on."""
    _local.told = told


@contextmanager
def resting() -> Iterator[None]:
    """Around a wait for others: a grace period, a hook."""
    told: Callable[[bool], None] | None = getattr(_local, "told", None)
    if told is None:
        yield
        return
    told(True)
    try:
        yield
    finally:
        told(False)
