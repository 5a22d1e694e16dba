"""KUBEPLAY_TRACE=1 prints what each step took to stderr; without it a step costs one attribute look-up.

A line: when it began (ms after the start of this process's program), how long it took, the CPU time of its thread, its name.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from types import TracebackType

_on = bool(os.environ.get("KUBEPLAY_TRACE"))
_start = time.monotonic()


class _Off:
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None


class _Step:
    def __init__(self, name: str) -> None:
        self._name = name
        self._began = 0.0
        self._cpu = 0.0

    def __enter__(self) -> None:
        self._began = time.monotonic()
        self._cpu = time.thread_time()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        now = time.monotonic()
        cpu = time.thread_time() - self._cpu
        thread = threading.current_thread().name
        failed = f" failed: {kind.__name__}" if kind else ""
        times = f"{(self._began - _start) * 1000:8.1f} {(now - self._began) * 1000:7.2f} ms {cpu * 1000:6.2f} cpu"
        print(f"trace {times} {self._name} [{thread}]{failed}", file=sys.stderr)


_off = _Off()


def trace(name: str) -> _Off | _Step:
    """A context manager around one step."""
    return _Step(name) if _on else _off
