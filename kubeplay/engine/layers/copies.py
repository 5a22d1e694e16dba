"""Stacks as plain copies, where nothing can be mounted over anything: a container's root file system is a directory of its own.

    root/vfs/HEX/fs        layers merged: new directories, files linked to those of the layers, which nobody writes to
    root/vfs/HEX/layers    the directories it was made from; it goes when one of them goes
    containers/CID/copy/   a whole copy of that, which the container writes to
    containers/CID/copied  made right after: what has changed since has a later ctime (compare.py)

The directory is bound to where an overlay would be mounted, so that everybody else need not know. Copies are reflinks where the file system
has them (btrfs, xfs), else made by the kernel (copy_file_range).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Sequence

from kubeplay.engine.host import syscalls
from kubeplay.engine.layers import marks, tree
from kubeplay.engine.layers.snapshotter import Stack
from kubeplay.engine.layers.temporaries import doom, sweep, temporary

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FICLONE = 0x40049409  # linux/fs.h
_CHUNK = 1 << 30  # bytes for the kernel to copy at a time
_NO_LINK = (errno.EMLINK, errno.EPERM, errno.EXDEV, errno.ENOTSUP)  # a file has 65000 names at most on ext4
_NO_XATTR = (errno.ENOTSUP, errno.EPERM, errno.EINVAL)
COPY, COPIED, TAKEN = "copy", "copied", "copy.part"


def bind(stack: Stack) -> None:
    """Bind the merged layers, or with an `upper` the copy beside it (made when it is not there), to the target."""
    source = merged(stack.root, stack.lowers)
    if stack.upper:
        source = _own(source, os.path.dirname(stack.upper), stack)
    syscalls.mount(source, stack.target, "", syscalls.MS_BIND)
    syscalls.mount("", stack.target, "", syscalls.MS_BIND | syscalls.MS_REMOUNT | stack.flags)


def merged(root: str, lowers: Sequence[str]) -> str:
    """The directory that shows `lowers`, topmost first, as an overlay would; made once."""
    from hashlib import sha256

    rooms = f"{root}/vfs"
    made = f"{rooms}/{sha256(chr(0).join(lowers).encode()).hexdigest()}"
    if not os.path.isdir(f"{made}/fs"):
        with temporary(rooms) as new:
            os.mkdir(f"{new}/fs", 0o755)
            for lower in reversed(lowers):
                apply(lower, f"{new}/fs")
            with open(f"{new}/layers", "w", encoding="utf-8") as file:
                file.write("\n".join(lowers))
            try:
                os.rename(new, made)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # else another process was first
                    raise
    return f"{made}/fs"


def collect(root: str) -> None:
    """Remove merged directories of layers that are gone, and what dead processes left. The caller holds the depot's lock alone."""
    rooms = f"{root}/vfs"
    try:
        names = [name for name in os.listdir(rooms) if not name.startswith(".")]
    except FileNotFoundError:
        return
    for name in names:
        with open(f"{rooms}/{name}/layers", encoding="utf-8") as file:
            if not all(os.path.isdir(path) for path in file.read().split("\n")):
                doom(rooms, name)
    sweep(rooms)


def _own(source: str, directory: str, stack: Stack) -> str:
    """The copy of `source` that belongs to `directory`; its root is like `upper`, which says what the container's root is like."""
    copy = f"{directory}/{COPY}"
    if not os.path.isdir(copy):
        tree.remove(f"{directory}/{TAKEN}")
        os.mkdir(f"{directory}/{TAKEN}", 0o755)
        duplicate(source, f"{directory}/{TAKEN}")
        _describe_path(f"{directory}/{TAKEN}", os.stat(stack.upper))
        os.close(os.open(f"{directory}/{COPIED}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        os.utime(f"{directory}/{COPIED}")
        for path in (stack.upper, stack.work):
            tree.remove(path)  # compare.py makes an upper directory when somebody asks
        os.rename(f"{directory}/{TAKEN}", copy)
    return copy


def duplicate(source: str, target: str) -> None:
    """Copy what is in the directory `source` into the directory `target`: owners, modes, times, xattrs, links among each other, holes."""
    _both(source, target, _Copying().content)


def apply(layer: str, target: str) -> None:
    """Put a layer's directory over the tree at `target`; files become further names of the layer's."""
    _both(layer, target, _Applying().content)


def _both(source: str, target: str, work: Callable[[int, int], None]) -> None:
    one = os.open(source, _DIRECTORY)
    try:
        two = os.open(target, _DIRECTORY)
        try:
            work(one, two)
            describe(two, os.fstat(one))
        finally:
            os.close(two)
    finally:
        os.close(one)


class _Copying:
    """One copy of a tree."""

    def __init__(self) -> None:
        self._links: dict[tuple[int, int], tuple[int, str]] = {}
        self._paths: list[str] = []
        self._top = -1

    def content(self, source: int, target: int) -> None:
        self._top = target
        self._directory(source, target, "")

    def _directory(self, source: int, target: int, prefix: str) -> None:
        for name in os.listdir(source):
            status = os.stat(name, dir_fd=source, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                inner, made = entered(source, target, name)
                try:
                    self._directory(inner, made, f"{prefix}{name}/")
                    take_xattrs(inner, made)
                    describe(made, status)
                finally:
                    os.close(inner)
                    os.close(made)
            elif not self._linked(status, target, name, prefix):
                copy_entry(source, target, name, status)

    def _linked(self, status: os.stat_result, target: int, name: str, prefix: str) -> bool:
        """Whether the file is a further name of one that has been copied, and is one now."""
        if status.st_nlink == 1:
            return False
        first = self._links.setdefault((status.st_dev, status.st_ino), (target, prefix + name))[1]
        if first == prefix + name:
            return False
        os.link(first, name, src_dir_fd=self._top, dst_dir_fd=target, follow_symlinks=False)
        return True


class _Applying:
    """One layer over a tree."""

    def content(self, layer: int, target: int) -> None:
        for name in os.listdir(layer):
            status = os.stat(name, dir_fd=layer, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                self._directory(layer, target, name, status)
                continue
            tree.remove_at(target, os.fsencode(name))
            if not marks.is_whiteout(status):
                link_or_copy(layer, target, name, status)

    def _directory(self, layer: int, target: int, name: str, status: os.stat_result) -> None:
        inner = os.open(name, _DIRECTORY, dir_fd=layer)
        try:
            if marks.is_opaque(inner) or not _is_directory(target, name):
                tree.remove_at(target, os.fsencode(name))
                os.mkdir(name, 0o700, dir_fd=target)
            made = os.open(name, _DIRECTORY, dir_fd=target)
            try:
                self.content(inner, made)
                take_xattrs(inner, made)
                describe(made, status)
            finally:
                os.close(made)
        finally:
            os.close(inner)


def _is_directory(parent: int, name: str) -> bool:
    try:
        return tree.is_directory(parent, os.fsencode(name))
    except FileNotFoundError:
        return False


def entered(source: int, target: int, name: str) -> tuple[int, int]:
    """The directory `name` of one, and a new one of that name in the other; both to be closed."""
    inner = os.open(name, _DIRECTORY, dir_fd=source)
    try:
        os.mkdir(name, 0o700, dir_fd=target)
        return inner, os.open(name, _DIRECTORY, dir_fd=target)
    except BaseException:
        os.close(inner)
        raise


def link_or_copy(source: int, target: int, name: str, status: os.stat_result) -> None:
    """A further name of a file, link, FIFO or device; a copy where that cannot be."""
    try:
        os.link(name, name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        copy_entry(source, target, name, status)


def copy_entry(source: int, target: int, name: str, status: os.stat_result) -> None:
    """Anything but a directory. What is no file, link or FIFO (a socket, a device) is left out, as by a layer's walk."""
    if stat.S_ISREG(status.st_mode):
        _copy_file(source, target, name)
        return
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    elif stat.S_ISFIFO(status.st_mode):
        os.mkfifo(name, 0o600, dir_fd=target)
    elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        os.mknod(name, status.st_mode, status.st_rdev, dir_fd=target)
    else:
        return
    os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=target)
    os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=target, follow_symlinks=False)


def _copy_file(source: int, target: int, name: str) -> None:
    fd = os.open(name, _READ, dir_fd=source)
    try:
        status = os.fstat(fd)
        made = os.open(name, _CREATE, 0o600, dir_fd=target)
        try:
            _contents(fd, made, status)
            take_xattrs(fd, made)
            describe(made, status)
        finally:
            os.close(made)
    finally:
        os.close(fd)


def _contents(source: int, target: int, status: os.stat_result) -> None:
    import fcntl

    if not status.st_size:
        return
    try:
        fcntl.ioctl(target, _FICLONE, source)
        return
    except OSError:
        pass  # no reflinks here
    for start, end in _data(source, status):
        os.lseek(target, start, os.SEEK_SET)
        while start < end:
            copied = os.copy_file_range(source, target, min(end - start, _CHUNK), start)
            if not copied:
                break
            start += copied
    os.ftruncate(target, status.st_size)


def _data(fd: int, status: os.stat_result) -> Iterable[tuple[int, int]]:
    """Where a file has data; all of it when it has no holes."""
    if status.st_blocks * 512 >= status.st_size:
        yield 0, status.st_size
        return
    at = 0
    while at < status.st_size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        at = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, at


def take_xattrs(source: int, target: int) -> None:
    """Those that a layer may have; an overlay's own are about the stack the file lies in."""
    from kubeplay.engine.layers.extract import kept_xattr

    for name in os.listxattr(source):
        if kept_xattr(os.fsencode(name)):
            try:
                os.setxattr(target, name, os.getxattr(source, name))
            except OSError as error:
                if error.errno not in _NO_XATTR:
                    raise


def describe(fd: int, status: os.stat_result) -> None:
    """Owner, mode and times of a file or directory."""
    os.fchown(fd, status.st_uid, status.st_gid)
    os.fchmod(fd, stat.S_IMODE(status.st_mode))
    os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))


def _describe_path(path: str, status: os.stat_result) -> None:
    fd = os.open(path, _DIRECTORY)
    try:
        describe(fd, status)
    finally:
        os.close(fd)
