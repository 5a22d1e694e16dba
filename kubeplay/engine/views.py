"""The file systems that `commit`, `diff`, `export` and `mount` look at, as descriptors: a container's root, a stack of layers.

A view of layers is mounted, opened and unmounted again at once: the descriptor keeps it alive, and a killed command leaves nothing mounted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from kubeplay.engine.host.paths import ensure_directory
from kubeplay.errors import NotFound, NotRunning

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.store.runtime import ContainerRow
    from kubeplay.plan.container import ContainerPlan

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# what the runtime makes in every root file system to mount things on (oci/mounts.py, bundle._files)
_MADE = ("dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab")


@contextmanager
def root(engine: Engine, row: ContainerRow) -> Iterator[int]:
    """A descriptor of the container's root file system without its volumes, running or ended. Raises NotRunning."""
    from kubeplay.engine.layers import overlay

    path = f"{engine.paths.bundle(row.id)}/rootfs"
    if not overlay.is_mounted(path):
        raise NotRunning(f"container {row.name} has no root file system (it never started, or the machine was started anew since)")
    fd = os.open(path, _DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def upper_directory(engine: Engine, row: ContainerRow) -> Iterator[str]:
    """The path of a directory that holds the container's writable layer. Raises NotRunning."""
    from kubeplay.engine.layers import overlay

    with ExitStack() as stack:
        try:
            found = stack.enter_context(overlay.upper_of(row.id, image_layers(engine, row), engine.paths))
        except FileNotFoundError:
            raise NotRunning(f"container {row.name} has no writable layer (it never started)") from None
        yield found


@contextmanager
def upper(engine: Engine, row: ContainerRow) -> Iterator[int]:
    """As `upper_directory`, a descriptor."""
    with upper_directory(engine, row) as path:
        fd = os.open(path, _DIRECTORY)
        try:
            yield fd
        finally:
            os.close(fd)


@contextmanager
def layers(engine: Engine, diff_ids: Sequence[str]) -> Iterator[int]:
    """A descriptor of these layers (base first) stacked, read-only. Raises NotFound, MissingPrerequisite, Exhausted."""
    from kubeplay.engine.layers import overlay

    target = f"{engine.paths.runroot}/views/{os.getpid()}-{os.urandom(4).hex()}"
    ensure_directory(target)
    try:
        overlay.view_rootfs(diff_ids, target, engine.paths)
        try:
            fd = os.open(target, _DIRECTORY)
        finally:
            overlay.unmount(target)
    finally:
        os.rmdir(target)
    try:
        yield fd
    finally:
        os.close(fd)


def image_layers(engine: Engine, row: ContainerRow) -> tuple[str, ...]:
    """The layers below the container's own. Raises NotFound (a container of the host's programs, or the image is gone)."""
    image = engine.store.images.get(row.image_id) if row.image_id else None
    if image is None:
        raise NotFound(f"the image of container {row.name} is not stored any more")
    return image.layers


def mount_points(plan: ContainerPlan) -> tuple[str, ...]:
    """Paths, without the leading slash, that are mounts in the container: what lies there belongs to the runtime, not to the layer."""
    own = [mount.path.strip("/") for mount in plan.mounts]
    return tuple(sorted({*_MADE, *own, plan.termination_path.strip("/")} - {""}))


def container_owner(engine: Engine, row: ContainerRow) -> tuple[int, int]:
    """Who the container's first process is, (uid, gid). Raises NotRunning (it never started)."""
    import json

    try:
        with open(f"{engine.paths.bundle(row.id)}/config.json", encoding="utf-8") as file:
            user = json.load(file)["process"]["user"]
        return int(user.get("uid", 0)), int(user.get("gid", 0))
    except (OSError, ValueError, KeyError) as error:
        raise NotRunning(f"container {row.name} never started") from error
