"""Find a user's namespaces again whose holder has died: conmon processes live on in them, and so do their containers.

A process is believed only when all of this holds: it is the user's, runs one of our own programs (conmon, or the holder's catatonit whose
note got lost), is no container (it has our pid namespace and our root directory), the kernel says that its user namespace was made by this
user right below ours and owns its mount namespace (ioctl_ns(2)), and a runroot of kubeplay's is mounted there. Podman's conmons fail the
last, what a container can bring about fails the others.
"""

from __future__ import annotations

import os

from kubeplay.engine.host import processes
from kubeplay.engine.host.runroot import unescape
from kubeplay.engine.rootless.enter import namespaces_of
from kubeplay.errors import MissingPrerequisite
from kubeplay.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

HOLDER = "catatonit"
PROGRAMS = (HOLDER, "conmon")  # in this order: a holder needs only be written down again
MOUNT = b" - tmpfs kubeplay "  # of a runroot, in mountinfo (proc_pid_mountinfo(5))


class Survivor(Record):
    """A process that lives in the namespaces, and descriptors of its user and its mount namespace."""

    pid: int
    program: str
    namespaces: tuple[int, int]


def find() -> Survivor | None:
    """The first one found; None when nothing lives."""
    candidates = list(_own())
    for name in PROGRAMS:
        for pid in _running(name, candidates):
            found = _believed(pid)
            if found is not None:
                return Survivor(pid, name, found)
    return None


def _own() -> Iterator[int]:
    """This user's processes that are not in our own user namespace."""
    here = _link("/proc/self/ns/user")
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                mine = os.stat(f"/proc/{name}").st_uid == os.geteuid()
            except OSError:
                continue
            if mine and _link(f"/proc/{name}/ns/user") not in ("", here):
                yield int(name)


def _running(name: str, pids: list[int]) -> Iterator[int]:
    """Those that run this program of the machine's."""
    try:
        program = os.stat(processes.program(name))
    except (MissingPrerequisite, OSError):
        return
    for pid in pids:
        try:
            if os.path.samestat(os.stat(f"/proc/{pid}/exe"), program):
                yield pid
        except OSError:
            continue


def _believed(pid: int) -> tuple[int, int] | None:
    """The namespaces of a process of whom everything holds. They are opened first: the number may be another's a moment later."""
    found = namespaces_of(pid)
    if found is None:
        return None
    try:
        if _uids(pid) == {os.getuid()} and _outside(pid) and runroots(pid) and _still(pid, found):
            return found
    except OSError:
        pass
    for fd in found:
        os.close(fd)
    return None


def _uids(pid: int) -> set[int]:
    """Real, effective, saved and file system uid."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        line = next(line for line in file if line.startswith("Uid:"))
    return set(map(int, line.split()[1:]))


def _outside(pid: int) -> bool:
    """Whether it stands where we stand: no container's process has our pid namespace and our root directory."""
    same_root = os.path.samestat(os.stat(f"/proc/{pid}/root/"), os.stat("/"))
    return same_root and _link(f"/proc/{pid}/ns/pid") == _link("/proc/self/ns/pid")


def runroots(pid: int | str = "self") -> list[str]:
    """The user's runroots that are mounted where the process is, one for each root in use. Those of root are seen there as well."""
    with open(f"/proc/{pid}/mountinfo", "rb") as file:
        points = [unescape(line.split(b" ", 5)[4]) for line in file if MOUNT in line]
    return [point for point in points if _mine(f"/proc/{pid}/root{point}")]


def _mine(path: str) -> bool:
    try:
        return os.stat(path).st_uid == os.geteuid()
    except OSError:
        return False


def _still(pid: int, found: tuple[int, int]) -> bool:
    """Whether what was looked at is what was opened."""
    return all(os.stat(f"/proc/{pid}/ns/{kind}").st_ino == os.fstat(fd).st_ino for kind, fd in zip(("user", "mnt"), found))


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
