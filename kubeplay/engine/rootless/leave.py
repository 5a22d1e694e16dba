"""End a user's namespaces: when they have been outgrown, and with the last root (`system reset`)."""

from __future__ import annotations

import os
import shutil
import signal

from kubeplay.engine.host import processes, runroot, syscalls
from kubeplay.engine.rootless import needs, survivors, who
from kubeplay.engine.rootless.enter import Holder, read
from kubeplay.engine.rootless.lock import locked

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


def finish() -> bool:
    """Called inside, when a root is gone: end the holder and remove the user's directory, unless another root of the user's is in use.

    What somebody still has running there (a shell of `kubeplay unshare`) goes on, and its namespaces with it.
    """
    directory = who.user_directory()
    with locked(directory):
        if survivors.runroots():
            return False
        holder = read(directory)
        if holder is not None:
            end(holder)
        for target in runroot.mounts_below(directory):
            syscalls.umount(target)
        shutil.rmtree(directory)
    parent = os.path.dirname(directory)
    for path in who.places():  # notes that lead here
        other = read(f"{path}/{who.NAME}")
        if other is not None and other.directory == directory:
            shutil.rmtree(f"{path}/{who.NAME}")
    for path in (f"{parent}/netns", *([parent] if os.path.basename(parent).startswith(who.OWN) else [])):
        try:
            os.rmdir(path)  # of a login's file or of podman's, they stay
        except OSError:
            continue
    return True
