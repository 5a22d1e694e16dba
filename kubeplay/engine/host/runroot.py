"""Make root and runroot ready. The runroot is a tmpfs and a shared mount of our own, and remembers the boot it belongs to.

When the boot id in it is another one (a machine that came back, or a /run that is a disk), every runtime state in it is
void: its mounts go, and it starts empty. Rows in the database that name the old boot are then found to be dead.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from kubeplay.engine.host.machine import boot_id
from kubeplay.engine.host.paths import Paths, ensure_directory
from kubeplay.errors import Conflict, Exhausted, Forbidden, KubeplayError

_DIRECTORIES = ("locks", "exits", "sandboxes", "containers", "volumes", "runtime", "mounts", "views")
_ENOSPC, _EPERM, _EACCES, _EROFS = 28, 1, 13, 30


def prepare(paths: Paths) -> bool:
    """Make both directories usable; True when the runtime state was void and is new now. Cheap when nothing is to be done."""
    try:
        if _ready(paths):
            return False
        ensure_directory(paths.root)
        os.chmod(paths.root, 0o700)
        with _locked(f"{paths.root}/.runroot.lock"):
            return False if _ready(paths) else _renew(paths)
    except OSError as error:
        raise _explain(paths, error) from error


@contextmanager
def _locked(path: str) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _ready(paths: Paths) -> bool:
    try:
        with open(paths.boot_id, encoding="ascii") as file:
            return file.read().strip() == boot_id() and _own_mount(paths.runroot)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _own_mount(path: str) -> bool:
    return os.stat(path).st_dev != os.stat(os.path.dirname(path)).st_dev


def _renew(paths: Paths) -> bool:
    from kubeplay.engine.host import on_exit  # once a boot: ctypes behind syscalls costs every `ps` 3 ms
    from kubeplay.engine.host.syscalls import MS_NODEV, MS_NOSUID, MS_PRIVATE, MS_SHARED, mount

    if paths.runroot == "/" or paths.root.startswith(paths.runroot + "/"):
        raise Conflict(
            f"the root {paths.root} lies inside the runroot {paths.runroot}, which is emptied at every boot",
            hint="choose another --runroot",
        )
    ensure_directory(paths.runroot)
    release(paths)
    mount("kubeplay", paths.runroot, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700")
    mount("", paths.runroot, "", MS_PRIVATE)  # of its own peer group, whatever the parent mount shares
    mount("", paths.runroot, "", MS_SHARED)
    for name in _DIRECTORIES:
        os.makedirs(f"{paths.runroot}/{name}", mode=0o711 if name == "containers" else 0o700, exist_ok=True)
    os.mkfifo(paths.wake, 0o600)
    on_exit.install(paths)
    _write(paths.boot_id, boot_id())  # last: it says that all of the above is there
    return True


def release(paths: Paths) -> None:
    """Unmount everything in the runroot and the runroot itself, innermost first."""
    from kubeplay.engine.host import passage
    from kubeplay.engine.host.syscalls import MNT_DETACH, UMOUNT_NOFOLLOW, umount

    passage.close(paths.runroot)
    for target in mounts_below(paths.runroot):
        try:
            umount(target, MNT_DETACH | UMOUNT_NOFOLLOW)
        except OSError:
            continue  # gone with an outer one


def mounts_below(path: str) -> list[str]:
    """Mount points at or below `path`, innermost first."""
    real = os.path.realpath(path)
    with open("/proc/thread-self/mountinfo", "rb") as file:
        points = [unescape(line.split(b" ", 5)[4]) for line in file]
    return [p for p in reversed(points) if p == real or p.startswith(real + "/")]


def unescape(raw: bytes) -> str:
    """A path of /proc/*/mountinfo, where blanks and backslashes are octal (proc_pid_mountinfo(5))."""
    for code, char in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        raw = raw.replace(code, char)
    return os.fsdecode(raw)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _explain(paths: Paths, error: OSError) -> KubeplayError:
    where = error.filename or paths.root
    if error.errno == _ENOSPC:
        return Exhausted(f"{where}: no space left", hint="free some space and try again")
    if error.errno in (_EPERM, _EACCES):
        return Forbidden(f"{where}: {error.strerror}", hint="kubeplay needs root (CAP_SYS_ADMIN) to make its runroot")
    if error.errno == _EROFS:
        return Forbidden(f"{where}: the file system is read-only", hint="choose other places with --root and --runroot")
    return Conflict(f"{where}: {error.strerror}")
