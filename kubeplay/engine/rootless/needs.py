"""What a machine must have for an ordinary user's pods, what it has, and what an administrator has to do: at most five lines.

`read` looks, the rest is pure: the message of the first command, `system check` and `info` say the same from the same facts.
"""

from __future__ import annotations

import os

from kubeplay.engine.rootless import subids, who
from kubeplay.record import Record

FIRST_SUBID, SUBIDS = 100000, 65536  # login.defs(5): SUB_UID_MIN, SUB_UID_COUNT
ENOUGH = 65536  # ids an image may use: 0 to 65535
NAMESPACES = 15000  # user.max_user_namespaces as Debian's kernel sets it on a small machine
GOOD, ABSENT, POWERLESS = "good", "absent", "powerless"
FORBIDDEN = "no setting says so: this is a chroot, or a container whose seccomp profile or security module forbids it"
# programs, one of which is enough -> Debian packages to ask for
PROGRAMS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("conmon",), "conmon"),
    (("runc", "crun"), "runc"),
    (("catatonit",), "catatonit"),
    (("nft",), "nftables"),
    (("unbound",), "unbound"),
    (("pasta", "slirp4netns"), "passt slirp4netns"),  # Debian 12's passt is old: slirp4netns is taken then (net/rootless/wayout.py)
)


class Facts(Record):
    """`helpers` is how newuidmap and newgidmap are; `sysctls` are the settings that would switch user namespaces on, as NAME=VALUE."""

    name: str
    uid: int
    packages: tuple[str, ...] = ()  # missing ones
    helpers: str = GOOD
    uids: int = SUBIDS  # subordinate ids in number
    gids: int = SUBIDS
    free: int = FIRST_SUBID  # from here on no subordinate id is anybody's
    sysctls: tuple[str, ...] = ()

    @property
    def single(self) -> bool:
        """Whether only the own id can be mapped."""
        return self.helpers != GOOD or not self.uids or not self.gids


def read() -> Facts:
    """The facts of this machine for the real user."""
    me = who.user()
    uids, gids = subids.read("uid"), subids.read("gid")
    return Facts(
        me.name,
        me.uid,
        tuple(package for names, package in PROGRAMS if not any(map(_path, names))),
        _helpers(),
        sum(r.length for r in subids.mapping(me.uid, subids.granted("uid", me.name, me.uid))[1:]),
        sum(r.length for r in subids.mapping(me.gid, subids.granted("gid", me.name, me.uid))[1:]),
        max((e.start + e.length for e in (*uids, *gids)), default=FIRST_SUBID),
        tuple(_switched_off()),
    )


def _path(name: str) -> str:
    from kubeplay.engine.host.processes import program
    from kubeplay.errors import MissingPrerequisite

    try:
        return program(name)
    except MissingPrerequisite:
        return ""


def _helpers() -> str:
    paths = [_path("newuidmap"), _path("newgidmap")]
    if not all(paths):
        return ABSENT
    return GOOD if all(map(_powerful, paths)) else POWERLESS


def _powerful(path: str) -> bool:
    """Whether the helper gets its right: set-uid root or file capabilities, on a file system that honours them."""
    info = os.stat(path)
    if os.statvfs(path).f_flag & os.ST_NOSUID:
        return False
    if info.st_mode & 0o4000 and info.st_uid == _root():
        return True
    try:
        return bool(os.getxattr(path, "security.capability"))
    except OSError:
        return False


def _root() -> int:
    """The machine's root as this process sees it: unmapped inside the user's namespaces."""
    if not who.in_user_namespace():
        return 0
    with open("/proc/sys/kernel/overflowuid", encoding="ascii") as file:
        return int(file.read())


def _switched_off(settings: str = "/proc/sys") -> list[str]:
    """What forbids user namespaces: the limit, Debian's old switch, Ubuntu's restriction by AppArmor."""
    found = []
    for name, wrong, right in (
        ("user.max_user_namespaces", "0", str(NAMESPACES)),
        ("user.max_mnt_namespaces", "0", str(NAMESPACES)),
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ):
        try:
            with open(f"{settings}/{name.replace('.', '/')}", encoding="ascii") as file:
                if file.read().strip() == wrong:
                    found.append(f"{name}={right}")
        except OSError:
            continue
    return found


def remedies(facts: Facts) -> list[str]:
    """Commands for an administrator, one a line: at most three."""
    packages = [*facts.packages, *(["uidmap"] if facts.helpers != GOOD else [])]
    again = "--reinstall " if facts.helpers == POWERLESS else ""  # set-uid bits and file capabilities come back
    lines = [f"apt-get install {again}{' '.join(packages)}"] if packages else []
    lines += [grant(facts)] if grant(facts) else []
    if facts.sysctls:
        lines.append(f"sysctl -w {' '.join(facts.sysctls)}   # and the same in /etc/sysctl.d/kubeplay.conf")
    return lines


def grant(facts: Facts) -> str:
    """The command that gives the user the subordinate ids that are lacking; "" when none are."""
    ids = f"{facts.free}-{facts.free + SUBIDS - 1}"
    lacking = [option for option, has in (("--add-subuids", facts.uids), ("--add-subgids", facts.gids)) if not has]
    return f"usermod {' '.join(f'{option} {ids}' for option in lacking)} {quoted(facts.name)}" if lacking else ""


def quoted(name: str) -> str:
    """A user's name as one word of a shell."""
    if name and all(c.isalnum() or c in "._-@" for c in name) and name.isascii():
        return name
    return "'" + name.replace("'", "'\\''") + "'"


def cost(facts: Facts) -> str:
    """What it means that only the own id is mapped; "" when it is not so."""
    if not facts.single:
        return ""
    why = {ABSENT: "newuidmap is not installed", POWERLESS: "newuidmap has no right to map them"}.get(facts.helpers)
    why = why or f"{'/etc/subuid' if not facts.uids else '/etc/subgid'} has none for {facts.name}"
    return f"there are no subordinate ids ({why}): every file of an image becomes yours, and containers run as root of themselves only"


def notice(facts: Facts) -> str:
    """What the first command of a boot says of a machine on which pods do not (all) work; "" when there is nothing to say."""
    lines = remedies(facts)
    if not lines:
        return ""
    first = cost(facts) or f"this machine lacks what pods of {facts.name} need"
    return "\n".join([f"notice: {first}.", "An administrator can change that:", *(f"  {line}" for line in lines)][:5])


def refusal(facts: Facts, why: str) -> tuple[str, str]:
    """Message and hint of the error when there can be no namespaces at all."""
    lines = remedies(facts)
    hint = ["an administrator has to run", *(f"  {line}" for line in lines)] if lines else [FORBIDDEN]
    return f"{facts.name} (user {facts.uid}) cannot have a user namespace on this machine: {why}", "\n".join(hint)
