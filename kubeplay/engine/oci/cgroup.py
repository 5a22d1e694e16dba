"""Control groups, by their files: version 1, version 2 and both side by side (cgroupfs manager).

Layout as a kubelet's (RS4): PARENT/kubepods[/burstable|/besteffort]/podUID/CONTAINER, and PARENT/monitors for our conmons. The OCI
runtime makes the container's own groups; we make the pod's, kill by group and remove. A controller the host lacks is skipped: the
notice is in `missing`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

from kubeplay.engine.host.runroot import unescape
from kubeplay.record import Record

ROOT = "/sys/fs/cgroup"
PERIOD = 100_000  # microseconds, RS2
MIN_QUOTA = 1_000  # RS2
MIN_SHARES, MAX_SHARES = 2, 262_144  # RS2
WANTED = ("cpu", "memory", "pids", "cpuset", "devices")
_BUSY = 16
_RACES = 10


class Hierarchy(Record):
    """One mounted hierarchy; `controllers` of version 2 are those it offers.

    Of a tree of which only a part is ours (oci/delegation.py) `mount` is the directory of that part and `top` its path below the root.
    """

    mount: str
    version: int
    controllers: tuple[str, ...]
    top: str = ""


class Limits(Record):
    """What a pod's group is given; 0 = not set (RS4). `pages`: bytes of huge pages by resource name, `hugepages-2Mi`."""

    shares: int = MIN_SHARES
    quota: int = 0
    memory: int = 0
    pages: tuple[tuple[str, int], ...] = ()


class Cgroups:
    """Groups of this host below `parent` (relative to every mount point).

    `hierarchies` is where new groups are made, `former` where earlier commands of ours may have made some; in a user namespace either may
    be empty, then nothing is limited and `why` says for what reason.
    """

    def __init__(self, parent: str, hierarchies: tuple[Hierarchy, ...], *, former: tuple[Hierarchy, ...] = (),
                 unified: bool | None = None, why: str = "") -> None:  # fmt: skip
        self.parent = parent
        self.hierarchies = hierarchies
        self.why = why
        self._everywhere = (*hierarchies, *former)
        self._foreign: list[Hierarchy] | None = None
        self.unified = len(hierarchies) == 1 and hierarchies[0].version == 2 if unified is None else unified

    @property
    def controllers(self) -> frozenset[str]:
        """What limits anything in groups that we make."""
        return frozenset(c for h in self.hierarchies for c in self._offered(h))

    @property
    def missing(self) -> tuple[str, ...]:
        """Controllers this host does not have, or does not let us use."""
        there = self.controllers
        return tuple(c for c in WANTED if c not in there and not (self.unified and c == "devices"))

    def _offered(self, hierarchy: Hierarchy) -> tuple[str, ...]:
        """In a part of the tree what its processes allowed us to switch on, once our own group is there."""
        if not hierarchy.top:
            return hierarchy.controllers
        try:
            with open(f"{hierarchy.mount}/{self.parent}/cgroup.controllers", encoding="ascii") as file:
                return tuple(file.read().split())
        except OSError:
            return hierarchy.controllers

    def runtime_path(self, path: str) -> str:
        """A group as the OCI runtime is told about it, from the root of the tree; "" = the container gets no group."""
        return f"{self.hierarchies[0].top}{path}" if self.hierarchies else ""

    def pod(self, uid: str, qos: str) -> str:
        """Path of a pod's group: /PARENT/kubepods/burstable/podUID."""
        middle = "" if qos == "Guaranteed" else f"/{qos.lower()}"
        return f"/{self.parent}/kubepods{middle}/pod{uid}"

    def make_pod(self, path: str, limits: Limits) -> None:
        """Make a pod's group everywhere and set its limits. Made everywhere, so that nobody's `prune` takes a parent away."""
        for hierarchy in self.hierarchies:
            for _ in range(_RACES):
                try:
                    if hierarchy.version == 2 and hierarchy.controllers:
                        self._enable(hierarchy, path)
                    _make(hierarchy.mount + path)
                    break
                except FileNotFoundError:
                    continue  # another process pruned an empty parent between two steps
            if _has(hierarchy, "cpu") or _has(hierarchy, "memory") or _has(hierarchy, "hugetlb"):
                _limit(hierarchy, hierarchy.mount + path, limits)

    def set_limits(self, path: str, limits: Limits) -> None:
        """Change the limits of a group that is in use; none where none is given."""
        for hierarchy in self.hierarchies:
            if os.path.isdir(hierarchy.mount + path):
                _limit(hierarchy, hierarchy.mount + path, limits, again=True)

    def remove_pod(self, uid: str) -> None:
        """Kill what is left in a pod's group, remove it and the parents that became empty."""
        for quality in ("Guaranteed", "Burstable", "BestEffort"):
            path = self.pod(uid, quality)
            if any(os.path.isdir(h.mount + path) for h in self._everywhere):
                self.kill(path)
                self.remove(path)
        self.prune()

    def prune(self) -> None:
        """Remove our upper groups where they are empty."""
        for name in ("/kubepods/burstable", "/kubepods/besteffort", "/kubepods", "/monitors", ""):
            for hierarchy in self._everywhere:
                try:
                    os.rmdir(f"{hierarchy.mount}/{self.parent}{name}")
                except OSError:
                    continue

    def _enable(self, hierarchy: Hierarchy, path: str) -> None:
        at = hierarchy.mount
        if hierarchy.top and group_of_self() == hierarchy.top:
            _try_write(f"{self._monitors(hierarchy)}/cgroup.procs", "0")  # else it may not limit its children
        for part in path.strip("/").split("/"):
            for controller in hierarchy.controllers:
                _try_write(f"{at}/cgroup.subtree_control", f"+{controller}")
            at = f"{at}/{part}"
            _make(at)
        for controller in hierarchy.controllers:
            _try_write(f"{at}/cgroup.subtree_control", f"+{controller}")

    def leave(self) -> None:
        """Move the calling thread, and with it the children it makes, to the monitors' group wherever it is not in a root group.

        For a thread of its own that ends afterwards. Version 1 moves single threads by `tasks`, which takes 0.03 ms for oneself; moving
        another process by `cgroup.procs` waits for an RCU grace period, 5 to 8 ms (measured, Linux 6.18).
        """
        for hierarchy in self._foreign_groups():
            if hierarchy.version == 1:
                _try_write(f"{self._monitors(hierarchy)}/tasks", "0")

    def adopt_monitor(self, pid: int) -> None:
        """Move a conmon out of its caller's group where `leave` cannot: version 2 moves whole processes only."""
        for hierarchy in self._foreign_groups():
            if hierarchy.version == 2:
                _try_write(f"{self._monitors(hierarchy)}/cgroup.procs", str(pid))

    def _monitors(self, hierarchy: Hierarchy) -> str:
        path = f"{hierarchy.mount}/{self.parent}/monitors"
        _make(path)
        return path

    def _foreign_groups(self) -> list[Hierarchy]:
        """Hierarchies where this process is in somebody's group: killing that must not reach our conmons. A root group harms nobody."""
        if self._foreign is None:
            part = [h for h in self.hierarchies if h.top]  # never in the way of others, wherever the caller is
            self._foreign = part or own_groups(self.hierarchies)
        return self._foreign

    def pids(self, path: str) -> list[int]:
        """Processes in the group and below it."""
        found: list[int] = []
        for hierarchy in self._tracking():
            for directory in _walk(hierarchy.mount + path):
                try:
                    with open(f"{directory}/cgroup.procs", "rb") as file:
                        found += [int(line) for line in file]
                except OSError:
                    continue
        return found

    def kill(self, path: str, seconds: float = 10.0) -> bool:
        """SIGKILL every process of the group until it is empty; False when something survives `seconds`."""
        deadline = time.monotonic() + seconds
        pause = 0.001
        while True:
            pids = self.pids(path)
            if not pids:
                return True
            for hierarchy in self._tracking():
                _try_write(f"{hierarchy.mount}{path}/cgroup.kill", "1")  # version 2, Linux 5.14
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self._thaw(path)
            if time.monotonic() > deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 0.05)

    def _thaw(self, path: str) -> None:
        """A frozen process does not even die (version 1): a pause must not outlive the one who ends it."""
        for hierarchy in self._everywhere:
            for directory in _walk(hierarchy.mount + path) if hierarchy.version == 1 and _has(hierarchy, "freezer") else ():
                _try_write(f"{directory}/freezer.state", "THAWED")

    def remove(self, path: str, seconds: float = 5.0) -> bool:
        """Remove a group and those below it in every hierarchy; False when one stays busy. Idempotent."""
        left = [h.mount + path for h in self._everywhere]
        deadline = time.monotonic() + seconds
        pause = 0.0005
        while True:
            left = [directory for directory in left if not _remove(directory)]
            if not left or time.monotonic() > deadline:
                return not left
            time.sleep(pause)  # the last process may still be on its way out
            pause = min(pause * 2, 0.05)

    def oom_killed(self, path: str) -> bool:
        """Whether the kernel killed a process of this group for memory."""
        for hierarchy in self._everywhere:
            if _has(hierarchy, "memory"):
                name = "memory.events" if hierarchy.version == 2 else "memory.oom_control"
                if _field(f"{hierarchy.mount}{path}/{name}", b"oom_kill") > 0:
                    return True
        return False

    def swap_limited(self) -> bool:
        """Whether swap can be limited here (CONFIG_SWAP accounting)."""
        for hierarchy in self.hierarchies:
            if _has(hierarchy, "memory"):
                return hierarchy.version == 2 or os.path.exists(f"{hierarchy.mount}/memory.memsw.limit_in_bytes")
        return False

    def has(self, controller: str) -> bool:
        return any(_has(h, controller) for h in self.hierarchies)

    def children(self, path: str) -> list[str]:
        """Names of the groups directly below `path`, from every hierarchy."""
        names: set[str] = set()
        for hierarchy in self._everywhere:
            try:
                with os.scandir(hierarchy.mount + path) as entries:
                    names.update(e.name for e in entries if e.is_dir(follow_symlinks=False))
            except OSError:
                continue
        return sorted(names)

    def _tracking(self) -> tuple[Hierarchy, ...]:
        """Where we count processes: every runtime puts containers into this hierarchy; of version 2 every part that was ours."""
        for wanted in ("pids", "freezer", "devices", "memory"):
            for hierarchy in self.hierarchies:
                if hierarchy.version == 1 and wanted in hierarchy.controllers:
                    return (hierarchy,)
        if not self.hierarchies or self.hierarchies[0].version == 2:
            return self._everywhere
        return self.hierarchies[:1]

    def control_file(self, path: str, name: str, controller: str = "") -> str:
        """Where a group's control file is: of the version 1 hierarchy of `controller`, "" = of version 2; "" when there is none."""
        for hierarchy in self._everywhere:
            file = f"{hierarchy.mount}{path}/{name}"
            if (hierarchy.version == 2) is (not controller) and (not controller or _has(hierarchy, controller)) and os.path.exists(file):
                return file
        return ""


def discover(mountinfo: str = "/proc/self/mountinfo") -> tuple[Hierarchy, ...]:
    """The hierarchies mounted on this host, version 1 first."""
    found: dict[str, Hierarchy] = {}
    with open(mountinfo, "rb") as file:
        for line in file:
            head, _, tail = line.partition(b" - ")
            kind, _, rest = tail.partition(b" ")
            if kind not in (b"cgroup", b"cgroup2"):
                continue
            mount = unescape(head.split(b" ")[4])
            options = rest.rsplit(b" ", 1)[-1].strip().decode().split(",")
            found[mount] = _hierarchy(mount, kind == b"cgroup2", options)
    return tuple(sorted(found.values(), key=lambda h: (h.version, h.mount)))


def _hierarchy(mount: str, second: bool, options: list[str]) -> Hierarchy:
    if not second:
        return Hierarchy(mount, 1, tuple(o for o in options if o not in ("rw", "ro", "xattr", "none", "clone_children")))
    try:
        with open(f"{mount}/cgroup.controllers", encoding="ascii") as file:
            return Hierarchy(mount, 2, tuple(file.read().split()))
    except OSError:
        return Hierarchy(mount, 2, ())


def group_of_self() -> str:
    """This process's group in the version 2 tree; "" without one."""
    with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        return next((line.rstrip("\n")[3:] for line in file if line.startswith("0::")), "")


def own_groups(hierarchies: tuple[Hierarchy, ...]) -> list[Hierarchy]:
    """The hierarchies where this process is not in the root group."""
    found: list[Hierarchy] = []
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            names = set(controllers.split(",")) if controllers else set()
            if path != "/":
                found += [h for h in hierarchies if (h.version == 1 and names & set(h.controllers)) or (h.version == 2 and not names)]
    return found


def shares(milli_cpu: int | None) -> int:
    """RS2."""
    return max(MIN_SHARES, min(MAX_SHARES, (milli_cpu or 0) * 1024 // 1000)) if milli_cpu else MIN_SHARES


def quota(milli_cpu: int | None) -> int:
    """RS2; 0 = no quota."""
    return max(MIN_QUOTA, milli_cpu * PERIOD // 1000) if milli_cpu else 0


def weight(cpu_shares: int) -> int:
    """cpu.weight for shares: runc 1.1 and crun before 1.23 map linearly (RS3), and a pod must weigh against containers on one scale."""
    return 1 + ((max(cpu_shares, MIN_SHARES) - 2) * 9999) // 262_142


def _make(directory: str) -> None:
    """As os.makedirs, which looks for every parent first: ten pods' groups lie below one."""
    try:
        os.mkdir(directory, 0o755)
    except FileExistsError:
        pass
    except FileNotFoundError:
        os.makedirs(directory, mode=0o755, exist_ok=True)


def page_size(resource: str) -> str:
    """`hugepages-2Mi` as the kernel and the OCI runtime write it: 2MB."""
    return resource.removeprefix("hugepages-").removesuffix("i") + "B"


def _limit(hierarchy: Hierarchy, directory: str, limits: Limits, *, again: bool = False) -> None:
    """`again`: the group has had limits before, which may have to go."""
    for name, amount in limits.pages if _has(hierarchy, "hugetlb") else ():
        file = "limit_in_bytes" if hierarchy.version == 1 else "max"
        _try_write(f"{directory}/hugetlb.{page_size(name)}.{file}", str(amount))
    (_limit_v1 if hierarchy.version == 1 else _limit_v2)(hierarchy, directory, limits, again)


def _limit_v1(hierarchy: Hierarchy, directory: str, limits: Limits, again: bool) -> None:
    if _has(hierarchy, "cpu"):
        _try_write(f"{directory}/cpu.shares", str(limits.shares))
        if limits.quota or again:
            _try_write(f"{directory}/cpu.cfs_period_us", str(PERIOD))
            _try_write(f"{directory}/cpu.cfs_quota_us", str(limits.quota or -1))
    if _has(hierarchy, "memory") and (limits.memory or again):
        text = str(limits.memory or -1)
        for _ in range(2 if again else 1):  # memory and swap together never less than memory: one has to go first, by the direction
            if again:
                _try_write(f"{directory}/memory.memsw.limit_in_bytes", text)
            _try_write(f"{directory}/memory.limit_in_bytes", text)


def _limit_v2(hierarchy: Hierarchy, directory: str, limits: Limits, again: bool) -> None:
    if _has(hierarchy, "cpu"):
        _try_write(f"{directory}/cpu.weight", str(weight(limits.shares)))
        if limits.quota or again:
            _try_write(f"{directory}/cpu.max", f"{limits.quota or 'max'} {PERIOD}")
    if _has(hierarchy, "memory") and (limits.memory or again):
        _try_write(f"{directory}/memory.max", str(limits.memory or "max"))


def _has(hierarchy: Hierarchy, controller: str) -> bool:
    return controller in hierarchy.controllers


def _try_write(path: str, text: str) -> bool:
    """Write a control file; what this kernel does not have or allow is left out (LR3)."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(fd, text.encode())
        return True
    except OSError:
        return False
    finally:
        os.close(fd)


def _field(path: str, name: bytes) -> int:
    try:
        with open(path, "rb") as file:
            for line in file:
                key, _, value = line.partition(b" ")
                if key == name:
                    return int(value)
    except OSError:
        pass
    return 0


def _walk(directory: str) -> Iterator[str]:
    try:
        with os.scandir(directory) as entries:
            below = [e.path for e in entries if e.is_dir(follow_symlinks=False)]
    except OSError:
        return
    yield directory
    for path in below:
        yield from _walk(path)


def _remove(directory: str) -> bool:
    """One try; True when the group is gone."""
    try:
        os.rmdir(directory)
        return True
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno != _BUSY:
            raise
    for path in list(_walk(directory))[:0:-1]:
        try:
            os.rmdir(path)
        except OSError:
            return False
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
