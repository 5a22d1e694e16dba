"""The files of one container's log: 0.log, older ones 0.log.TIME, kept to so many of such a size (CS12).

conmon 2.1.6 knows no rotation: told to reopen, or at its own bound, it opens 0.log.tmp anew, renames it over 0.log, and what was there
before has lost its name. So each file has a second name, 0.log.TIME, from the start, and 0.log.tmp is made before conmon does, with a
second name too. What conmon replaces twice while no process of ours lives is still there for the next command
(docs/decisions/0302-logs.md).
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubeplay.plan.pod import LogPlan

_REOPEN = b"2 0 0\n"  # conmon's ctl FIFO: message type 2 = reopen log files
_REOPEN_SECONDS = 2.0
_MODE = 0o640  # conmon's own
# Ours: three files of 25 MiB (the default's half) last a log that takes longer than this for 10 MiB more than seven hours alone.
WATCH_SECONDS = 3600.0
_NEXT = ".tmp"  # the file that conmon goes on with


def own_bound(plan: LogPlan) -> int:
    """Bytes after which conmon goes on with the next file by itself, 0 = never: half of all, and three files survive without us."""
    return max(plan.max_size, plan.max_size * max(1, plan.max_files) // 2)


def files(path: str) -> list[str]:
    """The log's files, oldest first, each by one name; the one being written is last, under its own name.

    Two commands that come by at the same moment give a file two second names: met twice it would be read for ever.
    """
    directory, name = os.path.split(path)
    try:
        older = sorted(n for n in os.listdir(directory) if n.startswith(name + ".") and not n.endswith(_NEXT))
    except FileNotFoundError:
        return []
    present, found = {None, _inode(path), _inode(path + _NEXT)}, []
    for file in (f"{directory}/{n}" for n in older):
        inode = _inode(file)
        if inode not in present:
            found.append(file)
            present.add(inode)
    return [*found, path]


def prepare(path: str) -> None:
    """Give the log and the file after it their second names. Idempotent, and harmless while conmon writes."""
    older = _second_names(path)
    if _inode(path) not in older:
        _link(path, path)
    if _inode(path + _NEXT) is None:
        spare = _name(path)
        os.close(os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE))
        try:
            os.link(spare, path + _NEXT, follow_symlinks=False)
        except FileExistsError:  # conmon was quicker, with a file of its own
            os.unlink(spare)


def create(path: str) -> None:
    """The empty log, before conmon opens it."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE))
    except FileExistsError:
        pass
    prepare(path)


def rotate(path: str, bundle: str, plan: LogPlan, *, force: bool = False) -> bool:
    """Start a new file when this one is full, and drop those too many; True when it did. Nothing that conmon writes meanwhile is lost."""
    try:
        size = os.stat(path, follow_symlinks=False).st_size
    except OSError:
        return False
    if not force and (not plan.max_size or size <= plan.max_size):
        return False
    try:
        ctl = os.open(f"{bundle}/ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False  # nobody writes there any more
    try:
        prepare(path)
        before = _inode(path)
        os.write(ctl, _REOPEN)
    finally:
        os.close(ctl)
    deadline = time.monotonic() + _REOPEN_SECONDS
    while _inode(path) == before and time.monotonic() < deadline:
        time.sleep(0.002)
    prepare(path)
    trim(path, plan)
    return True


def trim(path: str, plan: LogPlan) -> None:
    """Keep the newest files, as many as the plan says."""
    for old in files(path)[: -max(1, plan.max_files)]:
        _unlink(old)


def grows(path: str, now: float) -> bool:
    """Whether the file before this one was full, within the last hour, within an hour: such a log must not be left to conmon for long."""
    before = files(path)[-2:-1]
    if not before:
        return False
    try:
        ended = os.stat(before[0], follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return False
    return now - ended < WATCH_SECONDS and ended - _begun(before[0]) < WATCH_SECONDS


def _begun(file: str) -> float:
    """When a file was given its second name."""
    import calendar

    day, clock, _ = (file.rpartition(".")[2] + "--").split("-", 2)
    try:
        return calendar.timegm(time.strptime(day + clock, "%Y%m%d%H%M%S"))
    except ValueError:  # another program's file
        return 0.0


def _second_names(path: str) -> set[int | None]:
    directory, name = os.path.split(path)
    return {_inode(f"{directory}/{n}") for n in os.listdir(directory) if n.startswith(name + ".") and not n.endswith(_NEXT)}


def _link(path: str, log: str) -> None:
    try:
        os.link(path, _name(log), follow_symlinks=False)
    except FileNotFoundError:
        pass


def _name(path: str) -> str:
    """A name that sorts by the moment it is given."""
    now = time.time_ns()
    return f"{path}.{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now // 10**9))}-{now % 10**9:09d}"


def _inode(path: str) -> int | None:
    try:
        return os.stat(path, follow_symlinks=False).st_ino
    except OSError:
        return None


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
