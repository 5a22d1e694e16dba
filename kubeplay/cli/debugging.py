"""--log-level debug shows every program that is run, as a line to paste; trace shows what each step took, too."""

from __future__ import annotations

import os
import sys
from typing import Any


def switch_on(level: str) -> None:
    """For the rest of this process. Before the engine is imported: it reads KUBEPLAY_TRACE then."""
    if level == "trace":
        os.environ.setdefault("KUBEPLAY_TRACE", "1")
    sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    """os.posix_spawn is how the engine starts programs (engine/host/processes.py)."""
    if event not in ("os.posix_spawn", "subprocess.Popen"):
        return
    from shlex import quote

    try:
        words = [os.fsdecode(word) for word in arguments[1]]
        os.write(2, ("debug: " + " ".join(map(quote, words)) + "\n").encode(errors="replace"))
    except (OSError, TypeError, IndexError):
        return
