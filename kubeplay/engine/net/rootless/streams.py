"""TCP: two sockets and the bytes between them, which never come into this process (splice(2) through a pipe).

A pipe is held only while bytes are in it: an idle connection costs two descriptors, and 64 KiB of the kernel's memory
exist only where one side is slower than the other. Reading stops while the other side cannot take more: back-pressure.
"""

from __future__ import annotations

import fcntl
import os
from _socket import (
    AF_INET,
    IPPROTO_TCP,
    SHUT_WR,
    SO_KEEPALIVE,
    SO_LINGER,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_NODELAY,
    socket,
)
from select import EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kubeplay.engine.net.rootless.forwarder import Loop

_F_SETPIPE_SZ = 1031  # linux/fcntl.h
_PIPE = 1 << 18  # bytes; fs.pipe-user-pages-soft gives a user 64 MiB in all, beyond that the kernel gives less by itself
_SPARE = 8  # pipes kept for the next
_CHUNK = 1 << 20
_ROUNDS = 16  # splices of one direction before others have their turn
_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
_EVERYTHING = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
_RESET = b"\1\0\0\0\0\0\0\0"  # struct linger: close sends RST


class Pipes:
    """Empty pipes for those who have bytes to carry."""

    def __init__(self) -> None:
        self._spare: list[tuple[int, int]] = []

    def take(self) -> tuple[int, int]:
        if self._spare:
            return self._spare.pop()
        made = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            fcntl.fcntl(made[1], _F_SETPIPE_SZ, _PIPE)
        except OSError:
            pass  # over the user's soft limit: a smaller one carries as well
        return made

    def give(self, pipe: tuple[int, int]) -> None:
        if len(self._spare) < _SPARE:
            self._spare.append(pipe)
        else:
            drop(pipe)


def drop(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    os.close(pipe[1])


class Direction:
    """Bytes from one socket to the other."""

    __slots__ = ("done", "ended", "held", "link", "pipe", "queued", "readable", "sink", "source", "writable")

    def __init__(self, link: Link, source: socket, sink: socket) -> None:
        self.link = link
        self.source = source
        self.sink = sink
        self.pipe: tuple[int, int] | None = None
        self.held = 0  # bytes in the pipe
        self.readable = self.writable = False
        self.ended = self.done = self.queued = False

    def pump(self, pipes: Pipes) -> bool:
        """Carry what can be carried; True when there may be more at once. Raises OSError when a side is broken."""
        return all(self._step(pipes) for _ in range(_ROUNDS))

    def _step(self, pipes: Pipes) -> bool:
        if self.held:
            return self.writable and self._out()
        if self.ended:
            self.done = True
            self._release(pipes)
            self.sink.shutdown(SHUT_WR)
            return False
        if not (self.readable and self.writable):
            self._release(pipes)
            return False
        return self._in(pipes)

    def _out(self) -> bool:
        assert self.pipe
        try:
            self.held -= os.splice(self.pipe[0], self.sink.fileno(), self.held, flags=_FLAGS)
        except BlockingIOError:
            self.writable = False
            return False
        return True

    def _in(self, pipes: Pipes) -> bool:
        if self.pipe is None:
            self.pipe = pipes.take()
        try:
            got = os.splice(self.source.fileno(), self.pipe[1], _CHUNK, flags=_FLAGS)
        except BlockingIOError:
            self.readable = False
            self._release(pipes)
            return False
        self.held = got
        self.ended = not got
        return True

    def _release(self, pipes: Pipes) -> None:
        if self.pipe is not None:
            pipes.give(self.pipe)
            self.pipe = None

    def drop(self) -> None:
        """Give up the bytes on the way."""
        if self.pipe is not None:
            drop(self.pipe)
            self.pipe = None


class Link:
    """One connection: the client's socket and ours to the pod."""

    __slots__ = ("back", "client", "forth", "loop", "owner", "server")

    def __init__(self, loop: Loop, owner: object, client: socket, server: socket) -> None:
        self.loop = loop
        self.owner = owner
        self.client = client
        self.server = server
        self.forth = Direction(self, client, server)
        self.back = Direction(self, server, client)
        loop.watch(client, self, _EVERYTHING)
        loop.watch(server, self, _EVERYTHING)

    def event(self, fd: int, mask: int) -> None:
        """What epoll says of one of the two (edge-triggered: kept until a splice says otherwise)."""
        if mask & EPOLLERR:  # refused, reset, timed out
            self.abort()
            return
        near, far = (self.forth, self.back) if fd == self.client.fileno() else (self.back, self.forth)
        if mask & (EPOLLIN | EPOLLRDHUP | EPOLLHUP):
            near.readable = True
        if mask & (EPOLLOUT | EPOLLHUP):
            far.writable = True
        self.pump(self.forth)
        self.pump(self.back)

    def pump(self, direction: Direction) -> None:
        if direction.done or self.client.fileno() < 0:
            return
        try:
            again = direction.pump(self.loop.pipes)
        except OSError:
            self.abort()
            return
        if again:
            self.loop.later(direction)
        if self.forth.done and self.back.done:
            self._close()

    def abort(self) -> None:
        """Break both sides: the client sees what happened to the pod's."""
        for sock in (self.client, self.server):
            try:
                sock.setsockopt(SOL_SOCKET, SO_LINGER, _RESET)
            except OSError:
                pass
        self._close()

    def _close(self) -> None:
        if self.client.fileno() < 0:
            return
        self.forth.drop()
        self.back.drop()
        self.loop.forget(self.client)
        self.loop.forget(self.server)
        self.client.close()
        self.server.close()
        self.loop.ended(self)


def prepare(listener: socket) -> None:
    """Accepted sockets inherit these: our pieces go out at once, clients that vanished are found."""
    listener.setblocking(False)
    listener.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    listener.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)


def accept(loop: Loop, owner: object, listener: socket, target: tuple[str, int], dress: Callable[[socket, str], None]) -> Link:
    """Take the next client and start towards its pod. Raises BlockingIOError when there is none, OSError without descriptors."""
    number, address = listener._accept()  # type: ignore[attr-defined]
    client = socket(AF_INET, SOCK_STREAM, 0, number)
    client.setblocking(False)
    try:
        server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
    except OSError:
        client.close()
        raise
    server.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    server.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
    dress(server, address[0])
    try:
        server.connect(target)
    except BlockingIOError:
        pass
    except OSError:  # no way to it, or it is refused already: seen as such by the client
        client.setsockopt(SOL_SOCKET, SO_LINGER, _RESET)
        client.close()
        server.close()
        raise ConnectionError from None
    return Link(loop, owner, client, server)
