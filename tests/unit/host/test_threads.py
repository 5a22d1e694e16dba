"""Threads that live for one task each."""

from __future__ import annotations

import os
import threading

import pytest

from kubeplay.engine.host import syscalls, threads


def test_results_and_errors_come_back_and_no_thread_serves_twice() -> None:
    threads.reserve(2)
    numbers = [threads.in_thread(threading.get_native_id) for _ in range(4)]
    assert len({*numbers, threading.get_native_id()}) == 5
    with pytest.raises(ZeroDivisionError):
        threads.in_thread(lambda: 1 // 0)


def test_tasks_run_side_by_side() -> None:
    barrier = threading.Barrier(3, timeout=100)
    tasks = [threads.start(barrier.wait) for _ in range(3)]
    assert sorted(task.result() for task in tasks) == [0, 1, 2]


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a namespace")
def test_a_thread_that_has_moved_never_gets_a_spare_one_from_elsewhere() -> None:
    """Threads inherit the namespaces of their maker: one that waited since before a move is in the wrong place."""
    threads.reserve(3)

    def moved() -> tuple[str, str]:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        here = os.readlink("/proc/thread-self/ns/net")
        return here, threads.in_thread(lambda: os.readlink("/proc/thread-self/ns/net"))

    here, inside = threads.in_thread(moved)
    assert here == inside != os.readlink("/proc/self/ns/net")
    assert threads.in_thread(lambda: os.readlink("/proc/thread-self/ns/net")) == os.readlink("/proc/self/ns/net")
