"""What the spec of a container must know of this machine and of its root file system."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from kubeplay.engine.host.machine import huge_pages, machine
from kubeplay.engine.host.syscalls import RESOLVE_IN_ROOT, open_ordinary, openat2
from kubeplay.engine.host.userns import ranges
from kubeplay.engine.oci import seccomp
from kubeplay.engine.oci.cgroup import Cgroups, page_size
from kubeplay.engine.oci.mounts import TTY
from kubeplay.engine.oci.spec import HostFacts
from kubeplay.engine.oci.user import covers


def host_facts(cgroups: Cgroups) -> HostFacts:
    """This machine, as the spec needs to know it."""
    facts = machine()
    return HostFacts(
        machine=os.uname().machine, cgroup_v2=cgroups.unified, swap=cgroups.swap_limited(), page_sizes=_page_sizes(cgroups),
        capabilities=facts.capabilities, can_raise_limits=facts.can_raise_limits, oom_floor=facts.oom_score_adj,
        nofile_hard=facts.nofile_hard, seccomp=facts.seccomp, apparmor=facts.apparmor, selinux=facts.selinux,
        **(_namespaced(cgroups) if facts.user_namespace else {}),
    )  # fmt: skip


def _page_sizes(cgroups: Cgroups) -> tuple[str, ...]:
    """Where version 1 and 2 are side by side, runtimes know the first one's controllers only; the pod's own group has the limit (RS4)."""
    known = any("hugetlb" in h.controllers and (cgroups.unified or h.version == 1) for h in cgroups.hierarchies)
    return tuple([page_size(name) for name in sorted(huge_pages())]) if known else ()


def _namespaced(cgroups: Cgroups) -> dict[str, Any]:
    return {
        "user_namespace": True, "controllers": tuple(sorted(cgroups.controllers)), "tty_group": covers(ranges("gid"), TTY),
        "mqueue": os.path.isdir("/dev/mqueue"),
    }  # fmt: skip


def has_32_bit(root: str) -> bool:
    """Whether the root file system has programs of the machine's 32-bit kind: their loader, or a shell that is one."""
    at = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path in seccomp.COMPAT.get(os.uname().machine, ()):
            with suppress(OSError):
                os.close(openat2(at, path, os.O_PATH, RESOLVE_IN_ROOT))
                return True
        with suppress(OSError):
            fd = open_ordinary(at, "bin/sh", RESOLVE_IN_ROOT)
            try:
                return os.read(fd, 5) == b"\x7fELF\x01"  # elf(5): EI_CLASS is ELFCLASS32
            finally:
                os.close(fd)
        return False
    finally:
        os.close(at)
