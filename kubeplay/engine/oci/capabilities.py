"""Linux capabilities of a container (SC6)."""

from __future__ import annotations

# linux/capability.h, in the order of their numbers
ALL = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
    "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
    "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
    "PERFMON", "BPF", "CHECKPOINT_RESTORE",
)  # fmt: skip

# containerd's fourteen (SC6): what most clusters give
DEFAULT = frozenset((
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE",
    "SYS_CHROOT", "KILL", "AUDIT_WRITE",
))  # fmt: skip


def names(add: tuple[str, ...], drop: tuple[str, ...], *, privileged: bool, available: int) -> list[str]:
    """The bounding set as CAP_ names, in kernel order; `available` is the mask of what this process may give.

    Unknown names are ignored, as by containerd (kubernetes-surprises), also with a CAP_ in front, which Kubernetes does not write
    (record 076). containerd's order is kept: ALL added, ALL dropped, then single additions, then single drops.
    """
    added, dropped = {n.upper() for n in add}, {n.upper() for n in drop}
    chosen = set(ALL) if privileged or "ALL" in added else set(DEFAULT)
    if not privileged:
        chosen = set() if "ALL" in dropped else chosen
        chosen = (chosen | added & set(ALL)) - dropped
    return [f"CAP_{name}" for number, name in enumerate(ALL) if name in chosen and available >> number & 1]


def is_known(name: str) -> bool:
    """Whether a name of a manifest means anything."""
    return name.upper() == "ALL" or name.upper() in ALL


def sets(bounding: list[str]) -> dict[str, list[str]]:
    """The five sets: nothing inheritable and nothing ambient (CVE-2022-29162), so another user than root has none in effect."""
    return {"bounding": bounding, "effective": bounding, "permitted": bounding, "inheritable": [], "ambient": []}
