"""The mounts of a container: the kernel's file systems first, then the pod's files, then volumes, outer ones before inner ones."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.engine.host.machine import machine
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.host.idmapped import Map
    from kubeplay.engine.oci.spec import SpecInputs

TTY = 5  # the group of terminals on every distribution (Debian base-passwd, Fedora setup)
_PROPAGATION = {"None": "rprivate", "HostToContainer": "rslave", "Bidirectional": "rshared"}


class MountPoint(Record):
    """A bind of `source` at `path`; sources are paths the runtime can open. `locked`: flags of the source that must stay (see `locked`).

    `recursive`: what is mounted below it is read-only too.
    """

    source: str
    path: str
    read_only: bool = False
    propagation: str = "None"
    locked: tuple[str, ...] = ()
    recursive: bool = False


def standard(inputs: SpecInputs) -> list[dict[str, Any]]:
    """proc, dev, sys and the like, but not where a volume is mounted at the same place."""
    privileged = inputs.plan.security.privileged
    sys_mode = "rw" if privileged else "ro"
    terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", *([f"gid={TTY}"] if inputs.host.tty_group else [])]
    rows: list[Row] = [
        ("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
        _dev(inputs.dev),
        ("/dev/pts", "devpts", "devpts", terminals),
        ("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
        ("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "rw" if inputs.shared_sys else sys_mode]),
        ("/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", sys_mode]),
    ]
    if inputs.host.user_namespace:
        rows = _bound(rows, {n.kind for n in inputs.namespaces}, mqueue=inputs.host.mqueue)
        if not inputs.cgroups_path and not inputs.host.cgroup_v2:  # version 1 would show the machine's groups, as it has none of ours
            rows = [_NO_GROUPS if row[0] == _NO_GROUPS[0] else row for row in rows]
    if inputs.shm:
        rows.append(("/dev/shm", "bind", inputs.shm, ["rbind", "nosuid", "noexec", "nodev", "rprivate", "rw"]))
    taken = {_clean(m.path) for m in inputs.mounts}
    return [{"destination": d, "type": t, "source": s, "options": o} for d, t, s, o in rows if d not in taken]


Row = tuple[str, str, str, list[str]]
_NO_GROUPS: Row = ("/sys/fs/cgroup", "tmpfs", "tmpfs", ["nosuid", "noexec", "nodev", "mode=0755", "size=4k", "ro"])
# a file system of the kernel's that shows a namespace can be mounted by whoever owns that namespace, and nobody owns the machine's
_SHOWN = {"/proc": "pid", "/sys": "network", "/dev/mqueue": "ipc"}


def _bound(rows: list[Row], own: set[str], *, mqueue: bool) -> list[Row]:
    """In a user namespace what shows a namespace of the machine's is bound from the machine: it is the same thing, with its rights."""
    found: list[Row] = []
    for destination, kind, source, options in rows:
        if _SHOWN.get(destination, "") in ("", *own):
            found.append((destination, kind, source, options))
        elif destination != "/dev/mqueue" or mqueue:
            found.append((destination, "bind", destination, ["rbind", "rprivate", *options]))
    return found


def _dev(made: str) -> tuple[str, str, str, list[str]]:
    """/dev as we have made it, with the flags it has (oci/dev.py says why); for a privileged container the runtime's, with every device."""
    if made:
        return ("/dev", "bind", made, ["rbind", "rprivate"])
    return ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"])


def volumes(inputs: SpecInputs) -> list[dict[str, Any]]:
    """The pod's own files and the volumes, sorted so that /a comes before /a/b; equal places stack in the order given."""
    taken = {_clean(m.path) for m in inputs.mounts}
    ours = [m for m in inputs.files if _clean(m.path) not in taken]
    ordered = sorted([*ours, *inputs.mounts], key=lambda m: _clean(m.path).count("/") if _clean(m.path) != "/" else 0)
    return [bind(m) for m in ordered]


def bind(point: MountPoint) -> dict[str, Any]:
    """One bind mount; a read-only one is so at its top only unless asked otherwise, as in Kubernetes (VO11)."""
    options = ["rbind", _PROPAGATION.get(point.propagation, "rprivate"), "ro" if point.read_only else "rw"]
    options += point.locked if point.read_only else ()
    options += ["rro"] if point.recursive and point.read_only else []
    return {"destination": point.path, "type": "bind", "source": point.source, "options": options}


def locked(path: str, users: Map | None = None) -> tuple[str, ...]:
    """In a user namespace, this one or the pod's `users`: flags of the mount at `path` that were set outside of it.

    No remount may take them away (mount_namespaces(7)). The runtime remounts a bind that is read-only or more, and would name only what it
    was told. () elsewhere, or when it is not there.
    """
    if not (users or machine().user_namespace):
        return ()
    try:
        flags = os.statvfs(path).f_flag
    except OSError:
        return ()
    return tuple(name for bit, name in ((os.ST_NOSUID, "nosuid"), (os.ST_NODEV, "nodev"), (os.ST_NOEXEC, "noexec")) if flags & bit)


def root_propagation(points: Sequence[MountPoint]) -> str:
    """VO11: the runtime cuts a container's mounts off the host's before it binds anything, unless told how far not to."""
    wanted = {_PROPAGATION.get(point.propagation, "rprivate") for point in points}
    return next((found for found in ("rshared", "rslave") if found in wanted), "")


def _clean(path: str) -> str:
    return os.path.normpath("/" + path.lstrip("/"))
