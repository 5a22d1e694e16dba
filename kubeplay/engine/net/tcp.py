"""Sockets for asking pods from outside (PR11)."""

from __future__ import annotations

from _socket import IPPROTO_TCP, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM
from _socket import socket as Opened

__all__ = ["Opened", "socket"]


def socket(family: int) -> Opened:
    """A TCP socket, not blocking, in the network that the calling thread is in."""
    return Opened(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP)
