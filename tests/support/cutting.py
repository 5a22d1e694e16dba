"""A wire that breaks: a TCP relay on loopback that cuts one connection after so many bytes, then is good until armed again."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Wire:
    """`address` is where to connect; `cut` how many connections were cut."""

    def __init__(self, target: str, after: int, proxy: bool = False) -> None:
        self._target, self._after = target, after
        self.cut, self._armed = 0, after > 0
        self._proxy, self.asked = proxy, b""
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)  # connections inherit it: little is on its way when it is cut
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._poll = selectors.DefaultSelector()
        self._poll.register(self._server, selectors.EVENT_READ)
        self._bell, self._ear = socket.socketpair()
        self._poll.register(self._ear, selectors.EVENT_READ)
        self._peers: dict[socket.socket, socket.socket] = {}
        self._passed: dict[socket.socket, int] = {}

    def arm(self) -> None:
        """Cut one more."""
        self._armed = True

    def run(self) -> None:
        while True:
            for key, _ in self._poll.select():
                if key.fileobj is self._ear:
                    return self._close()
                if key.fileobj is self._server:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._peers:
                    self._pass(key.fileobj)

    def stop(self) -> None:
        self._bell.send(b"x")

    def _accept(self) -> None:
        near, _ = self._server.accept()
        if self._proxy:
            self.asked = _head(near)
            near.sendall(b"HTTP/1.1 200 connected\r\n\r\n")
        host, _, port = self._target.rpartition(":")
        far = socket.create_connection((host, int(port)))
        for one, other in ((near, far), (far, near)):
            self._peers[one], self._passed[one] = other, 0
            self._poll.register(one, selectors.EVENT_READ)

    def _pass(self, one: socket.socket) -> None:
        other = self._peers[one]
        try:
            data = one.recv(65536)
            if data:
                other.sendall(data)
        except OSError:
            data = b""
        self._passed[one] += len(data)
        if data and self._armed and self._passed[one] > self._after:
            self._armed, data = False, b""
            self.cut += 1
        if not data:
            for end in (one, other):
                self._poll.unregister(end)
                del self._peers[end]
                end.close()

    def _close(self) -> None:
        for one in (*self._peers, self._server, self._bell, self._ear):
            one.close()
        self._poll.close()


def _head(near: socket.socket) -> bytes:
    """A CONNECT request, whole."""
    data = b""
    while b"\r\n\r\n" not in data and (piece := near.recv(4096)):
        data += piece
    return data


@contextmanager
def cutting(target: str, after: int, proxy: bool = False) -> Iterator[Wire]:
    """Relay to HOST:PORT; the first connection is cut after `after` bytes in one direction (0 = none is).

    As `proxy` it takes CONNECT requests, keeps the last in `asked`, and leads to HOST:PORT whatever they name.
    """
    wire = Wire(target, after, proxy)
    thread = threading.Thread(target=wire.run)
    thread.start()
    try:
        yield wire
    finally:
        wire.stop()
        thread.join()
