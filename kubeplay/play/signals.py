"""SIGINT and SIGTERM while a play is at work: it is interrupted once, and what it undoes then is not."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kubeplay.errors import Interrupted

if TYPE_CHECKING:
    from kubeplay.play.runner import Runner


class Signals:
    """SIGINT and SIGTERM of the foreground: noted, and passed to whoever waits."""

    def __init__(self) -> None:
        self._runner: Runner | None = None
        self._ignored = False
        self.hit = False

    def handler(self, number: int, frame: object) -> None:
        if self._ignored:
            return
        self.hit = True
        if self._runner is not None:
            self._runner.interrupt()
        else:
            raise Interrupted("interrupted")

    def watch(self, runner: Runner | None) -> None:
        self._runner = runner
        if runner is not None and self.hit:
            runner.interrupt()

    @contextmanager
    def ignored(self) -> Iterator[None]:
        self._ignored = True
        try:
            yield
        finally:
            self._ignored = False


@contextmanager
def watched() -> Iterator[Signals]:
    """Handlers only in the main thread, where Python allows them; elsewhere the caller stops us in its own way."""
    found = Signals()
    if threading.current_thread() is not threading.main_thread():
        yield found
        return
    before = {number: signal.signal(number, found.handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
