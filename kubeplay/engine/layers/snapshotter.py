"""Which way layers are stacked below a root: by the kernel's overlayfs, by fuse-overlayfs, or as plain copies.

A user namespace may mount overlayfs since Linux 5.11, but not over every file system (NFS, another overlay), and a root file system of a
container may be one. So each way is tried with two small directories, in this order, where the layers will lie; the first that works is
kept with the reasons against the ones before it, for as long as the machine is up and nothing that decided has changed.
`--storage-driver` asks for one and takes no other.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kubeplay.engine.host.machine import boot_id
from kubeplay.engine.host.userns import in_user_namespace
from kubeplay.errors import InvalidInput, MissingPrerequisite
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.host.idmapped import Map
    from kubeplay.engine.host.paths import Paths

OVERLAY, FUSE, COPIES = "overlay", "fuse-overlayfs", "vfs"  # podman's words for --storage-driver
DRIVERS = (OVERLAY, FUSE, COPIES)
FILE = "snapshotter.json"
_DECIDING = (f"/usr/bin/{FUSE}", f"/usr/local/bin/{FUSE}", "/dev/fuse")
# what the kernel says of a way that does not work here; anything else (a full disk) is no answer
_REFUSALS = (errno.ENODEV, errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.ESTALE, errno.EXDEV, errno.ENXIO,
             errno.EROFS)  # fmt: skip


class Stack(Record):
    """Directories to be mounted at `target`: `lowers` topmost first; with an `upper` and `work` it can be written to.

    With `users` their ids are shown as that map has them, by the user namespace pinned at `userns`.
    """

    root: str
    lowers: tuple[str, ...]
    target: str
    upper: str = ""
    work: str = ""
    flags: int = 0
    users: Map | None = None
    userns: str = ""


class Choice(Record):
    """`why` names what spoke against the better ways, "" for the best."""

    driver: str
    why: str = ""


_chosen: dict[tuple[str, str], Choice] = {}


def choice(paths: Paths) -> Choice:
    """The way of stacking below this root. Raises InvalidInput (no such driver), MissingPrerequisite (the one asked for does not work)."""
    wanted = paths.storage_driver
    found = _chosen.get((paths.root, wanted))
    if found is None:
        found = _chosen[paths.root, wanted] = _read(paths, wanted) or _found_out(paths, wanted)
    return found


def forget() -> None:
    """Find out again, after this process has entered another namespace."""
    _chosen.clear()


def mounter(driver: str) -> Callable[[Stack], None]:
    """What mounts a Stack. It raises OSError, MissingPrerequisite."""
    if driver == OVERLAY:
        from kubeplay.engine.layers.overlay import native

        return native
    if driver == FUSE:
        from kubeplay.engine.layers.fuse import mount

        return mount
    from kubeplay.engine.layers.copies import bind

    return bind


def _found_out(paths: Paths, wanted: str) -> Choice:
    if wanted and wanted not in DRIVERS:
        raise InvalidInput(f"{wanted[:50]!r} is no storage driver", hint=f"one of {', '.join(DRIVERS)}")
    refusals: list[MissingPrerequisite] = []
    for driver in (wanted,) if wanted else DRIVERS:
        refusal = _tried(paths, driver)
        if refusal is None:
            made = Choice(driver, "; ".join(_said(one) for one in refusals))
            _keep(paths, wanted, made)
            return made
        refusals.append(refusal)
    raise refusals[0]


def _said(refusal: MissingPrerequisite) -> str:
    return f"{refusal.message} ({refusal.hint})" if refusal.hint else refusal.message


def _tried(paths: Paths, driver: str) -> MissingPrerequisite | None:
    """Why a way does not work here; None when it does."""
    from kubeplay.engine.layers import probe

    try:
        probe.attempt(paths, mounter(driver))
    except MissingPrerequisite as error:
        return error
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        return MissingPrerequisite(f"{driver}: {probe.explained(driver, error, paths)}", hint=probe.remedy(driver, error))
    return None


# what is kept
def _key(wanted: str) -> str:
    return f"{boot_id()} {int(in_user_namespace())} {wanted}"


def _stamp(driver: str) -> Sequence[object]:
    """What a second choice hung on: it is looked for again when somebody has installed fuse-overlayfs or opened /dev/fuse."""
    if driver == OVERLAY:
        return []
    found: list[object] = []
    for path in _DECIDING:
        try:
            status = os.stat(path)
            found += [status.st_mode, status.st_ctime_ns]
        except OSError:
            found.append(None)
    return found


def _read(paths: Paths, wanted: str) -> Choice | None:
    try:
        with open(f"{paths.root}/{FILE}", encoding="utf-8") as file:
            data = json.loads(file.read())
        if data["key"] != _key(wanted) or data["stamp"] != _stamp(data["driver"]):
            return None
        return Choice(str(data["driver"]), str(data["why"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(paths: Paths, wanted: str, made: Choice) -> None:
    text = json.dumps({"key": _key(wanted), "stamp": _stamp(made.driver), "driver": made.driver, "why": made.why})
    temporary = f"{paths.root}/{FILE}.{os.getpid()}-{os.urandom(4).hex()}"  # pods are made in threads
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(fd, "w", encoding="ascii") as file:
            file.write(text)
        os.rename(temporary, f"{paths.root}/{FILE}")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EROFS, errno.EDQUOT):
            raise
