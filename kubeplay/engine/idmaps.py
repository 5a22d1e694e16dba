"""Which ids a pod's own user namespace has: what its plan asks for, from ranges that nothing else on the machine uses.

The machine's root has ranges where no system puts ids (systemd's UIDS-GIDS: 1879048192 to 2147483647 are used by nobody), one of 65536
for each pod, as a kubelet. An ordinary user has only the own subordinate ids: `auto` takes a part of them, `keep-id` and `nomap` all. A pod
keeps its range until it is removed: it is a lease of the store, and a file that tells other roots.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING
from zlib import crc32

from kubeplay.engine.host import userns
from kubeplay.engine.host.userns import Range
from kubeplay.errors import Exhausted, SandboxError
from kubeplay.plan.pod import AUTO, KEEP, NOMAP, Users

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.host.idmapped import Map

POOL = "userids"  # leases: first id -> its pod
CLAIMS = "/run/kubeplay-userids"
SIZE = 65536  # of a kubelet's pods, and what images are made for (nobody is 65534)
FIRST, COUNT = 1879048192, 4096
_OPEN = ("containers", "dns")  # of the runroot
_TRIES = 100  # races with others' removals
USER_SIZE = 4096  # of `auto` for an ordinary user, who has 65536 in all: 15 pods


def of(engine: Engine, uid: str, users: Users | None) -> Map | None:
    """The map of a pod, given one if it has none yet; None for the host's. Raises SandboxError, Exhausted."""
    if users is None:
        return None
    mine = {kind: userns.ranges(kind) for kind in ("uid", "gid")}
    if users.mode == AUTO:
        return _auto(engine, uid, users, mine)
    if not userns.rootless():
        raise SandboxError(f"--userns={users.mode} is for ordinary users: root has no id of its own to keep", hint="--userns=auto")
    if users.mode == NOMAP:
        return _map(_from_one(mine["uid"]), _from_one(mine["gid"]))
    assert users.mode == KEEP
    handed = userns.handed_on()
    own = (handed.uid, handed.gid) if handed else (0, 0)
    wanted = (own[0] if users.uid is None else users.uid, own[1] if users.gid is None else users.gid)
    return _map(keeping(mine["uid"], wanted[0]), keeping(mine["gid"], wanted[1]))


def plain(engine: Engine, uid: str, users: Users | None) -> Map | None:
    """The map of a pod whose mounts do not translate ids: files are on the disk as the pod's processes are outside.

    None for all others, and where there is no map: making the sandbox says why.
    """
    if users is None or not userns.in_user_namespace():
        return None
    try:
        return of(engine, uid, users)
    except SandboxError:
        return None


def keeping(ranges: tuple[Range, ...], inside: int) -> tuple[Range, ...]:
    """The caller's id, 0 of this namespace, as `inside`; the others, 1 and up, in their order around it.

    Raises SandboxError where too few are left for the ids below it.
    """
    last = _last(ranges)
    if inside > last:
        what = f"--userns=keep-id: {inside} cannot be kept with only {last} subordinate ids"
        raise SandboxError(what, hint="more of them in /etc/subuid and /etc/subgid")
    found = [Range(0, 1, inside)] if inside else []
    found.append(Range(inside, 0, 1))
    if last > inside:
        found.append(Range(inside + 1, inside + 1, last - inside))
    return tuple(found)


def _from_one(ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    last = _last(ranges)
    if not last:
        raise SandboxError("--userns=nomap: there are no subordinate ids to map", hint="lines for this user in /etc/subuid and /etc/subgid")
    return (Range(0, 1, last),)


def _last(ranges: tuple[Range, ...]) -> int:
    """The last id of this namespace that all before it lead to."""
    end = 0
    for one in sorted(ranges):
        if one.inside > end:
            break
        end = max(end, one.inside + one.length)
    return end - 1


def _auto(engine: Engine, uid: str, users: Users, mine: dict[str, tuple[Range, ...]]) -> Map:
    for lease in engine.store.leases.held(POOL, uid):
        if _claim(engine, int(lease.key)):
            return _one(int(lease.key), int(lease.value))
        # /run is new, and another root was quicker: no file on a disk has these ids, so others do as well
        engine.store.leases.release(uid, POOL, lease.key)
    size = users.size or (SIZE if not userns.in_user_namespace() else USER_SIZE)
    for start in _starts(mine, uid, size):
        if engine.store.leases.take(POOL, str(start), uid, str(size)):
            if _claim(engine, start):
                return _one(start, size)
            engine.store.leases.release(uid, POOL, str(start))
    raise Exhausted("no range of ids is left for the user namespace of this pod", hint="remove pods that have one of their own")


def _one(start: int, size: int) -> Map:
    return _map((Range(0, start, size),), (Range(0, start, size),))


def _map(uids: tuple[Range, ...], gids: tuple[Range, ...]) -> Map:
    from kubeplay.engine.host.idmapped import Map  # most pods have none

    return Map(uids, gids)


def _starts(mine: dict[str, tuple[Range, ...]], uid: str, size: int) -> Iterator[int]:
    """Where the range may begin, from a place that depends on the pod, so that two commands at once seldom meet."""
    if not userns.in_user_namespace():
        if size > SIZE:
            raise SandboxError(f"--userns=auto:size={size}: at most {SIZE}")
        first, step, count = FIRST, SIZE, COUNT
    else:
        last = min(_last(mine["uid"]), _last(mine["gid"]))
        first, step, count = 1, size, last // size
    begin = crc32(uid.encode())
    for number in range(count):
        yield first + (begin + number) % count * step


def _claim(engine: Engine, start: int) -> bool:
    """Tell the machine's other roots; False when one has it. A user's roots have ids of their own, and one store each is enough there."""
    if userns.in_user_namespace():
        return True
    path = f"{CLAIMS}/{start}"
    for _ in range(_TRIES):
        if _owner(path) == engine.paths.root:
            return True
        os.makedirs(CLAIMS, mode=0o700, exist_ok=True)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError:
            continue  # the last one just removed the directory
        except FileExistsError:
            owner = _owner(path)
            if owner and os.path.exists(f"{owner}/state.db"):
                return owner == engine.paths.root
            _unlink(path)  # of a root that is gone
            continue
        with open(fd, "w", encoding="utf-8") as file:
            file.write(engine.paths.root)
        return True
    return False


def release(engine: Engine, uid: str) -> None:
    """Give the pod's range back. Idempotent."""
    for lease in engine.store.leases.held(POOL, uid):
        if _owner(f"{CLAIMS}/{lease.key}") == engine.paths.root:
            _unlink(f"{CLAIMS}/{lease.key}")
        engine.store.leases.release(uid, POOL, lease.key)
    try:
        os.rmdir(CLAIMS)
    except OSError:
        pass  # others have theirs


def let_pass(engine: Engine, users: Map) -> None:
    """The runtime's first process is the pod's root when it goes to its root file system: it must be let through the runroot.

    Nobody can list it, its other directories are closed (but the DNS records, which their server reads as nobody), and a bundle lets in
    its own pod's root alone. Raises SandboxError where a directory above is closed.
    """
    if _passes(users):
        return
    at = engine.paths.runroot
    with os.scandir(at) as entries:
        for entry in entries:
            if entry.name not in _OPEN and entry.is_dir(follow_symlinks=False):
                os.chmod(entry.path, 0o700)
    os.chmod(at, 0o711)
    if userns.in_user_namespace():
        from kubeplay.engine.host import passage

        passage.through(at)
        return
    while at != "/":
        at = os.path.dirname(at)
        if not os.stat(at).st_mode & 0o001:
            what = f"{at} is closed to the root of a pod with a user namespace of its own, on its way to {engine.paths.runroot}"
            raise SandboxError(what, hint=f"chmod o+x {at}, or another --runroot")


def reached(engine: Engine, path: str, users: Map | None) -> str:
    """The name by which the pod's root reaches a path below the runroot. Raises SandboxError."""
    if users is None or not userns.in_user_namespace() or _passes(users):
        return path
    from kubeplay.engine.host import passage

    return f"{passage.through(engine.paths.runroot)}{path.removeprefix(engine.paths.runroot)}"


def _passes(users: Map) -> bool:
    """Whether who plays is one of the pod's ids (0 of a user's namespace): then the pod's root passes where that one does."""
    return userns.in_user_namespace() and any(r.outside <= 0 < r.outside + r.length for r in users.uids)


def let_in(bundle: str, users: Map) -> None:
    """Let the pod's root into its bundle, and nobody else."""
    os.chown(bundle, -1, users.root[1])
    os.chmod(bundle, 0o710)


def _owner(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(4096)
    except OSError:
        return ""


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
