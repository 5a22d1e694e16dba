"""Real networks for tests: a root of its own on a tmpfs, pods that are namespaces, sockets opened inside them."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from kubeplay.config import Settings
from kubeplay.engine.host import syscalls
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.host.threads import in_thread
from kubeplay.engine.net import netns, rtnl
from kubeplay.engine.net.netlink import Netlink
from kubeplay.engine.net.networks import networks
from kubeplay.engine.net.rootless.place import Place
from kubeplay.engine.rootless import who
from kubeplay.engine.store.db import Store
from kubeplay.plan.pod import Attachment, SandboxPlan
from tests.support import seen

T = TypeVar("T")


class Pod(NamedTuple):
    """A pod as far as the network is concerned."""

    uid: str
    directory: str
    netns: str
    ip: str


class Lab:
    """One kubeplay root: its Networks, and pods made in it."""

    def __init__(self, path: Path) -> None:
        self.settings = Settings(root=f"{path}/root", runroot=f"{path}/run")
        self.paths = Paths(self.settings)
        os.makedirs(self.paths.runroot)
        syscalls.mount("tmpfs", self.paths.runroot, "tmpfs", data="mode=755")
        self.store = Store(self.paths.database)
        self.net = networks(self.settings, self.store, self.paths)
        self.servers: list[socket.socket] = []

    def pod(self, network: str = "", ip: str = "", name: str = "pod") -> Pod:
        uid = str(uuid.uuid4())
        pins = self.namespaces(uid, name)
        plan = SandboxPlan(name, attachments=(Attachment(network, ip),))
        return Pod(uid, self.directory(uid), pins.net, self.net.attach(uid, pins.net, plan)[0])

    def namespaces(self, uid: str, hostname: str = "pod") -> netns.Pins:
        return netns.create(self.directory(uid), hostname)

    def directory(self, uid: str) -> str:
        return f"{self.paths.sandbox(uid)}/ns"

    def remove(self, pod: Pod, wait: bool = True) -> None:
        self.net.detach(pod.uid, wait)
        netns.remove(pod.directory)

    def serve(self, netns_path: str, answer: bytes, port: int = 80, address: str = "0.0.0.0") -> None:
        """Answer every TCP connection in that namespace ("" = the host's) with `answer`, a space and the client's address."""
        listener = inside(netns_path, lambda: listening(address, port))
        self.servers.append(listener)
        threading.Thread(target=_serve, args=(listener, answer), daemon=True).start()

    def serve_udp(self, netns_path: str, answer: bytes, port: int = 53, address: str = "0.0.0.0") -> None:
        sock = inside(netns_path, lambda: _bound(socket.SOCK_DGRAM, address, port))
        self.servers.append(sock)
        threading.Thread(target=_serve_udp, args=(sock, answer), daemon=True).start()

    def devices(self) -> set[str]:
        """This root's devices on the host; other tests and programs make theirs meanwhile."""
        def work() -> list[rtnl.Link]:
            with Netlink() as netlink:
                return rtnl.links(netlink)

        listed = inside("", work)
        return {link.name for link in listed if link.group == self.net._group or link.name.startswith(self.settings.bridge)}

    def close(self) -> None:
        for server in self.servers:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        for entry in os.scandir(f"{self.paths.runroot}/sandboxes") if os.path.isdir(f"{self.paths.runroot}/sandboxes") else ():
            netns.remove(f"{entry.path}/ns")
        self.net.reset()
        self.store.close()
        syscalls.umount(self.paths.runroot)


@contextlib.contextmanager
def lab(path: Path) -> Iterator[Lab]:
    made = Lab(path)
    try:
        yield made
    finally:
        made.close()


def inside(netns_path: str, work: Callable[[], T]) -> T:
    """Run `work` in a network namespace, "" = that of the engine's networks (the host's as root); sockets it opens stay there."""
    if not netns_path and who.rootless() and not seen.plain_user():
        netns_path = Place(who.user_directory()).pin
        if not netns.is_pinned(netns_path):
            netns_path = ""
    if not netns_path:
        return work()
    if seen.plain_user():
        return seen.seen(work, netns_path)

    def entered() -> T:
        fd = os.open(netns_path, os.O_RDONLY)
        try:
            syscalls.setns(fd, syscalls.CLONE_NEWNET)
        finally:
            os.close(fd)
        return work()

    return in_thread(entered)


def fetch(netns_path: str, address: str, port: int, timeout: float = 60.0, source: str = "") -> str:
    """What the server at that place says; raises OSError when it cannot be reached."""

    def work() -> str:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as sock:
            sock.settimeout(timeout)
            if source:
                sock.bind((source, 0))
            sock.connect((address, port))
            data = b""
            while chunk := sock.recv(4096):
                data += chunk
            return data.decode()

    return inside(netns_path, work)


def fetch_udp(netns_path: str, address: str, port: int, timeout: float = 60.0) -> str:
    def work() -> str:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            sock.connect((address, port))
            sock.send(b"?")
            return sock.recv(4096).decode()

    return inside(netns_path, work)


def listening(address: str, port: int) -> socket.socket:
    sock = _bound(socket.SOCK_STREAM, address, port)
    sock.listen(16)
    return sock


def _bound(kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    return sock


def _serve(listener: socket.socket, answer: bytes) -> None:
    while True:
        try:
            peer, address = listener.accept()
        except OSError:
            return
        with peer:
            peer.sendall(answer + b" " + address[0].encode())


def _serve_udp(sock: socket.socket, answer: bytes) -> None:
    while True:
        try:
            _, address = sock.recvfrom(4096)
        except OSError:
            return
        if address is None:  # shut down
            return
        sock.sendto(answer, address)
