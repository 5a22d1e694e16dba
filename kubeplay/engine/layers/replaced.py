"""Contents that a later member of the same layer replaced: kept, so that the layer's tar can be given back.

    layers/HEX/replaced/N    what the Nth member with content brought (counted from 0); made only when there is one
"""

from __future__ import annotations

import os
import stat
from array import array

from kubeplay.errors import InvalidInput

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEEPEST = 200  # a descriptor for each


class Kept:
    """Which member made which file, and those files that had to go."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._inodes = array("Q")  # of the members with content, in order
        self._members: dict[int, int] | None = None  # inode -> its latest member, once it is asked for

    def created(self, fd: int) -> None:
        """A member's file was made."""
        inode = os.fstat(fd).st_ino
        if self._members is not None:
            self._members[inode] = len(self._inodes)
        self._inodes.append(inode)

    def keep(self, parent: int, name: bytes, status: os.stat_result) -> None:
        """Move the file at `name`, or all files in the directory there, out of the way of a removal."""
        if self._fd < 0:
            os.mkdir(self._path, 0o700)
            self._fd = os.open(self._path, _DIRECTORY)
        if self._members is None:
            self._members = {inode: number for number, inode in enumerate(self._inodes)}
        self._move(self._members, parent, name, status, 0)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def _move(self, members: dict[int, int], parent: int, name: bytes, status: os.stat_result, depth: int) -> None:
        if stat.S_ISREG(status.st_mode):
            member = members.get(status.st_ino)  # an empty file has none
            if member is not None:
                os.rename(name, str(member), src_dir_fd=parent, dst_dir_fd=self._fd)  # nothing where another name of it is there
        elif stat.S_ISDIR(status.st_mode):
            if depth > _DEEPEST:
                raise InvalidInput(f"a layer replaces a directory tree that is more than {_DEEPEST} levels deep")
            fd = os.open(name, _DIRECTORY, dir_fd=parent)
            try:
                for child in os.listdir(fd):
                    raw = os.fsencode(child)
                    self._move(members, fd, raw, os.stat(raw, dir_fd=fd, follow_symlinks=False), depth + 1)
            finally:
                os.close(fd)


def open_kept(path: str) -> int:
    """A descriptor of a layer's `replaced`, -1 when there is none."""
    try:
        return os.open(path, _DIRECTORY)
    except FileNotFoundError:
        return -1


def unsure_bits(root: int) -> int:
    """The mode bits that a file made below the new directory `root` may lack; ~0 when its owner, too, is not surely root.

    A file that root makes is root's, with the mode it asks for less the umask, unless a default ACL or a set-group-id
    directory comes down from above.
    """
    try:
        acl = "system.posix_acl_default" in os.listxattr(root)
        with open("/proc/thread-self/status", encoding="ascii", errors="replace") as file:
            umask = next((int(line.split()[1], 8) for line in file if line.startswith("Umask:")), -1)
    except OSError:
        return ~0
    if acl or umask < 0 or os.geteuid() or os.getegid() or os.fstat(root).st_mode & stat.S_ISGID:
        return ~0
    return 0o7000 | umask
