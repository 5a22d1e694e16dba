"""End the supervisor of a root that is taken apart.

It may be in no group of ours (a caller in the root group leaves it there), and its pods and their locks may be gone, so it is found
by what it runs: the loop by its directory, the program by the runroot in its words.
"""

from __future__ import annotations

import os
import signal

from kubeplay.engine.host import processes
from kubeplay.supervisor.start import LOOP

_SECONDS = 5.0  # a process that was sent KILL takes that long only when the machine is stuck


def end(runroot: str) -> None:
    """Kill this root's loop, then what it started, until there is none. `boot_id` must be gone, or an exit starts another."""
    while found := _find(runroot):
        for process in found:
            processes.send(process, signal.SIGKILL)
        if not all(processes.await_end(process, _SECONDS) for process in found):
            return


def _find(runroot: str) -> list[processes.Process]:
    """The loop first: it would start the program again."""
    found: list[tuple[bool, processes.Process]] = []
    directory = os.path.realpath(runroot)
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
            loop = any(word.endswith(LOOP) for word in words) and os.readlink(f"/proc/{name}/cwd") == directory
        except OSError:
            continue  # it has just ended
        if loop or ("kubeplay.supervisor" in words and f"runroot={runroot}" in words):
            process = processes.identify(int(name))
            found += [(loop, process)] if process else []
    return [process for _, process in sorted(found, key=lambda pair: not pair[0])]
