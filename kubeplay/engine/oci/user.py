"""Who a container runs as (SC2, SC3): the pod's securityContext, else the image's USER looked up in the image's own files.

/etc/passwd and /etc/group belong to the image, so they are hostile: opened inside the root file system only (openat2), ordinary
files only, read up to a limit. Numbers beyond 2^31-1 are refused: a runtime would wrap them, to root if they are chosen well
(CVE-2024-40635).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.engine.host.machine import machine
from kubeplay.engine.host.syscalls import RESOLVE_IN_ROOT, open_ordinary
from kubeplay.engine.host.userns import Range, ranges
from kubeplay.errors import ContainerError
from kubeplay.plan.security import Security
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.host.idmapped import Map

MAX_ID = 2**31 - 1  # SC2
_LIMIT = 4 << 20  # bytes of passwd or group that we read: some ten thousand lines
CONFIG_ERROR = "CreateContainerConfigError"


class Identity(Record):
    """What the process gets; `groups` are the supplementary ones, `home` from passwd or "/"."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


class Entry(Record):
    """A line of passwd."""

    name: str
    uid: int
    gid: int
    home: str


class Accounts(Record):
    """The image's users, and groups as (name, gid, members)."""

    users: tuple[Entry, ...] = ()
    groups: tuple[tuple[str, int, tuple[str, ...]], ...] = ()


def read_accounts(rootfs: str) -> Accounts:
    """The accounts of a root file system; files that are missing or not ordinary count as empty."""
    users = []
    for line in _lines(rootfs, "etc/passwd"):
        parts = line.split(":")
        if len(parts) >= 6 and _number(parts[2]) is not None and _number(parts[3]) is not None:
            users.append(Entry(parts[0], int(parts[2]), int(parts[3]), parts[5]))
    groups = []
    for line in _lines(rootfs, "etc/group"):
        parts = line.split(":")
        if len(parts) >= 3 and _number(parts[2]) is not None:
            groups.append((parts[0], int(parts[2]), tuple(m for m in (parts[3] if len(parts) > 3 else "").split(",") if m)))
    return Accounts(tuple(users), tuple(groups))


def check_non_root(security: Security, image_user: str, where: str) -> None:
    """SC3; `where` is the text in brackets (pod and container). Raises ContainerError."""
    if not security.run_as_non_root:
        return
    if security.run_as_user is not None:
        if security.run_as_user == 0:
            raise ContainerError(CONFIG_ERROR, f"container's runAsUser breaks non-root policy ({where})")
        return
    name = image_user.partition(":")[0]
    number = _number(name)
    if name and number is None:
        raise ContainerError(
            CONFIG_ERROR, f"container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root ({where})"
        )
    if not number:
        raise ContainerError(CONFIG_ERROR, f"container has runAsNonRoot and image will run as root ({where})")


def covers(map_: Sequence[Range], number: int) -> bool:
    """Whether `number` is an id of a namespace with this map."""
    return any(r.inside <= number < r.inside + r.length for r in map_)


def check_mapped(identity: Identity, name: str, users: Map | None = None) -> None:
    """Refuse ids that the pod's user namespace (None: this one) does not have, in words that say why. Raises ContainerError."""
    if users:
        from kubeplay.engine.host.idmapped import outside

        for what, map_, numbers in (("user", users.uids, (identity.uid,)), ("group", users.gids, (identity.gid, *identity.groups))):
            for number in numbers:
                if outside(map_, number) < 0:
                    last = max(r.inside + r.length for r in map_) - 1
                    text = f'container "{name}": {what} {number} is not among the ids of the pod\'s user namespace (0 to {last})'
                    raise ContainerError("CreateContainerError", text)
        return
    if not machine().user_namespace:
        return
    for kind, numbers in (("uid", (identity.uid,)), ("gid", (identity.gid, *identity.groups))):
        map_ = ranges(kind)
        for number in numbers:
            if not covers(map_, number):
                last = max(r.inside + r.length for r in map_) - 1
                what = "user" if kind == "uid" else "group"
                said = f"{what} {number} is not among the ids you have (0 to {last}, by /etc/sub{kind})"
                hint = f"more ids: usermod --add-sub{kind}s FIRST-LAST USER; they count once no pod of yours runs"
                raise ContainerError("CreateContainerError", f'container "{name}": {said}', hint=hint)


def resolve(security: Security, image_user: str, accounts: Accounts) -> Identity:
    """Uid, gid and groups. Raises ContainerError for names the image does not know and numbers out of range."""
    user_text, _, group_text = image_user.partition(":")
    entry: Entry | None
    if security.run_as_user is not None:
        uid, group_text = _checked(security.run_as_user, "runAsUser"), ""
        entry = _by_uid(accounts, uid)
    else:
        uid, entry = _image_user(user_text, accounts)
    if security.run_as_group is not None:
        gid = _checked(security.run_as_group, "runAsGroup")
    elif group_text:
        gid = _image_group(group_text, accounts)
    else:
        gid = entry.gid if entry else 0
    groups = set(security.supplemental_groups)
    if security.fs_group is not None:
        groups.add(security.fs_group)
    if security.supplemental_groups_policy != "Strict" and entry is not None:
        groups.update(number for _, number, members in accounts.groups if entry.name in members)
    for number in groups:
        _checked(number, "supplementalGroups")
    # the primary group is listed too, else it is lost to a process that drops it (CVE-2022-2989)
    return Identity(uid, gid, tuple(sorted(groups | {gid})), entry.home if entry and entry.home.startswith("/") else "/")


def _image_user(text: str, accounts: Accounts) -> tuple[int, Entry | None]:
    if not text:
        return 0, _by_uid(accounts, 0)
    number = _number(text)
    if number is not None:
        return number, _by_uid(accounts, number)
    if _digits(text):
        raise _out_of_range(text, "the image's USER")
    for entry in accounts.users:
        if entry.name == text:
            return _checked(entry.uid, f"user {text!r} of the image"), entry
    raise ContainerError("CreateContainerError", f"unable to find user {text[:64]}: no matching entries in passwd file")


def _image_group(text: str, accounts: Accounts) -> int:
    number = _number(text)
    if number is not None:
        return number
    if _digits(text):
        raise _out_of_range(text, "the image's USER group")
    for name, gid, _ in accounts.groups:
        if name == text:
            return _checked(gid, f"group {text!r} of the image")
    raise ContainerError("CreateContainerError", f"unable to find group {text[:64]}: no matching entries in group file")


def _by_uid(accounts: Accounts, uid: int) -> Entry | None:
    return next((e for e in accounts.users if e.uid == uid), None)


def _digits(text: str) -> bool:
    return text.lstrip("+-").isdigit()


def _number(text: str) -> int | None:
    """A uid or gid in range, else None."""
    if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MAX_ID:
        return int(text)
    return None


def _checked(number: int, what: str) -> int:
    if not 0 <= number <= MAX_ID:
        raise _out_of_range(str(number), what)
    return number


def _out_of_range(text: str, what: str) -> ContainerError:
    return ContainerError("CreateContainerError", f"{what}: {text[:32]} is outside 0..{MAX_ID}")


def _lines(rootfs: str, path: str) -> list[str]:
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fd = open_ordinary(root, path, RESOLVE_IN_ROOT)
        except OSError:
            return []
    finally:
        os.close(root)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return []
    with open(fd, "rb") as file:
        return file.read(_LIMIT).decode(errors="replace").splitlines()
