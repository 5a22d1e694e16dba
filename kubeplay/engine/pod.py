"""A pod's sandbox: namespaces, network, cgroup, /dev/shm and the files all its containers share.

The row is written first and removed last, so whatever a crash leaves can be found by its id.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kubeplay.engine import idmaps
from kubeplay.engine.host import faults
from kubeplay.engine.host.ids import new_id
from kubeplay.engine.host.machine import boot_id
from kubeplay.engine.host.syscalls import MS_NODEV, MS_NOEXEC, MS_NOSUID, mount, umount
from kubeplay.engine.host.trace import trace
from kubeplay.engine.store.runtime import NOTREADY, READY, SandboxRow
from kubeplay.errors import KubeplayError, NotFound, SandboxError
from kubeplay.plan import codec
from kubeplay.plan.pod import PodPlan

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

SHM_BYTES = 64 << 20  # SC9
FILES_BYTES = 4 << 20  # hosts, resolv.conf, hostname, termination logs: containers write here, so it is bounded and the pod's own
MAX_HOSTNAME = 64  # sethostname(2) HOST_NAME_MAX; setHostnameAsFQDN beyond it fails the sandbox (DN3)
_EINVAL, _ENOENT = 22, 2


def create_sandbox(engine: Engine, uid: str, plan: PodPlan) -> SandboxRow:
    """See Engine.create_sandbox."""
    hostname = kernel_hostname(plan)
    row = SandboxRow(new_id(), uid, _attempt(engine, uid), NOTREADY, boot_id(), engine.clock.now())
    engine.store.runtime.add_sandbox(row)
    faults.point("sandbox:row")
    try:
        return _make(engine, row, plan, hostname)
    except BaseException as error:
        remove_sandbox(engine, row)
        if isinstance(error, SandboxError) or not isinstance(error, (KubeplayError, OSError)):
            raise
        hint = error.hint if isinstance(error, KubeplayError) else ""
        message = error.message if isinstance(error, KubeplayError) else f"{error.filename}: {error.strerror}"
        raise SandboxError(message, hint=hint) from error


def _make(engine: Engine, row: SandboxRow, plan: PodPlan, hostname: str) -> SandboxRow:
    from kubeplay.engine.net import netns
    from kubeplay.engine.oci import qos

    sandbox, directory = plan.sandbox, engine.paths.sandbox(row.id)
    os.makedirs(f"{directory}/ns", mode=0o700)
    users = idmaps.of(engine, row.pod_uid, sandbox.users)
    owner = users.root if users else (0, 0)
    if users:
        idmaps.let_pass(engine, users)
    with trace("sandbox: namespaces"):
        pins = netns.create(
            f"{directory}/ns", hostname, sandbox.sysctls, host_network=sandbox.host_network, host_ipc=sandbox.host_ipc, users=users
        )
    faults.point("sandbox:namespaces")
    with trace("sandbox: mounts"):
        _mount_tmpfs(f"{directory}/files", FILES_BYTES, 0o755, owner)
        if not sandbox.host_ipc:
            _mount_tmpfs(f"{directory}/shm", SHM_BYTES, 0o1777, owner)
    faults.point("sandbox:mounts")
    with trace("sandbox: cgroup"):
        engine.cgroups.make_pod(engine.cgroups.pod(row.pod_uid, qos.qos(plan)), qos.pod_limits(plan))
    faults.point("sandbox:cgroup")
    addresses: tuple[str, ...] = ()
    if pins.net:
        with trace("sandbox: network"):
            addresses = _connect(engine, row, plan, pins.net)
    faults.point("sandbox:network")
    with trace("sandbox: files"):
        write_files(engine, row._replace(addresses=addresses), plan)
    if sandbox.share_pid and not sandbox.host_pid:
        with trace("sandbox: pause"):
            _pause(engine, row, plan)
    faults.point("sandbox:pause")
    engine.store.runtime.set_sandbox(row.id, state=READY, addresses=addresses)
    return row._replace(state=READY, addresses=addresses)


def kernel_hostname(plan: PodPlan) -> str:
    """DN3. Raises SandboxError for a full name that is too long."""
    sandbox = plan.sandbox
    if sandbox.host_network:
        return os.uname().nodename
    if not (sandbox.fqdn_hostname and sandbox.domain):
        return sandbox.hostname
    full = f"{sandbox.hostname}.{sandbox.domain}"
    if len(full) > MAX_HOSTNAME:
        raise SandboxError(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long "
            f"({MAX_HOSTNAME} characters is the max, {len(full)} characters requested)"
        )
    return full


def _attempt(engine: Engine, uid: str) -> int:
    try:
        attempt = engine.store.runtime.pod(uid).sandbox_attempts
    except NotFound:
        return len(engine.store.runtime.sandboxes(uid))
    engine.store.runtime.set_pod(uid, sandbox_attempts=attempt + 1)
    return attempt


def _mount_tmpfs(path: str, size: int, mode: int, owner: tuple[int, int]) -> None:
    os.mkdir(path, 0o755)
    mount("kubeplay", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, f"size={size},mode={mode:o},uid={owner[0]},gid={owner[1]}")


def _connect(engine: Engine, row: SandboxRow, plan: PodPlan, netns: str) -> tuple[str, ...]:
    addresses = engine.net.attach(row.pod_uid, netns, plan.sandbox)
    published = [p for c in plan.containers for p in c.ports if p.host_port]
    if published:
        engine.net.publish(row.pod_uid, addresses, published)
    return addresses


def write_files(engine: Engine, row: SandboxRow, plan: PodPlan) -> None:
    """Write hosts, hostname and resolv.conf, in place: containers have the files themselves mounted (DN4)."""
    from kubeplay.engine.podfiles import texts

    directory = f"{engine.paths.sandbox(row.id)}/files"
    users = idmaps.of(engine, row.pod_uid, plan.sandbox.users)
    for name, text in texts(engine, row, plan).items():
        fd = os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            os.fchmod(fd, 0o644)
            if users:
                os.fchown(fd, *users.root)
            os.write(fd, text.encode())
        finally:
            os.close(fd)


def _pause(engine: Engine, row: SandboxRow, plan: PodPlan) -> None:
    """PID 1 of a pod that shares its process namespace: the only reason for a container of ours in it."""
    from kubeplay.engine.oci import conmon, pause, qos

    bundle = engine.paths.bundle(row.id)
    os.makedirs(f"{bundle}/rootfs", mode=0o755)
    group = engine.cgroups.runtime_path(f"{engine.cgroups.pod(row.pod_uid, qos.qos(plan))}/{row.id}")
    users = idmaps.of(engine, row.pod_uid, plan.sandbox.users)
    if users:
        idmaps.let_in(bundle, users)
        os.chown(f"{bundle}/rootfs", *users.root)  # the runtime makes what it mounts on as the pod's root
    root = idmaps.reached(engine, f"{bundle}/rootfs", users)
    pause.write_bundle(bundle, engine.paths.sandbox(row.id), root, group, qos.PAUSE_SCORE, users)
    pid = conmon.create(engine.runtime, engine.cgroups, engine.paths, conmon.Monitor(row.id, row.pod_uid, bundle, "", 0))
    pin = f"{engine.paths.sandbox(row.id)}/ns/pid"
    os.close(os.open(pin, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400))
    from kubeplay.engine.host.syscalls import MS_BIND

    mount(f"/proc/{pid}/ns/pid", pin, "", MS_BIND)
    engine.runtime.start(row.id)


def remove_sandbox(engine: Engine, row: SandboxRow, *, wait_net: bool = True) -> None:
    """See Engine.remove_sandbox."""
    from kubeplay.engine.net import netns

    directory = engine.paths.sandbox(row.id)
    if os.path.exists(engine.paths.bundle(row.id)):
        from kubeplay.engine import container

        container.clear(engine, row.id, row.pod_uid)
    faults.point("unsandbox:pause")
    with trace("unsandbox: network"):
        engine.net.detach(row.pod_uid, wait=wait_net)
    faults.point("unsandbox:network")
    with trace("unsandbox: namespaces"):
        unmount(f"{directory}/ns/pid")
        netns.remove(f"{directory}/ns")
    faults.point("unsandbox:namespaces")
    with trace("unsandbox: mounts"):
        for name in ("shm", "files"):
            unmount(f"{directory}/{name}")
        _remove_directory(directory)
    with trace("unsandbox: cgroup"):
        engine.cgroups.remove_pod(row.pod_uid)
    faults.point("unsandbox:cgroup")
    engine.store.runtime.delete_sandbox(row.id)


def _remove_directory(directory: str) -> None:
    from kubeplay.engine.oci.runtime import remove_tree

    remove_tree(directory)


def unmount(path: str) -> None:
    """Unmount `path`; not being a mount is fine."""
    try:
        umount(path)
    except OSError as error:
        if error.errno not in (_EINVAL, _ENOENT):
            raise


def remove_files(engine: Engine, uid: str, namespace: str, name: str) -> None:
    """See Engine.remove_pod_files."""
    from kubeplay.engine.layers import tree
    from kubeplay.engine.layers.overlay import unmount as unmount_all

    tmpfs = engine.paths.pod_tmpfs(uid)
    if os.path.isdir(tmpfs):
        for entry in os.listdir(tmpfs):
            unmount_all(f"{tmpfs}/{entry}")
    engine.volumes.teardown(uid)
    idmaps.release(engine, uid)
    logs = engine.paths.pod_logs(namespace, name, uid)
    before = [entry for entry in _listed(os.path.dirname(logs)) if entry.endswith(f"_{uid}")]  # a pod that was renamed has several
    for path in (engine.paths.pod(uid), *(f"{os.path.dirname(logs)}/{entry}" for entry in before)):
        tree.remove(path)
    for lock in (engine.paths.lock(uid) + ".dirty",):
        try:
            os.unlink(lock)
        except FileNotFoundError:
            pass


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def image_view(engine: Engine, uid: str, volume: str, reference: str) -> str:
    """See Engine.image_view. Raises ImageError when the image is not there."""
    from kubeplay.engine.layers import overlay
    from kubeplay.errors import ImageError

    target = engine.volumes.image_mountpoint(uid, volume)
    if overlay.is_mounted(target):
        return target
    image = engine.images.resolve(reference)
    if image is None:
        raise ImageError("ErrImageNeverPull", f'Container image "{reference}" is not present')
    os.makedirs(target, exist_ok=True)
    plan = codec.loads(engine.store.runtime.pod(uid).plan)
    users = idmaps.of(engine, uid, plan.sandbox.users)
    if users is None:
        return overlay.view_rootfs(image.layers, target, engine.paths)
    from kubeplay.engine.host import newusers

    with newusers.held(users, ()) as pid:  # the sandbox may not be there yet; any namespace of these ids does
        return overlay.view_rootfs(image.layers, target, engine.paths, users, f"/proc/{pid}/ns/user")
