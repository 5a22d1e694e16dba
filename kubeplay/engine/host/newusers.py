"""A new user namespace and others that belong to it, held by a process for as long as it takes to pin them.

A process with threads cannot leave for a new user namespace, so a program does: unshare(1), which becomes cat(1) and waits at its standard
input. It ends when we close that, or die.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kubeplay.engine.host import processes
from kubeplay.engine.host.idmapped import Map, text
from kubeplay.errors import SandboxError

_FLAGS = {"net": "--net", "ipc": "--ipc", "uts": "--uts"}


@contextmanager
def held(users: Map, kinds: Sequence[str]) -> Iterator[int]:
    """The pid of a process in a new user namespace with the map `users`, and new ones of `kinds` that belong to it.

    Raises SandboxError, MissingPrerequisite, OSError.
    """
    orders, its_orders = os.pipe2(os.O_CLOEXEC)
    answers, its_answers = os.pipe2(os.O_CLOEXEC)
    argv = [processes.program("unshare"), "--user", *(_FLAGS[kind] for kind in kinds), "--", processes.program("cat")]
    try:
        try:
            pid = processes.spawn(argv, fds={0: orders, 1: its_answers})
        finally:
            os.close(orders)
            os.close(its_answers)
        try:
            os.write(its_orders, b"x")
            if os.read(answers, 1) != b"x":  # cat is there, so it has unshared
                raise SandboxError("no user namespace can be made", hint="see: sysctl user.max_user_namespaces")
            _write(f"/proc/{pid}/uid_map", text(users.uids))
            _write(f"/proc/{pid}/gid_map", text(users.gids))
            yield pid
        finally:
            os.close(its_orders)
            processes.wait(pid)
    except BrokenPipeError as error:
        raise SandboxError("no user namespace can be made", hint="see: sysctl user.max_user_namespaces") from error
    finally:
        os.close(answers)


def _write(path: str, content: str) -> None:
    """The kernel takes a map in one write."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, content.encode())
    except OSError as error:
        raise SandboxError(f"the kernel refuses the ids of the pod's user namespace: {error.strerror}: {content.splitlines()}") from error
    finally:
        os.close(fd)
