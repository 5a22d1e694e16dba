"""What of the caller's rights a thread of ours gives up before it starts something that outlives the command.

Credentials belong to a thread in Linux; libc's wrappers change all threads, so these are the bare system calls. Root keeps what it has:
its groups are its own. An ordinary user's supplementary groups (docker, disk, a project's) and the keys of the login's session must not
be those of containers.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

from kubeplay.engine.host.machine import machine
from kubeplay.engine.host.threads import in_thread

# asm/unistd.h: setgroups (32-bit ids), keyctl
_CALLS = {
    "x86_64": (116, 250), "aarch64": (159, 219), "riscv64": (159, 219), "ppc64le": (81, 271), "s390x": (206, 280), "armv7l": (206, 311),
}  # fmt: skip
_JOIN_SESSION_KEYRING = 1  # linux/keyctl.h
KEYRING = b"_kubeplay"  # one per user, named, so that it counts once against the quota of keys (kernel.keys.maxkeys: 200)


def shed() -> None:
    """Have the calling thread, and so its children, lose supplementary groups and session keys. Nothing happens outside a user namespace.

    Where only the user's own id is mapped the kernel refuses setgroups(2) (user_namespaces(7)): the groups stay, `system check` says so.
    """
    if not machine().user_namespace:
        return
    calls = _CALLS.get(os.uname().machine)
    if calls is None:
        return
    from kubeplay.engine.host.syscalls import call

    setgroups, keyctl = calls
    call(setgroups, ctypes.c_size_t(0), None)
    call(keyctl, ctypes.c_long(_JOIN_SESSION_KEYRING), KEYRING)


def spawned(start: Callable[[], int]) -> int:
    """Start a child (`start` returns its pid) from a thread that has shed what must not be the child's."""
    if not machine().user_namespace:
        return start()

    def work() -> int:
        shed()
        return start()

    return in_thread(work)


def keeps_groups() -> bool:
    """Whether this user namespace cannot give up supplementary groups, and there are some."""
    try:
        with open("/proc/self/setgroups", encoding="ascii") as file:
            return file.read().strip() == "deny" and bool(set(os.getgroups()) - {os.getegid()})
    except OSError:
        return False
