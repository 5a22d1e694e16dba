"""Opening a subPath: below the volume, never through a symlink that leads out of it (VO9, CVE-2021-25741).

The caller bind-mounts the descriptor (/proc/self/fd/N), so what was checked is what is mounted.
"""

from __future__ import annotations

import os
import stat

from kubeplay.engine.host import owners
from kubeplay.engine.host.syscalls import RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2
from kubeplay.errors import VolumeError

_O_PATH = os.O_PATH


def open_below(root: str, sub_path: str, *, create: bool) -> int:
    """An O_PATH descriptor of `sub_path` below the directory `root`.

    A missing directory is made with the root's mode when `create` (VO9). Raises VolumeError.
    """
    top = os.open(root, _O_PATH | os.O_DIRECTORY)
    try:
        return open_in(top, sub_path, create=create)
    finally:
        os.close(top)


def open_in(top: int, sub_path: str, *, create: bool, like: int = -1) -> int:
    """As `open_below`, of an open directory; a missing one is made as the directory `like`, if that is given, and not as `top`."""
    parts = [part for part in sub_path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise VolumeError(f"subPath {sub_path!r} must not contain '..'")
    try:
        if not parts:
            return os.dup(top)
        try:
            return openat2(top, "/".join(parts), _O_PATH, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
        except FileNotFoundError:
            if not create:
                raise
        _make(top, parts, os.fstat(top if like < 0 else like))
        return _resolve(top, "/".join(parts))
    except OSError as error:
        raise VolumeError(
            f"failed to prepare subPath {sub_path!r} of the volume: {error.strerror}", hint="a subPath may not lead out of its volume"
        ) from error


def read_below(root: str, path: str, most: int) -> bytes | None:
    """The bytes of a plain file of at most `most`; else None. Links are taken as a container takes them: they lead nowhere outside.

    Whoever wrote it may have put anything there: a FIFO that nobody opens, a device, a file without end.
    """
    try:
        top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fd = openat2(top, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
        finally:
            os.close(top)
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return None
            data = file.read(most + 1)
            return data if len(data) <= most else None
    except OSError:
        return None


def _resolve(top: int, path: str) -> int:
    return openat2(top, path, _O_PATH, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)


def _make(top: int, parts: list[str], info: os.stat_result) -> None:
    mode = stat.S_IMODE(info.st_mode)
    where = os.dup(top)
    try:
        for part in parts:
            made = True
            try:
                os.mkdir(part, mode, dir_fd=where)
            except FileExistsError:
                made = False
            below = _resolve(where, part)
            if made:  # the umask does not get a say, and fsGroup's owner carries on
                path = f"/proc/self/fd/{below}"
                owners.inherit(path, info)
                os.chmod(path, mode)
            os.close(where)
            where = below
    finally:
        os.close(where)
