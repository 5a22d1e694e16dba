"""End a user's namespaces: when they have been outgrown, and with `system reset`."""

from __future__ import annotations

import os
import signal

from kubeplay.engine.host import processes
from kubeplay.engine.rootless import needs
from kubeplay.engine.rootless.enter import Holder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

END_SECONDS = 5.0  # a killed process of one page is gone in a millisecond


def outgrown(holder: Holder) -> bool:
    """Whether namespaces of the own id alone can give way to ones with subordinate ids: these are there now, and nobody is inside."""
    return not needs.read().single and not list(inhabitants(holder))


def inhabitants(holder: Holder) -> Iterator[int]:
    """Processes in the holder's user namespace but for the holder and this one."""
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) not in (holder.pid, os.getpid()):
            try:
                if os.stat(f"/proc/{name}/ns/user").st_ino == holder.user:
                    yield int(name)
            except OSError:
                continue


def end(holder: Holder) -> None:
    """End the holder; its namespaces go with their last process."""
    process = processes.Process(holder.pid, holder.start)
    if processes.send(process, signal.SIGKILL):
        processes.await_end(process, END_SECONDS)
