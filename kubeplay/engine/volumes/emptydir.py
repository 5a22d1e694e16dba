"""emptyDir: a directory that lives as long as the pod; tmpfs for medium Memory (VO7)."""

from __future__ import annotations

import os

from kubeplay.engine.host.syscalls import MS_NODEV, MS_NOSUID, mount
from kubeplay.errors import VolumeError
from kubeplay.plan.volumes import EmptyDir

DISK_MODE = 0o777
MEMORY_MODE = 0o1777  # both from the record: emptyDir is 0777 root:root, Memory 1777


def prepare(source: EmptyDir, disk: str, memory: str, memory_limit: int) -> str:
    """Make the volume and return its path: `disk` or, for medium Memory, a tmpfs on `memory`.

    `memory_limit` is the pod's memory limit in bytes (0 = none). Raises VolumeError for an unknown medium.
    """
    if source.medium == "Memory":
        if not os.path.ismount(memory):
            os.makedirs(memory, mode=0o700, exist_ok=True)
            sizes = [size for size in (source.size_limit, memory_limit) if size]
            size = f",size={min(sizes)}" if sizes else ""
            mount("tmpfs", memory, "tmpfs", MS_NOSUID | MS_NODEV, f"mode={MEMORY_MODE:o}{size}")
        return memory
    if source.medium:
        raise VolumeError(f'unknown storage medium "{source.medium}"')
    if not os.path.isdir(disk):
        os.makedirs(disk, exist_ok=True)
        os.chmod(disk, DISK_MODE)
    return disk
