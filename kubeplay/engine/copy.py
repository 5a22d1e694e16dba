"""`cp` between containers and this machine, or a tar archive on standard input and output.

The container may change its files while we walk them. So it is entered once, through a descriptor of its root (volumes included), every
path inside is resolved by the kernel below that root (openat2 RESOLVE_IN_ROOT), and every step from there on is one name in one open
directory, never through a link (CVE-2018-15664, CVE-2019-10152). Nothing of the container is executed or loaded. Extended attributes
are not copied: file capabilities are rights, and they would come out of a container with its files.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from kubeplay.engine import idmaps
from kubeplay.engine.host import owners, processes
from kubeplay.engine.host.idmapped import Crossing, Map, acting_as
from kubeplay.engine.host.processes import Process
from kubeplay.engine.host.syscalls import RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, open_ordinary, openat2
from kubeplay.engine.store.runtime import RUNNING, ContainerRow
from kubeplay.errors import Conflict, Exhausted, InvalidInput, NotFound, NotRunning
from kubeplay.plan import codec
from kubeplay.plan.pod import PodPlan
from kubeplay.record import Record

if TYPE_CHECKING:
    import tarfile

    from kubeplay.engine.engine import Engine
    from kubeplay.engine.layers.tar import Entry, TarReader

_CHUNK = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ENOENT, _ENOTDIR, _EISDIR, _EINVAL, _ELOOP = 2, 20, 21, 22, 40
_DEPTH = 256  # directories below each other; a hostile tree must not exhaust our stack or descriptors


class How(Record):
    """`owner` (uid, gid) of everything that is made, None = the original's; `overwrite`: a file may replace a directory, and the reverse.

    Set-id bits do not survive a change of owner, nor the way out (`set_id`): a container's set-uid program would be one of
    root's here, for everybody who can reach it. `ids` translates owners where a pod has its own.
    """

    owner: tuple[int, int] | None = None
    overwrite: bool = False
    set_id: bool = True
    ids: Crossing = Crossing()


_PLAIN = How()


def between(engine: Engine, row: ContainerRow, source: str, other: ContainerRow, target: str, how: How = _PLAIN) -> None:
    """Copy `source` of one container to `target` of another."""
    how = how._replace(ids=Crossing(_users(engine, row), _users(engine, other)))

    def work() -> None:
        with _root(engine, row) as root, _opened(root, source) as (fd, name), _root(engine, other) as there:
            parent, final = _inner_target(there, target, name, stat.S_ISDIR(os.fstat(fd).st_mode), _contents_only(source))
            try:
                _copy(fd, parent, final, 0, how)
            finally:
                os.close(parent)

    _as_its_root(how, work)


def out(engine: Engine, row: ContainerRow, source: str, target: str, how: How = _PLAIN) -> None:
    """Copy `source` of the container to `target` here; `-` writes a tar archive to standard output."""
    how = how._replace(ids=Crossing(_users(engine, row)))
    with _root(engine, row) as root, _opened(root, source) as (fd, name):
        if target == "-":
            tar_out(fd, name, sys.stdout.buffer, how.ids)
            return
        parent, final = _local_target(target, name, stat.S_ISDIR(os.fstat(fd).st_mode), _contents_only(source))
        try:
            _copy(fd, parent, final, 0, how._replace(set_id=False))
        finally:
            os.close(parent)


def into(engine: Engine, row: ContainerRow, source: str, target: str, how: How = _PLAIN) -> None:
    """Copy `source` of this machine to `target` in the container; `-` reads a tar archive from standard input into a directory."""
    how = how._replace(ids=Crossing(target=_users(engine, row)))
    _as_its_root(how, lambda: _into(engine, row, source, target, how))


def _users(engine: Engine, row: ContainerRow) -> Map | None:
    """The ids of the container's pod, when it has its own."""
    plan: PodPlan = codec.loads(engine.store.runtime.pod(row.pod_uid).plan)
    return idmaps.of(engine, row.pod_uid, plan.sandbox.users)


def _as_its_root(how: How, work: Callable[[], None]) -> None:
    """Files that a pod with ids of its own is given cannot be made by the machine's root."""
    if how.ids.target is None:
        work()
    else:
        acting_as(how.ids.target.root, work)


def _into(engine: Engine, row: ContainerRow, source: str, target: str, how: How) -> None:
    with _root(engine, row) as root:
        if source == "-":
            with _directory_in(root, target) as fd:
                _tar_in(sys.stdin.buffer, fd, how)
            return
        try:
            fd = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            raise NotFound(f"{source}: {error.strerror}") from error
        try:
            name = os.path.basename(os.path.abspath(source)) or "root"
            parent, final = _inner_target(root, target, name, stat.S_ISDIR(os.fstat(fd).st_mode), _contents_only(source))
            try:
                _copy(fd, parent, final, 0, how)
            finally:
                os.close(parent)
        finally:
            os.close(fd)


def _contents_only(path: str) -> bool:
    """`DIR/.` means what is in it (docker cp, podman cp)."""
    return path.endswith("/.") or path == "."


@contextmanager
def _root(engine: Engine, row: ContainerRow) -> Iterator[int]:
    """A descriptor of the container's root, as its own processes see it; when it does not run, without volumes. Raises NotRunning."""
    if row.state != RUNNING:
        from kubeplay.engine import views

        print(f"cp: container {row.name} is {row.state}: its volumes are not there", file=sys.stderr)
        with views.root(engine, row) as fd:
            yield fd
        return
    try:
        fd = os.open(f"/proc/{row.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise NotRunning(f"container {row.name} has just ended") from error
    try:
        if not processes.alive(Process(row.pid, row.pid_start)):  # the number may have gone to another process meanwhile
            raise NotRunning(f"container {row.name} has just ended")
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _opened(root: int, path: str) -> Iterator[tuple[int, str]]:
    """An ordinary file or directory of the container, and its last name."""
    try:
        fd = open_ordinary(root, path, RESOLVE_IN_ROOT)
    except OSError as error:
        if error.errno == _EINVAL:
            raise InvalidInput(f"{path} is neither a file nor a directory") from error
        raise NotFound(f"{path}: {error.strerror} in the container") from error
    try:
        yield fd, os.path.basename(os.path.normpath("/" + path)) or "root"
    finally:
        os.close(fd)


@contextmanager
def _directory_in(root: int, path: str) -> Iterator[int]:
    try:
        fd = openat2(root, path, os.O_RDONLY | os.O_DIRECTORY, RESOLVE_IN_ROOT)
    except OSError as error:
        raise NotFound(f"{path}: {error.strerror} in the container") from error
    try:
        yield fd
    finally:
        os.close(fd)


def _inner_target(root: int, path: str, name: str, directory: bool, contents: bool) -> tuple[int, str]:
    """The open parent directory in the container and the name to make there, "" = into the directory itself."""
    try:
        fd = openat2(root, path or "/", os.O_RDONLY | os.O_DIRECTORY, RESOLVE_IN_ROOT)
        return (fd, "") if contents and directory else (fd, name)
    except NotADirectoryError:
        if directory:
            raise Conflict(f"{path} is a file, and a directory cannot be copied onto it") from None
    except FileNotFoundError:
        if path.endswith("/") and not directory:
            raise NotFound(f"{path}: no such directory in the container") from None
    head, tail = os.path.split(path.rstrip("/"))
    if tail in ("", ".", ".."):
        raise InvalidInput(f"{path} cannot be a target")
    try:
        return openat2(root, head or "/", os.O_RDONLY | os.O_DIRECTORY, RESOLVE_IN_ROOT), tail
    except OSError as error:
        raise NotFound(f"{head or '/'}: {error.strerror} in the container") from error


def _local_target(path: str, name: str, directory: bool, contents: bool) -> tuple[int, str]:
    """As `_inner_target`, on this machine, where the person's own links are followed."""
    if os.path.isdir(path):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return (fd, "") if contents and directory else (fd, name)
    if os.path.lexists(path) and directory:
        raise Conflict(f"{path} is a file, and a directory cannot be copied onto it")
    if path.endswith("/") and not directory:
        raise NotFound(f"{path}: no such directory")
    head, tail = os.path.split(path.rstrip("/"))
    try:
        return os.open(head or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), tail
    except OSError as error:
        raise NotFound(f"{head or '.'}: {error.strerror}") from error


def _copy(source: int, parent: int, name: str, depth: int, how: How) -> None:
    """Copy what `source` is open on to `name` in `parent` ("" = into `parent` itself)."""
    status = os.fstat(source)
    try:
        if stat.S_ISDIR(status.st_mode):
            _copy_directory(source, parent, name, depth, how)
        elif stat.S_ISREG(status.st_mode):
            _copy_file(source, parent, name, status, how)
    except OSError as error:
        if error.errno == 28:
            raise Exhausted(f"{name}: no space left", hint="free some space and try again") from error
        raise Conflict(f"cannot copy {name}: {error.strerror}", hint=_hint(error, how)) from error


def _hint(error: OSError, how: How) -> str:
    return "use --overwrite to replace it" if error.errno in (_ENOTDIR, _EISDIR, _ELOOP) and not how.overwrite else ""


def _copy_directory(source: int, parent: int, name: str, depth: int, how: How) -> None:
    if depth > _DEPTH:
        raise InvalidInput(f"{name}: more than {_DEPTH} directories below each other")
    target = os.dup(parent) if not name else _made_directory(parent, name, how)
    try:
        for entry in os.listdir(source):
            _copy_entry(source, entry, target, depth, how)
        if name:
            _like(target, os.fstat(source), how)
    finally:
        os.close(target)


def _made_directory(parent: int, name: str, how: How) -> int:
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        if how.overwrite and not _is_directory(parent, name):
            os.unlink(name, dir_fd=parent)
            os.mkdir(name, 0o700, dir_fd=parent)
    return os.open(name, _DIRECTORY, dir_fd=parent)


def _is_directory(parent: int, name: str) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)


def _cleared(parent: int, name: str, how: How) -> None:
    """Before something else takes the name: with `overwrite` a directory goes with all below it, by descriptors."""
    if how.overwrite:
        from kubeplay.engine.layers import tree

        try:
            if _is_directory(parent, name):
                tree.remove_at(parent, os.fsencode(name))
        except FileNotFoundError:
            pass


def _copy_entry(source: int, name: str, target: int, depth: int, how: How) -> None:
    try:
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
    except FileNotFoundError:
        return  # removed while we copy
    if stat.S_ISLNK(status.st_mode):
        _replace_link(os.readlink(name, dir_fd=source), target, name, how)
        owners.give(name, *how.ids.write(how.owner or how.ids.read((status.st_uid, status.st_gid))), name, target)
    elif stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode):
        fd = _open_entry(source, name)
        if fd < 0:
            return
        try:
            _copy(fd, target, name, depth + 1, how)
        finally:
            os.close(fd)
    else:
        print(f"cp: {name!r}: not a file, directory or link: skipped", file=sys.stderr)


def _open_entry(directory: int, name: str) -> int:
    """A descriptor of the file or directory; -1 when it has just gone or become something else."""
    try:
        return open_ordinary(directory, name, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    except OSError as error:
        if error.errno in (_ENOENT, _EINVAL, _ELOOP):
            return -1
        raise


def _replace_link(text: str, parent: int, name: str, how: How) -> None:
    _cleared(parent, name, how)
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        pass
    os.symlink(text, name, dir_fd=parent)


def _copy_file(source: int, parent: int, name: str, status: os.stat_result, how: How) -> None:
    """Into a new file that takes the name when it is complete: nothing is written through a link or into a file others have open."""
    temporary = f".kubeplay-{os.urandom(6).hex()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
    try:
        try:
            while data := os.read(source, _CHUNK):
                view = memoryview(data)
                while view:
                    view = view[os.write(fd, view) :]
            _like(fd, status, how)
        finally:
            os.close(fd)
        _cleared(parent, name, how)
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        os.unlink(temporary, dir_fd=parent)
        raise


def _like(fd: int, status: os.stat_result, how: How) -> None:
    """Owner, mode and time of the original, or the owner asked for; set-id bits only survive when the owner stays."""
    _own(fd, (status.st_uid, status.st_gid), status.st_mode, how)
    os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))


def _own(fd: int, original: tuple[int, int], mode: int, how: How) -> None:
    try:
        before = how.ids.read(original)
        wanted = how.ids.write(how.owner or before)
        same = owners.give(fd, *wanted, "what is copied") == wanted and (how.owner or before) == before
        kept = 0o7777 if same and how.set_id else 0o1777
    except PermissionError:
        kept = 0o1777
    os.fchmod(fd, mode & kept)


def tar_out(fd: int, name: str, stream: IO[bytes], ids: Crossing) -> None:
    import tarfile

    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        _tar_add(archive, fd, name, 0, ids)


def _tar_add(archive: tarfile.TarFile, fd: int, name: str, depth: int, ids: Crossing) -> None:
    import tarfile

    status = os.fstat(fd)
    info = _tar_info(name, status, ids)
    if stat.S_ISREG(status.st_mode):
        info.size = status.st_size
        with open(os.dup(fd), "rb") as file:
            archive.addfile(info, _Exactly(file, status.st_size))  # type: ignore[arg-type]
        return
    if depth > _DEPTH:
        raise InvalidInput(f"{name}: more than {_DEPTH} directories below each other")
    info.type = tarfile.DIRTYPE
    archive.addfile(info)
    for entry in sorted(os.listdir(fd)):
        inner = os.stat(entry, dir_fd=fd, follow_symlinks=False)
        if stat.S_ISLNK(inner.st_mode):
            link = _tar_info(f"{name}/{entry}", inner, ids)
            link.type, link.linkname = tarfile.SYMTYPE, os.readlink(entry, dir_fd=fd)
            archive.addfile(link)
        elif stat.S_ISDIR(inner.st_mode) or stat.S_ISREG(inner.st_mode):
            child = _open_entry(fd, entry)
            if child < 0:
                continue
            try:
                _tar_add(archive, child, f"{name}/{entry}", depth + 1, ids)
            finally:
                os.close(child)


def _tar_info(name: str, status: os.stat_result, ids: Crossing) -> tarfile.TarInfo:
    import tarfile

    info = tarfile.TarInfo(name)
    info.mode, info.mtime = stat.S_IMODE(status.st_mode), int(status.st_mtime)
    info.uid, info.gid = ids.read((status.st_uid, status.st_gid))
    return info


class _Exactly:
    """A file that has exactly `size` bytes, whatever happens to it while it is read: a tar header cannot be taken back."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int) -> bytes:
        wanted = min(size, self._left)
        data = self._file.read(wanted)
        data += b"\0" * (wanted - len(data))
        self._left -= wanted
        return data


def _tar_in(stream: IO[bytes], root: int, how: How) -> None:
    """Unpack below `root`: each name is walked component by component without following links; devices and the like are refused.

    Read as layers are (layers/tar.py): every header is bounded there, and a broken one is an error and not a traceback.
    """
    from kubeplay.engine.layers.stream import Incoming, Stream
    from kubeplay.engine.layers.tar import TarReader

    name = ""
    try:
        with Stream(Incoming(stream)) as feed:
            if feed.at_end():
                raise InvalidInput("it is empty")
            reader = TarReader(feed)
            while (entry := reader.next()) is not None:
                name = os.fsdecode(entry.name)
                tar_member(entry, name, reader, root, how)
            feed.finish()
    except InvalidInput as error:
        raise InvalidInput(f"the archive on standard input cannot be read: {error.message}") from error
    except (OverflowError, ValueError) as error:
        raise InvalidInput(f"the archive on standard input cannot be read: {name[:200]!r}: {error}") from error
    except OSError as error:
        if error.errno == 28:
            raise Exhausted("no space left in the container", hint="free some space and try again") from error
        raise Conflict(f"the archive cannot be unpacked: {name[:200]}: {error.strerror}", hint=_hint(error, how)) from error


def tar_member(entry: Entry, name: str, reader: TarReader, root: int, how: How) -> None:
    parts = [p for p in name.split("/") if p not in ("", ".")]
    if ".." in parts:
        raise InvalidInput(f"it names {name[:200]!r}, which would leave the target")
    if not parts:
        return
    parent = os.dup(root)
    try:
        for part in parts[:-1]:
            parent, before = _made_directory(parent, part, how), parent
            os.close(before)
        _tar_make(entry, reader, parent, parts[-1], how)
    finally:
        os.close(parent)


def _tar_make(entry: Entry, reader: TarReader, parent: int, name: str, how: How) -> None:
    if entry.type == b"5":
        fd = _made_directory(parent, name, how)
        try:
            _own(fd, (entry.uid, entry.gid), entry.mode, how)
        finally:
            os.close(fd)
    elif entry.type == b"2":
        _replace_link(os.fsdecode(entry.link), parent, name, how)
        owners.give(name, *how.ids.write(how.owner or (entry.uid, entry.gid)), name, parent)
    elif entry.type == b"0":
        _tar_file(entry, reader, parent, name, how)
    else:
        raise InvalidInput(f"it holds {name[:200]!r}, which is neither a file, a directory nor a symbolic link")


def _tar_file(entry: Entry, reader: TarReader, parent: int, name: str, how: How) -> None:
    temporary = f".kubeplay-{os.urandom(6).hex()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
    try:
        with open(fd, "wb") as file:
            _tar_content(entry, reader, file)
            file.flush()
            _own(fd, (entry.uid, entry.gid), entry.mode, how)
        _cleared(parent, name, how)
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        os.unlink(temporary, dir_fd=parent)
        raise


def _tar_content(entry: Entry, reader: TarReader, file: IO[bytes]) -> None:
    if entry.sparse is None:
        for piece in reader.content():
            file.write(piece)
        return
    pieces, rest = reader.content(), memoryview(b"")
    for offset, length in entry.sparse:
        file.seek(offset)
        while length:
            rest = rest or next(pieces)
            file.write(rest[:length])
            rest, length = rest[length:], length - min(length, len(rest))
    file.truncate(entry.real_size)
