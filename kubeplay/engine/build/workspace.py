"""Where a build works: directories below root/build and runroot/build that a dead builder leaves in a form the next one can clear.

    root/build/ID/              held by flock as long as the builder lives
    root/build/ID/NAME/upper    what the step NAME writes; becomes the layer by rename
    root/build/ID/files/        what was downloaded or unpacked for the build
    runroot/build/ID/NAME/      mounts of a step: rootfs, bundle, staged binds, secrets (a tmpfs)
    runroot/build/ID/ns/        the network namespace that RUN steps share

The directory in root comes first and goes last, so that nothing of a build is left that it does not name.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from kubeplay.engine.host.paths import Paths, component, ensure_directory
from kubeplay.engine.layers import overlay, tree
from kubeplay.engine.store.locks import try_lock_directory
from kubeplay.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubeplay.clock import Clock
    from kubeplay.config import Settings
    from kubeplay.engine.images.store import ImageStore
    from kubeplay.engine.net.networks import Networks
    from kubeplay.engine.oci.cgroup import Cgroups
    from kubeplay.engine.oci.runtime import Runtime
    from kubeplay.engine.store.db import Store


_KILL_SECONDS = 10.0


class Engine(Protocol):
    """What a build needs of the engine."""

    settings: Settings
    paths: Paths
    store: Store
    clock: Clock

    @property
    def images(self) -> ImageStore: ...
    @property
    def net(self) -> Networks: ...
    @property
    def runtime(self) -> Runtime: ...
    @property
    def cgroups(self) -> Cgroups: ...


class _BuildPaths(Paths):
    """The engine's paths, with the containers of one build in its own directories."""

    def __init__(self, paths: Paths, build: str) -> None:
        self.root, self.runroot, self.storage_driver = paths.root, paths.runroot, paths.storage_driver
        self._build = build

    def container(self, container_id: str) -> str:
        return f"{self.root}/build/{self._build}/{component(container_id)}"

    def bundle(self, container_id: str) -> str:
        return f"{self.runroot}/build/{self._build}/{component(container_id)}"


class Workspace:
    """The directories of one build. A context manager: leaving it removes everything."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.id = f"build-{os.urandom(6).hex()}"  # not the form of a container's id: engine/gc.py must not take it for one
        self.paths = _BuildPaths(engine.paths, self.id)
        self.directory = f"{engine.paths.root}/build/{self.id}"
        self.volatile = f"{engine.paths.runroot}/build/{self.id}"
        self._mounted: list[str] = []
        self._views: dict[tuple[str, ...], str] = {}
        self._below: dict[str, tuple[str, ...]] = {}
        self._count = 0
        self._lock = -1

    def __enter__(self) -> Workspace:
        ensure_directory(f"{self.engine.paths.root}/build")
        while self._lock < 0:
            os.mkdir(self.directory, 0o700)
            self._lock = try_lock_directory(self.directory)  # a sweep may be quicker: then once more
        ensure_directory(self.volatile)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            clear(self.engine, self.id)
        finally:
            os.close(self._lock)

    def name(self, kind: str) -> str:
        """A new name for a step's directories."""
        self._count += 1
        return f"{kind}{self._count}"

    def files(self) -> str:
        """A new empty directory on the root's disk."""
        return ensure_directory(f"{self.directory}/files/{self.name('d')}")

    def mount(self, name: str, layers: Sequence[str]) -> str:
        """Mount a writable root file system over `layers` (diff ids, base first); returns its path."""
        path = overlay.mount_rootfs(name, layers, self.paths)
        self._mounted.append(name)
        self._below[name] = tuple(layers)
        return path

    def upper(self, name: str) -> str:
        """What was written to the unmounted file system `name`; the directory may be taken."""
        return overlay.taken_upper(name, self._below[name], self.paths)

    def unmount(self, name: str) -> None:
        overlay.unmount_rootfs(name, self.paths)

    def discard(self, name: str) -> None:
        """Forget a step's writable layer and mounts."""
        overlay.remove_rootfs(name, self.paths)

    def view(self, layers: Sequence[str]) -> str:
        """Mount `layers` read-only; the same ones once only. An image without layers is an empty directory."""
        key = tuple(layers)
        if key not in self._views:
            target = ensure_directory(f"{self.volatile}/{self.name('view')}")
            self._views[key] = overlay.view_rootfs(layers, target, self.paths)
        return self._views[key]


def sweep(engine: Engine) -> list[str]:
    """Clear what dead builders left; returns their ids."""
    found = leftovers(engine)
    for build in found:
        fd = try_lock_directory(f"{engine.paths.root}/build/{build}")
        if fd >= 0:
            clear(engine, build)
            os.close(fd)
    return found


def leftovers(engine: Engine) -> list[str]:
    """The ids of builds whose builder is dead."""
    directory = f"{engine.paths.root}/build"
    try:
        names = [name for name in os.listdir(directory) if name.startswith("build-")]
    except FileNotFoundError:
        return []
    dead = []
    for name in names:
        fd = try_lock_directory(f"{directory}/{name}")
        if fd >= 0:
            os.close(fd)
            dead.append(name)
    return dead


def clear(engine: Engine, build: str) -> None:
    """Remove everything of a build from the kernel and the disk, whatever state it is in."""
    directory, volatile = f"{engine.paths.root}/build/{build}", f"{engine.paths.runroot}/build/{build}"
    if os.path.isdir(f"{volatile}/ran"):
        _end_processes(engine, build)
    if os.path.isdir(volatile):
        if os.path.isdir(f"{volatile}/ns"):
            engine.net.detach(build)
            _unmount_below(volatile)  # the namespaces' pins among them
            engine.net.teardown_if_idle()
        _unmount_below(volatile)
        tree.remove(volatile)
    tree.remove(directory)


def _end_processes(engine: Engine, build: str) -> None:
    _end_runtimes(engine, build)  # first: one that is still making its container would make the group anew
    group = group_of(engine, build)
    engine.cgroups.kill(group)
    volatile = f"{engine.paths.runroot}/build/{build}"
    for name in os.listdir(volatile):
        kill_without_group(engine, f"{volatile}/{name}")
    for name in engine.runtime.known():
        if name.startswith(build):
            engine.runtime.forget(name)
    engine.cgroups.remove(group)
    for hierarchy in engine.cgroups.hierarchies:
        try:
            os.rmdir(f"{hierarchy.mount}/{engine.cgroups.parent}/build")
        except OSError:
            continue  # another build runs
    engine.cgroups.prune()


def kill_without_group(engine: Engine, bundle: str) -> None:
    """End a RUN step where an ordinary user has no control groups: it has a PID namespace of its own, which ends with its first process."""
    if not engine.cgroups.hierarchies and os.path.isdir(f"{bundle}/rootfs"):
        from kubeplay.engine.oci import members

        members.kill(bundle, _KILL_SECONDS, shared=False)


def _end_runtimes(engine: Engine, build: str) -> None:
    """Kill runtimes that outlived their builder: they run in the caller's cgroup, and their command line names the build."""
    import signal

    from kubeplay.engine.host import processes

    runtime, wanted = os.fsencode(engine.runtime.choice.path), f"{engine.paths.runroot}/build/{build}/".encode()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        process = processes.identify(int(name))
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read(4096).split(b"\0")
        except OSError:
            continue
        if process is not None and words[0] == runtime and any(word.startswith(wanted) for word in words):
            processes.send(process, signal.SIGKILL)
            processes.await_end(process, _KILL_SECONDS)


def group_of(engine: Engine, build: str) -> str:
    """The cgroup of a build's RUN steps."""
    return f"/{engine.cgroups.parent}/build/{build}"


def _unmount_below(directory: str) -> None:
    from kubeplay.engine.host import runroot
    from kubeplay.engine.host.syscalls import umount

    for target in runroot.mounts_below(directory):
        try:
            umount(target)
        except OSError:
            continue  # went with one above it
    left = runroot.mounts_below(directory)
    if left:  # one of them may be somebody's context: nothing below may be removed
        raise StoreError(f"{left[0]} cannot be unmounted", hint="kubeplay system reset, or a reboot, clears it")
