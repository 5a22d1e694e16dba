"""The processes of a container that has no cgroup (rootless without delegation): found by what they cannot easily leave.

With a PID namespace of its own a container ends with its first process; the kernel sees to that. Where it shares one (hostPID,
shareProcessNamespace) its processes are those whose root lies in its root file system, which we hold mounted as long as the container is
there, those in the mount namespaces of such, and everything below its conmon: conmon adopts what a container's process leaves behind
(PR_SET_CHILD_SUBREAPER), as long as that container's first process runs. A program that runs as the user's own id in the machine's PID
namespace, with CAP_SYS_ADMIN, can get out of all three; it is then no more and no less than any other program of that user.
"""

from __future__ import annotations

import os
import signal
import time

from kubeplay.engine.host import processes
from kubeplay.engine.host.processes import Process
from kubeplay.engine.oci.conmon import is_monitor_of, monitor_pid


def kill(bundle: str, seconds: float, *, shared: bool) -> bool:
    """SIGKILL the container's processes until there is none; `shared`: it has no PID namespace of its own. False when one survives."""
    deadline = time.monotonic() + seconds
    pause = 0.001
    while True:
        found = find(bundle, shared=shared)
        if not found:
            return True
        for process in found:
            processes.send(process, signal.SIGKILL)
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def find(bundle: str, *, shared: bool) -> list[Process]:
    """The container's processes; with a PID namespace of its own only those that all others end with."""
    monitor = monitor_pid(bundle)
    watched = is_monitor_of(monitor, bundle)
    pids = set(below(monitor)) if watched else set()
    first = _first(bundle)
    root = _root(f"{bundle}/rootfs")
    if first and root and _root(f"/proc/{first}/root") == root:
        pids.add(first)
    if shared or not (watched or first):
        pids |= _rooted(bundle, root)
    return [found for pid in pids if (found := processes.identify(pid))]


def everyone(bundle: str, *, shared: bool) -> list[Process]:
    """Every process of a running container, exec's among them."""
    if shared:
        return find(bundle, shared=True)
    first = _first(bundle)
    space = _root(f"/proc/{first}/ns/pid")
    if space is None:
        return []
    inside = [int(name) for name in os.listdir("/proc") if name.isdigit() and _root(f"/proc/{name}/ns/pid") == space]
    pids = {*inside, *(child for pid in inside for child in _stemming(pid))}
    return [found for pid in pids if (found := processes.identify(pid))]


def _stemming(pid: int) -> list[int]:
    """Its children and theirs: some may have made PID namespaces of their own."""
    children = _children(pid)
    return [*children, *(one for child in children for one in _stemming(child))]


def below(monitor: int) -> list[int]:
    """What stems from a conmon and belongs to its container: not its exit command, which may be starting the supervisor."""
    here = _root(f"/proc/{monitor}/ns/mnt")
    found: list[int] = []
    todo = [monitor]
    while todo:
        for child in _children(todo.pop()):
            if child not in found and (_root(f"/proc/{child}/ns/mnt") != here or _is_runtime(child)):
                found.append(child)
                todo.append(child)
    return found


def _is_runtime(pid: int) -> bool:
    """A runtime that still makes the container, in our own mount namespace."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(4096).split(b"\0")
    except OSError:
        return False
    return os.path.basename(words[0]) in (b"runc", b"crun") or words[1:2] == [b"init"]


def _children(pid: int) -> list[int]:
    """proc_pid_tid_children(5): of every thread, since a child belongs to the one that made it."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        pass  # it has just ended
    return found


def _first(bundle: str) -> int:
    """The first process as the runtime noted it, 0 when it has not."""
    try:
        with open(f"{bundle}/pidfile", "rb") as file:
            return int(file.read(32) or b"0")
    except (OSError, ValueError):
        return 0


def _root(path: str) -> tuple[int, int] | None:
    try:
        info = os.stat(path)
    except OSError:
        return None
    return info.st_dev, info.st_ino


def _rooted(bundle: str, root: tuple[int, int] | None) -> set[int]:
    """Processes whose root is the container's, or a directory of the file system that is its root alone; and who shares their mounts."""
    if root is None:
        return set()
    alone = _is_alone(bundle, root[0])
    namespaces: dict[int, int] = {}
    found: set[int] = set()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        theirs = _root(f"/proc/{name}/root")
        if theirs is None:
            continue
        space = _root(f"/proc/{name}/ns/mnt")
        if space:
            namespaces[int(name)] = space[1]
        if theirs == root or (alone and theirs[0] == root[0]):
            found.add(int(name))
    shared = {namespaces[pid] for pid in found if pid in namespaces} - {os.stat("/proc/self/ns/mnt").st_ino}
    return found | {pid for pid, space in namespaces.items() if space in shared}


def _is_alone(bundle: str, device: int) -> bool:
    """Whether the root file system is one of its own (an overlay), not a directory of one that holds other things as well."""
    parts = {os.stat(bundle).st_dev}
    upper = os.path.dirname(bundle)
    parts.add(os.stat(upper).st_dev)
    with open("/proc/self/mountinfo", "rb") as file:
        wanted = f"{os.major(device)}:{os.minor(device)}".encode()
        uses = sum(line.split(b" ", 3)[2] == wanted for line in file)
    return device not in parts and uses == 1
