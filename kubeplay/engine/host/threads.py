"""Work in a thread that ends with it: namespaces and cgroups belong to a thread, so the caller keeps its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread of its own, whose namespaces and cgroups die with it; its exception is raised here.

    The thread gets no signal handlers (those run in the main thread), so it is never left half way.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(work())
        except BaseException as error:  # handed to the caller's thread
            errors.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
