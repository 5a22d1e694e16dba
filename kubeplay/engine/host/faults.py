"""Fault points: places where a test may kill the process as a power cut would.

`KUBEPLAY_FAULT=create:spawned` kills the process with SIGKILL when it reaches `point("create:spawned")`; without the variable a point costs
one comparison. `KUBEPLAY_FAULT=list` makes nothing happen but keeps `seen` filled, so that a test can enumerate the points.
"""

from __future__ import annotations

import os
import signal

_wanted = os.environ.get("KUBEPLAY_FAULT", "")
seen: list[str] = []


def point(name: str) -> None:
    """Die here when the environment says so."""
    if not _wanted:
        return
    if _wanted == name:
        os.kill(os.getpid(), signal.SIGKILL)
    seen.append(name)
