"""Files from a source into a root file system, hashed in the same pass: what the digest says is what was written.

Sources are walked through descriptors, entry by entry in byte order, and no link is followed below the path that was named. Targets
are made with O_EXCL in directories held open. A run without a target only hashes: that is how a cached step is recognised.
"""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from typing import TYPE_CHECKING

from kubeplay.engine.build import places
from kubeplay.engine.host import owners
from kubeplay.engine.layers import tree
from kubeplay.engine.layers.extract import kept_xattr
from kubeplay.errors import BuildError
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.build.modes import Change
    from kubeplay.engine.build.sources import Tree

_CHUNK = 1 << 20
_DEPTH = 250  # directories below each other; each holds two descriptors, and a process has 1024
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_IGNORED_ERRORS = (95, 1, 22)  # ENOTSUP, EPERM, EINVAL: a file system without xattrs, a link, an ACL of ids that are not mapped


class Result(Record):
    """`owner` None keeps what the source has; `change` None keeps modes."""

    owner: tuple[int, int] | None
    change: Change | None = None


class Target:
    """A root file system that files are put into."""

    def __init__(self, root: int, wanted: Result, mtime: int | None = None) -> None:
        self.root = root
        self.wanted = wanted
        self._mtime = mtime

    def directory(self, parent: int, name: str) -> int:
        """The directory `name`, made when it is not there; a link to one is followed within the root."""
        try:
            self._make(parent, name)
        except FileExistsError:
            kind = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
            if stat.S_ISLNK(kind):
                return self._behind(parent, name)
            if not stat.S_ISDIR(kind):
                os.unlink(name, dir_fd=parent)
                self._make(parent, name)
        return os.open(name, _DIRECTORY, dir_fd=parent)

    def _make(self, parent: int, name: str) -> None:
        os.mkdir(name, 0o755, dir_fd=parent)
        os.chmod(name, 0o755, dir_fd=parent)  # whatever the umask; `describe` says more where the directory itself was wanted

    def _behind(self, parent: int, name: str) -> int:
        top = os.readlink(f"/proc/self/fd/{self.root}")
        here = os.readlink(f"/proc/self/fd/{parent}")[len(top) :]
        try:
            return places.directory(self.root, f"{here}/{name}")
        except OSError as error:
            raise BuildError(f"{here}/{name} is a link that leads to no directory, where a directory is to be copied") from error

    def make_way(self, parent: int, name: str) -> None:
        """Remove what has the name, unless it is a directory."""
        try:
            if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                raise BuildError(f"{name} is a directory, and a file cannot be copied onto it")
            os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            pass

    def create(self, parent: int, name: str) -> int:
        try:
            return os.open(name, _CREATE, 0o600, dir_fd=parent)
        except FileExistsError:
            self.make_way(parent, name)
            return os.open(name, _CREATE, 0o600, dir_fd=parent)

    def describe(self, fd: int, status: os.stat_result, xattrs: list[tuple[str, bytes]]) -> None:
        """Owner, mode, extended attributes and times of a file or directory."""
        owner = self.wanted.owner or (status.st_uid, status.st_gid)
        mode = stat.S_IMODE(status.st_mode)
        if self.wanted.change is not None:
            mode = self.wanted.change(mode, stat.S_ISDIR(status.st_mode))
        owners.give(fd, *owner, "a file of COPY or ADD")
        os.fchmod(fd, mode)
        for name, value in xattrs:
            _tolerant(fd, name, value)
        os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))


class _Out:
    """A directory of the target that is made when something is put into it."""

    def __init__(self, target: Target, above: _Out | None, name: str, fd: int = -1) -> None:
        self.target, self._above, self._name, self._fd = target, above, name, fd
        self.owned = fd < 0

    def fd(self) -> int:
        if self._fd < 0 and self._above is not None:
            self._fd = self.target.directory(self._above.fd(), self._name)
        return self._fd

    def close(self, status: os.stat_result | None, xattrs: list[tuple[str, bytes]]) -> None:
        if self._fd >= 0 and self.owned:
            if status is not None:
                self.target.describe(self._fd, status, xattrs)
            os.close(self._fd)


class Transfer:
    """One COPY: several sources of one tree into one target, or into none. `digest()` tells of everything that passed."""

    def __init__(self, source: Tree, target: Target | None = None) -> None:
        self._tree = source
        self._target = target
        self._hash = sha256()
        self._links: dict[tuple[int, int], tuple[int, str]] = {}
        self._open: list[int] = []
        self.kinds: list[str] = []

    def digest(self) -> str:
        return self._hash.hexdigest()

    def close(self) -> None:
        for fd in self._open:
            os.close(fd)
        self._open.clear()

    def content(self, path: str, out: int) -> None:
        """What is in the directory `path`, into the directory open at `out`."""
        fd = places.directory(self._tree.root, path)
        try:
            self.kinds.append("dir")
            self._children(fd, path, "", _Out(self._target, None, "", out) if self._target else None, 0)
        finally:
            os.close(fd)

    def file(self, path: str, out: int, name: str, label: str) -> None:
        """The file `path` as `name` in `out`. A link that was named is followed within the source's root."""
        found = places.find(self._tree.root, path)
        try:
            status = os.fstat(found)
            if not stat.S_ISREG(status.st_mode):
                raise BuildError(f"{path} is neither a file nor a directory in {self._tree.label}")
            fd = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(found)
        try:
            self.kinds.append("file")
            self._regular(fd, os.fstat(fd), label, out, name)
        finally:
            os.close(fd)

    def _children(self, fd: int, rel: str, label: str, out: _Out | None, depth: int) -> None:
        if depth > _DEPTH:
            raise BuildError(f"{rel}: more than {_DEPTH} directories below each other")
        for name in sorted(os.listdir(fd), key=os.fsencode):
            inner = f"{rel}/{name}" if rel else name
            ignored = self._tree.ignored(inner)
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                if not (ignored and self._tree.prunes(inner)):
                    self._directory(fd, name, inner, f"{label}/{name}", status, out, depth, ignored)
            elif not ignored:
                self._entry(fd, name, f"{label}/{name}", status, out)

    def _directory(
        self, parent: int, name: str, rel: str, label: str, status: os.stat_result, out: _Out | None, depth: int, ignored: bool
    ) -> None:
        fd = os.open(name, _DIRECTORY, dir_fd=parent)
        try:
            status = os.fstat(fd)
            xattrs = _xattrs(fd)
            inner = None
            if out is not None:
                _check_name(name)
                inner = _Out(out.target, out, name)
            if not ignored:
                self._note("d", status, label, xattrs)
                if inner is not None:
                    inner.fd()
            try:
                self._children(fd, rel, label, inner, depth + 1)
            finally:
                if inner is not None:
                    inner.close(None if ignored else status, xattrs)
        finally:
            os.close(fd)

    def _entry(self, parent: int, name: str, label: str, status: os.stat_result, out: _Out | None) -> None:
        if out is not None:
            _check_name(name)
        kind = status.st_mode
        if stat.S_ISREG(kind):
            fd = os.open(name, _READ, dir_fd=parent)
            try:
                status = os.fstat(fd)
                if not stat.S_ISREG(status.st_mode):
                    raise BuildError(f"{label.lstrip('/')} changed while it was read from {self._tree.label}")
                self._regular(fd, status, label, out.fd() if out is not None else -1, name)
            finally:
                os.close(fd)
        elif stat.S_ISLNK(kind):
            self._link(os.readlink(name, dir_fd=parent), status, label, out, name)
        elif stat.S_ISSOCK(kind):
            return  # a socket is of no use without its server: left out, as by tar(1)
        else:
            self._special(status, label, out, name)

    def _regular(self, fd: int, status: os.stat_result, label: str, out: int, name: str) -> None:
        xattrs = _xattrs(fd)
        self._note("f", status, label, xattrs)
        key = (status.st_dev, status.st_ino)
        linked = status.st_nlink > 1
        if out < 0:
            self._hash.update(_digest(fd, -1, status))
            return
        assert self._target is not None
        if linked and key in self._links:
            self._hard_link(key, out, name)
            self._hash.update(_digest(fd, -1, status))
            return
        made = self._target.create(out, name)
        try:
            self._hash.update(_digest(fd, made, status))
            self._target.describe(made, status, xattrs)
        finally:
            os.close(made)
        if linked and len(self._open) < 256:
            kept = os.dup(out)
            self._open.append(kept)
            self._links[key] = (kept, name)

    def _hard_link(self, key: tuple[int, int], out: int, name: str) -> None:
        assert self._target is not None
        self._target.make_way(out, name)
        directory, first = self._links[key]
        os.link(first, name, src_dir_fd=directory, dst_dir_fd=out, follow_symlinks=False)

    def _link(self, text: str, status: os.stat_result, label: str, out: _Out | None, name: str) -> None:
        self._note("l", status, label, [])
        self._hash.update(os.fsencode(text) + b"\0")
        if out is not None:
            parent = out.fd()
            out.target.make_way(parent, name)
            os.symlink(text, name, dir_fd=parent)
            owners.give(name, *(out.target.wanted.owner or (status.st_uid, status.st_gid)), label, parent)
            os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=parent, follow_symlinks=False)

    def _special(self, status: os.stat_result, label: str, out: _Out | None, name: str) -> None:
        self._note("s", status, label, [])
        self._hash.update(b"%d\0" % status.st_rdev)
        if out is not None:
            parent = out.fd()
            out.target.make_way(parent, name)
            _make_node(parent, name, status, label)
            fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            try:
                owner = out.target.wanted.owner or (status.st_uid, status.st_gid)
                owners.give(name, *owner, label, parent)
                os.chmod(f"/proc/self/fd/{fd}", stat.S_IMODE(status.st_mode))
            finally:
                os.close(fd)

    def _note(self, kind: str, status: os.stat_result, label: str, xattrs: list[tuple[str, bytes]]) -> None:
        """What of an entry counts for the cache: not its times, and its owner only where it is kept."""
        owner = f"{status.st_uid}:{status.st_gid}" if self._tree.keep_owner else ""
        self._hash.update(os.fsencode(f"{kind}{status.st_mode:o} {owner} {label}\0"))
        for name, value in xattrs:
            self._hash.update(os.fsencode(f"x{name}\0{len(value)}\0") + value)


def _make_node(parent: int, name: str, status: os.stat_result, label: str) -> None:
    try:
        os.mknod(name, stat.S_IFMT(status.st_mode) | 0o600, status.st_rdev, dir_fd=parent)
    except PermissionError as error:
        message = f"{label.lstrip('/')} is a device node, which cannot be made in a user namespace"
        raise BuildError(message, hint="name it in .containerignore, or build as root") from error


def _check_name(name: str) -> None:
    if name.startswith(".wh."):
        raise BuildError(f"{name}: image layers cannot hold files whose names begin with .wh.", hint="name it in .containerignore")


def _digest(fd: int, out: int, status: os.stat_result) -> bytes:
    """The SHA-256 of a file's content, which is copied to `out` unless that is -1. Holes stay holes."""
    found = sha256()
    sparse = status.st_blocks * 512 < status.st_size
    end = 0
    while data := os.read(fd, _CHUNK):
        found.update(data)
        if out < 0:
            continue
        end += len(data)
        if sparse and data.count(0) == len(data):
            os.lseek(out, len(data), os.SEEK_CUR)
            continue
        view = memoryview(data)
        while view:
            view = view[os.write(out, view) :]
        if len(data) < _CHUNK and end >= status.st_size:
            break
    if out >= 0 and sparse:
        os.ftruncate(out, end)
    return found.digest()


def _xattrs(fd: int) -> list[tuple[str, bytes]]:
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno in _IGNORED_ERRORS:
            return []
        raise
    wanted = sorted(name for name in names if kept_xattr(os.fsencode(name)))
    return [(name, os.getxattr(fd, name)) for name in wanted]


def _tolerant(fd: int, name: str, value: bytes) -> None:
    try:
        os.setxattr(fd, name, value)
    except OSError as error:
        if error.errno not in _IGNORED_ERRORS:
            raise


def remove(parent: int, name: str) -> None:
    """Remove an entry, whatever it is."""
    tree.remove_at(parent, os.fsencode(name))
