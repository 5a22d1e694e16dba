"""What changed in a file system: a writable layer against what is below it, or one tree against another.

Only descriptors and single names are used, and no link is followed: a container may change its files while we look.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator

from kubeplay.engine.layers import marks
from kubeplay.errors import InvalidInput
from kubeplay.record import Record

ADDED, CHANGED, DELETED = "A", "C", "D"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEPTH = 400  # levels, an open descriptor or two each; RLIMIT_NOFILE is 1024 by default


class Change(Record):
    """`kind` A, C or D; `path` absolute."""

    kind: str
    path: str


def of_upper(upper: int, lower: int, skip: Collection[str] = ()) -> list[Change]:
    """Changes that the overlay directory `upper` makes to the tree `lower`; paths in `skip` (no leading slash) are left out."""
    return sorted(_upper(upper, lower, "", frozenset(skip), 0), key=lambda change: change.path)


def between(old: int, new: int) -> list[Change]:
    """Changes from one whole tree to another: by type, owner, mode, size, time, link target and device."""
    return sorted(_trees(old, new, "", 0), key=lambda change: change.path)


def _upper(upper: int, lower: int, prefix: str, skip: frozenset[str], depth: int) -> Iterator[Change]:
    own = marks.is_opaque(upper)
    for name in os.listdir(upper):
        path = f"{prefix}/{name}"
        here, there = _status(upper, name), _status(lower, name)
        if here is None or path[1:] in skip or own and os.fsencode(name) in marks.FUSE_NAMES:
            continue
        if marks.is_whiteout(here):
            if there is not None:
                yield Change(DELETED, path)
        elif stat.S_ISDIR(here.st_mode):
            yield from _upper_directory(upper, lower, path, (here, there), skip, depth)
        else:
            yield Change(CHANGED if there is not None else ADDED, path)


def _upper_directory(
    upper: int, lower: int, path: str, pair: tuple[os.stat_result, os.stat_result | None], skip: frozenset[str], depth: int
) -> Iterator[Change]:
    here, there = pair
    _check(depth, path)
    name = path.rpartition("/")[2]
    inner, below = _open(upper, name), _open(lower, name)
    try:
        if inner < 0:
            return
        found = list(_upper(inner, below, path, skip, depth + 1))
        if below >= 0 and marks.is_opaque(inner):
            own = set(os.listdir(inner))
            found += [Change(DELETED, f"{path}/{gone}") for gone in os.listdir(below) if gone not in own]
        if there is None:
            yield Change(ADDED, path)
        elif found or below < 0 or _differs(here, there):
            yield Change(CHANGED, path)
        yield from found
    finally:
        _close(inner, below)


def _trees(old: int, new: int, prefix: str, depth: int) -> Iterator[Change]:
    before = set(os.listdir(old)) if old >= 0 else set()
    after = set(os.listdir(new)) if new >= 0 else set()
    yield from (Change(DELETED, f"{prefix}/{name}") for name in before - after)
    for name in after:
        path = f"{prefix}/{name}"
        here, there = _status(new, name), _status(old, name)
        if here is None:
            continue
        found: list[Change] = []
        if stat.S_ISDIR(here.st_mode):
            _check(depth, path)
            inner, below = _open(new, name), _open(old, name)
            try:
                found = list(_trees(below, inner, path, depth + 1))
            finally:
                _close(inner, below)
        if there is None:
            yield Change(ADDED, path)
        elif found or _differs(here, there) or _link(new, name, here) != _link(old, name, there):
            yield Change(CHANGED, path)
        yield from found


def _differs(one: os.stat_result, other: os.stat_result) -> bool:
    def essence(status: os.stat_result) -> tuple[int, ...]:
        sized = status.st_size if stat.S_ISREG(status.st_mode) else 0
        return status.st_mode, status.st_uid, status.st_gid, status.st_rdev, sized, status.st_mtime_ns

    return essence(one) != essence(other)


def _link(directory: int, name: str, status: os.stat_result) -> str:
    return os.readlink(name, dir_fd=directory) if stat.S_ISLNK(status.st_mode) else ""


def _status(directory: int, name: str) -> os.stat_result | None:
    if directory < 0:
        return None
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _open(directory: int, name: str) -> int:
    """A directory, or -1 when it is none (any more)."""
    if directory < 0:
        return -1
    try:
        return os.open(name, _DIRECTORY, dir_fd=directory)
    except OSError:
        return -1


def _check(depth: int, path: str) -> None:
    if depth > _DEPTH:
        raise InvalidInput(f"{path[:200]}...: more than {_DEPTH} directories below each other")


def _close(*fds: int) -> None:
    for fd in fds:
        if fd >= 0:
            os.close(fd)
