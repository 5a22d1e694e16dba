"""For whom this process works: the real user, the user's directories, the ids there are.

Inside the user's namespaces `geteuid()` is 0 and says nothing; whoever wants to know whose files, logins and settings these are asks here.
"""

from __future__ import annotations

import os
import stat

from kubeplay.engine.host.userns import VARIABLE, Handed, Range, handed_on, in_user_namespace, ranges, rootless
from kubeplay.errors import Forbidden
from kubeplay.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "kubeplay-user"  # of the private directory
OWN = "kubeplay-run"  # what the name of a runtime directory begins with that we made ourselves
__all__ = ["VARIABLE", "Handed", "Maps", "Range", "User", "entered", "home", "in_user_namespace", "made", "maps", "rootless", "sees_mounts",
           "user", "user_directory"]  # fmt: skip


class User(Record):
    """The real user, as the machine knows it: root's own for root."""

    uid: int
    gid: int
    name: str
    home: str


class Maps(Record):
    """The ids that exist in this namespace."""

    uids: tuple[Range, ...]
    gids: tuple[Range, ...]

    @property
    def single(self) -> bool:
        """Whether there is the user's own id only (no subordinate ids)."""
        return sum(r.length for r in self.uids) == 1

    def has_uid(self, uid: int) -> bool:
        """Whether `uid`, as seen inside, is anybody's."""
        return any(r.inside <= uid < r.inside + r.length for r in self.uids)

    def has_gid(self, gid: int) -> bool:
        """Whether `gid`, as seen inside, is anybody's."""
        return any(r.inside <= gid < r.inside + r.length for r in self.gids)


def maps() -> Maps:
    """The ids of this process's namespace."""
    return Maps(ranges("uid"), ranges("gid"))


_entered = False  # by this process itself


def entered() -> None:
    """Note that this very process has gone into the namespaces: whoever started it stands outside."""
    global _entered
    _entered = True


def sees_mounts() -> bool:
    """Whether the caller of this command sees what it mounts: root, and a program in `kubeplay unshare`."""
    return not _entered


def user() -> User:
    """Who this process works for."""
    import pwd

    handed = handed_on()
    uid, gid = (handed.uid, handed.gid) if handed else (os.geteuid(), os.getegid())
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # of a directory service that does not answer, or a container's number
        name = str(uid)
    return User(uid, gid, name, home())


def home() -> str:
    """The home directory: $HOME, but passwd's for an ordinary user whose $HOME is another's (`sudo -E` and `su -m` leave it)."""
    said = os.environ.get("HOME", "")
    if said.startswith("/") and (_owned(said) or not rootless()):
        return said
    import pwd

    handed = handed_on()
    try:
        return pwd.getpwuid(handed.uid if handed else os.geteuid()).pw_dir
    except KeyError:
        return said or "/"


def _owned(path: str) -> bool:
    """Whether `path` belongs to us; inside the namespace 0, our own id there, stands for the user."""
    try:
        return os.stat(path).st_uid == os.geteuid()
    except OSError:
        return False


def user_directory() -> str:
    """The user's private directory of this boot, 0700: the holder's record, locks, claims, sockets.

    In $XDG_RUNTIME_DIR where that is the user's, /run/user/UID, a directory in /tmp, one in the home: the first that nobody else can touch.
    Raises Forbidden when there is none.
    """
    handed = handed_on()
    if handed:
        return handed.directory
    for parent in parents():
        directory = f"{parent}/{NAME}"
        if private(parent) and made(directory):
            return directory
    raise Forbidden(
        "there is no directory for runtime files that only you can write to",
        hint="set XDG_RUNTIME_DIR to a directory of yours with mode 0700",
    )


def parents() -> Iterator[str]:
    """Where the private directory may lie, best first; those of our own are made when they are come to."""
    for path in places():
        if os.path.basename(path).startswith(OWN) and not made(path):
            continue
        yield path


def places() -> list[str]:
    """The same, by name."""
    handed, said = handed_on(), os.environ.get("XDG_RUNTIME_DIR", "").rstrip("/")
    uid = handed.uid if handed else os.geteuid()
    found = [said] if said.startswith("/") else []
    return [*found, f"/run/user/{uid}", f"/tmp/{OWN}-{uid}", f"{home().rstrip('/')}/.local/state/{OWN}"]


def private(path: str) -> bool:
    """Whether `path` is a directory, no symlink, that is ours and that nobody else may write to."""
    try:
        info = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid() and not info.st_mode & 0o022


def made(path: str) -> bool:
    """See that the directory is there, ours, and 0700; False when something else is in its place or it cannot be made."""
    try:
        info = os.lstat(path)
    except OSError:
        return _make(path)
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        return False
    if info.st_mode & 0o077:
        os.chmod(path, 0o700)
    return True


def _make(path: str) -> bool:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.mkdir(path, 0o700)
    except FileExistsError:  # made by another command of ours just now, or by somebody who lies in wait
        return private(path)
    except OSError:
        return False
    return True
