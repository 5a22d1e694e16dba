"""Bytes over a non-blocking socket, plain or TLS, step by step."""

from __future__ import annotations

import functools
from _socket import socket as Socket
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Protocol

from kubeplay.reconcile.handlers.dial import words
from kubeplay.reconcile.handlers.ports import joined
from kubeplay.reconcile.handlers.response import Fault
from kubeplay.reconcile.handlers.steps import POLLIN, POLLOUT, Wait

if TYPE_CHECKING:
    import ssl

NOT_TLS = "http: server gave HTTP response to HTTPS client"
_PIECE = 16384


class Stream(Protocol):
    """What a request goes out and its answer comes in by. Both raise Fault; `receive` gives b"" at the end."""

    def send(self, data: bytes) -> Generator[Wait, None, None]: ...

    def receive(self) -> Generator[Wait, None, bytes]: ...


class Plain:
    """The socket itself."""

    def __init__(self, sock: Socket) -> None:
        self.sock = sock

    def send(self, data: bytes) -> Generator[Wait, None, None]:
        while data:
            try:
                data = data[self.sock.send(data) :]
            except BlockingIOError:
                yield Wait(((self.sock.fileno(), POLLOUT),))
            except OSError as error:
                raise Fault(self._said("write", error)) from None

    def receive(self) -> Generator[Wait, None, bytes]:
        while True:
            try:
                return self.sock.recv(_PIECE)
            except BlockingIOError:
                yield Wait(((self.sock.fileno(), POLLIN),))
            except OSError as error:
                raise Fault(self._said("read", error)) from None

    def _said(self, what: str, error: OSError) -> str:
        try:
            ends = f"{_end(self.sock.getsockname())}->{_end(self.sock.getpeername())}: "
        except OSError:
            ends = ""
        return f"{what} tcp {ends}{what}: {words(error)}"


def _end(name: Any) -> str:
    return joined(str(name[0]), int(name[1]))


class Secured:
    """TLS over the socket."""

    def __init__(self, plain: Plain, tls: Any, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self.plain, self.tls, self.incoming, self.outgoing = plain, tls, incoming, outgoing
        self.begun = b""  # the first bytes of the answer, for a server that speaks no TLS

    def send(self, data: bytes) -> Generator[Wait, None, None]:
        yield from self._do(lambda: self.tls.write(data))

    def receive(self) -> Generator[Wait, None, bytes]:
        found: bytes = yield from self._do(lambda: self.tls.read(_PIECE))
        return found

    def _do(self, call: Any) -> Generator[Wait, None, Any]:
        import ssl

        while True:
            try:
                result = call()
                yield from self._flush()
                return result
            except ssl.SSLWantReadError:
                yield from self._flush()
                piece = yield from self.plain.receive()
                if len(self.begun) < 5:
                    self.begun += piece[:5]
                if piece:
                    self.incoming.write(piece)
                else:
                    self.incoming.write_eof()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                if self.begun.startswith(b"HTTP/"):
                    raise Fault(NOT_TLS) from None
                return b""
            except ssl.SSLError as error:
                if self.begun.startswith(b"HTTP/"):
                    raise Fault(NOT_TLS) from None
                raise Fault(f"tls: {error.reason or error}") from None

    def _flush(self) -> Generator[Wait, None, None]:
        data = self.outgoing.read()
        if data:
            yield from self.plain.send(data)


def secured(sock: Socket, name: str) -> Generator[Wait, None, Secured]:
    """TLS on a connection; `name` is what the server is called (SNI), "" = it is an address. Nobody's certificate is looked at (PR7)."""
    import ssl

    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = _context().wrap_bio(incoming, outgoing, server_hostname=name or None)
    stream = Secured(Plain(sock), tls, incoming, outgoing)
    done = yield from stream._do(_handshake(tls))
    if done == b"":
        raise Fault("EOF")
    return stream


def _handshake(tls: Any) -> Any:
    def work() -> bool:
        tls.do_handshake()
        return True

    return work


@functools.cache
def _context() -> ssl.SSLContext:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
