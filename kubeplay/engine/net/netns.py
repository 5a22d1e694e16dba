"""A pod's network, IPC and UTS namespaces, made without a process to hold them and pinned by bind mounts.

A thread of ours leaves for new namespaces, writes what is written once (hostname, namespaced sysctls, lo up), pins
them as files and ends; no other thread ever notices. A pin counts only if its file system is nsfs: after the
runroot was wiped or a kill -9 at the wrong moment the file is an ordinary one, and the pod has no namespaces.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.engine.host import syscalls
from kubeplay.engine.host.threads import in_thread
from kubeplay.engine.host.userns import ranges
from kubeplay.engine.net import rtnl
from kubeplay.engine.net.netlink import Netlink
from kubeplay.errors import SandboxError
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.host.idmapped import Map

NET, IPC, UTS, USER = "net", "ipc", "uts", "user"
_FLAGS = {NET: syscalls.CLONE_NEWNET, IPC: syscalls.CLONE_NEWIPC, UTS: syscalls.CLONE_NEWUTS}
_PINNED = (*_FLAGS, USER)
_NSFS = "/proc/self/ns/net"  # all namespaces lie in one file system of the kernel's own
# What has a copy per namespace (sysctl(8), namespaces(7)); writing anything else would change the host.
_IPC_SYSCTLS = ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")
_UTS_SYSCTLS = ("kernel.domainname",)

# SC8: containerd's defaults for pods with a network of their own. Redirects: a pod's only way is its gateway.
NET_DEFAULTS = (
    ("net.ipv4.ip_unprivileged_port_start", "0"),
    ("net.ipv4.ping_group_range", "0 2147483647"),
    ("net.ipv4.conf.all.accept_redirects", "0"),
    ("net.ipv4.conf.default.accept_redirects", "0"),
)


class Pins(Record):
    """Paths of the pinned namespaces; "" = the pod uses the host's."""

    net: str = ""
    ipc: str = ""
    uts: str = ""
    user: str = ""


def create(directory: str, hostname: str = "", sysctls: Sequence[tuple[str, str]] = (), *,
           host_network: bool = False, host_ipc: bool = False, users: Map | None = None) -> Pins:
    """Make and pin what the pod does not share with the host, in `directory`/{net,ipc,uts,user}; returns the pins.

    With `users` they belong to a user namespace of the pod's own.

    Idempotent: pins that are all there stay as they are. With `host_network` the UTS namespace is the host's too (DN3:
    such pods use the node's name). Raises SandboxError and leaves nothing behind.
    """
    wanted = [] if host_network else [NET, UTS]
    if not host_ipc:
        wanted.append(IPC)
    every = [*wanted, USER] if users else wanted
    pins = Pins(**{kind: f"{directory}/{kind}" for kind in every})
    if all(is_pinned(f"{directory}/{kind}") for kind in every):
        return pins
    _check_sysctls(sysctls, wanted)
    remove(directory)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    settings = [*(() if host_network else _net_defaults()), *sysctls]
    try:
        name = "" if host_network else hostname
        if users is None:
            in_thread(lambda: _make(directory, wanted, name, settings))
        else:
            _make_owned(directory, wanted, name, settings, users)
    except OSError as error:
        remove(directory)
        raise SandboxError(f"cannot make the pod's namespaces: {error.strerror}: {error.filename}") from error
    except BaseException:
        remove(directory)
        raise
    return pins


def _make(directory: str, kinds: list[str], hostname: str, sysctls: Sequence[tuple[str, str]]) -> None:
    flags = 0
    for kind in kinds:
        flags |= _FLAGS[kind]
    if flags:
        syscalls.unshare(flags)
    _settle(kinds, hostname, sysctls)
    for kind in kinds:
        _pin(f"/proc/thread-self/ns/{kind}", f"{directory}/{kind}")


def _make_owned(directory: str, kinds: list[str], hostname: str, sysctls: Sequence[tuple[str, str]], users: Map) -> None:
    """The same in a new user namespace, which our threads cannot go to: they go to the others, as whom those belong to in the end."""
    from kubeplay.engine.host import newusers

    with newusers.held(users, kinds) as pid:
        for kind in (*kinds, USER):
            _pin(f"/proc/{pid}/ns/{kind}", f"{directory}/{kind}")

    def work() -> None:
        for kind in kinds:
            fd = os.open(f"{directory}/{kind}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                syscalls.setns(fd, _FLAGS[kind])
            finally:
                os.close(fd)
        _settle(kinds, hostname, sysctls)

    in_thread(work)


def _settle(kinds: list[str], hostname: str, sysctls: Sequence[tuple[str, str]]) -> None:
    """What is written once, in the namespaces this thread is in."""
    for name, value in sysctls:
        _write_sysctl(name, value)
    if UTS in kinds and hostname:
        syscalls.sethostname(hostname)
    if NET in kinds:
        with Netlink() as netlink:
            netlink.run(rtnl.up(1, "lo"))  # a new network namespace has lo as its first device


def _pin(namespace: str, path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    syscalls.mount(namespace, path, flags=syscalls.MS_BIND)


def _net_defaults() -> list[tuple[str, str]]:
    """NET_DEFAULTS with the groups that may ping held to those this user namespace has: the kernel refuses others."""
    last = max(r.inside + r.length for r in ranges("gid")) - 1
    return [(name, value.replace("2147483647", str(min(last, 2147483647)))) for name, value in NET_DEFAULTS]


def _check_sysctls(sysctls: Sequence[tuple[str, str]], kinds: Sequence[str]) -> None:
    for name, _ in sysctls:
        plain = sysctl_path(name)[len("/proc/sys/") :].replace("/", ".")
        groups = ((NET, ("net.",)), (IPC, _IPC_SYSCTLS), (UTS, _UTS_SYSCTLS))
        if not any(kind in kinds and plain.startswith(prefixes) for kind, prefixes in groups):
            raise SandboxError(
                f"sysctl {name} is not allowed: it does not belong to a namespace of this pod",
                hint="net.* needs the pod's own network, kernel.shm*, kernel.msg*, kernel.sem and fs.mqueue.* its own IPC namespace",
            )


def _write_sysctl(name: str, value: str) -> None:
    path = sysctl_path(name)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SandboxError(f"sysctl {name}: {error.strerror}", hint="this kernel does not have it, or not per namespace") from error
    try:
        os.write(fd, value.encode())
    except OSError as error:
        raise SandboxError(f"sysctl {name}: the kernel refuses the value {value!r}: {error.strerror}") from error
    finally:
        os.close(fd)


def sysctl_path(name: str) -> str:
    """The file of a sysctl, written with dots or slashes as in the API. Raises SandboxError for a way out of /proc/sys."""
    parts = name.split("/") if "/" in name.split(".")[0] else name.replace("/", "\0").split(".")
    parts = [part.replace("\0", ".") for part in parts]
    if any(part in ("", ".", "..") or "/" in part for part in parts):
        raise SandboxError(f"sysctl {name!r}: not a name")
    return "/proc/sys/" + "/".join(parts)


def is_pinned(path: str) -> bool:
    """True for a live pin: the file is a namespace, not what is left of one."""
    try:
        return os.stat(path, follow_symlinks=False).st_dev == os.stat(_NSFS).st_dev
    except OSError:
        return False


def inodes(directory: str) -> tuple[int, ...]:
    """The inode numbers of the pinned namespaces, to look for with `holders` after `remove`."""
    paths = [f"{directory}/{kind}" for kind in _PINNED]
    return tuple(os.stat(path).st_ino for path in paths if is_pinned(path))


def remove(directory: str) -> tuple[int, ...]:
    """Unpin: unmount, delete files and directory. Idempotent. Returns the inodes of what was pinned.

    The namespaces end with their last holder: processes of the pod must be gone before. Raises SandboxError when a pin
    cannot be unmounted.
    """
    numbers = inodes(directory)
    for kind in _PINNED:
        path = f"{directory}/{kind}"
        while is_pinned(path):  # a crash between two attempts can stack mounts
            try:
                syscalls.umount(path)
            except OSError as error:
                raise SandboxError(f"cannot unpin {path}: {error.strerror}") from error
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
    try:
        os.rmdir(directory)
    except OSError:
        pass  # it holds more than pins, or was never made
    return numbers


def holders(numbers: Sequence[int]) -> list[str]:
    """Who still holds one of these namespaces: `pid PID (command)` or a mount point of this mount namespace."""
    wanted = set(numbers)
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and any(_inode(f"/proc/{entry}/ns/{kind}") in wanted for kind in _PINNED):
            found.append(f"pid {entry} ({_command(entry)})")
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            fields = line.split()
            if ":[" in fields[3] and int(fields[3].partition(":[")[2].rstrip("]")) in wanted:
                found.append(fields[4])
    return found


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


def _command(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "?"
