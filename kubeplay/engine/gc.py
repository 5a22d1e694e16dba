"""What a crash left: things on disk and in the kernel that carry an id of ours and that no row accounts for.

Rows are written before the things and deleted after them. So listing the things first and reading the rows second finds garbage only:
an id without a row belongs to nobody, or to a removal that is under way and does the same.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from kubeplay.engine.host import processes
from kubeplay.engine.host.ids import is_id
from kubeplay.engine.host.processes import Process

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

_END_SECONDS = 10.0  # for a killed process to be gone, as engine/container.py gives it


def _listing(path: str) -> list[str]:
    try:
        return [name for name in os.listdir(path) if is_id(name)]
    except FileNotFoundError:
        return []


def _found(engine: Engine) -> tuple[set[str], set[str], dict[str, str]]:
    """Ids of containers, ids of sandboxes, pod uid of each cgroup of a pod."""
    paths = engine.paths
    containers = {
        n for d in (f"{paths.runroot}/containers", f"{paths.root}/containers", paths.exits, engine.runtime.root) for n in _listing(d)
    }
    groups: dict[str, str] = {}
    for middle in ("", "/burstable", "/besteffort"):
        base = f"/{engine.settings.cgroup_parent}/kubepods{middle}"
        for name in engine.cgroups.children(base):
            if name.startswith("pod"):
                groups[name[3:]] = f"{base}/{name}"
                containers.update(child for child in engine.cgroups.children(f"{base}/{name}") if is_id(child))
    return containers, set(_listing(f"{paths.runroot}/sandboxes")), groups


def _garbage(engine: Engine) -> tuple[set[str], set[str], dict[str, str]]:
    containers, sandboxes, groups = _found(engine)
    rows = engine.store.runtime
    known_sandboxes = {row.id: row.pod_uid for row in rows.sandboxes()}
    known = {row.id for row in rows.containers()} | known_sandboxes.keys()
    uids = set(known_sandboxes.values()) | {row.uid for row in rows.pods()}
    return containers - known, sandboxes - known_sandboxes.keys(), {uid: path for uid, path in groups.items() if uid not in uids}


def leftovers(engine: Engine) -> list[str]:
    """See Engine.leftovers."""
    containers, sandboxes, groups = _garbage(engine)
    lines = [f"container {name}" for name in sorted(containers)]
    lines += [f"sandbox {name}" for name in sorted(sandboxes)]
    return lines + [f"cgroup {path}" for path in sorted(groups.values())] + [f"build {name}" for name in _dead_builds(engine)]


def _dead_builds(engine: Engine) -> list[str]:
    """Builds whose builder is dead; asks the build's own room only when there is something to ask about."""
    try:
        if not os.listdir(f"{engine.paths.root}/build"):
            return []
    except FileNotFoundError:
        return []
    from kubeplay.engine.build import workspace

    return sorted(workspace.leftovers(engine))


def collect(engine: Engine) -> list[str]:
    """See Engine.collect."""
    from kubeplay.engine import container, pod
    from kubeplay.engine.net import netns
    from kubeplay.engine.oci.runtime import remove_tree

    containers, sandboxes, groups = _garbage(engine)
    builds = _dead_builds(engine)
    lines = leftovers(engine) if containers or sandboxes or groups or builds else []
    if builds:
        from kubeplay.engine.build import workspace

        workspace.sweep(engine)
    for container_id in containers:
        container.clear(engine, container_id, _uid_of(groups, engine, container_id))
    for sandbox_id in sandboxes:
        directory = engine.paths.sandbox(sandbox_id)
        pod.unmount(f"{directory}/ns/pid")
        netns.remove(f"{directory}/ns")
        for name in ("shm", "files"):
            pod.unmount(f"{directory}/{name}")
        remove_tree(directory)
    for path in groups.values():
        engine.cgroups.kill(path)
        engine.cgroups.remove(path)
    if lines:
        engine.cgroups.prune()
    return lines


def _uid_of(groups: dict[str, str], engine: Engine, container_id: str) -> str:
    """The pod whose cgroup holds the container, for a container that has no facts."""
    for uid, path in groups.items():
        if container_id in engine.cgroups.children(path):
            return uid
    return "unknown"


def void(engine: Engine) -> None:
    """The runroot is a new one: end every process of ours that is still there (it was wiped while they ran), and their cgroups."""
    from kubeplay.engine.oci import members
    from kubeplay.engine.oci.cgroup import discover
    from kubeplay.engine.oci.runtime import cgroups_of
    from kubeplay.engine.store.leases import NODE

    engine.store.leases.drop(NODE)  # what starts again asks for it again
    cgroups = cgroups_of(engine.paths, engine.settings.cgroup_parent, discover())
    base = f"/{cgroups.parent}"
    if cgroups.hierarchies:
        if not any(os.path.isdir(h.mount + base) for h in cgroups.hierarchies):
            return
        cgroups.kill(base)
    ended: list[Process] = []
    for pid in _monitors(engine):
        below = () if cgroups.hierarchies else members.below(pid)
        ended += [found for one in (*below, pid) if (found := _kill(one))]
    for process in ended:
        processes.await_end(process, _END_SECONDS)  # what still runs when we go on would be found in the new runroot's pods
    if cgroups.hierarchies:
        cgroups.remove(base)


def _kill(pid: int) -> Process | None:
    """The process that was killed; None when it has ended, or is another user's of the same runroot's name."""
    process = processes.identify(pid)
    try:
        return process if process and processes.send(process, signal.SIGKILL) else None
    except PermissionError:
        return None


def _monitors(engine: Engine) -> list[int]:
    """Our conmons that run in no cgroup of ours: their command line names this runroot."""
    found = []
    wanted = f"{engine.paths.runroot}/exits".encode()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read(65536).split(b"\0")
        except OSError:
            continue
        if os.path.basename(words[0]) == b"conmon" and wanted in words:
            found.append(int(name))
    return found
