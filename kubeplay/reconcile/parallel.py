"""Run a few calls side by side. Threads only where there is more than one: a thread costs 0.1 ms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

T = TypeVar("T")


def each(call: Callable[[T], None], items: Sequence[T]) -> None:
    """`call` every item at the same time and wait for all; the first error (in order of `items`) is raised afterwards.

    What the handler of a signal raises while we wait is raised at once: an interrupt waits for nobody.
    """
    if len(items) < 2:
        for item in items:
            call(item)
        return
    from kubeplay.engine.host import threads

    tasks = [threads.start(partial(call, item)) for item in items]
    errors = [error for error in [task.wait() for task in tasks] if error is not None]
    if errors:
        raise errors[0]
