"""Write the members of a layer below one directory, never outside of it.

How a hostile archive is held in: a parent directory is opened by openat2(2) with RESOLVE_IN_ROOT, so that
`..`, absolute links and links planted earlier in the same archive all end inside the layer; the last
component is created with O_EXCL | O_NOFOLLOW, or by calls that never follow it. Names with `..` are refused
before that. Directory descriptors are cached: most members share their parent with the one before.

OCI whiteouts become overlayfs's (marks.py): `.wh.NAME` a character device 0/0, `.wh..wh..opq` an xattr
(image-spec layer.md). A layer may not bring such xattrs itself: it could redirect a name to a file of another layer or hide
what it did not declare.

In a user namespace device nodes cannot be made: a whiteout takes their place, so that nothing of a lower layer shows
there. That, owners that a namespace of one id lacks and xattrs it refuses are what the layer is `lacking` (lacking.py).
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable

from kubeplay.engine.host import syscalls
from kubeplay.engine.host.owners import Owners
from kubeplay.engine.layers import marks, tree
from kubeplay.engine.layers.lacking import Lacking, Missed
from kubeplay.engine.layers.limits import translated as translated
from kubeplay.engine.layers.replaced import Kept, unsure_bits
from kubeplay.engine.layers.tar import Entry, TarReader, show
from kubeplay.errors import InvalidInput
from kubeplay.record import Record

_IN_ROOT = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS | syscalls.RESOLVE_NO_XDEV
_PATH = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CACHED, _CACHED_MOST = 128, 1024  # directory descriptors kept open: three layers come at a time, the usual limit is 1024
_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
MAX_ENTRIES = 20_000_000  # of one layer; a million-file image is large already
_ODD = re.compile(rb"//|/\.|^[/.]|/$|\0").search
_NOBODY = 0xFFFFFFFF  # (uid_t) -1 means `leave it` to chown(2), so it cannot be an owner
_KEPT_XATTRS = (b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default")
_TIME_LIMIT = (1 << 63) - 1


class Extracted(Record):
    """What a layer turned out to be. `size`: bytes of all files; `has_root`: it says what its root directory is like;
    `opaque_root`: it hides all layers below.

    `reproducible`: the archive can be rebuilt from the recorded headers and the files; false when a member
    replaced a link that led to earlier ones, or a whiteout had content. `lacking`: what could not be made.
    """

    entries: int
    size: int
    has_root: bool
    opaque_root: bool
    reproducible: bool
    lacking: Lacking = Lacking()


class Extractor:
    """Writes one archive below the directory open at `root`.

    `replaced`, the path of a directory to be made, is for a root that is new and ours alone: files that a later member
    replaces are moved there, under the number of their member among those with content, so that the archive can be
    rebuilt; and owners and modes that a new file has anyway are not set again.
    """

    def __init__(self, root: int, replaced: str = "") -> None:
        self._root = root
        self._kept = Kept(replaced) if replaced else None
        self._to_change = unsure_bits(root) if replaced else ~0
        self._directories: dict[bytes, Entry] = {}  # metadata is set last: adding children changes times
        self._cache: dict[bytes, int] = {}
        self._cached = _cached()
        self._passed = b""  # the directory of the latest file that was made without a descriptor of its directory
        self._now = b""  # the member at work, for messages
        self._entries = 0
        self._size = 0
        self._opaque_root = False
        self._reproducible = True
        self._owners = Owners()
        self._missed = Missed()

    def run(self, reader: TarReader) -> Extracted:
        """Everything. Raises InvalidInput, Exhausted (disk full) or StoreError (disk broken)."""
        try:
            while True:
                if self._kept:
                    self._entries += reader.burst(self._plain)
                entry = reader.next()
                if entry is None:
                    break
                self._now = entry.name
                self._entries += 1
                if self._entries > MAX_ENTRIES:
                    raise InvalidInput(f"the layer has more than {MAX_ENTRIES} entries")
                self._member(entry, reader)
            self._finish_directories()
        except OSError as error:
            raise translated(error, self._what()) from error
        except (OverflowError, ValueError) as error:
            raise InvalidInput(f"layer entry {show(self._now)}: {error}") from error
        finally:
            self._forget()
            if self._kept:
                self._kept.close()
        lacking = self._missed.found(self._owners.squashed)
        return Extracted(self._entries, self._size, b"" in self._directories, self._opaque_root, self._reproducible, lacking)

    def _member(self, entry: Entry, reader: TarReader) -> None:
        path = clean(entry.name)
        parent, _, name = path.rpartition(b"/")
        if name.startswith(_WHITEOUT):
            self._reproducible &= not entry.size  # its content, if any, is kept nowhere
            self._whiteout(parent, name)
            return
        if not path:
            if entry.type != b"5":
                raise InvalidInput(f"layer entry {show(entry.name)} would replace the root directory")
            self._directories[b""] = entry
            return
        kind = entry.type
        if kind == b"0":
            self._file(self._parent(parent), name, entry, reader)
        elif kind == b"5":
            self._directory(path, self._parent(parent), name, entry)
        elif kind == b"1":
            self._link(path, self._parent(parent), name, entry)
        else:
            self._special(path, self._parent(parent), name, entry)

    # regular files
    def _plain(self, name: bytes, owner: tuple[int, int, int], mtime: int, content: memoryview) -> bool:
        """A new file in a directory that is open already: _file without its turns. False leaves it to _member."""
        parent, _, base = name.rpartition(b"/")
        directory = self._cache.get(parent) if parent else self._root
        mode, uid, gid = owner
        if base[:4] == _WHITEOUT or _ODD(name) or not (0 <= uid < _NOBODY and 0 <= gid < _NOBODY):
            return False
        self._now = name
        simple = not mode & self._to_change
        try:
            if directory is not None:
                fd = os.open(base, _CREATE, mode if simple else 0o600, dir_fd=directory)
            elif len(self._cache) < self._cached or parent == self._passed:
                return False
            else:  # files that take turns in more directories than we keep open: opening one for each would cost as much again
                self._passed = parent
                fd = syscalls.openat2(self._root, os.fsdecode(name), _CREATE, _IN_ROOT, mode if simple else 0o600)
        except (FileExistsError, FileNotFoundError, NotADirectoryError):
            return False
        try:
            if content:
                if self._kept:
                    self._kept.created(fd)
                _write(fd, content)
            if uid or gid or self._to_change == ~0:
                self._own(fd, uid, gid)
            if not simple:
                os.fchmod(fd, mode)
            os.utime(fd, ns=(mtime, mtime))
        finally:
            os.close(fd)
        self._size += len(content)
        return True

    def _file(self, parent: int, name: bytes, entry: Entry, reader: TarReader) -> None:
        mode, to_change = entry.mode, self._to_change
        simple = not mode & to_change
        try:
            fd = os.open(name, _CREATE, mode if simple else 0o600, dir_fd=parent)
        except FileExistsError:
            self._clear(parent, name)
            fd = os.open(name, _CREATE, mode if simple else 0o600, dir_fd=parent)
        try:
            if self._kept and entry.size:
                self._kept.created(fd)
            if entry.sparse is not None:
                self._sparse(fd, entry, reader)
            elif entry.size:
                _write_content(fd, reader)
            self._size += entry.size
            if entry.uid or entry.gid or to_change == ~0:
                self._own(fd, *_owner(entry))
            if not simple:
                os.fchmod(fd, mode)
            if entry.xattrs:
                self._set_xattrs(fd, entry)
            _set_times(fd, entry.mtime)
        finally:
            os.close(fd)

    def _sparse(self, fd: int, entry: Entry, reader: TarReader) -> None:
        """Only the data is written, so a huge hole costs nothing."""
        os.ftruncate(fd, entry.real_size)
        pieces = reader.content()
        piece = memoryview(b"")
        for offset, length in entry.sparse or ():
            os.lseek(fd, offset, os.SEEK_SET)
            while length:
                piece = piece or next(pieces)
                _write(fd, piece[:length])
                taken = min(length, len(piece))
                piece, length = piece[taken:], length - taken

    # directories
    def _directory(self, path: bytes, parent: int, name: bytes, entry: Entry) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISDIR(status.st_mode):
                self._clear(parent, name)
                os.mkdir(name, 0o700, dir_fd=parent)
                if marks.is_whiteout(status):  # deleted, then made anew: nothing below may shine through
                    _mark_opaque(parent, name)
        self._directories[path] = entry

    def _finish_directories(self) -> None:
        for path, entry in self._directories.items():
            self._now = entry.name
            try:
                fd = os.dup(self._root) if not path else syscalls.openat2(self._root, os.fsdecode(path), _DIRECTORY, _IN_ROOT)
            except (FileNotFoundError, NotADirectoryError):
                continue  # a later member took its place
            try:
                self._own(fd, *_owner(entry))
                os.fchmod(fd, entry.mode)
                if entry.xattrs:
                    self._set_xattrs(fd, entry)
                _set_times(fd, entry.mtime)
            finally:
                os.close(fd)

    def _parent(self, path: bytes) -> int:
        """A descriptor of the directory `path`; parents that the archive does not mention are made."""
        if not path:
            return self._root
        fd = self._cache.get(path)
        if fd is None:
            if len(self._cache) >= self._cached:
                self._forget()
            try:
                fd = syscalls.openat2(self._root, os.fsdecode(path), _PATH, _IN_ROOT)
            except (FileNotFoundError, NotADirectoryError):
                self._make_parents(path)
                fd = syscalls.openat2(self._root, os.fsdecode(path), _PATH, _IN_ROOT)
            self._cache[path] = fd
        return fd

    def _make_parents(self, path: bytes) -> None:
        """Mode 0755, owner root, as docker and podman make them. A parent that is a file or a dangling link is refused."""
        made = b""
        for name in path.split(b"/"):
            above = self._parent(made) if made else self._root
            made = made + b"/" + name if made else name
            try:
                os.mkdir(name, 0o755, dir_fd=above)
                os.chmod(name, 0o755, dir_fd=above)
            except FileExistsError:
                status = os.stat(name, dir_fd=above, follow_symlinks=False)
                if marks.is_whiteout(status):
                    os.unlink(name, dir_fd=above)
                    os.mkdir(name, 0o755, dir_fd=above)
                    _mark_opaque(above, name)

    # everything else
    def _link(self, path: bytes, parent: int, name: bytes, entry: Entry) -> None:
        target = clean(entry.link)
        if target == path:
            return
        if self._missed.is_device(target):
            _retry(lambda: self._without(path, parent, name, entry), lambda: self._clear(parent, name))
            return
        directory, _, base = target.rpartition(b"/")
        try:
            if not base or base.startswith(_WHITEOUT):
                raise FileNotFoundError(errno.ENOENT, "")
            source = syscalls.openat2(self._root, os.fsdecode(directory), _PATH, _IN_ROOT) if directory else os.dup(self._root)
        except OSError:
            raise InvalidInput(f"layer entry {show(entry.name)} is a hard link to {show(entry.link)}, which is not in the layer") from None
        try:
            if tree.is_directory(source, base):
                raise InvalidInput(f"layer entry {show(entry.name)} is a hard link to the directory {show(entry.link)}")
            _retry(
                lambda: os.link(base, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False),
                lambda: self._clear(parent, name),
            )
        except FileNotFoundError:
            raise InvalidInput(f"layer entry {show(entry.name)} is a hard link to {show(entry.link)}, which is not in the layer") from None
        finally:
            os.close(source)

    def _special(self, path: bytes, parent: int, name: bytes, entry: Entry) -> None:
        """Symbolic links, devices and FIFOs: made, then described without being followed or opened."""
        try:
            _retry(lambda: _make_special(parent, name, entry), lambda: self._clear(parent, name))
        except PermissionError:
            if entry.type not in b"34":
                raise
            self._without(path, parent, name, entry)  # mknod(2): CAP_MKNOD counts in the first user namespace only
            return
        self._own(name, *_owner(entry), parent)
        if entry.type != b"2":
            os.chmod(_by_descriptor(parent, name), entry.mode)  # not a link: we have just made it
        if entry.xattrs:
            self._set_xattrs(_by_descriptor(parent, name), entry)
        time = _clamped(entry.mtime)
        os.utime(name, ns=(time, time), dir_fd=parent, follow_symlinks=False)

    def _without(self, path: bytes, parent: int, name: bytes, entry: Entry) -> None:
        """A device that cannot be made. In a layer a deletion stands for it; what the name had meant in the root file system is gone."""
        self._missed.device(entry, path)
        if self._kept:
            marks.hide(name, parent)

    def _whiteout(self, parent: bytes, name: bytes) -> None:
        if name == _OPAQUE:
            if not parent:
                self._opaque_root = True  # overlayfs does not look for the xattr there: see overlay.py
                return
            self._parent(parent)
            fd = syscalls.openat2(self._root, os.fsdecode(parent), os.O_RDONLY | os.O_DIRECTORY, _IN_ROOT)
            try:
                marks.set_opaque(fd)
            finally:
                os.close(fd)
            return
        if name.startswith(b".wh..wh."):
            return  # aufs's own bookkeeping (.wh..wh.plnk, .wh..wh.orph), meaningless here
        hidden = name[len(_WHITEOUT) :]
        if hidden in (b"", b".", b".."):
            raise InvalidInput(f"layer entry {show(name)} is not a valid whiteout")
        directory = self._parent(parent)
        try:
            marks.hide(hidden, directory)
        except FileExistsError:  # the layer has its own, which stays; a directory must not merge with the one below
            if tree.is_directory(directory, hidden):
                _mark_opaque(directory, hidden)

    # what a member says of itself
    def _own(self, where: int | bytes, uid: int, gid: int, parent: int | None = None) -> None:
        self._owners.give(where, uid, gid, self._what, parent)

    def _what(self) -> str:
        return f"layer entry {show(self._now)}" if self._now else "the layer"

    def _set_xattrs(self, where: int | str, entry: Entry) -> None:
        """The names an image may set; others (trusted.*, security.selinux, overlayfs's) are the host's business."""
        for name, value in entry.xattrs:
            if not kept_xattr(name):
                continue
            try:
                if isinstance(where, int):
                    os.setxattr(where, name, value)
                else:
                    os.setxattr(where, name, value, follow_symlinks=False)
            except OSError as error:
                # user.* on a link or device, a file system without them; ids in an ACL, or a capability, that this namespace cannot write
                if error.errno not in (errno.ENOTSUP, errno.EPERM, errno.EINVAL):
                    raise
                self._missed.xattr(name)

    def _clear(self, parent: int, name: bytes) -> None:
        """Make room for a member that comes a second time."""
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if self._kept and (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            self._kept.keep(parent, name, status)
        elif not marks.is_whiteout(status):  # a link may have led to files; without `replaced` contents are lost
            self._reproducible = False
        tree.remove_at(parent, name)
        if not stat.S_ISREG(status.st_mode):  # a directory or a link may have been part of cached paths
            self._forget(keep=parent)

    def _forget(self, keep: int = -1) -> None:
        for path, fd in list(self._cache.items()):
            if fd != keep:
                os.close(fd)
                del self._cache[path]


def clean(name: bytes) -> bytes:
    """`name` relative to the layer's root, b"" for the root itself. `..` and NUL are refused."""
    if name and not _ODD(name):
        return name
    if b"\0" in name or not name:
        raise InvalidInput(f"layer entry {show(name)} has no usable name")
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise InvalidInput(f"layer entry {show(name)} points outside of the layer")
    return b"/".join(parts)


def _cached() -> int:
    """How many directories may be kept open: a sixteenth of the descriptors this process may have."""
    from resource import RLIMIT_NOFILE, getrlimit

    soft, _ = getrlimit(RLIMIT_NOFILE)
    return max(_CACHED, min(soft // 16, _CACHED_MOST))


def _write_content(fd: int, reader: TarReader) -> None:
    whole = reader.whole()
    if whole is not None:
        _write(fd, whole)
        return
    for piece in reader.content():
        _write(fd, piece)


def _write(fd: int, data: memoryview) -> None:
    written = os.write(fd, data)
    while written < len(data):
        data = data[written:]
        written = os.write(fd, data)


def _retry(make: Callable[[], None], clear: Callable[[], None]) -> None:
    try:
        make()
    except FileExistsError:
        clear()
        make()


def _make_special(parent: int, name: bytes, entry: Entry) -> None:
    if entry.type == b"2":
        os.symlink(entry.link, name, dir_fd=parent)
    elif entry.type == b"6":
        os.mkfifo(name, 0o600, dir_fd=parent)
    elif entry.type in b"34":
        kind = stat.S_IFCHR if entry.type == b"3" else stat.S_IFBLK
        os.mknod(name, kind | 0o600, os.makedev(entry.major, entry.minor), dir_fd=parent)
    else:
        raise InvalidInput(f"layer entry {show(entry.name)} has the unknown type {show(entry.type)}")


def _owner(entry: Entry) -> tuple[int, int]:
    if not (0 <= entry.uid < _NOBODY and 0 <= entry.gid < _NOBODY):
        raise InvalidInput(f"layer entry {show(entry.name)} has the impossible owner {entry.uid}:{entry.gid}")
    return entry.uid, entry.gid


def kept_xattr(name: bytes) -> bool:
    """Whether a layer may bring, and a new layer takes along, the xattr `name`."""
    return name in _KEPT_XATTRS or (name.startswith(b"user.") and not marks.is_reserved(name))


def _set_times(fd: int, mtime: int) -> None:
    if not -_TIME_LIMIT <= mtime <= _TIME_LIMIT:
        mtime = _clamped(mtime)
    os.utime(fd, ns=(mtime, mtime))


def _clamped(mtime: int) -> int:
    return max(-_TIME_LIMIT, min(mtime, _TIME_LIMIT))


def _by_descriptor(parent: int, name: bytes) -> str:
    return f"/proc/self/fd/{parent}/{os.fsdecode(name)}"


def _mark_opaque(parent: int, name: bytes) -> None:
    fd = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        marks.set_opaque(fd)
    finally:
        os.close(fd)
