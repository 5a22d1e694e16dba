"""How much of the disk images, containers, volumes and the build cache take, and how much of it nothing needs."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from kubeplay.engine.store.images import ImageRow
from kubeplay.engine.store.resources import VolumeRow
from kubeplay.engine.store.runtime import RUNNING, ContainerRow
from kubeplay.errors import KubeplayError
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEPTH = 400  # levels, an open descriptor each; what lies deeper is not counted


class ImageUse(Record):
    """Bytes: `size` all layers, `shared` those that other images have too, `unique` the rest; `containers` made from it."""

    row: ImageRow
    size: int
    shared: int
    unique: int
    containers: int


class ContainerUse(Record):
    row: ContainerRow
    size: int


class VolumeUse(Record):
    """`links`: names of the pods that use it."""

    row: VolumeRow
    size: int
    links: tuple[str, ...]


class Usage(Record):
    """Bytes on disk. `layers` counts every layer once, `blobs` are compressed blobs kept for pushing, `cache` belongs to builds."""

    images: tuple[ImageUse, ...]
    containers: tuple[ContainerUse, ...]
    volumes: tuple[VolumeUse, ...]
    layers: int
    free_layers: int
    blobs: int
    cache: int


def measure(engine: Engine) -> Usage:
    """Walk everything; sizes of things that change meanwhile are as they were when they were looked at."""
    rows = engine.store.images.list()
    owners: dict[str, set[str]] = {}
    for row in rows:
        for layer in row.layers:
            owners.setdefault(layer, set()).add(row.id)
    sizes = {layer: _layer_size(engine, layer) for layer in owners}
    containers = [row for row in engine.store.runtime.containers() if row.image_id]  # our own pods run the host's programs
    used = {row.image_id for row in containers}
    images = tuple(_image(row, owners, sizes, [c for c in containers if c.image_id == row.id]) for row in rows)
    free = sum(size for layer, size in sizes.items() if not owners[layer] & used)
    blobs = sum(size for _, size in (*engine.images.blobs.whole(), *engine.images.blobs.partial()))
    uses = tuple(ContainerUse(row, writable(f"{engine.paths.container(row.id)}")) for row in containers)
    return Usage(images, uses, _volumes(engine), sum(sizes.values()), free, blobs, size_of(f"{engine.paths.root}/build-cache"))


def writable(container: str) -> int:
    """What a container's own files take: an overlay's upper directory, or a whole copy where there are no overlays."""
    return size_of(f"{container}/copy") or size_of(f"{container}/upper")


def container_sizes(engine: Engine, row: ContainerRow) -> tuple[int, int]:
    """Bytes of a container's own files, and of its whole root file system; what of the image is there no more counts as nothing."""
    own = writable(engine.paths.container(row.id))
    image = engine.store.images.get(row.image_id) if row.image_id else None
    return own, own + sum(_layer_size(engine, layer) for layer in (image.layers if image else ()))


def is_running(row: ContainerRow) -> bool:
    return row.state == RUNNING


def size_of(path: str) -> int:
    """Bytes on disk below `path`, hard links once, links not followed; 0 when it is not there."""
    try:
        fd = os.open(path, _DIRECTORY)
    except OSError:
        return 0
    return _below(fd, set(), 0)


def _below(fd: int, seen: set[tuple[int, int]], depth: int) -> int:
    total = 0
    try:
        for name in os.listdir(fd):
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    total += status.st_blocks * 512
                    if depth < _DEPTH:
                        total += _below(os.open(name, _DIRECTORY, dir_fd=fd), seen, depth + 1)
                elif status.st_nlink == 1 or (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    total += status.st_blocks * 512
            except OSError:
                continue  # gone meanwhile
    finally:
        os.close(fd)
    return total


def _layer_size(engine: Engine, layer: str) -> int:
    try:
        return engine.images.layers.meta(layer).content
    except KubeplayError:
        return 0


def _image(row: ImageRow, owners: dict[str, set[str]], sizes: dict[str, int], containers: list[ContainerRow]) -> ImageUse:
    layers = set(row.layers)
    shared = sum(sizes[layer] for layer in layers if len(owners[layer]) > 1)
    whole = sum(sizes[layer] for layer in layers)
    return ImageUse(row, whole, shared, whole - shared, len(containers))


def _volumes(engine: Engine) -> tuple[VolumeUse, ...]:
    from kubeplay.plan import codec
    from kubeplay.plan.volumes import Claim

    links: dict[tuple[str, str], list[str]] = {}
    for pod in engine.store.runtime.pods():
        for volume in codec.loads(pod.plan).volumes:
            if isinstance(volume.source, Claim):
                links.setdefault((pod.namespace, volume.source.claim_name), []).append(pod.name)
    return tuple(
        VolumeUse(row, size_of(engine.paths.volume(row.namespace, row.name)), tuple(links.get((row.namespace, row.name), ())))
        for row in engine.store.resources.volumes()
    )
