"""Mount points inside ConfigMap and Secret volumes: the runtime cannot make them in a read-only mount, so we do (record 227)."""

from __future__ import annotations

import os

from kubeplay.engine.host.syscalls import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from kubeplay.plan.pod import PodPlan

_MODE = 0o755  # as the directories of the volume itself (VO4)


def points(pod: PodPlan, volume: str) -> tuple[str, ...]:
    """Where other volumes are mounted below a mount of `volume`, relative to it; names with `..` in front are the volume's own."""
    found: dict[str, None] = {}
    for container in pod.containers:
        places = [(os.path.normpath("/" + mount.path.lstrip("/")), mount) for mount in container.mounts]
        for top in {place for place, mount in places if mount.volume == volume and not (mount.sub_path or mount.sub_path_expr)}:
            found.update((place[len(top) + 1 :], None) for place, _ in places if place.startswith(f"{top}/"))
    return tuple(sorted(path for path in found if not path.startswith("..")))


def make(directory: int, path: str) -> None:
    """Make `path` below the open directory, never through a link. Raises OSError."""
    where = os.dup(directory)
    try:
        for part in path.split("/"):
            try:
                os.mkdir(part, _MODE, dir_fd=where)
                os.chmod(part, _MODE, dir_fd=where)
            except FileExistsError:
                pass
            below = openat2(where, part, os.O_RDONLY | os.O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
            os.close(where)
            where = below
    finally:
        os.close(where)
