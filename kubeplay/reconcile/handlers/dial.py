"""Open a connection, step by step; what goes wrong is said in the words of Go's net package, as a kubelet's events have it."""

from __future__ import annotations

import errno
import os
from _socket import AF_INET, AF_INET6, IPPROTO_TCP, SO_ERROR, SOCK_STREAM, SOL_SOCKET, TCP_NODELAY, inet_pton
from _socket import socket as Socket
from collections.abc import Callable, Generator

from kubeplay.engine.net.tcp import socket as here
from kubeplay.reconcile.handlers.ports import joined
from kubeplay.reconcile.handlers.steps import POLLIN, POLLOUT, OutOfTime, Wait

__all__ = ["DialFault", "Make", "dial", "here", "is_address", "words"]
Make = Callable[[int], Socket]
_WORDS = {
    errno.ECONNREFUSED: "connection refused", errno.EHOSTUNREACH: "no route to host", errno.ENETUNREACH: "network is unreachable",
    errno.ECONNRESET: "connection reset by peer", errno.EPIPE: "broken pipe", errno.ETIMEDOUT: "connection timed out",
}  # fmt: skip


class DialFault(Exception):
    """No connection; the text is what Go says. `late`: because the time was over."""

    def __init__(self, text: str, late: bool = False) -> None:
        super().__init__(text)
        self.text, self.late = text, late


def words(error: OSError) -> str:
    """An error number as Go prints it."""
    return _WORDS.get(error.errno or 0) or (os.strerror(error.errno) if error.errno else str(error)).lower()


def dial(host: str, port: int, make: Make = here) -> Generator[Wait, None, Socket]:
    """A connected, non-blocking socket, the caller's to close; `make` makes it where the pod's address is known. Raises DialFault."""
    address = yield from _lookup(host)
    where = joined(address, port)
    sock = make(AF_INET6 if ":" in address else AF_INET)
    try:
        number = sock.connect_ex((address, port))
        while number in (errno.EINPROGRESS, errno.EINTR):
            yield Wait(((sock.fileno(), POLLOUT),))
            number = _result(sock)
        if number:
            raise OSError(number, os.strerror(number))
        sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        return sock
    except OSError as error:
        sock.close()
        raise DialFault(f"dial tcp {where}: connect: {words(error)}") from None
    except OutOfTime:
        sock.close()
        raise DialFault(f"dial tcp {where}: i/o timeout", late=True) from None
    except BaseException:
        sock.close()
        raise


def _result(sock: Socket) -> int:
    number = sock.getsockopt(SOL_SOCKET, SO_ERROR)
    if number:
        return number
    try:
        sock.getpeername()
    except OSError as error:
        return errno.EINPROGRESS if error.errno == errno.ENOTCONN else error.errno or errno.EIO
    return 0


def is_address(host: str) -> bool:
    """Whether it is an address and no name."""
    try:
        inet_pton(AF_INET6 if ":" in host else AF_INET, host.partition("%")[0])
        return True
    except (OSError, ValueError):
        return False


def _lookup(host: str) -> Generator[Wait, None, str]:
    """The address of a host; a name is looked up in a thread, because libc waits."""
    if is_address(host):
        return host
    from _socket import getaddrinfo

    from kubeplay.engine.host import threads

    read, write = os.pipe2(os.O_CLOEXEC)

    def work() -> str:
        try:
            return str(getaddrinfo(host, None, 0, SOCK_STREAM)[0][4][0])
        finally:
            os.close(write)

    task = threads.start(work)
    try:
        yield Wait(((read, POLLIN),))
        return str(task.result())
    except (OSError, UnicodeError):
        raise DialFault(f"dial tcp: lookup {host}: no such host") from None
    except OutOfTime:
        raise DialFault(f"dial tcp: lookup {host}: i/o timeout", late=True) from None
    finally:
        os.close(read)
