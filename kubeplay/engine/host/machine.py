"""Facts about this machine that decide what a container can be given: boot id, memory, capabilities, limits, security modules."""

from __future__ import annotations

import os

from kubeplay.engine.host import userns
from kubeplay.record import Record

CAP_SYS_RESOURCE = 24  # linux/capability.h
CAP_LAST = 40  # CAP_CHECKPOINT_RESTORE, linux/capability.h
_RLIMIT_NOFILE = 7  # asm-generic/resource.h


class Machine(Record):
    """What does not change while the machine is up. `capabilities` is the bounding set of this process, as a bit mask.

    `rootless`: we work for an ordinary user; `user_namespace`: capabilities are those of a user namespace, the user's or a container's.
    """

    boot_id: str
    memory: int
    capabilities: int
    oom_score_adj: int
    nofile_hard: int
    apparmor: bool
    selinux: bool
    seccomp: bool
    rootless: bool = False
    user_namespace: bool = False

    @property
    def can_raise_limits(self) -> bool:
        """Whether rlimits may be raised and oom_score_adj lowered (LR3)."""
        return bool(self.capabilities >> CAP_SYS_RESOURCE & 1) and not self.user_namespace  # the kernel asks the first namespace's


def boot_id() -> str:
    """The kernel's id of this boot; read once a process, which no boot survives."""
    global _boot
    if not _boot:
        _boot = _text("/proc/sys/kernel/random/boot_id").strip()
    return _boot


def machine() -> Machine:
    """This machine's facts; read once a process."""
    global _facts
    if _facts is None:
        _facts = _read()
    return _facts


def capacity(disk: str) -> dict[str, int]:
    """What this machine has to give to pods (LR1, LR2): CPU in milli, the rest in bytes; `disk` is where containers write."""
    found = {"cpu": (os.cpu_count() or 1) * 1000, "memory": machine().memory}
    whole = os.statvfs(disk)
    found["ephemeral-storage"] = whole.f_blocks * whole.f_frsize
    for name, amount in huge_pages().items():
        found[name] = amount
        found["memory"] -= amount  # set aside by the kernel: nobody else can have it
    return found


def huge_pages(directory: str = "/sys/kernel/mm/hugepages") -> dict[str, int]:
    """Bytes of huge pages set aside, by resource name: hugepages-2Mi (Documentation/admin-guide/mm/hugetlbpage.rst)."""
    found = {}
    for name in os.listdir(directory) if os.path.isdir(directory) else ():
        size = int(name.removeprefix("hugepages-").removesuffix("kB"))  # in KiB
        text = f"{size >> 20}Gi" if size >= 1 << 20 else f"{size >> 10}Mi" if size >= 1 << 10 else f"{size}Ki"
        found[f"hugepages-{text}"] = int(_text(f"{directory}/{name}/nr_hugepages", "0")) * size * 1024
    return found


def notices() -> list[str]:
    """What this machine cannot give to containers, one line each (LR3)."""
    facts = machine()
    lines = []
    if not facts.can_raise_limits:
        why = "in a user namespace nothing is raised" if facts.user_namespace else "CAP_SYS_RESOURCE is missing"
        lines.append(f"{why}: oom_score_adj is not lowered, the open files limit stays at {facts.nofile_hard}")
    if not facts.apparmor:
        lines.append("AppArmor is off: appArmorProfile has no effect")
    if not facts.selinux:
        lines.append("SELinux is off: seLinuxOptions have no effect")
    if not facts.seccomp:
        lines.append("the kernel has no seccomp filters: seccompProfile has no effect")
    return lines


_facts: Machine | None = None
_boot = ""


def _read() -> Machine:
    import resource

    status = dict(line.split(":", 1) for line in _text("/proc/self/status").splitlines() if ":" in line)
    first = _text("/proc/meminfo").split(None, 2)
    return Machine(
        boot_id=boot_id(),
        memory=int(first[1]) * 1024,
        capabilities=int(status["CapBnd"], 16) & int(status["CapPrm"], 16),
        oom_score_adj=int(_text("/proc/self/oom_score_adj")),
        nofile_hard=resource.getrlimit(_RLIMIT_NOFILE)[1],
        apparmor=_text("/sys/module/apparmor/parameters/enabled", "N").startswith("Y"),
        selinux=os.path.exists("/sys/fs/selinux/enforce"),
        seccomp="Seccomp" in status,
        rootless=userns.rootless(),
        user_namespace=userns.in_user_namespace(),
    )


def _text(path: str, default: str | None = None) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        if default is None:
            raise
        return default
