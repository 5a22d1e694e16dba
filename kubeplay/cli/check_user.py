"""The part of `system check` that only an ordinary user's pods need: ids, namespaces, devices, limits. It works where nothing is there."""

from __future__ import annotations

import os

from kubeplay.cli.check import MISSING, NOTE, OK, Check
from kubeplay.config import Settings
from kubeplay.engine.rootless import needs, subids, who
from kubeplay.errors import KubeplayError

FEW_FILES = 4096  # open files a service commonly asks for; Debian's own hard limit is 1048576 or 524288 (systemd's DefaultLimitNOFILE)
FEW_INSTANCES = 128  # the kernel's default of fs.inotify.max_user_instances
FULL = 0.9  # of a quota
TUN = "/dev/net/tun"
LINGER = "/var/lib/systemd/linger"


def run(settings: Settings) -> list[Check]:
    """Every check, from the facts of this machine."""
    facts = needs.read()
    found = [_namespaces(facts), _helpers(facts), _ids(facts), *_overlaps(facts)]
    for check in (_directory, _fuse, _keys, _inotify, _files, _ports, _linger):
        found += check(facts)
    return [*found, *_network(settings), _limits()]


def _namespaces(facts: needs.Facts) -> Check:
    from kubeplay.engine.rootless.enter import refusal

    if refusal is None:
        number = sum(r.length for r in who.maps().uids)
        return Check("user namespace", OK, f"of {facts.name} (user {facts.uid}), {number} user ids")
    return Check("user namespace", MISSING, refusal.message, refusal.hint)


def _helpers(facts: needs.Facts) -> Check:
    if facts.helpers == needs.GOOD:
        return Check("newuidmap, newgidmap", OK, "installed, and may map ids")
    found = {needs.ABSENT: "not installed", needs.POWERLESS: "neither set-uid root nor with file capabilities"}[facts.helpers]
    remedy = "apt-get install uidmap" if facts.helpers == needs.ABSENT else "apt-get install --reinstall uidmap"
    return Check("newuidmap, newgidmap", NOTE, f"{found}: {needs.cost(facts)}", remedy)


def _ids(facts: needs.Facts) -> Check:
    least = min(facts.uids, facts.gids)
    found = f"{facts.uids} user and {facts.gids} group ids"
    if least >= needs.ENOUGH:
        return Check("subordinate ids", OK, found)
    if least:
        more = f"usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST {needs.quoted(facts.name)}"
        return Check("subordinate ids", NOTE, f"{found}: images whose files have higher ids do not unpack", more)
    cost = needs.cost(facts) if facts.helpers == needs.GOOD else "images whose files have other owners lose them"
    return Check("subordinate ids", NOTE, f"{found}: {cost}", needs.grant(facts))


def _overlaps(facts: needs.Facts) -> list[Check]:
    """Ids that are somebody else's too: who has them in a container has them over that other's files."""
    checks = []
    for kind, file in subids.FILES.items():
        shared = subids.shared(subids.read(kind), facts.name, facts.uid)
        if shared:
            what = f"{file}: {facts.name}'s ids are also {', '.join(shared)}'s: each can touch the other's containers"
            checks.append(Check(f"subordinate {kind}s", NOTE, what, f"give each user ranges of their own in {file}"))
        real = subids.real(subids.of(subids.read(kind), facts.name, facts.uid), kind)
        if real:
            what = f"{file}: {facts.name}'s ids include accounts of this machine: {', '.join(real)}"
            checks.append(Check(f"subordinate {kind}s", NOTE, what, f"give {facts.name} ranges without accounts in {file}"))
    return checks


def _directory(facts: needs.Facts) -> list[Check]:
    directory = who.user_directory()
    if directory.startswith("/run/"):
        return [Check("runtime directory", OK, directory)]
    remedy = "log in with a session (ssh, login, machinectl shell), or set XDG_RUNTIME_DIR to a directory of yours on a tmpfs"
    return [Check("runtime directory", OK, f"{directory}, as this is no login session with an XDG_RUNTIME_DIR", remedy)]


def _network(settings: Settings) -> list[Check]:
    """The way out of the pods' network, and the device that it needs."""
    from kubeplay.engine.net.rootless import wayout

    try:
        choice = wayout.choose(settings.network_helper)
    except KubeplayError as error:
        tun = _device(TUN, MISSING, "the network helper needs it", "modprobe tun; chmod 0666 /dev/net/tun")
        return [tun] if tun.state != OK else [Check("network helper", MISSING, error.message, error.hint), tun]
    if choice.helper == wayout.NONE:
        return [Check("network helper", NOTE, f"none: {choice.reason}")]
    return [Check("network helper", OK, f"{choice.helper}: {choice.reason}"), Check(TUN, OK, "can be opened")]


def _path(name: str) -> str:
    from kubeplay.cli.check import _find

    return _find(name)


def _fuse(facts: needs.Facts) -> list[Check]:
    checks = [_device("/dev/fuse", NOTE, "fuse-overlayfs, for where the kernel refuses overlay mounts, needs it", "chmod 0666 /dev/fuse")]
    if not _path("fuse-overlayfs"):
        what = "not installed: where the kernel refuses overlay mounts, each container gets a whole copy of its image"
        checks.append(Check("fuse-overlayfs", NOTE, what, "apt-get install fuse-overlayfs"))
    return checks


def _device(path: str, absent: str, what: str, remedy: str) -> Check:
    """As every distribution has them through udev: for everybody to open."""
    if not os.path.exists(path):
        return Check(path, absent, f"not there: {what}", remedy)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return Check(path, absent, f"{error.strerror}: {what}", remedy)
    return Check(path, OK, "can be opened")


def _keys(facts: needs.Facts) -> list[Check]:
    """Containers get no session keyring of their own, so a full quota is somebody else's; it is told all the same."""
    limit = _number("/proc/sys/kernel/keys/maxkeys")
    with open("/proc/key-users", encoding="ascii") as file:
        rows = [line.split() for line in file if line.split(":")[0].strip() == str(facts.uid)]
    used = int(rows[0][3].split("/")[0]) if rows else 0
    if used >= FULL * limit:
        return [Check("key quota", NOTE, f"{used} of {limit} keys are used", f"sysctl -w kernel.keys.maxkeys={limit * 10}")]
    return [Check("key quota", OK, f"{used} of {limit} keys are used; containers take none")]


def _inotify(facts: needs.Facts) -> list[Check]:
    instances, watches = (_number(f"/proc/sys/fs/inotify/max_user_{what}") for what in ("instances", "watches"))
    found = f"{instances} instances, {watches} watches for all containers together"
    if instances < FEW_INSTANCES:
        return [Check("inotify", NOTE, found, f"sysctl -w fs.inotify.max_user_instances={FEW_INSTANCES * 4}")]
    return [Check("inotify", OK, found)]


def _files(facts: needs.Facts) -> list[Check]:
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < FEW_FILES:
        remedy = f"echo '{facts.name} hard nofile 524288' >> /etc/security/limits.conf, and log in again"
        return [Check("open files", NOTE, f"at most {hard} in one process, and nobody can raise that for a container", remedy)]
    return [Check("open files", OK, f"at most {hard} in one process")]


def _ports(facts: needs.Facts) -> list[Check]:
    first = _number("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    return [Check("host ports", OK, f"from {first} on; lower ones with: sysctl -w net.ipv4.ip_unprivileged_port_start=80")]


def _limits() -> Check:
    """What holds pods to their limits: a part of the cgroup tree that was handed to the user."""
    from kubeplay.engine.oci import delegation
    from kubeplay.engine.oci.cgroup import discover, group_of_self

    tree = delegation.find(discover(), group_of_self())
    top = delegation.delegated(tree) if tree.mount else None
    if top is None:
        what = f"{delegation.why(tree)}: limits of cpu, memory and processes are not enforced"
        return Check("cgroup delegation", NOTE, what, delegation.remedy() if tree.mount else "boot with systemd.unified_cgroup_hierarchy=1")
    return Check("cgroup delegation", OK, f"{top} is yours")


def _linger(facts: needs.Facts) -> list[Check]:
    if not os.path.isdir("/run/systemd/system"):
        return []
    if os.path.exists(f"{LINGER}/{facts.name}"):
        return [Check("lingering", OK, "pods outlive your sessions")]
    remedy = f"loginctl enable-linger {needs.quoted(facts.name)}"
    return [Check("lingering", NOTE, "off: with your last session systemd ends your pods", remedy)]


def _number(path: str) -> int:
    with open(path, encoding="ascii") as file:
        return int(file.read())

