"""Which part of the cgroup tree is ours in a user namespace.

Only version 2 can be handed to an ordinary user safely, as a directory that the user owns (cgroup-v2.rst, "Delegation"): systemd's
user@UID.service, a unit with `Delegate=yes`, or one that an administrator made. A process may be moved only below a group that both
places have in common and that the mover may write to, so what counts is the highest such group above the caller: there our groups lie
beside the caller's terminal or session, not inside of it, and outlive it.

Where earlier commands made groups is kept in the runroot: another session of the same user may be elsewhere in the tree, cannot make
groups there, but can still count, freeze, kill and remove.
"""

from __future__ import annotations

import os

from kubeplay.engine.host.paths import Paths
from kubeplay.engine.oci.cgroup import Cgroups, Hierarchy, discover, group_of_self
from kubeplay.record import Record

_RECORD = "cgroups"  # in the runroot, one directory a line
_DELEGATED = ("cgroup.procs", "cgroup.subtree_control")  # what a delegation hands over beside the directory (cgroup-v2.rst)


class Tree(Record):
    """The version 2 tree as this process sees it, and its own group; `mount` "" = this machine has version 1."""

    mount: str
    group: str


def cgroups(paths: Paths, parent: str) -> Cgroups:
    """The groups this process may use in its user namespace; `why` of the result says what is missing, for a person."""
    tree = find(discover(), group_of_self())
    top = delegated(tree) if tree.mount else None
    former = tuple(_hierarchy(tree, path) for path in _recorded(paths) if top is None or path != top)
    if top is None:
        return Cgroups(parent, (), former=former, unified=bool(tree.mount), why=why(tree))
    _record(paths, top)
    return Cgroups(parent, (_hierarchy(tree, top),), former=former, unified=True)


def find(hierarchies: tuple[Hierarchy, ...], group: str) -> Tree:
    """The tree that containers' limits are in: version 2, where the machine has no other."""
    if hierarchies and all(h.version == 2 for h in hierarchies):
        return Tree(hierarchies[0].mount, group)
    return Tree("", group)


def delegated(tree: Tree) -> str | None:
    """The highest group above this process that was handed to the user, relative to the tree; None when its own was not."""
    found, at = None, tree.group
    while at not in ("", "/") and _is_ours(tree.mount + at):
        found, at = at, os.path.dirname(at)
    return found


def _is_ours(directory: str) -> bool:
    return all(os.access(path, os.W_OK) for path in (directory, *(f"{directory}/{name}" for name in _DELEGATED)))


def _hierarchy(tree: Tree, top: str) -> Hierarchy:
    try:
        with open(f"{tree.mount}{top}/cgroup.controllers", encoding="ascii") as file:
            offered = tuple(file.read().split())
    except OSError:
        offered = ()
    return Hierarchy(f"{tree.mount}{top}", 2, offered, top)


def why(tree: Tree) -> str:
    """What keeps groups from being made, for a person."""
    if not tree.mount:
        return "this machine has cgroup version 1, which cannot be delegated to users"
    return f"your cgroup {tree.group} is not delegated to you"


def remedy() -> str:
    """What makes limits work on a machine of version 2."""
    return "run kubeplay by `systemd-run --user --scope -p Delegate=yes kubeplay ...`; docs/rootless.md says what an administrator can do"


def _recorded(paths: Paths) -> list[str]:
    try:
        with open(f"{paths.runroot}/{_RECORD}", encoding="utf-8", errors="surrogateescape") as file:
            return list(dict.fromkeys(file.read().splitlines()))
    except OSError:
        return []


def _record(paths: Paths, top: str) -> None:
    if top in _recorded(paths):
        return
    try:
        fd = os.open(f"{paths.runroot}/{_RECORD}", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        return  # who only asks makes no runroot
    try:
        os.write(fd, os.fsencode(f"{top}\n"))
    finally:
        os.close(fd)
