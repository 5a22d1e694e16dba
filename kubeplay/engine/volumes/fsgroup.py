"""fsGroup: the pod's group owns managed volumes (VO13)."""

from __future__ import annotations

import os
import stat

from kubeplay.engine.host import owners

READ_WRITE, READ_ONLY = 0o660, 0o440
DIRECTORY_BITS = stat.S_ISGID | 0o110


ON_MISMATCH = "OnRootMismatch"


def fits(root: str, gid: int, *, read_only: bool) -> bool:
    """Whether the volume's root is the group's already, with all that fsGroup gives (fsGroupChangePolicy: OnRootMismatch)."""
    info, wanted = os.lstat(root), (READ_ONLY if read_only else READ_WRITE) | DIRECTORY_BITS
    return info.st_gid == gid and info.st_mode & wanted == wanted


def apply(root: str, gid: int, *, read_only: bool) -> None:
    """Give everything below `root` to group `gid`; symlinks are chowned but not followed."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        tree(fd, gid, READ_ONLY if read_only else READ_WRITE)
    finally:
        os.close(fd)


def tree(directory: int, gid: int, bits: int) -> None:
    """`apply` of an open directory; files and directories get `bits` as well."""
    for name in os.listdir(directory):
        info = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            try:
                tree(below, gid, bits)
            finally:
                os.close(below)
        elif stat.S_ISREG(info.st_mode):
            fd = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=directory)
            try:
                owners.give(fd, -1, gid, "what fsGroup is given")
                os.chmod(f"/proc/self/fd/{fd}", stat.S_IMODE(info.st_mode) | bits)
            finally:
                os.close(fd)
        else:
            owners.give(name, -1, gid, "what fsGroup is given", directory)
    mode = stat.S_IMODE(os.fstat(directory).st_mode)
    owners.give(directory, -1, gid, "what fsGroup is given")
    os.fchmod(directory, mode | bits | DIRECTORY_BITS)
