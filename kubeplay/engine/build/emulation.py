"""Whether this machine runs programs of another platform: natively, or by an interpreter that binfmt_misc knows (qemu-user-static)."""

from __future__ import annotations

import os

_DIRECTORY = "/proc/sys/fs/binfmt_misc"
_NATIVE = {"amd64": ("386",), "arm64": ("arm",)}  # what the same processors run
# GOARCH -> the names qemu-user-static's packages register
_QEMU = {"amd64": "x86_64", "386": "i386", "arm64": "aarch64", "mips64le": "mips64el", "mipsle": "mipsel"}


def runs(platform: str, machine: str, directory: str = _DIRECTORY) -> bool:
    """Whether RUN works for OS/ARCH[/VARIANT] `platform` on `machine`. The interpreter must be held open (flag F): no image has it."""
    system, _, rest = platform.partition("/")
    wanted, here = rest.partition("/")[0], machine.split("/")[1]
    if system != "linux":
        return False
    if wanted == here or wanted in _NATIVE.get(here, ()):
        return True
    return _registered(os.path.join(directory, f"qemu-{_QEMU.get(wanted, wanted)}"))


def _registered(path: str) -> bool:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            lines = file.read(4096).splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags:")), "")
    return lines[:1] == ["enabled"] and "F" in flags
