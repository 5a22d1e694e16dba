"""Paths inside a root file system that its own links may lead about in, never out of: each lookup is openat2(2) below the root."""

from __future__ import annotations

import errno
import os
import stat

from kubeplay.engine.host import owners
from kubeplay.engine.host.syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2
from kubeplay.errors import BuildError

IN_ROOT = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_LINKS = 40  # as the kernel's own limit (path_resolution(7))


def open_root(path: str) -> int:
    """A descriptor of a root file system's top directory."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def find(root: int, path: str) -> int:
    """An O_PATH descriptor of what `path` leads to. Raises OSError (ENOENT, ENOTDIR, ELOOP ...)."""
    return openat2(root, path.lstrip("/") or ".", os.O_PATH, IN_ROOT)


def directory(root: int, path: str) -> int:
    """A descriptor of the directory that `path` leads to. Raises OSError."""
    return openat2(root, path.lstrip("/") or ".", _DIRECTORY, IN_ROOT)


def made(root: int, path: str, owner: tuple[int, int] = (0, 0), mode: int = 0o755) -> tuple[int, list[str]]:
    """As `directory`, making what is missing; also the paths that were made, outermost first.

    A link that leads nowhere yet has its target made, within the root. Raises BuildError when a file is in the way.
    """
    try:
        return directory(root, path), []
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise _explained(error, path) from error
    try:
        new: list[str] = []
        _make(root, _parts(path), owner, mode, new)
        return directory(root, path), new
    except OSError as error:
        raise _explained(error, path) from error


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _make(root: int, parts: list[str], owner: tuple[int, int], mode: int, new: list[str]) -> None:
    at, links = "", 0
    todo = parts[::-1]
    while todo:
        name = todo.pop()
        if name == "..":
            at = at.rpartition("/")[0]
            continue
        parent = directory(root, at)
        try:
            try:
                os.mkdir(name, mode, dir_fd=parent)
                os.chmod(name, mode, dir_fd=parent)  # whatever the umask
                owners.give(name, *owner, f"{at}/{name}", parent)
                new.append(f"{at}/{name}")
            except FileExistsError:
                if stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                    links += 1
                    if links > _LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name) from None
                    target = os.readlink(name, dir_fd=parent)
                    at = "" if target.startswith("/") else at
                    todo += _parts(target)[::-1]
                    continue
        finally:
            os.close(parent)
        at = f"{at}/{name}"


def true_path(root: int, path: str) -> str:
    """Where `path` leads to within the root, without links. Raises OSError."""
    fd, top = find(root, path), os.readlink(f"/proc/self/fd/{root}")
    try:
        found = os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)
    if found == top:
        return "/"
    if not found.startswith(top.rstrip("/") + "/"):
        raise OSError(errno.EXDEV, "leads out of the root file system", path)
    return "/" + found[len(top.rstrip("/")) + 1 :]


def _explained(error: OSError, path: str) -> BuildError:
    if error.errno == errno.ENOTDIR:
        return BuildError(f"{path}: a file is where a directory is wanted")
    return BuildError(f"{path}: {error.strerror}")
