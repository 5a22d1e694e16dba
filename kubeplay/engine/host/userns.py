"""Which user namespace this process is in, and for whom it works there: what every start asks, so nothing is imported for it.

An ordinary user's process enters the user's own namespaces (engine/rootless) and is uid 0 there; who it works for is handed on to its
children in `_KUBEPLAY_USERNS`. That is a hint, never a right: it counts only where the kernel says that this uid 0 is that very user.
"""

from __future__ import annotations

import os

from kubeplay.record import Record

VARIABLE = "_KUBEPLAY_USERNS"  # UID:GID:DIRECTORY
_WHOLE = 4294967295  # ids of the first namespace: all but -1


class Range(Record):
    """`length` ids from `inside` on, which are `outside`... in the parent namespace (user_namespaces(7))."""

    inside: int
    outside: int
    length: int


class Handed(Record):
    """For whom a process inside works: real ids, and the user's private directory."""

    uid: int
    gid: int
    directory: str


def parse(text: str) -> tuple[Range, ...]:
    """The lines of /proc/PID/uid_map or gid_map."""
    return tuple(Range(*map(int, line.split())) for line in text.splitlines() if line.strip())


def ranges(kind: str = "uid") -> tuple[Range, ...]:
    """This process's own map; `kind` is uid or gid."""
    with open(f"/proc/self/{kind}_map", encoding="ascii") as file:
        return parse(file.read())


def in_user_namespace() -> bool:
    """Whether this is not the machine's first user namespace: ours, or a container's in which somebody is root."""
    return ranges() != (Range(0, 0, _WHOLE),)


def handed_on() -> Handed | None:
    """For whom this process works inside the user's namespaces; None outside of them."""
    uid, _, rest = os.environ.get(VARIABLE, "").partition(":")
    gid, _, directory = rest.partition(":")
    if not (uid.isdecimal() and gid.isdecimal() and directory.startswith("/")) or os.geteuid() != 0:
        return None
    mine = ranges()
    if mine == (Range(0, 0, _WHOLE),) or not any(r.inside == 0 and r.outside == int(uid) for r in mine):
        return None
    return Handed(int(uid), int(gid), directory)


def rootless() -> bool:
    """Whether this process works for an ordinary user."""
    return os.geteuid() != 0 or handed_on() is not None
