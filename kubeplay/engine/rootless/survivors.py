"""Find a user's namespaces again whose holder has died: conmon processes live on in them, and so do their containers.

A process is believed only when all of this holds: it is the user's, runs one of our own programs (conmon, or the holder's catatonit whose
note got lost), is no container (it has our pid namespace and our root directory), the kernel says that its user namespace was made by this
user right below ours and owns its mount namespace (ioctl_ns(2)), and a runroot of this user's is mounted there, or it is a holder with the
variable that we give it. Podman's conmons fail the last, what a container can bring about fails the others.
"""

from __future__ import annotations

import os
import signal

from kubeplay.engine.host import processes
from kubeplay.engine.host.runroot import unescape
from kubeplay.engine.rootless import who
from kubeplay.engine.rootless.enter import Holder, namespaces_of
from kubeplay.errors import MissingPrerequisite
from kubeplay.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

HOLDER = "catatonit"
DIRECTORY = "_KUBEPLAY_DIRECTORY"  # the one variable of a holder
PROGRAMS = (HOLDER, "conmon")  # in this order: a holder needs only be written down again
MOUNT = b" - tmpfs kubeplay "  # of a runroot, in mountinfo (proc_pid_mountinfo(5))


class Survivor(Record):
    """A process in the namespaces, descriptors of user and mount namespace, the user's directory of theirs ("" = nobody knows any more)."""

    pid: int
    program: str
    namespaces: tuple[int, int]
    directory: str


def find(noted: Holder | None) -> Survivor | None:
    """The first one found; None when nothing lives. Of namespaces that were `noted` down any program will do: a supervisor, a shell."""
    candidates = list(_own())
    for name in (*PROGRAMS, *([""] if noted else [])):
        for pid in _running(name, candidates) if name else candidates:
            found = _believed(pid)
            if found is not None and (name or noted and _inodes(found) == (noted.user, noted.mnt)):
                return Survivor(pid, name, found, _directory(pid))
            for fd in found or ():
                os.close(fd)
    return None


def sweep() -> None:
    """Kill what is left of containers whose namespaces cannot be found again: their conmon and everything else there has died.

    This is done from outside, where the kernel lets the maker of a user namespace do it; from a new one nobody could.
    """
    for pid in _own():
        process = processes.identify(pid)
        found = namespaces_of(pid)
        if process is None or found is None:
            continue
        try:
            if runroots(pid) and not _outside(pid) and _still(pid, found):
                processes.send(process, signal.SIGKILL)
        except OSError:
            pass  # it ended by itself
        finally:
            for fd in found:
                os.close(fd)


def _inodes(found: tuple[int, int]) -> tuple[int, int]:
    return os.fstat(found[0]).st_ino, os.fstat(found[1]).st_ino


def _own() -> Iterator[int]:
    """Processes in other user namespaces than ours into which we may look."""
    here = _link("/proc/self/ns/user")
    for name in os.listdir("/proc"):
        if name.isdecimal() and _link(f"/proc/{name}/ns/user") not in ("", here):
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
        if _uids(pid) == {os.getuid()} and _outside(pid) and (runroots(pid) or _told(pid)) and _still(pid, found):
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


def _directory(pid: int) -> str:
    """What the holder was told; of a conmon, the directory beside a runroot."""
    told = _told(pid)
    if told and who.made(told):
        return told
    beside = [f"{os.path.dirname(point)}/{who.NAME}" for point in runroots(pid)]
    return next(filter(who.private, beside), "")


def _told(pid: int) -> str:
    """The directory in a holder's environment."""
    with open(f"/proc/{pid}/environ", "rb") as file:
        entries = dict(entry.partition(b"=")[::2] for entry in file.read().split(b"\0"))
    found = os.fsdecode(entries.get(DIRECTORY.encode(), b""))
    return found if found.startswith("/") else ""


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
