"""The atomic writer: files of a ConfigMap or Secret, switched all at once (VO4).

The directory belongs to us but the container may have had it writable through another mount, so nothing in it
is trusted: every step goes through a directory descriptor and never follows a symlink (CVE-2025-9566).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping

from kubeplay.engine.host import owners
from kubeplay.record import Record

DIRECTORY_MODE = 0o755  # VO4


class File(Record):
    """One file to write: bytes, permission bits, and whose it is (-1 = ours)."""

    content: bytes
    mode: int
    owner: int = -1


def write(
    directory: int, files: Mapping[str, File], stamp: str, keep: frozenset[str] = frozenset(), ready: Callable[[int], None] | None = None
) -> bool:
    """Make `files` (relative path -> File) the content of the open `directory`; False when it is that already.

    `stamp` names the new data directory: `..YYYY_MM_DD_HH_MM_SS.RANDOM`. Directories named in `keep` stay beside it. `ready` gets the open
    data directory before anybody can see it: whoever reads sees all of the old or all of the new, owners and modes too.
    """
    before = current(directory)
    if before and _same(directory, before, files):
        return False
    os.mkdir(stamp, DIRECTORY_MODE, dir_fd=directory)
    data = os.open(stamp, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    try:
        os.fchmod(data, DIRECTORY_MODE)
        for path, file in files.items():
            _write_file(data, path, file)
        if ready is not None:
            ready(data)
    finally:
        os.close(data)
    _switch(directory, stamp)
    _link_names(directory, files, keep)
    if before:
        remove_tree(directory, before)
    return True


def _switch(directory: int, stamp: str) -> None:
    _unlink(directory, "..data_tmp")
    os.symlink(stamp, "..data_tmp", dir_fd=directory)
    if _kind(directory, "..data") == stat.S_IFDIR:
        remove_tree(directory, "..data")
    os.rename("..data_tmp", "..data", src_dir_fd=directory, dst_dir_fd=directory)


def _link_names(directory: int, files: Mapping[str, File], keep: frozenset[str]) -> None:
    names = {path.split("/", 1)[0] for path in files}
    for name in os.listdir(directory):
        if not name.startswith("..") and name not in names | keep:
            remove_tree(directory, name)
    for name in names:
        target = f"..data/{name}"
        if _kind(directory, name) == stat.S_IFLNK and os.readlink(name, dir_fd=directory) == target:
            continue
        remove_tree(directory, name)
        os.symlink(target, name, dir_fd=directory)
        if name in files and files[name].owner >= 0:  # as a kubelet: the link is the owner's as well (record 039)
            owners.give(name, files[name].owner, -1, "a token", directory)


def _write_file(data: int, path: str, file: File) -> None:
    *parents, name = path.split("/")
    where = os.dup(data)
    try:
        for part in parents:
            try:
                os.mkdir(part, DIRECTORY_MODE, dir_fd=where)
            except FileExistsError:
                pass
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=where)
            os.fchmod(below, DIRECTORY_MODE)
            os.close(where)
            where = below
        try:  # two items may name the same path: the later one wins (kubernetes-surprises, record 043)
            os.unlink(name, dir_fd=where)
        except FileNotFoundError:
            pass
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=where)
        try:
            view = memoryview(file.content)
            while view:
                view = view[os.write(fd, view) :]
            os.fchmod(fd, file.mode)
            if file.owner >= 0:
                owners.give(fd, file.owner, -1, "a token")
        finally:
            os.close(fd)
    finally:
        os.close(where)


def current(directory: int) -> str:
    """The data directory in use, or "" when there is none that we could have made."""
    if _kind(directory, "..data") != stat.S_IFLNK:
        return ""
    name = os.readlink("..data", dir_fd=directory)
    if not name.startswith("..") or "/" in name or name in ("..", "..data", "..data_tmp"):
        return ""
    return name if _kind(directory, name) == stat.S_IFDIR else ""


def _same(directory: int, current: str, files: Mapping[str, File]) -> bool:
    data = os.open(current, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    try:
        wanted = {path: file._replace(owner=-1) for path, file in files.items()}  # an owner is the pod's, and stays
        return dict(_read_tree(data, "")) == wanted and all(
            _kind(directory, path.split("/", 1)[0]) == stat.S_IFLNK for path in files
        )
    finally:
        os.close(data)


def _read_tree(data: int, prefix: str) -> list[tuple[str, File]]:
    found: list[tuple[str, File]] = []
    for name in os.listdir(data):
        info = os.stat(name, dir_fd=data, follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=data)
            try:
                found += _read_tree(below, f"{prefix}{name}/")
            finally:
                os.close(below)
        elif stat.S_ISREG(info.st_mode):
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=data)
            with os.fdopen(fd, "rb") as file:
                found.append((prefix + name, File(file.read(), stat.S_IMODE(info.st_mode))))
        else:
            found.append((prefix + name, File(b"", -1)))
    return found


def _kind(directory: int, name: str) -> int:
    """The S_IF* type of `name` itself, 0 when it is absent."""
    try:
        return stat.S_IFMT(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return 0


def _unlink(directory: int, name: str) -> None:
    if _kind(directory, name) == stat.S_IFDIR:
        remove_tree(directory, name)
        return
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        pass


def remove_tree(directory: int, name: str) -> None:
    """Remove `name` below `directory`, whatever it is; symlinks are removed, not followed."""
    kind = _kind(directory, name)
    if kind == stat.S_IFDIR:
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
        try:
            for entry in os.listdir(below):
                remove_tree(below, entry)
        finally:
            os.close(below)
        os.rmdir(name, dir_fd=directory)
    elif kind:
        os.unlink(name, dir_fd=directory)
