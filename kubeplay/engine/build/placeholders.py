"""Mount points that an image lacks: made for a step, and taken away after it, so that they do not end in a layer."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection

from kubeplay.engine.build import places
from kubeplay.engine.host.syscalls import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from kubeplay.errors import BuildError


class Placeholders:
    """Files and directories made in the root file system open at `root`."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._made: list[tuple[str, bool]] = []
        self._before: dict[str, os.stat_result] = {}
        self._sealed: dict[str, int] = {}

    def ensure(self, path: str, *, directory: bool) -> str:
        """Make `path` a place to mount at; where that is, links followed within the root. Raises BuildError."""
        try:
            fd = places.find(self._root, path)
        except FileNotFoundError:
            return self._make(path, directory)
        except OSError as error:
            raise BuildError(f"{path}: cannot be mounted at: {error.strerror}") from error
        try:
            kind = os.fstat(fd).st_mode
        finally:
            os.close(fd)
        if stat.S_ISDIR(kind) != directory:
            raise BuildError(f"{path} is {'a directory' if stat.S_ISDIR(kind) else 'a file'} in the image, and the mount is not")
        return places.true_path(self._root, path)

    def _make(self, path: str, directory: bool, links: int = 0) -> str:
        self._note(path)
        if directory:
            fd, made = places.made(self._root, path)
            os.close(fd)
            self._made += [(one, True) for one in made]
            return places.true_path(self._root, path)
        head, _, name = path.rstrip("/").rpartition("/")
        if not name or name in (".", "..") or links > 40:
            raise BuildError(f"{path} cannot be mounted at")
        parent, made = places.made(self._root, head)
        self._made += [(one, True) for one in made]
        try:
            full = f"{places.true_path(self._root, head).rstrip('/')}/{name}"
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=parent))
        except FileExistsError:  # a link that leads nowhere yet
            target = os.readlink(name, dir_fd=parent)
            return self._make(os.path.join(os.path.dirname(full), target), directory, links + 1)
        finally:
            os.close(parent)
        self._made.append((full, False))
        return full

    def _note(self, path: str) -> None:
        """Remember what the directories above are like: making something in one changes its times and copies it to the layer."""
        while path.strip("/"):
            path = path.rstrip("/").rpartition("/")[0] or "/"
            try:
                fd = places.directory(self._root, path)
            except OSError:
                continue
            try:
                self._before.setdefault(places.true_path(self._root, path), os.fstat(fd))
            finally:
                os.close(fd)

    def seal(self) -> None:
        """To be called when all are made, before the step runs."""
        self._sealed = {path: status.st_mtime_ns for path, status in self._statuses().items()}

    def remove(self) -> list[str]:
        """Take away what was made and is still empty; the directories that are then as they were, deepest first."""
        now = self._statuses()
        for path, directory in reversed(self._made):
            self._remove(path, directory)
        same = []
        for path, before in self._before.items():
            current = now.get(path)
            if current is None:
                continue
            untouched = current.st_mtime_ns == self._sealed.get(path)
            self._restore(path, before if untouched else current)
            if untouched and (current.st_mode, current.st_uid, current.st_gid) == (before.st_mode, before.st_uid, before.st_gid):
                same.append(path)
        return sorted(same, key=lambda path: -path.count("/"))

    def _remove(self, path: str, directory: bool) -> None:
        head, _, name = path.rpartition("/")
        try:
            parent = places.directory(self._root, head)
        except OSError:
            return
        try:
            if directory:
                os.rmdir(name, dir_fd=parent)
            elif os.stat(name, dir_fd=parent, follow_symlinks=False).st_size == 0:
                os.unlink(name, dir_fd=parent)
        except OSError:
            return  # the step has put something there, which stays
        finally:
            os.close(parent)

    def _statuses(self) -> dict[str, os.stat_result]:
        found = {}
        for path in self._before:
            try:
                fd = places.directory(self._root, path)
            except OSError:
                continue
            found[path] = os.fstat(fd)
            os.close(fd)
        return found

    def _restore(self, path: str, status: os.stat_result) -> None:
        try:
            fd = places.directory(self._root, path)
        except OSError:
            return
        try:
            os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(fd)


def prune(upper: str, same: list[str]) -> None:
    """Take directories out of an unmounted upper directory that are there only because something was once made in them.

    A step may have put links in their place, which mean something else out here: none is followed.
    """
    root = places.open_root(upper)
    try:
        for path in same:
            head, _, name = path.strip("/").rpartition("/")
            if not name:
                continue
            try:
                parent = openat2(root, head or ".", os.O_RDONLY | os.O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
            except OSError:
                continue
            try:
                os.rmdir(name, dir_fd=parent)
            except OSError:
                continue
            finally:
                os.close(parent)
    finally:
        os.close(root)


def unchanged(upper: str, lower: str, paths: Collection[str]) -> list[str]:
    """Of directories that several steps made something in, those that are in the end as the layers below have them, deepest first."""
    above, below = places.open_root(upper), places.open_root(lower)
    try:
        found = [path for path in paths if _same(above, below, path)]
    finally:
        os.close(above)
        os.close(below)
    return sorted(found, key=lambda path: -path.count("/"))


def _same(above: int, below: int, path: str) -> bool:
    statuses = []
    for root in (above, below):
        try:
            fd = places.directory(root, path)
        except OSError:
            return False
        status = os.fstat(fd)
        os.close(fd)
        statuses.append((status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns))
    return statuses[0] == statuses[1]
