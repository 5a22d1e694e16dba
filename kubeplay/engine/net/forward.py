"""Connections from here to a port inside a pod, for port-forward: to the pod's own localhost, as a kubelet's are.

A socket belongs to the network namespace it is made in, wherever it is used: a thread of its own makes it there.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from kubeplay.engine.host.syscalls import setns
from kubeplay.engine.host.threads import in_thread
from kubeplay.errors import Conflict, Forbidden, InvalidInput, NotRunning

CLONE_NEWNET = 0x40000000
LOCALHOST = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
CONNECT_SECONDS = 30.0  # kubelet's dial timeout of a stream
MOST = 1000  # connections at once: each is a thread
_BLOCK = 1 << 16
_BACKLOG = 128


def connect(pin: str, port: int) -> socket.socket:
    """A connection to localhost:`port` of the network namespace pinned at `pin` ("" = our own). Raises OSError, NotRunning."""
    refused: OSError | None = None
    for family, address in LOCALHOST:
        try:
            made = _inside(pin, family)
        except OSError as error:  # no IPv6 there
            refused = refused or error
            continue
        try:
            made.settimeout(CONNECT_SECONDS)
            made.connect((address, port))
            made.settimeout(None)
            return made
        except OSError as error:
            made.close()
            refused = refused or error
    assert refused is not None
    raise refused


def _inside(pin: str, family: int) -> socket.socket:
    def make() -> socket.socket:
        if pin:
            try:
                fd = os.open(pin, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                raise NotRunning("the pod has no network any more: it has ended") from None
            try:
                setns(fd, CLONE_NEWNET)
            finally:
                os.close(fd)
        return socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)

    return in_thread(make)


def listen(addresses: Sequence[str], port: int) -> list[socket.socket]:
    """Listen on every address, all with one port (0 = any). Raises Conflict, Forbidden, InvalidInput."""
    made: list[socket.socket] = []
    try:
        for address in addresses:
            made += _listen(address, made[0].getsockname()[1] if made else port)
    except BaseException:
        for one in made:
            one.close()
        raise
    return made


def _listen(address: str, port: int) -> list[socket.socket]:
    """`localhost` is 127.0.0.1, and ::1 where there is one."""
    if address == "localhost":
        first = _bound("127.0.0.1", port)
        try:
            return [first, _bound("::1", first.getsockname()[1])]
        except (Conflict, InvalidInput):
            return [first]
    return [_bound(address, port)]


def _bound(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        made.listen(_BACKLOG)
    except PermissionError:
        made.close()
        raise Forbidden(f"port {port} of {address} is the kernel's to give", hint="take one above 1023") from None
    except OSError as error:
        made.close()
        if error.errno == 98:  # EADDRINUSE
            raise Conflict(f"port {port} of {address} is already in use") from None
        raise InvalidInput(f"cannot listen on {address}, port {port}: {error.strerror or error}") from None
    return made


def serve(listeners: Sequence[tuple[socket.socket, str, int]], told: Callable[[str], None], failed: Callable[[str], None]) -> None:
    """Carry connections of each listener to (pin, port) for ever; `told` and `failed` hear of them."""
    places = {one.fileno(): (one, pin, port) for one, pin, port in listeners}
    poll = select.poll()
    for fd in places:
        poll.register(fd, select.POLLIN)
    room = threading.Semaphore(MOST)
    while True:
        for fd, _ in poll.poll():
            listener, pin, port = places[fd]
            try:
                ours, _ = listener.accept()
            except OSError:  # gone before it was taken
                continue
            told(f"Handling connection for {listener.getsockname()[1]}")
            room.acquire()
            threading.Thread(target=_carry, args=(ours, pin, port, failed, room), daemon=True).start()


def _carry(ours: socket.socket, pin: str, port: int, failed: Callable[[str], None], room: threading.Semaphore) -> None:
    with _released(room), ours:
        try:
            theirs = connect(pin, port)
        except (OSError, NotRunning) as error:
            failed(f"cannot connect to port {port} inside the pod: {getattr(error, 'strerror', None) or error}")
            return
        with theirs:
            pump(ours, theirs)


@contextmanager
def _released(room: threading.Semaphore) -> Iterator[None]:
    try:
        yield
    finally:
        room.release()


def pump(a: socket.socket, b: socket.socket) -> None:
    """Bytes both ways until both have ended; the end of one direction is passed on."""
    other = threading.Thread(target=_one_way, args=(b, a), daemon=True)
    other.start()
    _one_way(a, b)
    other.join()


def _one_way(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(_BLOCK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
