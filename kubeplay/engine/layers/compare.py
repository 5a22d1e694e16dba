"""What a container changed in its copy of a root file system, as an overlay's upper directory would show it (copies.py).

A file counts as changed when its type, owner, mode, size, time, target or device differs from the merged layers', or when its ctime is
later than the copy and its content or xattrs differ: a program that restores times is found out by that, and nothing else need be read.
"""

from __future__ import annotations

import os
import stat

from kubeplay.engine.layers import marks
from kubeplay.engine.layers.copies import describe, entered, link_or_copy, take_xattrs
from kubeplay.engine.layers.tar import show
from kubeplay.errors import InvalidInput

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DEEPEST = 400  # levels, four descriptors each at most
_CHUNK = 1 << 20


def upper(below: str, above: str, out: str, copied: int) -> None:
    """Fill the new directory `out` with the differences of the tree `above` from `below`; files become further names of `above`'s.

    `copied`: when `above` was copied from `below` (ctime, ns). Raises InvalidInput (too deep), OSError.
    """
    job = _Comparison(copied)
    old, new, made = (os.open(path, _DIRECTORY) for path in (below, above, out))
    try:
        job.directory(old, new, made, b"", 0)
        take_xattrs(new, made)
        describe(made, os.fstat(new))
    finally:
        for fd in (old, new, made):
            os.close(fd)


class _Comparison:
    def __init__(self, copied: int) -> None:
        self._copied = copied

    def directory(self, old: int, new: int, out: int, path: bytes, depth: int) -> bool:
        """Write what differs; whether anything does. `old` -1: nothing was there."""
        if depth > _DEEPEST:
            raise InvalidInput(f"{show(path)} is more than {_DEEPEST} directories deep")
        before = set(os.listdir(old)) if old >= 0 else set()
        after = os.listdir(new)
        gone = before.difference(after)
        for name in gone:
            marks.hide(os.fsencode(name), out)
        found = bool(gone)
        for name in after:
            found |= self._entry(old if name in before else -1, new, out, name, path, depth)
        return found

    def _entry(self, old: int, new: int, out: int, name: str, path: bytes, depth: int) -> bool:
        try:
            here = os.stat(name, dir_fd=new, follow_symlinks=False)
        except FileNotFoundError:
            return False  # it went while we looked
        there = os.stat(name, dir_fd=old, follow_symlinks=False) if old >= 0 else None
        if stat.S_ISDIR(here.st_mode):
            return self._inner(old, new, out, name, here, there, path + b"/" + os.fsencode(name), depth)
        if stat.S_ISSOCK(here.st_mode) or there is not None and self._same(old, new, name, here, there):
            return False
        link_or_copy(new, out, name, here)
        return True

    def _inner(
        self, old: int, new: int, out: int, name: str, here: os.stat_result, there: os.stat_result | None, path: bytes, depth: int
    ) -> bool:
        both = there is not None and stat.S_ISDIR(there.st_mode)
        below = os.open(name, _DIRECTORY, dir_fd=old) if both else -1
        try:
            inner, made = entered(new, out, name)
            try:
                found = self.directory(below, inner, made, path, depth + 1)
                if not found and there is not None and both and _essence(here) == _essence(there) and not self._marked(below, inner, here):
                    os.rmdir(name, dir_fd=out)
                    return False
                take_xattrs(inner, made)
                describe(made, here)
                return True
            finally:
                os.close(inner)
                os.close(made)
        finally:
            if below >= 0:
                os.close(below)

    def _marked(self, below: int, inner: int, here: os.stat_result) -> bool:
        return here.st_ctime_ns > self._copied and _xattrs(below) != _xattrs(inner)

    def _same(self, old: int, new: int, name: str, here: os.stat_result, there: os.stat_result) -> bool:
        if _essence(here) != _essence(there):
            return False
        if stat.S_ISLNK(here.st_mode):
            return os.readlink(name, dir_fd=new) == os.readlink(name, dir_fd=old)
        if here.st_ctime_ns <= self._copied or not stat.S_ISREG(here.st_mode):
            return True
        one, two = os.open(name, _READ, dir_fd=old), os.open(name, _READ, dir_fd=new)
        try:
            return _xattrs(one) == _xattrs(two) and _equal(one, two)
        finally:
            os.close(one)
            os.close(two)


def _essence(status: os.stat_result) -> tuple[int, ...]:
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0
    return status.st_mode, status.st_uid, status.st_gid, status.st_rdev, size, status.st_mtime_ns


def _xattrs(fd: int) -> list[tuple[str, bytes]]:
    from kubeplay.engine.layers.extract import kept_xattr

    return sorted((name, os.getxattr(fd, name)) for name in os.listxattr(fd) if kept_xattr(os.fsencode(name)))


def _equal(one: int, two: int) -> bool:
    while True:
        data = os.read(one, _CHUNK)
        if data != os.read(two, _CHUNK):
            return False
        if not data:
            return True
