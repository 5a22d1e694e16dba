"""Bars of a play's pulls, as `pull` shows them; imported when there is one to show."""

from __future__ import annotations

import shutil
import time
from typing import Any

from kubeplay.cli.bars import _Blob, row
from kubeplay.play.progress import ProgressEvent


def bar(blobs: dict[str, Any], event: ProgressEvent) -> str:
    """The line of a layer's progress, "" when it has ended; `blobs` holds those under way. Safe from several threads."""
    if event.action not in ("start", "bytes", "waiting"):
        blobs.pop(event.name, None)
        return ""
    blob = blobs.setdefault(event.name, _Blob(event.total))
    blob.state = event.action
    blob.advance(event.done, time.monotonic())
    return row(event.name, blob, shutil.get_terminal_size().columns)
