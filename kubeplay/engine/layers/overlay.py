"""Root file systems: layers stacked, by the way that works here (snapshotter.py), with a writable directory of the container's own on top.

Layers are always given base first (as in an image's rootfs.diff_ids); overlayfs wants the topmost first.

Options of the kernel's overlayfs, each for a reason:
- volatile (5.10): unmounting does not sync the whole disk below. A container's writable layer never outlives
  the boot: an instance of another boot is void, and fsync on a volume is not affected.
- redirect_dir=nofollow, metacopy=off, index=off: an upper directory that a container wrote stays plain files,
  which `commit`, `diff` and `cp` can read, and xattrs smuggled into one are not obeyed
  (Documentation/filesystems/overlayfs.rst, "Permission model").
- userxattr (5.11), in a user namespace: marks are xattrs that such a one may write (marks.py).
- nodev on the mount: device nodes in an image are not usable; the runtime mounts its own /dev.

mount(2) takes one page of options. Up to 127 layers fit by naming directories through their descriptors,
/proc/self/fd/N, which also keeps `:` and `,` of the root's path out of the options.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kubeplay.engine.host import syscalls
from kubeplay.engine.host.paths import Paths, component, ensure_directory
from kubeplay.engine.host.userns import in_user_namespace
from kubeplay.engine.layers import marks, snapshotter, tree
from kubeplay.engine.layers.snapshotter import COPIES, FUSE, OVERLAY, Stack
from kubeplay.errors import Exhausted, MissingPrerequisite, NotFound, StoreError

if TYPE_CHECKING:
    from kubeplay.engine.host.idmapped import Map

MAX_LAYERS = 127  # docker's and podman's limit; overlayfs itself allows 500
_PAGE = 4096 - 1  # mount(2): the options with their terminating NUL fit in a page
_OPTIONS = "redirect_dir=nofollow,metacopy=off,index=off"
_OWN = ("upper", "work", "fuse", "copy", "copy.part", "copied")  # what is made in a container's directory


def mount_rootfs(
    container_id: str, layers: Sequence[str], paths: Paths, *, read_only: bool = False, users: Map | None = None, userns: str = ""
) -> str:
    """Mount the container's root file system at bundle/rootfs; returns that path. Its ids are shown by `users` (see Stack).

    `layers` are diff ids, base first. A mount that is there already is kept. Raises NotFound for a layer
    that is not stored, MissingPrerequisite where overlayfs cannot work, Exhausted when the disk is full.
    """
    component(container_id)
    container, target = paths.container(container_id), f"{paths.bundle(container_id)}/rootfs"
    try:
        if is_mounted(target):
            if not _is_dead(target):
                return target
            unmount(target)
        driver = _driver(paths, users)
        ensure_directory(target, 0o755)
        if read_only:
            _mount(paths, driver, _lowers(layers, paths), target, flags=syscalls.MS_RDONLY)
            return target
        upper, work = f"{container}/upper", f"{container}/work"
        ensure_directory(container)
        lowers = _lowers(layers, paths)
        if driver != COPIES or not os.path.isdir(f"{container}/copy"):
            if _make(upper):
                _like(upper, _root_owner(layers, paths))
            if not _make(work):
                # Unmounting a volatile overlay leaves work/incompat/volatile, which refuses the next mount; within
                # one boot nothing has been lost (the page cache still has it).
                tree.remove(f"{work}/work")
        if driver == FUSE:
            _make(f"{container}/fuse")  # so that its removal looks for the process
        _mount(paths, driver, lowers, target, upper, work, users=users, userns=userns)
    except OSError as error:
        raise _explained(error, container_id, paths) from error
    return target


def view_rootfs(layers: Sequence[str], target: str, paths: Paths, users: Map | None = None, userns: str = "") -> str:
    """Mount the layers (base first) read-only at `target`, an existing directory, to be looked at: nothing in it runs with set-id bits.

    Ids as in Stack.
    """
    try:
        driver = _driver(paths, users)
        flags = syscalls.MS_RDONLY | syscalls.MS_NOSUID
        _mount(paths, driver, _lowers(layers, paths), target, flags=flags, users=users, userns=userns)
    except OSError as error:
        raise _explained(error, target, paths) from error
    return target


def unmount_rootfs(container_id: str, paths: Paths) -> None:
    """Unmount; not being mounted is fine. The writable layer stays."""
    target = f"{paths.bundle(component(container_id))}/rootfs"
    unmount(f"{target}.mapped")  # what a command that was killed left of mapped.py's work
    unmount(target)


def unmount(target: str) -> None:
    """Unmount everything at `target` (lazily, so that a straggler cannot block it); nothing there is fine."""
    while is_mounted(target):
        try:
            syscalls.umount(target)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOENT):
                raise StoreError(f"{target}: cannot unmount: {error.strerror}") from error
            return


def remove_rootfs(container_id: str, paths: Paths) -> None:
    """Unmount and forget the container's writable layer. Calling it again is fine."""
    unmount_rootfs(container_id, paths)
    try:
        os.rmdir(f"{paths.bundle(container_id)}/rootfs")
    except OSError as error:  # not empty: no overlay but the mount points of a host_rootfs container, which go with the bundle
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENOTEMPTY):
            raise
    container = paths.container(container_id)
    for name in _entries(container):
        if name == "fuse":
            from kubeplay.engine.layers.fuse import end

            end(f"{paths.bundle(container_id)}/rootfs")
        if name in _OWN or name.startswith("upper."):
            tree.remove(f"{container}/{name}")
    try:
        os.rmdir(container)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
            raise StoreError(f"{container}: {error.strerror}") from error


def is_mounted(target: str) -> bool:
    """Whether `target` is the root of a mount: its device differs from its parent's."""
    try:
        here, above = os.lstat(target), os.lstat(os.path.dirname(target))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno == errno.ENOTCONN:  # a FUSE mount whose process has died
            return True
        raise
    return here.st_dev != above.st_dev


def _is_dead(target: str) -> bool:
    """Whether a FUSE mount is there whose process has died (its attributes may still be cached)."""
    try:
        os.close(os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.ENOTCONN
    return False


def _entries(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


@contextmanager
def upper_of(container_id: str, layers: Sequence[str], paths: Paths) -> Iterator[str]:
    """The directory with what a container changed in its root file system over `layers`, as overlayfs writes it. For reading only.

    Of a copy it is made for the occasion. Raises FileNotFoundError when the container has no writable layer.
    """
    container = paths.container(component(container_id))
    if not os.path.isdir(f"{container}/copy"):
        os.stat(f"{container}/upper")
        yield f"{container}/upper"
        return
    made = f"{container}/upper.{os.getpid()}-{os.urandom(4).hex()}"
    try:
        _compared(container, layers, paths, made)
        yield made
    finally:
        tree.remove(made)


def taken_upper(container_id: str, layers: Sequence[str], paths: Paths) -> str:
    """As `upper_of`, of an unmounted container that will not be mounted again: whoever takes the directory may keep it."""
    container = paths.container(component(container_id))
    if os.path.isdir(f"{container}/copy") and not os.path.isdir(f"{container}/upper"):
        _compared(container, layers, paths, f"{container}/upper")
    return f"{container}/upper"


def _compared(container: str, layers: Sequence[str], paths: Paths, out: str) -> None:
    from kubeplay.engine.layers import compare, copies

    os.mkdir(out, 0o700)
    lowers = _enough(paths, _lowers(layers, paths), 1)
    copied = os.stat(f"{container}/{copies.COPIED}").st_ctime_ns
    compare.upper(copies.merged(paths.root, lowers), f"{container}/copy", out, copied)


def scratch(source: str, directory: str, target: str, paths: Paths) -> None:
    """Mount a view of the directory `source` at `target` that may be written to; what is written lands below `directory`.

    Raises OSError.
    """
    upper, work = f"{directory}/upper", f"{directory}/work"
    for path in (upper, work):
        os.mkdir(path, 0o755)
    _like(upper, os.stat(source))
    if snapshotter.choice(paths).driver == OVERLAY:
        native(Stack(paths.root, (source,), target, upper, work))
        return
    from kubeplay.engine.layers import copies

    copies.duplicate(source, upper)
    syscalls.mount(upper, target, "", syscalls.MS_BIND)


def _lowers(layers: Sequence[str], paths: Paths) -> list[str]:
    """The layers' directories, topmost first, down to one that hides the rest."""
    if len(layers) > MAX_LAYERS:
        raise NotFound(f"an image of {len(layers)} layers cannot be mounted (the limit is {MAX_LAYERS})")
    found: list[str] = []
    for diff_id in reversed(layers):
        directory = paths.layer(diff_id)
        path = f"{directory}/fs"
        if path in found:
            continue  # the same layer twice: overlayfs refuses that, and the lower one changes nothing
        try:
            names = os.listdir(directory)
        except FileNotFoundError:
            raise NotFound(f"layer {diff_id} is not stored in {paths.root}/layers", hint="load the image again") from None
        found.append(path)
        if "opaque" in names:
            break
    return found


def _root_owner(layers: Sequence[str], paths: Paths) -> os.stat_result | None:
    """What the topmost layer that describes its root says: overlayfs shows the upper directory's own."""
    for diff_id in reversed(layers):
        if os.path.exists(f"{paths.layer(diff_id)}/root"):
            return os.stat(f"{paths.layer(diff_id)}/fs")
    return None


def _make(path: str) -> bool:
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        return False
    os.chmod(path, 0o755)
    return True


def _like(path: str, status: os.stat_result | None) -> None:
    if status is not None:
        os.chown(path, status.st_uid, status.st_gid)
        os.chmod(path, status.st_mode & 0o7777)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _mount(
    paths: Paths, driver: str, lowers: list[str], target: str, upper: str = "", work: str = "", flags: int = 0, users: Map | None = None,
    userns: str = "",
) -> None:  # fmt: skip
    lowers = _enough(paths, lowers, 1 if upper or driver != OVERLAY else 2)  # a read-only overlay needs two, any overlay one
    stack = Stack(paths.root, tuple(lowers), target, upper, work, flags | syscalls.MS_NODEV, users, userns)
    if users and driver == OVERLAY:
        from kubeplay.engine.layers import mapped

        mapped.native(stack)
    else:
        snapshotter.mounter(driver)(stack)


def _driver(paths: Paths, users: Map | None) -> str:
    if users is None:
        return snapshotter.choice(paths).driver
    return FUSE if in_user_namespace() else OVERLAY  # whatever others are mounted by: mapped.py says why


def _enough(paths: Paths, lowers: list[str], count: int) -> list[str]:
    missing = count - len(lowers)
    return [*lowers, *_empty_directories(paths, missing)] if missing > 0 else lowers


def native(stack: Stack) -> None:
    """Mount a Stack by the kernel's overlayfs. Raises OSError."""
    lowers, upper, work = stack.lowers, stack.upper, stack.work
    plain = _options(lowers, upper, work)
    if len(plain.encode()) <= _PAGE - 19 and not any(c in part for part in (*lowers, upper, work) for c in ":,\\"):
        _mount_with(stack, plain)
        return
    fds: list[int] = []
    try:
        for path in (*lowers, *filter(None, (upper, work))):
            fds.append(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        names = [f"/proc/self/fd/{fd}" for fd in fds]
        count = len(lowers)
        _mount_with(stack, _options(names[:count], *names[count:]))
    finally:
        for fd in fds:
            os.close(fd)


def _mount_with(stack: Stack, options: str) -> None:
    if marks.ours() == marks.USER:
        options += ",userxattr"
    if not stack.upper:
        syscalls.mount("overlay", stack.target, "overlay", stack.flags, options)
        return
    try:
        syscalls.mount("overlay", stack.target, "overlay", stack.flags, options + ",volatile")
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        syscalls.mount("overlay", stack.target, "overlay", stack.flags, options)


def _options(lowers: Sequence[str], upper: str = "", work: str = "") -> str:
    own = f",upperdir={upper},workdir={work}" if upper else ""
    return f"{_OPTIONS},lowerdir={':'.join(lowers)}{own}"


def _empty_directories(paths: Paths, count: int) -> list[str]:
    """Empty lower directories: for an image without layers, or for one layer mounted read-only."""
    found = [f"{paths.root}/layers/.empty{number}" for number in range(count)]
    for path in found:
        ensure_directory(os.path.dirname(path))
        _make(path)
    return found


def _explained(error: OSError, what: str, paths: Paths) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Exhausted(f"{what}: no space left for the root file system", hint="free some space and try again")
    if error.errno in (errno.ENODEV, errno.EPERM, errno.EINVAL):
        return MissingPrerequisite(
            f"{what}: overlayfs cannot be mounted over {paths.root}: {error.strerror}",
            hint="load the kernel module overlay, and keep --root on a disk or tmpfs (not on another overlay)",
        )
    return StoreError(f"{what}: cannot mount the root file system: {error.strerror} ({error.filename})")
