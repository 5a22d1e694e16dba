"""emptyDir: a directory that lives as long as the pod; tmpfs for medium Memory (VO7)."""

from __future__ import annotations

import os

from kubeplay.engine.host.syscalls import MS_NODEV, MS_NOSUID, mount
from kubeplay.errors import VolumeError
from kubeplay.plan.volumes import EmptyDir

DISK_MODE = 0o777
HUGE = "HugePages"
MEMORY_MODE = 0o1777  # both from the record: emptyDir is 0777 root:root, Memory 1777


def prepare(source: EmptyDir, disk: str, memory: str, memory_limit: int, pages: tuple[str, ...] = ()) -> str:
    """Make the volume and return its path: `disk` or, for the media Memory and HugePages, a file system of its own on `memory`.

    `memory_limit` is the pod's memory limit in bytes (0 = none), `pages` the sizes of huge pages that it asks for (2Mi).
    Raises VolumeError.
    """
    if source.medium.startswith(HUGE):
        return _huge(source, memory, pages)
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


def _huge(source: EmptyDir, memory: str, pages: tuple[str, ...]) -> str:
    """Huge pages of the size that the medium names, else of the only one that the pod asks for [K: emptydir getPageSizeMountOption]."""
    size = source.medium.removeprefix(HUGE).removeprefix("-")
    if not size and len(pages) > 1:
        raise VolumeError(f"medium {HUGE} can't be used: the pod requests huge pages of several sizes", hint="say which: HugePages-2Mi")
    if not pages or (size and size not in pages):
        raise VolumeError("hugePages storage requested, but there is no resource request for huge pages", hint=f"requested: {list(pages)}")
    if not os.path.ismount(memory):
        os.makedirs(memory, mode=0o700, exist_ok=True)
        limit = f",size={source.size_limit}" if source.size_limit else ""
        options = f"pagesize={(size or pages[0]).removesuffix('i')},mode={DISK_MODE:o}{limit}"
        mount("nodev", memory, "hugetlbfs", MS_NOSUID | MS_NODEV, options)
    return memory
