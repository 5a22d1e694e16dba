"""A pod's volumes: made before its containers, found when they mount, removed with the pod."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from kubeplay.engine.host.paths import Paths, component
from kubeplay.engine.host.syscalls import MS_NODEV, MS_NOEXEC, MS_NOSUID, mount, umount
from kubeplay.engine.store.db import Store
from kubeplay.engine.volumes import atomic, emptydir, fsgroup, hostpath, nested, subpath
from kubeplay.engine.volumes.named import NamedVolumes
from kubeplay.errors import Exhausted, MissingPrerequisite, VolumeError
from kubeplay.plan.container import Resources
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.volumes import Claim, EmptyDir, HostPath, ImageVolume, Mount, Volume, in_memory
from kubeplay.plan.volumes import Files as FilesSource
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.host.idmapped import Map

ON_DISK, ON_TMPFS = 0o777, 0o1777  # kubernetes-surprises: configMap dir 0777, secret, projected, downward 1777 tmpfs

_Content = Mapping[str, atomic.File]
Files = Mapping[str, _Content]
ImageView = Callable[[str, str, str], str]


class MountSource(Record):
    """What a container mounts. `path` may be /proc/self/fd/N of `fd`, which the caller closes; `device` = a node to give access to."""

    path: str
    read_only: bool
    is_file: bool
    fd: int = -1
    device: bool = False


class Volumes:
    """The volumes of every pod of a root; `named` holds those that outlive pods."""

    def __init__(self, store: Store, paths: Paths) -> None:
        self._paths = paths
        self.named = NamedVolumes(store, paths)

    def setup(self, uid: str, pod: PodPlan, files: Files, image_view: ImageView, users: Map | None = None) -> None:
        """Make every volume of the pod, again and again without harm.

        `users`: the pod's own ids, where its mounts do not translate them (engine/idmaps.py).

        `files`: volume name -> relative path -> File, what the volumes of ConfigMaps, Secrets and the like hold.
        `image_view(uid, volume name, reference)` gives the path of an image volume's root. Raises VolumeError, Exhausted.
        """
        self._setup(uid, pod, pod.volumes, files, image_view, users)

    def write(self, uid: str, pod: PodPlan, files: Files, users: Map | None = None) -> None:
        """As `setup`, of the volumes alone whose files we write: those of a running pod, brought up to date."""
        self._setup(uid, pod, [v for v in pod.volumes if isinstance(v.source, FilesSource)], files, lambda *_: "", users)

    def _setup(self, uid: str, pod: PodPlan, volumes: Sequence[Volume], files: Files, image_view: ImageView, users: Map | None) -> None:
        for volume in volumes:
            try:
                self._setup_one(uid, pod, volume, files.get(volume.name, {}), image_view, users)
            except OSError as error:
                if error.errno == 28:
                    raise Exhausted(f"volume {volume.name}: no space left on the disk", hint="free some space and try again") from error
                raise VolumeError(f"volume {volume.name}: {error.strerror}: {error.filename}") from error
            except MissingPrerequisite as error:  # an owner that the user namespace has no id for
                raise VolumeError(f"volume {volume.name}: {error.message}", hint=error.hint) from error

    def _setup_one(
        self, uid: str, pod: PodPlan, volume: Volume, files: _Content, image_view: ImageView, users: Map | None
    ) -> None:
        source = volume.source
        group = next((c.security.fs_group for c in pod.containers if c.security.fs_group is not None), None)
        if users and group is not None:
            from kubeplay.engine.host.idmapped import outside

            group = outside(users.gids, group)
        if isinstance(source, EmptyDir):
            fresh = not os.path.exists(self.path(uid, pod, volume))
            emptydir.prepare(source, self._disk(uid, volume), self._memory(uid, volume), _memory_limit(pod), _pages(pod))
            if group is not None and fresh:
                fsgroup.apply(self.path(uid, pod, volume), group, read_only=False)
        elif isinstance(source, HostPath):
            hostpath.prepare(source)
        elif isinstance(source, FilesSource):
            owned = {path: file._replace(owner=_outside(users, file.owner)) for path, file in files.items()}
            self._write_files(uid, volume, source, owned, group, nested.points(pod, volume.name))
        elif isinstance(source, Claim):
            policy = next((c.security.fs_group_policy for c in pod.containers if c.security.fs_group is not None), "")
            self._claim(pod.namespace, source, group, policy)
        elif isinstance(source, ImageVolume):
            image_view(uid, volume.name, source.reference)

    def _claim(self, namespace: str, source: Claim, group: int | None, policy: str) -> None:
        name = source.claim_name
        row = self.named.find(namespace, name)
        if row is not None and row.driver == "hostPath":  # VO13: a host path belongs to the host
            hostpath.prepare(HostPath(row.path, dict(row.options).get("type", "")))
            return
        path = self.named.path(namespace, name)
        if not os.path.isdir(path):
            raise VolumeError(f'path "{path}" does not exist' if row and row.path else f'persistentvolumeclaim "{name}" not found')
        if group is not None and not (policy == fsgroup.ON_MISMATCH and fsgroup.fits(path, group, read_only=source.read_only)):
            fsgroup.apply(path, group, read_only=source.read_only)

    def path(self, uid: str, pod: PodPlan, volume: Volume) -> str:
        """The host path of a volume's root."""
        source = volume.source
        if isinstance(source, HostPath):
            return source.path
        if isinstance(source, Claim):
            return self.named.path(pod.namespace, source.claim_name)
        if isinstance(source, ImageVolume):
            return self.image_mountpoint(uid, volume.name)
        on_tmpfs = in_memory(source) if isinstance(source, FilesSource) else source.medium != ""
        return self._memory(uid, volume) if on_tmpfs else self._disk(uid, volume)

    def image_mountpoint(self, uid: str, volume: str) -> str:
        """Where an image volume's read-only view is mounted."""
        return f"{self._paths.pod_tmpfs(uid)}/{component(volume)}"

    def source(self, uid: str, pod: PodPlan, wanted: Mount, sub_path: str) -> MountSource:
        """The host side of one volumeMount; `sub_path` is the expanded one, "" = the whole volume. Raises VolumeError."""
        volume = next((v for v in pod.volumes if v.name == wanted.volume), None)
        if volume is None:
            raise VolumeError(f'volumeMount {wanted.path}: volume "{wanted.volume}" is not among the pod\'s volumes')
        source, path, fd = volume.source, self.path(uid, pod, volume), -1
        read_only = wanted.read_only or isinstance(source, FilesSource | ImageVolume) or (isinstance(source, Claim) and source.read_only)
        if sub_path and isinstance(source, FilesSource):
            path, fd = self._object_sub_path(path, sub_path)
        elif sub_path:
            fd = subpath.open_below(path, sub_path, create=not isinstance(source, ImageVolume))
            path = f"/proc/self/fd/{fd}"
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            raise VolumeError(f"volume {volume.name}: {path}: {error.strerror}") from error
        device = isinstance(source, HostPath) and (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)) and source.type != ""
        return MountSource(path, read_only, not stat.S_ISDIR(mode), fd, device)

    def read(self, uid: str, pod: PodPlan, name: str, path: str, most: int) -> tuple[str, bytes | None]:
        """A file of the volume `name` that a container may have written: where it is, and its bytes, None if they cannot be had."""
        volume = next((v for v in pod.volumes if v.name == name), None)
        if volume is None:
            return path, None
        root = self.path(uid, pod, volume)
        return f"{root}/{path}", subpath.read_below(root, path, most)

    def _object_sub_path(self, path: str, sub_path: str) -> tuple[str, int]:
        """A key of a ConfigMap or Secret: its links are ours, so `..data` is followed and nothing else."""
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            data = atomic.current(directory)
            if not data:
                raise VolumeError(f"{path}: ..data is not as it was written")
            top = os.open(data, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            try:
                fd = subpath.open_in(top, sub_path, create=True, like=directory)  # a key that is missing: an empty directory (record 043)
            finally:
                os.close(top)
        finally:
            os.close(directory)
        return f"/proc/self/fd/{fd}", fd

    def teardown(self, uid: str) -> None:
        """Unmount and remove everything that belongs to the pod; named volumes and host paths stay."""
        memory = self._paths.pod_tmpfs(uid)
        if os.path.isdir(memory):
            for name in os.listdir(memory):
                if os.path.ismount(f"{memory}/{name}"):
                    umount(f"{memory}/{name}")
        for path in (memory, self._paths.pod_volumes(uid)):
            parent, name = os.path.split(path)
            if os.path.isdir(parent):
                fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    atomic.remove_tree(fd, name)
                finally:
                    os.close(fd)

    def _write_files(
        self, uid: str, volume: Volume, source: FilesSource, files: _Content, group: int | None, inner: tuple[str, ...]
    ) -> None:
        memory = in_memory(source)
        root = self._memory(uid, volume) if memory else self._disk(uid, volume)
        if not os.path.isdir(root):
            os.makedirs(root, exist_ok=True)
            if memory:  # a tmpfs of its own, so its size and flags are the volume's
                mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, f"mode={ON_TMPFS:o}")
            os.chmod(root, ON_TMPFS if memory else ON_DISK)
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            bits = fsgroup.READ_ONLY if group is not None else 0
            wanted = {path: file._replace(mode=file.mode | bits) for path, file in files.items()}
            for path in inner:
                nested.make(fd, path)
            kept = frozenset(path.split("/", 1)[0] for path in inner)
            ready = None if group is None else partial(fsgroup.tree, gid=group, bits=fsgroup.READ_ONLY)
            changed = atomic.write(fd, wanted, _stamp(), kept, ready)
        finally:
            os.close(fd)
        if changed and group is not None:
            fsgroup.apply(root, group, read_only=True)

    def _disk(self, uid: str, volume: Volume) -> str:
        return f"{self._paths.pod_volumes(uid)}/{component(volume.name)}"

    def _memory(self, uid: str, volume: Volume) -> str:
        return f"{self._paths.pod_tmpfs(uid)}/{component(volume.name)}"


def _outside(users: Map | None, owner: int) -> int:
    """The id on the disk of an owner inside the pod, where its mounts do not translate ids."""
    if users is None or owner < 0:
        return owner
    from kubeplay.engine.host.idmapped import outside

    return outside(users.uids, owner)


def _pages(pod: PodPlan) -> tuple[str, ...]:
    """The sizes of huge pages that the pod asks for: 2Mi."""
    names = {name for c in pod.containers for name, _ in c.resources.others} | {name for name, _ in (pod.resources or Resources()).others}
    return tuple(sorted(name.removeprefix("hugepages-") for name in names if name.startswith("hugepages-")))


def _memory_limit(pod: PodPlan) -> int:
    limits = [c.resources.memory_limit for c in pod.containers if c.kind == "app"]
    return sum(limit for limit in limits if limit) if limits and all(limits) else 0


def _stamp() -> str:
    return time.strftime("..%Y_%m_%d_%H_%M_%S.", time.gmtime()) + f"{int.from_bytes(os.urandom(4), 'big') % 10**10:010d}"
