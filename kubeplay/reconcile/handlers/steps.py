"""Handlers as generators: they yield what they wait for and return an Answer."""

from __future__ import annotations

import select
import time
from collections.abc import Generator

from kubeplay.record import Record

POLLIN, POLLOUT = select.POLLIN, select.POLLOUT
CLEANING = 2.0  # seconds that a handler whose time is over has for leaving nothing behind
OUTPUT = 10 * 1024  # PR6, PR7: bytes kept of what an exec writes or a server answers


class Answer(Record):
    """What came of it. `warning`: a success worth an event (PR13). `errored`: it could not be asked, so this counts as nothing (PR5);
    `state` is then the kubelet's word for the result.
    """

    ok: bool
    text: str = ""
    warning: bool = False
    errored: bool = False
    state: str = "unknown"


class Wait(Record):
    """Until one of the descriptors is ready, or `seconds` have passed (None = until the handler's own time is over)."""

    fds: tuple[tuple[int, int], ...] = ()
    seconds: float | None = None


class OutOfTime(Exception):
    """Thrown into a handler whose time is over: it answers, and may wait up to CLEANING for what it has started."""


Steps = Generator[Wait, None, Answer]


def complete(steps: Steps, seconds: float | None) -> Answer:
    """Drive one handler to its answer; `seconds` None = for as long as it takes (an exec hook has no limit of its own, LH3)."""
    until = None if seconds is None else time.monotonic() + seconds
    late = False
    try:
        wait = next(steps)
        while True:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                if late:
                    return Answer(False, "it did not end")
                late, until = True, time.monotonic() + CLEANING
                wait = steps.throw(OutOfTime())
                continue
            _poll(wait, left)
            wait = next(steps)
    except StopIteration as done:
        answer: Answer = done.value
        return answer
    finally:
        steps.close()


def _poll(wait: Wait, left: float | None) -> None:
    poll = select.poll()
    for fd, events in wait.fds:
        poll.register(fd, events)
    times = [seconds for seconds in (wait.seconds, left) if seconds is not None]
    poll.poll(min(times) * 1000 + 1 if times else None)
