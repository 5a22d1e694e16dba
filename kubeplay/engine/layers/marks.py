"""How a directory of a stack says what it hides: whiteouts and opaque marks, as overlayfs and fuse-overlayfs write and read them.

A name is hidden by a character device 0/0, which every user may make (Linux 5.8, `WHITEOUT_DEV` in mknod(2)'s checks). A directory hides
what is below it by an xattr: `trusted.overlay.opaque`, which needs CAP_SYS_ADMIN in the first user namespace, or, within any other one,
`user.overlay.opaque` (the mount option `userxattr`; Documentation/filesystems/overlayfs.rst). Only the one of our own namespace is
believed: a container of root's can write the other one itself. fuse-overlayfs reads both, and adds marks of its own to directories
that it makes opaque (an xattr, `.wh..wh..opq` and a device `.wh..opq`).
"""

from __future__ import annotations

import errno
import os
import stat

from kubeplay.engine.host.userns import in_user_namespace
from kubeplay.errors import MissingPrerequisite

TRUSTED, USER, FUSE = b"trusted.overlay.opaque", b"user.overlay.opaque", b"user.fuseoverlayfs.opaque"
FUSE_NAMES = frozenset((b".wh..wh..opq", b".wh..opq"))  # in a directory that fuse-overlayfs made opaque: no files of a container's
_RESERVED = (b"user.overlay.", b"user.fuseoverlayfs.", b"user.containers.")  # the last: fuse-overlayfs's owners and modes by xattr
_NONE = (errno.ENODATA, errno.ENOTSUP)


_ours = b""


def ours() -> bytes:
    """The xattr that the kernel's overlayfs reads in this namespace, which a process enters before it does anything else."""
    global _ours
    if not _ours:
        _ours = USER if in_user_namespace() else TRUSTED
    return _ours


def forget() -> None:
    """Look at the namespace again, after this process has entered another one."""
    global _ours
    _ours = b""


def set_opaque(fd: int) -> None:
    """Let the directory hide everything below it. Raises OSError (ENOTSUP: a file system without such xattrs)."""
    os.setxattr(fd, ours(), b"y")


def is_opaque(fd: int) -> bool:
    """Whether an upper directory hides what is below it ("x" in place of "y" means something else since Linux 6.8)."""
    return _value(fd, ours()) == b"y" or is_fuse_opaque(fd)


def is_fuse_opaque(fd: int) -> bool:
    """Whether the directory has fuse-overlayfs's own mark; it has the others too where it can write them."""
    return _value(fd, FUSE) == b"y"


def _value(fd: int, name: bytes) -> bytes:
    try:
        return os.getxattr(fd, name)
    except OSError as error:
        if error.errno in _NONE:
            return b""
        raise


def is_reserved(xattr: bytes) -> bool:
    """Whether an xattr of user.* means something to a snapshotter: no image may bring it."""
    return xattr.startswith(_RESERVED)


def is_whiteout(status: os.stat_result) -> bool:
    """A character device 0/0 hides the name below."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def hide(name: bytes, directory: int) -> None:
    """Make a whiteout. Raises OSError (EEXIST: something is there), MissingPrerequisite (the file system does not take one)."""
    try:
        os.mknod(name, stat.S_IFCHR | 0o000, 0, dir_fd=directory)
    except PermissionError as error:  # of an overlay: what hides a name would be hidden itself (fs/overlayfs/dir.c, ovl_mknod)
        message = "the file system of the layers takes no marks of deletions, as it is an overlay itself"
        raise MissingPrerequisite(message, hint="keep --root on a volume or a tmpfs of the container") from error
