"""From a plan to the runtime's config.json: pure, every fact comes in through `SpecInputs`.

Nothing of the image decides about security: its config gives environment, command, directory and user name, no more; no
annotation of a manifest or an image reaches the runtime.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kubeplay.engine.oci import capabilities, seccomp
from kubeplay.engine.oci.cdi import Edits
from kubeplay.engine.oci.cgroup import PERIOD, page_size, quota, shares
from kubeplay.engine.oci.mounts import MountPoint, root_propagation, standard, volumes
from kubeplay.engine.oci.user import Identity
from kubeplay.errors import ContainerError
from kubeplay.plan.container import ContainerPlan, Resolved
from kubeplay.plan.security import Security
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.host.idmapped import Map

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # image-spec and every runtime's default
_NOFILE = 1_048_576  # containerd's unit sets infinity, which the kernel caps at fs.nr_open's default

# SC7
MASKED = (
    "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
)  # fmt: skip
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


class ImageDefaults(Record):
    """What an image says about running it; `entrypoint` and `cmd` () = not set."""

    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    stop_signal: str = ""


class HostFacts(Record):
    """What this machine can do; `capabilities` a mask, `oom_floor` the lowest oom_score_adj we may set, `page_sizes` of huge pages that
    can be limited, as `2MB`.

    In a `user_namespace`: `controllers` that can limit (None elsewhere: all there are), whether the terminals' group is one of its ids, and
    whether the machine has POSIX message queues to be bound.
    """

    machine: str = "x86_64"
    cgroup_v2: bool = False
    swap: bool = True
    page_sizes: tuple[str, ...] = ()
    capabilities: int = (1 << 41) - 1
    can_raise_limits: bool = True
    oom_floor: int = -1000
    nofile_hard: int = _NOFILE
    seccomp: bool = True
    apparmor: bool = False
    selinux: bool = False
    user_namespace: bool = False
    controllers: tuple[str, ...] | None = None
    tty_group: bool = True
    mqueue: bool = True


class Namespace(Record):
    """One namespace: `path` "" = a new one."""

    kind: str
    path: str = ""


class Device(Record):
    """A device node to allow; `path` inside the container, for privileged ones it is made there."""

    path: str
    kind: str
    major: int
    minor: int
    mode: int = 0o600
    uid: int = 0
    gid: int = 0
    access: str = "rwm"


class SpecInputs(Record):
    """Everything `build` needs. `files` are our own binds (hosts, hostname, ...); `seccomp_profile` a Localhost profile's content.

    `compat`: the root file system has 32-bit programs.

    `users`: the ids of the pod's own user namespace. `edits`: what its devices bring along (CDI).

    `dev` is a /dev we have made, "" = the runtime makes it. `shared_sys`: another container of the pod is privileged. A network namespace
    has one sysfs, which is read-only for all when its first mount says so; then the mount is writable and a read-only bind covers it.
    """

    plan: ContainerPlan
    resolved: Resolved
    image: ImageDefaults
    identity: Identity
    hostname: str
    rootfs: str
    cgroups_path: str
    namespaces: tuple[Namespace, ...]
    host: HostFacts
    shm: str = ""
    dev: str = ""
    files: tuple[MountPoint, ...] = ()
    mounts: tuple[MountPoint, ...] = ()
    devices: tuple[Device, ...] = ()
    oom_score_adj: int = 0
    default_seccomp: bool = True
    seccomp_profile: dict[str, Any] | None = None
    shared_sys: bool = False
    compat: bool = False
    users: Map | None = None
    edits: Edits = Edits()


def build(inputs: SpecInputs) -> dict[str, Any]:
    """The OCI configuration. Raises ContainerError when there is no command to run."""
    security = inputs.plan.security
    caps = _capabilities(security, inputs.host)
    config: dict[str, Any] = {
        "ociVersion": "1.0.2",
        "process": _process(inputs, caps),
        "root": {"path": inputs.rootfs, "readonly": security.read_only_rootfs},
        "mounts": [*standard(inputs), *volumes(inputs), *inputs.edits.mounts],
        "linux": _linux(inputs, caps),
        "annotations": {},
    }
    for name, hook in inputs.edits.hooks:
        config.setdefault("hooks", {}).setdefault(name, []).append(hook)
    return config


def command_line(plan: ContainerPlan, resolved: Resolved, image: ImageDefaults) -> tuple[str, ...]:
    """CM1. Raises ContainerError when neither the container nor the image names a program."""
    if resolved.command:
        line = resolved.command + (resolved.args or ())
    elif resolved.args:
        line = image.entrypoint + resolved.args
    else:
        line = image.entrypoint + image.cmd
    if not line or not line[0]:
        raise ContainerError(
            "CreateContainerError", f'container "{plan.name}": no command specified: the image has neither entrypoint nor cmd'
        )
    return line


def environment(inputs: SpecInputs) -> list[str]:
    """Image, then what the runtime adds, then the container's own; a later one replaces an earlier one in its place.

    An entry of the image without `=` is dropped: it must never mean "take the host's" (CVE-2026-57231).
    """
    values: dict[str, str] = {"PATH": DEFAULT_PATH}
    if inputs.hostname:
        values["HOSTNAME"] = inputs.hostname
    if inputs.plan.tty:
        values["TERM"] = "xterm"
    for entry in inputs.image.env:
        name, equals, value = entry.partition("=")
        if equals and name and "\0" not in entry:
            values[name] = value
    values.update((name, value) for name, value in inputs.resolved.env if "\0" not in name + value)
    values.setdefault("HOME", inputs.identity.home)
    values.update([(name, value) for name, _, value in (entry.partition("=") for entry in inputs.edits.env)])
    return [f"{name}={value}" for name, value in values.items()]


def working_dir(inputs: SpecInputs) -> str:
    """CM2. Raises ContainerError for one that is relative or leads through a process's descriptors (CVE-2024-21626)."""
    path = inputs.plan.working_dir or inputs.image.working_dir or "/"
    clean = os.path.normpath("/" + path.lstrip("/"))
    if not path.startswith("/") or "\0" in path or (clean.startswith("/proc/") and {"fd", "cwd", "root", "task"} & set(clean.split("/"))):
        raise ContainerError("CreateContainerError", f'container "{inputs.plan.name}": working directory {path[:200]!r} is not allowed')
    return path


def _capabilities(security: Security, host: HostFacts) -> list[str]:
    return capabilities.names(security.cap_add, security.cap_drop, privileged=security.privileged, available=host.capabilities)


def _process(inputs: SpecInputs, caps: list[str]) -> dict[str, Any]:
    plan, identity = inputs.plan, inputs.identity
    process: dict[str, Any] = {
        "terminal": plan.tty,
        "user": {"uid": identity.uid, "gid": identity.gid, "additionalGids": [*identity.groups, *inputs.edits.groups]},
        "args": list(command_line(plan, inputs.resolved, inputs.image)),
        "env": environment(inputs),
        "cwd": working_dir(inputs),
        "capabilities": capabilities.sets(caps),
        "noNewPrivileges": plan.security.no_new_privileges,
        "oomScoreAdj": _oom_score(inputs),
        "rlimits": _rlimits(inputs.host),
    }
    if inputs.host.apparmor and plan.security.apparmor.type == "Localhost" and not plan.security.privileged:
        process["apparmorProfile"] = plan.security.apparmor.profile
    label = plan.security.selinux
    if inputs.host.selinux and any(label):
        process["selinuxLabel"] = ":".join(
            (label.user or "system_u", label.role or "system_r", label.type or "container_t", label.level or "s0")
        )
    return process


def _oom_score(inputs: SpecInputs) -> int:
    """Lowering needs CAP_SYS_RESOURCE (RS6, LR3)."""
    wanted = inputs.oom_score_adj
    return wanted if inputs.host.can_raise_limits else max(wanted, inputs.host.oom_floor)


def _rlimits(host: HostFacts) -> list[dict[str, Any]]:
    limit = _NOFILE if host.can_raise_limits or host.nofile_hard < 0 else min(_NOFILE, host.nofile_hard)
    return [{"type": "RLIMIT_NOFILE", "hard": limit, "soft": limit}]


def masked(security: Security) -> tuple[str, ...]:
    """SC7: the paths that are hidden from a container."""
    return () if security.privileged or security.proc_mount == "Unmasked" else MASKED


def _linux(inputs: SpecInputs, caps: list[str]) -> dict[str, Any]:
    security = inputs.plan.security
    linux: dict[str, Any] = {
        "namespaces": [{"type": n.kind, **({"path": n.path} if n.path else {})} for n in inputs.namespaces],
    }
    if inputs.users:
        from kubeplay.engine.oci.mappings import mappings

        linux |= mappings(inputs.users)
    if inputs.cgroups_path:  # else the container stays in the group it is started in, and nothing can be limited
        linux |= {"cgroupsPath": inputs.cgroups_path, "resources": _resources(inputs)}
    propagation = root_propagation(inputs.mounts)
    if propagation:
        linux["rootfsPropagation"] = propagation
    hidden = masked(security)
    if hidden:
        linux["maskedPaths"] = list(hidden)
        linux["readonlyPaths"] = list(READ_ONLY)
    if not security.privileged and inputs.shared_sys:
        linux["readonlyPaths"] = [*linux.get("readonlyPaths", ()), "/sys"]
    if security.privileged:
        linux["devices"] = [_device(d) for d in inputs.devices]
    else:
        profile = _seccomp(inputs, caps)
        if profile is not None:
            linux["seccomp"] = profile
    return linux


def _seccomp(inputs: SpecInputs, caps: list[str]) -> dict[str, Any] | None:
    """SC5; a container that names no profile gets ours only with --seccomp-default, which the caller has worked out."""
    chosen = inputs.plan.security.seccomp
    if not inputs.host.seccomp or chosen.type == "Unconfined":
        return None
    if chosen.type == "Localhost":
        return inputs.seccomp_profile
    return seccomp.default(caps, inputs.host.machine, compat=inputs.compat) if inputs.default_seccomp else None


def _resources(inputs: SpecInputs) -> dict[str, Any]:
    """RS2, RS7, RS8."""
    plan, wanted, host = inputs.plan, inputs.plan.resources, inputs.host
    request = wanted.cpu_request if wanted.cpu_request is not None else wanted.cpu_limit
    cpu: dict[str, Any] = {"shares": shares(request)}
    if wanted.cpu_limit:
        cpu |= {"quota": quota(wanted.cpu_limit), "period": PERIOD}
    cpu |= {key: value for key, value in (("cpus", plan.cpuset), ("mems", plan.mems)) if value}
    found: dict[str, Any] = {"cpu": cpu, "devices": _device_rules(inputs)}
    if wanted.memory_limit:
        found["memory"] = {"limit": wanted.memory_limit, **({"swap": wanted.memory_limit} if host.swap else {})}
    if plan.pids_limit:
        found["pids"] = {"limit": plan.pids_limit}
    if host.cgroup_v2:
        found["unified"] = {"memory.oom.group": "1"}
    asked = {page_size(name): limit for name, limit in wanted.others if name.startswith("hugepages-")}
    if host.page_sizes:  # who asks for none gets none (RS7)
        found["hugepageLimits"] = [{"pageSize": size, "limit": asked.get(size, 0)} for size in host.page_sizes]
    return found if host.controllers is None else _enforceable(found, host.controllers)


def _enforceable(resources: dict[str, Any], controllers: tuple[str, ...]) -> dict[str, Any]:
    """What the controllers we were given can do: the runtime takes everything else for a failure. Device rules need the machine's root."""
    there = {"cpu": "cpu", "memory": "memory", "pids": "pids", "hugepageLimits": "hugetlb", "unified": "memory"}
    found = {key: value for key, value in resources.items() if there.get(key) in controllers}
    if "cpu" in found and "cpuset" not in controllers:
        found["cpu"] = {key: value for key, value in found["cpu"].items() if key not in ("cpus", "mems")}
    return found


def _device_rules(inputs: SpecInputs) -> list[dict[str, Any]]:
    if inputs.plan.security.privileged:
        return [{"allow": True, "access": "rwm"}]
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    rules += [{"allow": True, "type": d.kind, "major": d.major, "minor": d.minor, "access": d.access} for d in inputs.devices]
    return rules


def _device(device: Device) -> dict[str, Any]:
    return {
        "path": device.path, "type": device.kind, "major": device.major, "minor": device.minor,
        "fileMode": device.mode, "uid": device.uid, "gid": device.gid,
    }  # fmt: skip
