"""The forwarder: takes connections from sockets it was given and carries their bytes to places in the namespace it lives in.

One process per user, small and single-threaded; it knows nothing of pods or the store. Commands of the same user tell it
by its socket (descriptor 3) what to do, and one port's coming or going touches no connection of another. It ends when it
has no ports. Started as `python -I -S -c BOOT DIRECTORY [plain]`; imports are what memory it takes (about 9 MB).
"""

from __future__ import annotations

import os
import sys
import time
from _socket import AF_INET, AF_UNIX, CMSG_SPACE, SCM_RIGHTS, SO_PEERCRED, SOCK_SEQPACKET, SOCK_STREAM, SOL_SOCKET, inet_aton, socket
from collections import deque
from select import EPOLLIN, epoll

from kubeplay.engine.net.rootless import streams, wire
from kubeplay.engine.net.rootless.datagrams import Datagrams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CONTROL = 3  # our listening socket of SOCK_SEQPACKET
MARK = 0x6B700001  # on our own packets: the answers to them come back here though their address is the client's (place.py)
_IP_TRANSPARENT, _SO_MARK = 19, 36  # linux/in.h, asm-generic/socket.h
_IP_BIND_ADDRESS_NO_PORT = 24
_FIRST_SECONDS = 10.0  # for the first command to say something
_SWEEP = 5.0
_DESCRIPTORS = 6  # of one connection: two sockets, and two pipes while both sides are slow
_RESERVED = 64
_ACCEPTS = 64


class Loop:
    """epoll, and those who have more to carry than their turn allowed."""

    def __init__(self, descriptors: int) -> None:
        self._epoll = epoll()
        self._handlers: dict[int, Any] = {}
        self._ready: deque[streams.Direction] = deque()
        self._limit = max(8, (descriptors - _RESERVED) // _DESCRIPTORS)
        self.pipes = streams.Pipes()
        self.links: set[streams.Link] = set()
        self.paused: list[Stream] = []

    def watch(self, sock: socket, handler: Any, mask: int) -> None:
        self._handlers[sock.fileno()] = handler
        self._epoll.register(sock.fileno(), mask)

    def forget(self, sock: socket) -> None:
        if self._handlers.pop(sock.fileno(), None):
            self._epoll.unregister(sock.fileno())

    def later(self, direction: streams.Direction) -> None:
        if not direction.queued:
            direction.queued = True
            self._ready.append(direction)

    def room(self) -> bool:
        """Whether another client can be taken."""
        return len(self._handlers) < 2 * self._limit

    def ended(self, link: streams.Link) -> None:
        self.links.discard(link)
        while self.paused and self.room():
            self.paused.pop().resume()

    def turn(self, seconds: float) -> None:
        """Wait for something and do it."""
        for fd, mask in self._epoll.poll(0 if self._ready else seconds, 256):
            handler = self._handlers.get(fd)
            if handler is not None:  # it may have ended through another one's event
                handler.event(fd, mask)
        for _ in range(len(self._ready)):
            direction = self._ready.popleft()
            direction.queued = False
            direction.link.pump(direction)


class Stream:
    """One published TCP port."""

    def __init__(self, loop: Loop, sock: socket, target: tuple[str, int], dress: Any) -> None:
        self._loop = loop
        self.sock = sock
        self._target = target
        self._dress = dress
        streams.prepare(sock)
        loop.watch(sock, self, EPOLLIN)

    def event(self, fd: int, mask: int) -> None:
        for _ in range(_ACCEPTS):
            if not self._loop.room():
                self._pause()
                return
            try:
                self._loop.links.add(streams.accept(self._loop, self, self.sock, self._target, self._dress))
            except BlockingIOError:
                return
            except ConnectionError:
                continue
            except OSError:  # no descriptor left on this machine: clients wait in the queue
                self._pause()
                return

    def _pause(self) -> None:
        self._loop.forget(self.sock)
        self._loop.paused.append(self)

    def resume(self) -> None:
        self._loop.watch(self.sock, self, EPOLLIN)

    def retarget(self, target: tuple[str, int]) -> None:
        """Whoever was there is gone, and what was connected to it too."""
        self._target = target
        self._cut()

    def expire(self, now: float) -> None:
        if self in self._loop.paused and self._loop.room():
            self._loop.paused.remove(self)
            self.resume()

    def _cut(self) -> None:
        for link in [link for link in self._loop.links if link.owner is self]:
            link.abort()

    def close(self) -> None:
        if self in self._loop.paused:
            self._loop.paused.remove(self)
        self._cut()
        self._loop.forget(self.sock)
        self.sock.close()


class Forwarder:
    """The ports, and what commands want."""

    def __init__(self, loop: Loop, plain: bool) -> None:
        self._loop = loop
        self._plain = plain
        self._own: list[tuple[int, int]] = []
        self.ports: dict[str, Stream | Datagrams] = {}
        self.targets: dict[str, str] = {}
        self.talks: set[Talk] = set()

    def answer(self, packet: bytes, fds: list[int]) -> bytes:
        """Carry out one request. A malformed one changes nothing; sockets that are not used are closed."""
        try:
            verb, words = wire.parse(packet)
            return self._verbs[verb](self, words, fds)
        except (ValueError, KeyError, IndexError, OSError) as error:
            return f"no {error}".encode("ascii", "replace")
        finally:
            for fd in fds:
                os.close(fd)

    def _add(self, words: list[str], fds: list[int]) -> bytes:
        key, target = words
        protocol, place = wire.protocol(key), wire.place(target)
        if key in self.ports:
            return self._set(words, fds)
        kind = SOCK_STREAM if protocol == "TCP" else 2
        sock = socket(AF_INET, kind, 0, fds[0])
        fds.pop(0)
        self.ports[key] = (Stream if protocol == "TCP" else Datagrams)(self._loop, sock, place, self._dress)
        self.targets[key] = target
        return b"ok"

    def _set(self, words: list[str], fds: list[int]) -> bytes:
        key, target = words
        if self.targets[key] != target:
            self.ports[key].retarget(wire.place(target))
            self.targets[key] = target
        return b"ok"

    def _del(self, words: list[str], fds: list[int]) -> bytes:
        self.ports.pop(words[0]).close()
        del self.targets[words[0]]
        return b"ok"

    def _own_prefixes(self, words: list[str], fds: list[int]) -> bytes:
        self._own = [(number(base), -1 << 32 - int(length)) for base, _, length in (word.partition("/") for word in words if word)]
        return b"ok"

    def _list(self, words: list[str], fds: list[int]) -> bytes:
        return "\n".join(["ok", *(f"{key} {target}" for key, target in self.targets.items())]).encode("ascii")

    _verbs = {"add": _add, "set": _set, "del": _del, "own": _own_prefixes, "list": _list}

    def _dress(self, sock: socket, client: str) -> None:
        """Ask the pod in the client's name, unless that is this machine's loopback or a name in use in here."""
        value = number(client)
        if self._plain or value >> 24 == 127 or any(value & mask == base for base, mask in self._own):
            return
        try:
            sock.setsockopt(SOL_SOCKET, _SO_MARK, MARK)
            sock.setsockopt(0, _IP_TRANSPARENT, 1)
            sock.setsockopt(0, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((client, 0))
        except OSError:
            pass  # then it is the gateway's name

    def restless(self) -> bool:
        """Whether something here ends by time."""
        return bool(self._loop.paused) or any(port.flows for port in self.ports.values() if isinstance(port, Datagrams))

    def expire(self, now: float) -> None:
        for port in list(self.ports.values()):
            port.expire(now)


def number(address: str) -> int:
    return int.from_bytes(inet_aton(address), "big")


class Talk:
    """A command on the line."""

    def __init__(self, forwarder: Forwarder, loop: Loop, sock: socket) -> None:
        self._forwarder = forwarder
        self._loop = loop
        self._sock = sock
        sock.setblocking(False)
        loop.watch(sock, self, EPOLLIN)
        forwarder.talks.add(self)

    def event(self, fd: int, mask: int) -> None:
        try:
            packet, extra, _, _ = self._sock.recvmsg(wire.LIMIT, CMSG_SPACE(4 * 4))
        except BlockingIOError:
            return
        except OSError:
            packet, extra = b"", []
        fds = [int.from_bytes(data[at : at + 4], sys.byteorder) for level, kind, data in extra if (level, kind) == (SOL_SOCKET, SCM_RIGHTS)
               for at in range(0, len(data) - 3, 4)]  # fmt: skip
        if not packet:
            self._end()
            return
        try:
            self._sock.send(self._forwarder.answer(packet, fds))
        except OSError:
            self._end()

    def _end(self) -> None:
        self._loop.forget(self._sock)
        self._sock.close()
        self._forwarder.talks.discard(self)


class Door:
    """Where commands come in: only those of our own user."""

    def __init__(self, forwarder: Forwarder, loop: Loop, sock: socket) -> None:
        self._forwarder = forwarder
        self._loop = loop
        self._sock = sock
        self.visited = False
        sock.setblocking(False)
        loop.watch(sock, self, EPOLLIN)

    def event(self, fd: int, mask: int) -> None:
        try:
            accepted, _ = self._sock._accept()  # type: ignore[attr-defined]
        except OSError:
            return
        sock = socket(AF_UNIX, SOCK_SEQPACKET, 0, accepted)
        uid = int.from_bytes(sock.getsockopt(SOL_SOCKET, SO_PEERCRED, 12)[4:8], sys.byteorder)
        if uid != os.geteuid():
            sock.close()
            return
        self.visited = True
        Talk(self._forwarder, self._loop, sock)


def main(argv: list[str]) -> None:
    """Run until there are no ports. `argv`: the socket's directory (it names us in `ps`), and `plain`: clients' addresses are not kept."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    loop = Loop(hard if hard > 0 else 1 << 20)
    forwarder = Forwarder(loop, "plain" in argv)
    door = Door(forwarder, loop, socket(AF_UNIX, SOCK_SEQPACKET, 0, CONTROL))
    started = swept = time.monotonic()
    while forwarder.ports or forwarder.talks or (not door.visited and time.monotonic() < started + _FIRST_SECONDS):
        loop.turn(_SWEEP if forwarder.restless() or not door.visited else -1)
        now = time.monotonic()
        if now - swept >= _SWEEP:
            swept = now
            forwarder.expire(now)
