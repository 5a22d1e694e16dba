"""What a user's containers look like from where root stands: files of theirs, mounts, devices, namespaces.

As root a test looks for itself. As an ordinary user it cannot: mounts and network are in the user's namespaces, files belong to
subordinate ids. `seen` lets a fork of the test look from inside, and hands back what it saw; the assertions stay the test's own.
"""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from kubeplay.engine.host import syscalls
from kubeplay.engine.host.userns import rootless
from kubeplay.engine.net.rootless.place import Place
from kubeplay.engine.rootless import enter, who

T = TypeVar("T")
NETWORK = "the user's"


def plain_user() -> bool:
    """Whether this is a test run of an ordinary user's, outside of its namespaces."""
    return os.geteuid() != 0


def mounts() -> list[str]:
    """The lines of mountinfo that a container's runtime sees."""
    return seen(lambda: Path("/proc/self/mountinfo").read_text().splitlines())


def links() -> list[str]:
    """The devices of the network that pods are joined to, a line each."""
    return seen(lambda: subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout.splitlines(), NETWORK)


def nft_tables() -> list[str]:
    """The packet filter's tables there, a line each."""
    words = [shutil.which("nft") or "/usr/sbin/nft", "list", "tables"]  # not in an ordinary user's PATH
    return seen(lambda: subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines(), NETWORK)


def seen(work: Callable[[], T], network: str = "") -> T:
    """What `work` returns or raises in the user's namespaces, and in the network namespace `network` of them (NETWORK: the user's own).

    The value must survive pickling; one socket is handed over as such.
    """
    if not plain_user() and not (network and rootless()):
        return work()
    ours, theirs = socket.socketpair()
    with ours:
        child = os.fork()
        if child == 0:
            try:
                ours.close()
                _answer(work, network, theirs)
            finally:
                os._exit(0)
        theirs.close()
        data, fds = _received(ours)
        os.waitpid(child, 0)
    if fds:
        return cast(T, socket.socket(fileno=fds[0]))
    good, value = pickle.loads(data)
    if not good:
        raise value
    return cast(T, value)


def _answer(work: Callable[[], T], network: str, to: socket.socket) -> None:
    try:
        _enter(network)
        value = work()
        if isinstance(value, socket.socket):
            socket.send_fds(to, [b"s"], [value.fileno()])
            return
        said = pickle.dumps((True, value))
    except BaseException as error:
        try:
            said = pickle.dumps((False, error))
            pickle.loads(said)
        except Exception:
            said = pickle.dumps((False, AssertionError(repr(error))))
    to.sendall(said)


def _enter(network: str) -> None:
    if os.geteuid() != 0:
        enter.enter()
    if network == NETWORK:
        network = Place(who.user_directory()).pin
        if not os.path.exists(network):
            syscalls.unshare(syscalls.CLONE_NEWNET)  # there is none yet: nothing is in it
            return
    if network:
        fd = os.open(network, os.O_RDONLY)
        syscalls.setns(fd, syscalls.CLONE_NEWNET)
        os.close(fd)


def _received(sock: socket.socket) -> tuple[bytes, list[int]]:
    data, fds = b"", []
    while True:
        more, handed, _, _ = socket.recv_fds(sock, 1 << 16, 1)
        fds += handed
        if not more:
            return data, fds
        data += more
