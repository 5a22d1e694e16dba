"""hostPath: a path of the host, its type checked or made (VO8)."""

from __future__ import annotations

import os
import stat

from kubeplay.errors import VolumeError
from kubeplay.plan.volumes import HostPath

_CHECKS = {
    "Directory": (stat.S_ISDIR, "directory"),
    "File": (stat.S_ISREG, "file"),
    "Socket": (stat.S_ISSOCK, "socket"),
    "CharDevice": (stat.S_ISCHR, "character device"),
    "BlockDevice": (stat.S_ISBLK, "block device"),
    "DirectoryOrCreate": (stat.S_ISDIR, "directory"),
    "FileOrCreate": (stat.S_ISREG, "file"),
}


def prepare(source: HostPath) -> str:
    """The host path to mount, made where the type asks for it. Raises VolumeError."""
    path = source.path
    try:
        if source.type in ("", "DirectoryOrCreate") and not os.path.lexists(path):
            os.makedirs(path, mode=0o755)
        elif source.type == "FileOrCreate" and not os.path.lexists(path):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        mode = os.stat(path).st_mode
    except FileNotFoundError as error:
        wanted = _CHECKS.get(source.type)
        why = f"is not a {wanted[1]}" if wanted else "does not exist"
        raise VolumeError(f"hostPath type check failed: {path} {why}: {error.strerror}") from error
    except OSError as error:
        raise VolumeError(f"hostPath type check failed: {path}: {error.strerror}") from error
    check = _CHECKS.get(source.type)
    if check and not check[0](mode):
        raise VolumeError(f"hostPath type check failed: {path} is not a {check[1]}")
    return path
