"""Owners of files where not every id exists: in a user namespace a file can belong to mapped ids only (user_namespaces(7)).

With subordinate ids an unmapped owner is an error that says which id, and what an administrator does about it. Where the namespace has one
id only (no line in /etc/subuid), everything belongs to that one: whoever asks for another owner is counted here, and told once.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from kubeplay.engine.host.userns import Range, handed_on, in_user_namespace, ranges
from kubeplay.errors import MissingPrerequisite

OVERFLOW = 65534  # what stat(2) shows of an unmapped owner (/proc/sys/kernel/overflowuid)
_FIRST_RANGE = 65536  # ids that Debian's useradd gives
_MOST = 1 << 24  # an image with larger ids is better made anew than mapped


class Owners:
    """The ids of this process's namespace. `single`: only one, which stands for all; `squashed` counts whom it has stood for."""

    def __init__(self, uids: tuple[Range, ...] | None = None, gids: tuple[Range, ...] | None = None) -> None:
        self._uids = ranges("uid") if uids is None else uids
        self._gids = ranges("gid") if gids is None else gids
        self.single = sum(r.length for r in self._uids) == 1
        self.squashed = 0

    def has(self, uid: int, gid: int) -> bool:
        """Whether a file can belong to both."""
        return _in(self._uids, uid) and _in(self._gids, gid)

    def give(self, where: int | str | bytes, uid: int, gid: int, what: Callable[[], str], dir_fd: int | None = None) -> tuple[int, int]:
        """chown(2) that follows no link; `what()` is named in an error; the owner that it has now.

        Raises MissingPrerequisite (an id that is not mapped), OSError.
        """
        if self.single:
            uid, gid = self._squash(uid), self._squash(gid)
        try:
            if isinstance(where, int):
                _chown_open(where, uid, gid)
            else:
                os.chown(where, uid, gid, dir_fd=dir_fd, follow_symlinks=False)
        except OSError as error:
            if error.errno == errno.EINVAL and not self.has(max(uid, 0), max(gid, 0)):
                raise self.refused(what(), uid, gid) from None
            raise
        return uid, gid

    def _squash(self, number: int) -> int:
        if number <= 0:  # -1 leaves it
            return number
        self.squashed += 1
        return 0

    def refused(self, what: str, uid: int, gid: int) -> MissingPrerequisite:
        """The error for an owner that does not exist here."""
        kind, number, mapped = ("user", uid, self._uids) if not _in(self._uids, max(uid, 0)) else ("group", gid, self._gids)
        message = f"{what} belongs to {kind} {number}, and this user namespace has the ids {_shown(mapped)} only"
        return MissingPrerequisite(message, hint=_remedy(number))


def _chown_open(fd: int, uid: int, gid: int) -> None:
    try:
        os.fchown(fd, uid, gid)
    except OSError as error:
        if error.errno != errno.EBADF:  # else opened with O_PATH
            raise
        os.chown(f"/proc/self/fd/{fd}", uid, gid)


_ours: Owners | None = None


def give(where: int | str | bytes, uid: int, gid: int, what: str, dir_fd: int | None = None) -> tuple[int, int]:
    """`Owners.give` with this process's ids. Raises MissingPrerequisite, OSError."""
    global _ours
    if _ours is None:
        _ours = Owners()
    return _ours.give(where, uid, gid, lambda: what, dir_fd)


def forget() -> None:
    """Ask again which ids there are: for tests that move to another namespace."""
    global _ours
    _ours = None


def inherit(path: str, like: os.stat_result) -> None:
    """Give what `path` leads to the owner that `like` has, unless that is nobody of this namespace: then it stays ours. Raises OSError."""
    if in_user_namespace() and OVERFLOW in (like.st_uid, like.st_gid):
        return
    os.chown(path, like.st_uid, like.st_gid)


def _in(found: tuple[Range, ...], number: int) -> bool:
    return any(r.inside <= number < r.inside + r.length for r in found)


def _shown(found: tuple[Range, ...]) -> str:
    """Adjacent ranges as one: 0-65535."""
    parts: list[list[int]] = []
    for r in sorted(found):
        if parts and parts[-1][1] + 1 == r.inside:
            parts[-1][1] += r.length
        else:
            parts.append([r.inside, r.inside + r.length - 1])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in parts) or "of nobody"


def _remedy(number: int) -> str:
    handed = handed_on()
    if number >= _MOST:
        return "make the image anew with smaller ids, or use it as root"
    if handed is None:
        return "widen the id ranges of the container that this runs in, or make the image anew with smaller ids"
    wanted = -(-(number + 1) // _FIRST_RANGE) * _FIRST_RANGE
    return (
        f"an administrator gives {_name(handed.uid)} at least {wanted} ids in /etc/subuid and /etc/subgid"
        f" (usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST {_name(handed.uid)}); they count after a reboot,"
        " or once your process `catatonit -P` has been ended while no pod of yours runs"
    )


def _name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
