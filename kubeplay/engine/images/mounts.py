"""Images mounted for a person: read-only, below the runroot, so that a reboot or `system reset` ends them.

runroot/mounts/HEX/fs      the mount
runroot/mounts/HEX/count   how often it was asked for; `image unmount` takes one away, the last one unmounts
"""

from __future__ import annotations

import os

from kubeplay.engine.host.paths import Paths, ensure_directory, hex_digest
from kubeplay.engine.layers import overlay
from kubeplay.engine.store.images import ImageRow
from kubeplay.engine.store.locks import Lock
from kubeplay.errors import Conflict, NotFound


def path(paths: Paths, image_id: str) -> str:
    return f"{_directory(paths, image_id)}/fs"


def is_mounted(paths: Paths, image_id: str) -> bool:
    return overlay.is_mounted(path(paths, image_id))


def mounted(paths: Paths) -> list[str]:
    """Ids of the images that are mounted."""
    try:
        names = os.listdir(f"{paths.runroot}/mounts")
    except FileNotFoundError:
        return []
    return sorted(f"sha256:{name}" for name in names if is_mounted(paths, f"sha256:{name}"))


def mount(paths: Paths, row: ImageRow) -> str:
    """Mount an image's file system and return where; a further time counts only. Raises NotFound (a layer), MissingPrerequisite."""
    target = path(paths, row.id)
    with Lock(paths.lock("image-mounts")):
        count = _count(paths, row.id)
        if not overlay.is_mounted(target):
            ensure_directory(target)
            overlay.view_rootfs(row.layers, target, paths)
            count = 0
        _note(paths, row.id, count + 1)
    return target


def unmount(paths: Paths, image_id: str, force: bool = False) -> bool:
    """Take one mount away; with `force` all of them. True when nothing of it is left. Raises NotFound (not mounted)."""
    with Lock(paths.lock("image-mounts")):
        target = path(paths, image_id)
        if not overlay.is_mounted(target):
            raise NotFound(f"image {image_id[7:19]} is not mounted")
        left = _count(paths, image_id) - 1
        if left > 0 and not force:
            _note(paths, image_id, left)
            return False
        overlay.unmount(target)
        directory = _directory(paths, image_id)
        os.rmdir(target)
        for name in os.listdir(directory):
            os.unlink(f"{directory}/{name}")
        os.rmdir(directory)
        return True


def check_free(paths: Paths, image_id: str) -> None:
    """Raises Conflict when the image is mounted."""
    if is_mounted(paths, image_id):
        message = f"image {image_id[7:19]} is mounted at {path(paths, image_id)}"
        raise Conflict(message, hint="unmount it with `kubeplay image unmount`, or use --force")


def _directory(paths: Paths, image_id: str) -> str:
    return f"{paths.runroot}/mounts/{hex_digest(image_id)}"


def _count(paths: Paths, image_id: str) -> int:
    try:
        with open(f"{_directory(paths, image_id)}/count", encoding="ascii") as file:
            return int(file.read(16) or "0")
    except (FileNotFoundError, ValueError):
        return 0


def _note(paths: Paths, image_id: str, count: int) -> None:
    directory = _directory(paths, image_id)
    temporary = f"{directory}/count.{os.getpid()}"
    with open(temporary, "w", encoding="ascii") as file:
        file.write(str(count))
    os.rename(temporary, f"{directory}/count")
