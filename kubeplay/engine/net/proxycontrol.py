"""Talking to the proxy that runs: which configuration it has, and to take the one that lies there (haproxy's master socket).

A reload keeps the listening sockets, lets the old worker end what it has begun and tells clients that keep their connection
to make a new one: no request is lost.
"""

from __future__ import annotations

import os
import socket

from kubeplay.engine.net.proxy import MASTER

_SECONDS = 2.0  # for one answer
_MOST = 1 << 20


def running(directory: str) -> str | None:
    """The description of the configuration that serves now; None while nothing answers."""
    answer = ask(directory, "@1 show info desc")  # the newest worker
    for line in (answer or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == "description":
            return value.strip().split(":")[0].strip()
    return None


def reload(directory: str) -> bool:
    """Have it read its files anew; whether it was there to be told."""
    return ask(directory, "reload") is not None


def ask(directory: str, command: str) -> str | None:
    """What it answers to a command; None while nobody listens. By descriptor: a path may be longer than a socket's address."""
    try:
        fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
            made.settimeout(_SECONDS)
            made.connect(f"/proc/self/fd/{fd}/{MASTER}")
            made.sendall(command.encode() + b"\n")
            made.shutdown(socket.SHUT_WR)
            return _read(made)
    except OSError:
        return None
    finally:
        os.close(fd)


def _read(made: socket.socket) -> str:
    found = b""
    while len(found) < _MOST:
        part = made.recv(65536)
        if not part:
            break
        found += part
    return found.decode(errors="replace")
