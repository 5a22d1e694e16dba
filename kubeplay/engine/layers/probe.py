"""Trying a way of stacking: two directories are mounted where layers lie, changed, and looked at again from below.

What is tried is what containers do: a file is deleted, a directory is made anew, a file goes to another owner. A way that mounts and then
loses one of them (an upper file system without xattrs) is none.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from kubeplay.engine.host.owners import Owners
from kubeplay.engine.host.paths import ensure_directory
from kubeplay.engine.host.userns import in_user_namespace
from kubeplay.engine.layers.snapshotter import COPIES, OVERLAY, Stack
from kubeplay.engine.layers.temporaries import temporary

if TYPE_CHECKING:
    from kubeplay.engine.host.paths import Paths

_ROOM, _INODES = 1 << 20, 32  # bytes and inodes: several times what a probe needs
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def attempt(paths: Paths, mount: Callable[[Stack], None]) -> None:
    """Raises OSError or MissingPrerequisite when the way does not work below this root; nothing is left either way."""
    try:
        _attempt(paths, mount)
    except OSError as error:
        # overlayfs mounts read-only when it cannot make its work directory (fs/overlayfs/super.c, ovl_make_workdir)
        if error.errno == errno.EROFS and _is_full(paths.root):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), paths.root) from error
        raise


def _is_full(path: str) -> bool:
    """Whether a handful of directories may not fit any more; a file system without a count of inodes says 0 of 0."""
    free = os.statvfs(path)
    return free.f_bavail * free.f_frsize < _ROOM or bool(free.f_files and free.f_favail < _INODES)


def _attempt(paths: Paths, mount: Callable[[Stack], None]) -> None:
    from kubeplay.engine.layers import overlay

    with temporary(f"{paths.root}/layers") as base:
        for name in ("low", "low/made-anew", "bottom", "upper", "work"):
            os.mkdir(f"{base}/{name}", 0o755)
        for name in ("low/deleted", "low/made-anew/old", "bottom/own"):
            open(f"{base}/{name}", "x").close()
        target = ensure_directory(f"{paths.runroot}/views/{os.getpid()}-{os.urandom(4).hex()}")
        try:
            mount(Stack(paths.root, (f"{base}/low", f"{base}/bottom"), target, f"{base}/upper", f"{base}/work"))
            try:
                _changed(target)
            finally:
                overlay.unmount(target)
        finally:
            os.rmdir(target)
        _looked_at(base)


def _changed(target: str) -> None:
    os.unlink(f"{target}/deleted")
    os.unlink(f"{target}/made-anew/old")
    os.rmdir(f"{target}/made-anew")
    os.mkdir(f"{target}/made-anew")
    if os.listdir(f"{target}/made-anew") or sorted(os.listdir(target)) != ["made-anew", "own"]:
        raise OSError(errno.ENOTSUP, "what was deleted comes back")
    owners = Owners()
    if owners.has(1, 1):
        os.chown(f"{target}/own", 1, 1)
        if os.stat(f"{target}/own").st_uid != 1:
            raise OSError(errno.ENOTSUP, "owners are not kept")


def _looked_at(base: str) -> None:
    """The upper directory says what was done (copies have none): it could not be committed otherwise."""
    from kubeplay.engine.layers import marks

    if os.path.isdir(f"{base}/copy"):
        return
    try:
        fd = os.open(f"{base}/upper/made-anew", _DIRECTORY)
        try:
            marked = marks.is_opaque(fd)
        finally:
            os.close(fd)
        marked &= marks.is_whiteout(os.lstat(f"{base}/upper/deleted"))
    except FileNotFoundError:  # on another overlay: what hides a name is hidden itself
        marked = False
    if not marked:
        raise OSError(errno.ENOTSUP, "deletions are not marked as they must be")


def explained(driver: str, error: OSError, paths: Paths) -> str:
    """Why a way was refused, in words."""
    if driver == OVERLAY and error.errno == errno.ENODEV:
        return "the kernel has no overlayfs"
    if driver == OVERLAY and error.errno in (errno.EPERM, errno.EACCES) and in_user_namespace():
        return "the kernel lets user namespaces mount no overlayfs"
    if driver != COPIES and error.errno == errno.EINVAL:
        return f"it cannot be mounted over the file system of {paths.root}"
    return f"{error.strerror} at {paths.root}"


def remedy(driver: str, error: OSError) -> str:
    """What to do about it, "" when there is nothing."""
    if driver == OVERLAY and error.errno == errno.ENODEV:
        return "modprobe overlay"
    if driver == OVERLAY and error.errno in (errno.EPERM, errno.EACCES) and in_user_namespace():
        return "Linux 5.11 or newer does"
    if driver == OVERLAY and error.errno in (errno.EINVAL, errno.ENOTSUP):
        return "keep --root on a local disk or tmpfs, not on NFS or another overlay"
    return ""
