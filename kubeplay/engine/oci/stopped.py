"""Have processes stand still by SIGSTOP, where there is no cgroup to freeze: rootless without delegation.

A stopped process starts no other and wakes none, so stopping and looking again comes to an end. Unlike the freezer it is no secret: a
parent may hear of it. Going on must not depend on us: a shell that knows every number does it at the end of a pipe which only we hold,
also when we are killed.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kubeplay.engine.host import processes
from kubeplay.engine.host.processes import Process
from kubeplay.engine.oci.afterwards import afterwards
from kubeplay.errors import Timeout

_SECONDS = 10.0  # a process in uninterruptible sleep stops when it wakes up
_SCRIPT = 'all=; while read -r pid; do all="$all $pid"; done; [ -z "$all" ] || kill -CONT $all'


@contextmanager
def stopped(members: Callable[[], list[Process]]) -> Iterator[None]:
    """Every process that `members` finds stands still inside the block. Raises Timeout (then they run on)."""
    with afterwards(_SCRIPT) as writer:
        _stop(members, writer)
        yield


def stop(members: Callable[[], list[Process]]) -> None:
    """Have every process that `members` finds stand still, for good. Raises Timeout (then some of them do)."""
    with open(os.devnull, "wb", buffering=0) as nobody:
        _stop(members, nobody.fileno())


def _stop(members: Callable[[], list[Process]], writer: int) -> None:
    deadline = time.monotonic() + _SECONDS
    seen: set[Process] = set()
    while True:
        new = [found for found in members() if found not in seen]
        seen.update(new)
        for process in new:
            if not is_stopped(process):  # what stood still before goes on standing
                os.write(writer, b"%d\n" % process.pid)  # first: whoever kills us now must not leave it stopped
                processes.send(process, signal.SIGSTOP)
        waiting = [process for process in seen if not is_stopped(process)]
        if not new and not waiting:
            return
        if time.monotonic() > deadline:
            raise Timeout("the container could not be paused", hint="use --pause=false")
        time.sleep(0.0005)


def is_stopped(process: Process) -> bool:
    """Whether it stands still, or has ended (proc_pid_stat(5) field 3)."""
    try:
        with open(f"/proc/{process.pid}/stat", "rb") as file:
            text = file.read(4096)
    except OSError:
        return True
    return text[text.rindex(b")") + 2 : text.rindex(b")") + 3] in (b"T", b"t", b"Z", b"X")
