"""The bundle of a container: root file system, mounts, identity, config.json; what `oci.spec` is given, gathered from the rooms."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from kubeplay.engine import idmaps
from kubeplay.engine.host.machine import machine
from kubeplay.engine.host.syscalls import MS_BIND, MS_REC, RESOLVE_IN_ROOT, mount, openat2, umount
from kubeplay.engine.host.userns import in_user_namespace
from kubeplay.engine.oci import cdi, dev, facts, qos, spec, user
from kubeplay.engine.oci.cdi import Edits, Node
from kubeplay.engine.oci.mounts import MountPoint, locked
from kubeplay.engine.store.runtime import RUNNING
from kubeplay.errors import ContainerError, VolumeError
from kubeplay.plan.container import ContainerPlan, Resolved
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.volumes import ImageVolume, Mount
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.container import Facts
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.host.idmapped import Map
    from kubeplay.engine.store.runtime import ContainerRow, SandboxRow

_PROFILE_LIMIT = 1 << 20  # bytes of a Localhost seccomp profile; the largest known ones have some 20 KiB


class Parts(Record):
    """The volumes' sides of the mounts; descriptors are open as long as the runtime may need them. `dev` "" = the runtime makes /dev."""

    mounts: tuple[MountPoint, ...]
    devices: tuple[spec.Device, ...]
    dev: str = ""
    edits: Edits = Edits()


def rootfs(engine: Engine, row: ContainerRow, pod: PodPlan, layers: tuple[str, ...], *, host: bool) -> str:
    """Mount the container's root; with `host` an empty directory that the host's programs are bound into."""
    from kubeplay.engine.layers import overlay

    container_id, users = row.id, idmaps.of(engine, row.pod_uid, pod.sandbox.users)
    if users:
        idmaps.let_in(engine.paths.bundle(container_id), users)
        return overlay.mount_rootfs(container_id, layers, engine.paths, users=users, userns=_userns(engine, row.sandbox_id))
    if not host:
        return overlay.mount_rootfs(container_id, layers, engine.paths)
    path = f"{engine.paths.bundle(container_id)}/rootfs"
    os.makedirs(path, mode=0o755, exist_ok=True)
    return path


def _userns(engine: Engine, sandbox_id: str) -> str:
    return f"{engine.paths.sandbox(sandbox_id)}/ns/user"


@contextmanager
def opened(
    engine: Engine, row: ContainerRow, sandbox: SandboxRow, pod: PodPlan, plan: ContainerPlan, resolved: Resolved
) -> Iterator[Parts]:
    """The mounts of the container's volumes, as long as the runtime needs them.

    A source that is a descriptor of ours (a checked subPath) is bound to a place in the bundle first: the runtime's init opens sources in
    a mount namespace of its own, where the kernel refuses to bind what a descriptor of another one names.
    """
    fds: list[int] = []
    mounts: list[MountPoint] = []
    devices: list[spec.Device] = []
    users = idmaps.of(engine, row.pod_uid, pod.sandbox.users)
    shown = _userns(engine, sandbox.id) if users and not in_user_namespace() else ""
    try:
        for place, wanted in enumerate(plan.mounts):
            sub_path = resolved.sub_paths[place] if place < len(resolved.sub_paths) else wanted.sub_path
            try:
                source = engine.volumes.source(row.pod_uid, pod, wanted, sub_path)
            except VolumeError as error:
                if not sub_path:
                    raise
                where = f'failed to prepare subPath for volumeMount "{wanted.volume}" of container "{plan.name}"'  # the kubelet's words
                raise ContainerError(user.CONFIG_ERROR, f"{where}: {error.message}", hint=error.hint) from error
            path = source.path
            if source.fd >= 0:
                fds.append(source.fd)
            through = "" if _is_image(pod, wanted.volume) else shown
            if source.fd >= 0 or through:
                path = _stage(engine.paths.bundle(row.id), place, source.path, through, is_file=source.is_file)
            whole = _recursive(engine, wanted, plan.name) if wanted.recursive_read_only and source.read_only else False
            mounts.append(MountPoint(path, wanted.path, source.read_only, wanted.propagation, locked(path, users), whole))
            if source.device:
                devices.append(device(path, wanted.path))
        made = "" if plan.security.privileged else _dev(engine, row, plan, users)
        edits = cdi.resolve(cdi.names(plan.resources.others), engine.settings.cdi_spec_dir.split(":")) if plan.resources.others else Edits()
        for node in edits.nodes:
            one = cdi_device(node)
            devices.append(one)
            if not plan.security.privileged and not dev.add(made, one, users.root if users else (0, 0)):
                mounts.append(MountPoint(node.host_path, node.path))
        yield Parts(tuple(mounts), tuple(devices), made, edits)
    finally:
        unstage(engine.paths.bundle(row.id))
        for fd in fds:
            os.close(fd)


def _recursive(engine: Engine, wanted: Mount, container: str) -> bool:
    """VO11: whether the mount is made read-only with all that is below it. Raises ContainerError where that is asked for and cannot be."""
    can = engine.runtime.recursive_read_only()
    if not can and wanted.recursive_read_only == "Enabled":
        why = "this machine's runtime or kernel has no recursive read-only mounts"
        raise ContainerError(
            user.CONFIG_ERROR, f'container "{container}", volumeMount "{wanted.path}": recursiveReadOnly: Enabled: {why}',
            hint="runc 1.1 or crun 1.8 and Linux 5.12 have them; IfPossible goes without",
        )  # fmt: skip
    return can


def _is_image(pod: PodPlan, volume: str) -> bool:
    """An image volume is mounted with the pod's ids as it is; overlayfs cannot be shown with others."""
    return any(isinstance(one.source, ImageVolume) for one in pod.volumes if one.name == volume)


def _stage(bundle: str, place: int, source: str, shown: str, *, is_file: bool) -> str:
    """Bind a source to a place in the bundle; `shown` names a user namespace whose ids its files are shown with. Raises ContainerError."""
    target = f"{bundle}/mounts/{place}"
    os.makedirs(target if not is_file else os.path.dirname(target), mode=0o700, exist_ok=True)
    if is_file:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    if not shown:
        mount(source, target, flags=MS_BIND | MS_REC)
        return target
    from kubeplay.engine.host import idmapped

    try:
        idmapped.clone(source, target, shown, recursive=True)
    except OSError as error:
        raise ContainerError(
            "CreateContainerError", f"{source} cannot be shown with the ids of the pod's user namespace: {error.strerror}",
            hint="its file system must allow idmapped mounts: ext4, xfs, btrfs; a tmpfs (Secrets, medium: Memory) since Linux 6.3",
        ) from error  # fmt: skip
    return target


def _dev(engine: Engine, row: ContainerRow, plan: ContainerPlan, users: Map | None) -> str:
    path = f"{engine.paths.bundle(row.id)}/mounts/dev"
    dev.make(path, terminal=plan.tty)
    if users:
        os.chown(path, *users.root)
    return path


def unstage(bundle: str) -> None:
    """Unmount every staged source; must come before the bundle's files are removed, or a volume's files would go with them."""
    directory = f"{bundle}/mounts"
    if os.path.isdir(directory):
        for name in os.listdir(directory):
            with suppress(OSError):  # EINVAL: a crash came before the mount
                umount(f"{directory}/{name}")


def device(host_path: str, path: str) -> spec.Device:
    """A device node of the host as the runtime is told about it."""
    info = os.stat(host_path)
    kind = "b" if stat.S_ISBLK(info.st_mode) else "c"
    return spec.Device(path, kind, os.major(info.st_rdev), os.minor(info.st_rdev), stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid)


def cdi_device(node: Node) -> spec.Device:
    """A device that a CDI name brings, as it is on the host but for what its description says. Raises ContainerError."""
    try:
        found = device(node.host_path, node.path)
    except OSError as error:
        raise ContainerError("CreateContainerError", f"device {node.host_path}: {error.strerror}") from error
    if not stat.S_ISCHR(os.stat(node.host_path).st_mode) and not stat.S_ISBLK(os.stat(node.host_path).st_mode):
        raise ContainerError("CreateContainerError", f"device {node.host_path} is not a device node")
    return found._replace(
        access=node.access, mode=found.mode if node.mode is None else node.mode,
        uid=found.uid if node.uid is None else node.uid, gid=found.gid if node.gid is None else node.gid,
    )  # fmt: skip


def write(
    engine: Engine, row: ContainerRow, sandbox: SandboxRow, pod: PodPlan, plan: ContainerPlan, resolved: Resolved, root: str, parts: Parts
) -> Facts:
    """Write config.json and the facts; makes the termination log and the working directory. Raises ContainerError."""
    from kubeplay.engine import container

    image = image_defaults(engine, row.image_id)
    users = idmaps.of(engine, row.pod_uid, pod.sandbox.users)
    where = f'pod: "{pod.name}_{pod.namespace}({row.pod_uid})", container: {plan.name}'
    user.check_non_root(plan.security, image.user, where)
    identity = user.resolve(plan.security, image.user, user.Accounts() if plan.host_rootfs else user.read_accounts(root))
    user.check_mapped(identity, plan.name, users)
    inputs = _inputs(engine, row, sandbox, pod, plan, resolved, root, parts, image, identity)
    if users:
        from kubeplay.engine.host import idmapped

        idmapped.acting_as(users.root, lambda: make_directory(root, spec.working_dir(inputs)))
    elif not plan.host_rootfs:
        make_directory(root, spec.working_dir(inputs))
    config = spec.build(inputs)
    with open(f"{engine.paths.bundle(row.id)}/config.json", "w", encoding="utf-8", opener=_private) as file:
        file.write(json.dumps(config))  # json.dump to a file does not use the C encoder and takes twice as long
    facts = container.Facts(
        _group(engine, row, pod) if inputs.cgroups_path else "", plan.stop_signal or image.stop_signal, termination_log(engine, row),
        plan.termination_policy, row.log_path, pod.sandbox.host_pid or pod.sandbox.share_pid or bool(plan.target),
        " ".join(map(str, (identity.uid, identity.gid, *dict.fromkeys((identity.gid, *identity.groups))))),
    )  # fmt: skip
    container.write_facts(engine, row.id, facts)
    return facts


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)  # it holds the environment, and so Secrets


def image_defaults(engine: Engine, image_id: str) -> spec.ImageDefaults:
    """What the image says, in the spec's own words."""
    if not image_id:
        return spec.ImageDefaults()
    config = engine.images.config(image_id)
    return spec.ImageDefaults(config.env, config.entrypoint or (), config.cmd or (), config.user, config.working_dir, config.stop_signal)


def _inputs(
    engine: Engine, row: ContainerRow, sandbox: SandboxRow, pod: PodPlan, plan: ContainerPlan, resolved: Resolved,
    root: str, parts: Parts, image: spec.ImageDefaults, identity: user.Identity,
) -> spec.SpecInputs:  # fmt: skip
    from kubeplay.engine.pod import kernel_hostname

    users = idmaps.of(engine, row.pod_uid, pod.sandbox.users)
    return spec.SpecInputs(
        plan=plan, resolved=resolved, image=image, identity=identity, hostname=kernel_hostname(pod),
        rootfs=idmaps.reached(engine, root, users),
        cgroups_path=engine.cgroups.runtime_path(_group(engine, row, pod)),
        namespaces=_namespaces(engine, sandbox, pod, plan), host=host_facts(engine),
        shm="/dev/shm" if pod.sandbox.host_ipc else f"{engine.paths.sandbox(sandbox.id)}/shm",
        files=_files(engine, row, plan, users), mounts=parts.mounts, dev=parts.dev, users=users,
        devices=(*host_devices(), *parts.devices) if plan.security.privileged else parts.devices, edits=parts.edits,
        oom_score_adj=qos.oom_score_adj(pod, plan, machine().memory),
        default_seccomp=engine.settings.seccomp_default, seccomp_profile=_localhost_profile(engine, plan),
        compat=facts.has_32_bit(root),
        shared_sys=any(c.security.privileged for c in pod.containers),
    )  # fmt: skip


def _group(engine: Engine, row: ContainerRow, pod: PodPlan) -> str:
    return f"{engine.cgroups.pod(row.pod_uid, qos.qos(pod))}/{row.id}"


def _namespaces(engine: Engine, sandbox: SandboxRow, pod: PodPlan, plan: ContainerPlan) -> tuple[spec.Namespace, ...]:
    """SC9: network, ipc and uts of the pod by path, mount and (v2 only) cgroup of its own, pid as asked."""
    directory, wanted = f"{engine.paths.sandbox(sandbox.id)}/ns", pod.sandbox
    found = [spec.Namespace("mount")]
    if wanted.users:
        found.insert(0, spec.Namespace("user", f"{directory}/user"))
    if not wanted.host_network:
        found += [spec.Namespace("network", f"{directory}/net"), spec.Namespace("uts", f"{directory}/uts")]
    elif wanted.engine_network and engine.net.netns:
        found.append(spec.Namespace("network", engine.net.netns))
    if not wanted.host_ipc:
        found.append(spec.Namespace("ipc", f"{directory}/ipc"))
    if not wanted.host_pid:
        found.append(spec.Namespace("pid", f"{directory}/pid" if wanted.share_pid else _target(engine, sandbox, plan)))
    if engine.cgroups.unified:
        found.append(spec.Namespace("cgroup"))
    return tuple(found)


def _target(engine: Engine, sandbox: SandboxRow, plan: ContainerPlan) -> str:
    """The PID namespace of an ephemeral container's target; "" = one of its own. Raises ContainerError."""
    if not plan.target:
        return ""
    rows = [row for row in engine.store.runtime.containers(sandbox.pod_uid) if row.name == plan.target and row.sandbox_id == sandbox.id]
    if not rows or rows[-1].state != RUNNING:
        raise ContainerError("CreateContainerError", f'container "{plan.name}": its target "{plan.target}" is not running')
    return f"/proc/{rows[-1].pid}/ns/pid"


def host_facts(engine: Engine) -> spec.HostFacts:
    """This machine, as the spec needs to know it."""
    return facts.host_facts(engine.cgroups)


def host_devices() -> tuple[spec.Device, ...]:
    """Every device node below /dev, for privileged containers; what the runtime mounts itself is left out.

    In a user namespace only what its user may open: a container never has more rights than who started it.
    """
    ours = machine().user_namespace

    found: list[spec.Device] = []
    for directory, names, files in os.walk("/dev"):
        names[:] = [n for n in names if f"{directory}/{n}" not in ("/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/hugepages", "/dev/fd")]
        for name in files:
            path = f"{directory}/{name}"
            try:
                mode = os.lstat(path).st_mode
            except OSError:
                continue
            if ours and not (os.access(path, os.R_OK) or os.access(path, os.W_OK)):
                continue
            if (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)) and path != "/dev/console":
                found.append(device(path, path))
    return tuple(found)


def _files(engine: Engine, row: ContainerRow, plan: ContainerPlan, users: Map | None) -> tuple[MountPoint, ...]:
    """SC11: hostname and resolv.conf follow the root file system, hosts and the termination log stay writable."""
    directory = f"{engine.paths.sandbox(row.sandbox_id)}/files"
    read_only = plan.security.read_only_rootfs
    points = [
        MountPoint(f"{directory}/hosts", "/etc/hosts"),
        MountPoint(f"{directory}/hostname", "/etc/hostname", read_only, locked=locked(directory, users)),
        MountPoint(f"{directory}/resolv.conf", "/etc/resolv.conf", read_only, locked=locked(directory, users)),
    ]
    if plan.termination_path:
        path = termination_log(engine, row)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        os.fchmod(fd, 0o666)  # TM1, whatever the umask
        if users:
            os.fchown(fd, *users.root)
        os.close(fd)
        points.append(MountPoint(path, plan.termination_path))
    if plan.host_rootfs:
        from kubeplay.engine.oci.runtime import host_directories

        points += [MountPoint(d, d, True, locked=locked(d)) for d in host_directories()]
    return tuple(points)


def termination_log(engine: Engine, row: ContainerRow) -> str:
    """TM1: one per instance, on the pod's own small tmpfs, so that a container cannot fill the host's disk or memory with it."""
    return f"{engine.paths.sandbox(row.sandbox_id)}/files/termination-{row.id}"


def _localhost_profile(engine: Engine, plan: ContainerPlan) -> dict[str, Any] | None:
    """SC5: a file below the profile root, never outside of it. Raises ContainerError."""
    chosen = plan.security.seccomp
    if chosen.type != "Localhost":
        return None
    base = chosen.root or engine.settings.seccomp_profile_root
    try:
        root = os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            from kubeplay.engine.host.syscalls import RESOLVE_BENEATH

            fd = openat2(root, chosen.profile, os.O_RDONLY | os.O_NONBLOCK, RESOLVE_BENEATH)
        finally:
            os.close(root)
        with open(fd, "rb") as file:
            data = json.loads(file.read(_PROFILE_LIMIT))
    except (OSError, ValueError) as error:
        raise ContainerError("CreateContainerError", f"cannot load seccomp profile {base}/{chosen.profile}: {error}") from error
    if not isinstance(data, dict):
        raise ContainerError("CreateContainerError", f"seccomp profile {base}/{chosen.profile} is not a JSON object")
    return data


def make_directory(root: str, path: str) -> None:
    """Make the working directory inside the root file system, never through a link out of it (CVE-2026-55686).

    Only what is missing is made, owned by root. A link in it is resolved as the container would see it; what cannot be made here (a
    file is in the way) is left for the runtime to complain about.
    """
    at = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        made = ""
        for part in [p for p in path.split("/") if p not in ("", ".")]:
            if part == "..":
                return
            parent = openat2(at, made or "/", os.O_PATH | os.O_DIRECTORY, RESOLVE_IN_ROOT)
            try:
                os.mkdir(part, 0o755, dir_fd=parent)
            except OSError:
                pass  # there already, also as a link; the next step finds out whether it leads anywhere
            finally:
                os.close(parent)
            made = f"{made}/{part}"
    except OSError:
        return
    finally:
        os.close(at)
