"""Netlink without a library: frames, attributes, one system call for several requests.

pyroute2's IPRoute costs 180 ms of import, more than a whole pod may take; what we need of the protocol is below
(netlink(7), rtnetlink(7)). The kernel works through every message of a batch and acknowledges each, also after one
failed, so a caller that gets an error has to undo what the others did.
"""

from __future__ import annotations

import os
import struct
from _socket import AF_NETLINK, SOCK_CLOEXEC, SOCK_RAW, socket
from collections.abc import Sequence

from kubeplay.record import Record

NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
NLM_F_ACK_TLVS = 0x200
NLA_F_NESTED, _NLA_TYPE_MASK = 0x8000, 0x3FFF
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK = 270, 1, 10, 11
_NLMSGERR_ATTR_MSG = 1
_HEADER = struct.Struct("=IHHII")
_RECEIVE = 1 << 18  # the kernel's largest dump chunk is 32 KiB (netlink_dump); the rest is for acknowledgements
_BATCH = 1 << 16  # bytes of requests in one sendmsg; the default send buffer is 212992


class Message(Record):
    """One request; `what` names it for a person when the kernel refuses it."""

    kind: int
    payload: bytes
    what: str
    flags: int = 0


class NetlinkError(OSError):
    """A refused request: errno, the kernel's word and what we wanted; `index` is its place in the batch."""

    def __init__(self, number: int, what: str, detail: str, index: int) -> None:
        reason = os.strerror(number) + (f" ({detail})" if detail else "")
        super().__init__(number, f"{what}: {reason}")
        self.index = index


def attr(kind: int, data: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return struct.pack("=HH", len(data) + 4, kind) + data + b"\0" * (-len(data) % 4)


def u32(kind: int, value: int) -> bytes:
    return struct.pack("=HHI", 8, kind, value)


def text(kind: int, value: str) -> bytes:
    return attr(kind, value.encode() + b"\0")


def nested(kind: int, *parts: bytes) -> bytes:
    return attr(kind | NLA_F_NESTED, b"".join(parts))


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes of a payload by type; a type that comes twice keeps its last value."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        found[kind & _NLA_TYPE_MASK] = data[at + 4 : at + length]
        at += length + 3 & ~3
    return found


class Netlink:
    """A netlink socket of the network namespace it was opened in; not shared between threads at one time."""

    def __init__(self, protocol: int = NETLINK_ROUTE) -> None:
        self._socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def join(self, group: int) -> None:
        """Hear what is told to a multicast group; such a socket asks nothing."""
        self._socket.bind((0, 0))  # nothing is told to a socket without an address
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def drain(self) -> None:
        """Pass over what was heard; what was lost because too much was said is as good as heard."""
        while True:
            try:
                self._socket.recv(_RECEIVE)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != 105:  # ENOBUFS
                    raise

    def run(self, *messages: Message) -> None:
        """Carry out all of them in order; raises NetlinkError for the first that failed, after all have been tried."""
        first: NetlinkError | None = None
        at = 0
        while at < len(messages):
            end, size = at, 0
            while end < len(messages) and (end == at or size + len(messages[end].payload) < _BATCH):
                size += len(messages[end].payload) + 16
                end += 1
            first = first or self._batch(messages[at:end], at)
            at = end
        if first:
            raise first

    def errors(self, messages: Sequence[Message]) -> list[NetlinkError]:
        """Carry out each on its own and return the refusals: for clean-up, where one failure must not hide another."""
        found = []
        for message in messages:
            error = self._batch((message,), 0)
            if error:
                found.append(error)
        return found

    def _batch(self, messages: Sequence[Message], offset: int) -> NetlinkError | None:
        start = self._sequence + 1
        frames = [self._frame(message, NLM_F_ACK) for message in messages]
        self._socket.send(b"".join(frames))
        first: NetlinkError | None = None
        waiting = len(messages)
        while waiting:
            for kind, flags, sequence, body in self._receive():
                if kind != _NLMSG_ERROR or sequence < start:
                    continue
                waiting -= 1
                index = sequence - start
                error = _refusal(flags, body, messages[index].what, index + offset)
                if error and (first is None or error.index < first.index):
                    first = error
        return first

    def dump(self, kind: int, payload: bytes, what: str) -> list[bytes]:
        """The payloads of all answers to a dump request."""
        return self._ask(Message(kind, payload, what, NLM_F_DUMP))

    def get(self, message: Message) -> bytes | None:
        """The answer to a request for one thing; None when there is no such thing."""
        try:
            answers = self._ask(message._replace(flags=NLM_F_ACK))
        except NetlinkError as error:
            if error.errno in (2, 19):  # ENOENT, ENODEV
                return None
            raise
        return answers[0] if answers else None

    def _ask(self, message: Message) -> list[bytes]:
        self._socket.send(self._frame(message, 0))
        found: list[bytes] = []
        while True:
            for kind, flags, sequence, body in self._receive():
                if sequence != self._sequence:
                    continue
                if kind == _NLMSG_DONE:
                    return found
                if kind == _NLMSG_ERROR:
                    error = _refusal(flags, body, message.what, 0)
                    if error:
                        raise error
                    return found
                found.append(body)

    def _frame(self, message: Message, flags: int) -> bytes:
        self._sequence += 1
        header = _HEADER.pack(16 + len(message.payload), message.kind, message.flags | flags | NLM_F_REQUEST, self._sequence, 0)
        return header + message.payload + b"\0" * (-len(message.payload) % 4)

    def _receive(self) -> list[tuple[int, int, int, bytes]]:
        data = self._socket.recv(_RECEIVE)
        found = []
        at = 0
        while at + 16 <= len(data):
            length, kind, flags, sequence, _ = _HEADER.unpack_from(data, at)
            if length < 16:
                break
            found.append((kind, flags, sequence, data[at + 16 : at + length]))
            at += length + 3 & ~3
        return found


def _refusal(flags: int, body: bytes, what: str, index: int) -> NetlinkError | None:
    number = -struct.unpack_from("=i", body)[0]
    if not number:
        return None
    detail = ""
    if flags & NLM_F_ACK_TLVS:  # with CAP_ACK the request is echoed as its header only
        detail = attributes(body[20:]).get(_NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode(errors="replace")
    return NetlinkError(number, what, detail, index)
