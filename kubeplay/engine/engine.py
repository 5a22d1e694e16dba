"""The engine of one root: runs plans, knows no Kubernetes type.

Cheap to make: it opens the runroot and the database, everything else comes when it is first used. All calls are safe from several
threads; what two processes must not do to one pod at the same time is guarded by the pod's lock, which the caller holds.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.clock import Clock, RealClock
from kubeplay.config import Settings
from kubeplay.engine.host import runroot, userns
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.store.db import Store
from kubeplay.engine.store.runtime import ContainerRow, SandboxRow

if TYPE_CHECKING:
    from kubeplay.engine.images.store import ImageStore
    from kubeplay.engine.net.networks import Networks
    from kubeplay.engine.oci.cgroup import Cgroups
    from kubeplay.engine.oci.runtime import Host, Runtime
    from kubeplay.engine.volumes.manager import Volumes
    from kubeplay.plan.container import ContainerPlan, Resolved
    from kubeplay.plan.pod import PodPlan


class Engine:
    """Images, networks, volumes, sandboxes and containers below one root.

    `clock` is a fake in tests. Raises Forbidden, Exhausted, StoreError when root or runroot cannot be used.
    """

    def __init__(self, settings: Settings, store: Store | None = None, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or RealClock()
        self.paths = Paths(settings)
        self.renewed = runroot.prepare(self.paths)
        self.store = store or Store(self.paths.database, self.clock)
        self.creating: set[str] = set()  # ids this process is making just now
        self._lock = threading.RLock()
        self._images: ImageStore | None = None
        self._net: Networks | None = None
        self._volumes: Volumes | None = None
        self._host: Host | None = None
        self._runtime: Runtime | None = None
        self._cgroups: Cgroups | None = None
        if self.renewed:
            self._void()

    @classmethod
    def open(cls, settings: Settings) -> Engine:
        """The engine of these settings, its directories made."""
        return cls(settings)

    def close(self) -> None:
        self.store.close()

    def mend(self) -> None:
        """Start again what was killed of an ordinary user's network, put right root's rules.

        Raises MissingPrerequisite, Forbidden, SandboxError, CommandFailed.
        """
        handed = userns.handed_on()
        if not handed and os.path.exists(f"{self.paths.runroot}/net/rules"):
            self.net.revive()
        if handed:
            from kubeplay.engine.net.rootless import mend

            if mend.needed(handed.directory):
                self.net.revive()

    def _void(self) -> None:
        """The runroot is new: whatever still runs belongs to nobody."""
        from kubeplay.engine import gc

        gc.void(self)

    # rooms
    @property
    def images(self) -> ImageStore:
        with self._lock:
            if self._images is None:
                from kubeplay.engine.images.store import ImageStore

                self._images = ImageStore(self.store, self.paths)
            return self._images

    @property
    def net(self) -> Networks:
        with self._lock:
            if self._net is None:
                from kubeplay.engine.net.networks import networks

                self._net = networks(self.settings, self.store, self.paths)
            return self._net

    @property
    def volumes(self) -> Volumes:
        with self._lock:
            if self._volumes is None:
                from kubeplay.engine.volumes.manager import Volumes

                self._volumes = Volumes(self.store, self.paths)
            return self._volumes

    @property
    def host(self) -> Host:
        """The runtime and cgroups of this machine. Raises MissingPrerequisite."""
        with self._lock:
            if self._host is None:
                from kubeplay.engine.oci import runtime

                self._host = runtime.host(self.paths, self.settings.cgroup_parent, self.settings.runtime)
            return self._host

    @property
    def runtime(self) -> Runtime:
        with self._lock:
            if self._runtime is None:
                from kubeplay.engine.oci.runtime import Runtime

                self._runtime = Runtime(self.host.choice, self.paths)
            return self._runtime

    @property
    def cgroups(self) -> Cgroups:
        with self._lock:
            if self._cgroups is None:
                from kubeplay.engine.oci.runtime import cgroups_of

                self._cgroups = cgroups_of(self.paths, self.settings.cgroup_parent, self.host.hierarchies)
            return self._cgroups

    # pods: see pod.py
    def create_sandbox(self, uid: str, plan: PodPlan) -> SandboxRow:
        """Make namespaces, network, pod cgroup and files. Raises SandboxError and leaves nothing. The caller calls `net.sync()`."""
        from kubeplay.engine import pod

        return pod.create_sandbox(self, uid, plan)

    def remove_sandbox(self, row: SandboxRow, *, wait_net: bool = True) -> None:
        """Remove a sandbox whose containers are gone. Idempotent; asserts that its namespaces are gone."""
        from kubeplay.engine import pod

        pod.remove_sandbox(self, row, wait_net=wait_net)

    def remove_pod_files(self, uid: str, namespace: str, name: str) -> None:
        """Remove logs, volume directories and the pod's own directory, after everything else is gone."""
        from kubeplay.engine import pod

        pod.remove_files(self, uid, namespace, name)

    # containers: see container.py
    def create_container(
        self, uid: str, sandbox: SandboxRow, pod: PodPlan, plan: ContainerPlan, resolved: Resolved, attempt: int
    ) -> ContainerRow:
        """Make a container up to the moment before its program runs.

        Raises ContainerError (CreateContainerConfigError, CreateContainerError), VolumeError, Exhausted, and leaves nothing. When the
        runtime itself refuses (no such program, bad mount), the row comes back exited with reason StartError, as a kubelet shows it.
        """
        from kubeplay.engine import container

        return container.create(self, uid, sandbox, pod, plan, resolved, attempt)

    def start_container(self, row: ContainerRow) -> ContainerRow:
        """Run the program. Raises ContainerError RunContainerError; the row is then exited, StartError, 128."""
        from kubeplay.engine import container

        return container.start(self, row)

    def signal_container(self, row: ContainerRow, number: int) -> bool:
        """Signal the container's first process; False when it has ended."""
        from kubeplay.engine import container

        return container.send(row, number)

    def stop_container(self, row: ContainerRow, seconds: float, signal: str = "") -> ContainerRow:
        """Stop signal, wait `seconds`, kill everything of the container; the row as it is then (TE2)."""
        from kubeplay.engine import container

        return container.stop(self, row, seconds, signal)

    def remove_container(self, row: ContainerRow, *, keep_row: bool = False) -> None:
        """Kill and remove everything of a container but its log. Idempotent."""
        from kubeplay.engine import container

        container.remove(self, row, keep_row=keep_row)

    def rest_container(self, row: ContainerRow) -> None:
        """Kill a container and give back what it holds in the kernel, but for its root file system. Idempotent."""
        from kubeplay.engine import container

        container.rest(self, row)

    def refresh(self, uid: str = "") -> None:
        """Bring rows up to date with what runs. With `uid` the caller holds that pod's lock, so half-made containers are cleared too."""
        from kubeplay.engine import state

        state.refresh(self, uid)

    # after a crash: see gc.py
    def leftovers(self) -> list[str]:
        """Everything of ours on disk and in the kernel that no row accounts for, one line each."""
        from kubeplay.engine import gc

        return gc.leftovers(self)

    def collect(self, uid: str = "") -> list[str]:
        """Remove the leftovers; returns what was removed."""
        from kubeplay.engine import gc

        return gc.collect(self)

    def image_view(self, uid: str, volume: str, reference: str) -> str:
        """Mount an image read-only for an image volume; what `volumes.setup` is given."""
        from kubeplay.engine import pod

        return pod.image_view(self, uid, volume, reference)

    def notices(self) -> Sequence[str]:
        """What this machine cannot give, one line each (LR3)."""
        from kubeplay.engine.host import machine
        from kubeplay.engine.oci import seccomp

        lines = machine.notices()
        if not seccomp.known(os.uname().machine):
            lines.append(f"there is no seccomp table for {os.uname().machine}: the RuntimeDefault profile has no effect")
        if not machine.machine().user_namespace:
            return [*lines, *(f"the cgroup controller {name} is missing: its limits have no effect" for name in self.cgroups.missing)]
        return [*lines, *self._limits()]

    def _limits(self) -> list[str]:
        """In a user namespace one line about all controllers: they come and go together."""
        from kubeplay.engine.oci import unenforced

        missing = [name for name in self.cgroups.missing if name != "devices"]  # a user's device rights are the kernel's own
        return [f"limits of {', '.join(missing)} have no effect: {unenforced.reason(self.cgroups)}"] if missing else []

    def unenforced(self, pods: Sequence[PodPlan]) -> str:
        """Which limits of these pods have no effect for an ordinary user, in one sentence; "" when all have (and for root: `notices`)."""
        from kubeplay.engine.host import machine
        from kubeplay.engine.oci import unenforced

        return unenforced.notice(pods, self.cgroups) if machine.machine().user_namespace else ""

    @property
    def node_name(self) -> str:
        """LR1: this machine."""
        return os.uname().nodename
