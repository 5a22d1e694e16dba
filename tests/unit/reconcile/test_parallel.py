"""Several calls at once: all are waited for, errors come after, an interrupt at once."""

from __future__ import annotations

import signal
import threading

import pytest

from kubeplay.errors import Interrupted
from kubeplay.reconcile import parallel


def test_all_are_waited_for_and_the_first_error_is_raised() -> None:
    done = []

    def call(item: int) -> None:
        done.append(item)
        if item in (1, 2):
            raise ValueError(item)

    with pytest.raises(ValueError, match="1"):
        parallel.each(call, [0, 1, 2, 3])
    assert sorted(done) == [0, 1, 2, 3]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_an_interrupt_waits_for_nobody(count: int) -> None:
    leave, ended, main = threading.Event(), threading.Semaphore(0), threading.main_thread().ident
    begun = threading.Barrier(count)

    def handler(number: int, frame: object) -> None:
        raise Interrupted("interrupted")

    def call(item: int) -> None:
        try:
            begun.wait(100)
            if item == 0:
                signal.pthread_kill(main or 0, signal.SIGUSR1)
            assert leave.wait(100)
        finally:
            ended.release()

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(Interrupted):
            parallel.each(call, list(range(count)))
        assert not leave.is_set()
    finally:
        signal.signal(signal.SIGUSR1, before)
        leave.set()
    for _ in range(count):
        assert ended.acquire(timeout=100)
