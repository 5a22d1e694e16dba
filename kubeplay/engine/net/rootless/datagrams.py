"""UDP: a socket per client that asked, as conntrack would have an entry, forgotten when nothing has passed for a while."""

from __future__ import annotations

import time
from _socket import AF_INET, IPPROTO_IP, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, socket
from select import EPOLLIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kubeplay.engine.net.rootless.forwarder import Loop

_IP_PKTINFO = 8  # linux/in.h
_SECONDS = 120.0  # nf_conntrack_udp_timeout_stream: what a flow lives as root
_BATCH = 64  # datagrams of one socket before others have their turn
_LARGEST = 65535
_INFO = 12  # bytes of struct in_pktinfo: device, local address, destination


class Flow:
    """One client's datagrams to and from the pod."""

    __slots__ = ("client", "info", "port", "seen", "sock")

    def __init__(self, port: Datagrams, client: tuple[str, int], info: bytes, sock: socket) -> None:
        self.port = port
        self.client = client
        self.info = info
        self.sock = sock
        self.seen = time.monotonic()

    def event(self, fd: int, mask: int) -> None:
        """The pod answers."""
        for _ in range(_BATCH):
            try:
                data = self.sock.recv(_LARGEST)
            except BlockingIOError:
                return
            except OSError:  # nobody listens there (any more): a client may try again
                self.port.forget(self)
                return
            self.seen = time.monotonic()
            self.port.answer(self, data)


class Datagrams:
    """One published UDP port."""

    def __init__(self, loop: Loop, sock: socket, target: tuple[str, int], dress: Callable[[socket, str], None]) -> None:
        self._loop = loop
        self.sock = sock
        self._target = target
        self._dress = dress
        self.flows: dict[tuple[tuple[str, int], bytes], Flow] = {}
        sock.setblocking(False)
        sock.setsockopt(IPPROTO_IP, _IP_PKTINFO, 1)
        loop.watch(sock, self, EPOLLIN)

    def event(self, fd: int, mask: int) -> None:
        """Clients ask."""
        for _ in range(_BATCH):
            try:
                data, extra, _flags, client = self.sock.recvmsg(_LARGEST, 64)
            except OSError:  # nothing more, or what ICMP says of an earlier answer
                return
            info = next((found for level, kind, found in extra if (level, kind) == (IPPROTO_IP, _IP_PKTINFO)), b"")
            flow = self.flows.get((client, info)) or self._begin(client, info)
            if flow is None:
                continue
            flow.seen = time.monotonic()
            try:
                flow.sock.send(data)
            except BlockingIOError:
                pass  # a full queue loses datagrams, as on a wire
            except OSError:
                self.forget(flow)

    def _begin(self, client: tuple[str, int], info: bytes) -> Flow | None:
        if not self._loop.room():
            return None
        try:
            sock = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
        except OSError:
            return None
        self._dress(sock, client[0])
        try:
            sock.connect(self._target)
        except OSError:
            sock.close()
            return None
        flow = self.flows[client, info] = Flow(self, client, info, sock)
        self._loop.watch(sock, flow, EPOLLIN)
        return flow

    def answer(self, flow: Flow, data: bytes) -> None:
        """From the address the client asked, which is not the one the kernel would choose on a machine with several."""
        extra = [(IPPROTO_IP, _IP_PKTINFO, b"\0\0\0\0" + flow.info[4:8] + b"\0\0\0\0")] if len(flow.info) == _INFO else []
        try:
            self.sock.sendmsg((data,), extra, 0, flow.client)
        except OSError:
            pass  # a full queue, or a client that is gone

    def retarget(self, target: tuple[str, int]) -> None:
        self._target = target
        self.drop()

    def expire(self, now: float) -> None:
        for flow in [flow for flow in self.flows.values() if now - flow.seen > _SECONDS]:
            self.forget(flow)

    def forget(self, flow: Flow) -> None:
        if self.flows.pop((flow.client, flow.info), None):
            self._loop.forget(flow.sock)
            flow.sock.close()

    def drop(self) -> None:
        """Forget all."""
        for flow in list(self.flows.values()):
            self.forget(flow)

    def close(self) -> None:
        self.drop()
        self._loop.forget(self.sock)
        self.sock.close()
