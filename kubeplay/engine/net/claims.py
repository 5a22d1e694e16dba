"""What several kubeplay roots on one machine must not both take: subnets, host ports, node ports.

Subnets claim themselves by the routes they have in the kernel. Published ports exist only as nft rules, where no bind
can find them, so each root lists its own in a file here; a file counts as long as that root's bridge exists, which
makes the leftovers of a reboot or a kill -9 void. All of it is read and changed under one lock per machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kubeplay.engine.host.paths import ensure_directory
from kubeplay.engine.store.locks import Lock

DIRECTORY = "/run/kubeplay-claims"
_DEVICES = "/sys/class/net"
_LOCK = "lock"


@contextmanager
def machine_lock() -> Iterator[None]:
    """Hold the one lock of the machine: short work only, no waiting inside."""
    lock = Lock(f"{DIRECTORY}/{_LOCK}")
    while True:
        ensure_directory(DIRECTORY, 0o755)
        try:
            lock.take()
            break
        except FileNotFoundError:
            continue  # the last root just removed the directory
    try:
        yield
    finally:
        lock.release()


def others(bridge: str) -> dict[str, str]:
    """Ports claimed by other roots: `IP/PROTO/PORT` -> the bridge that names the root. Under `machine_lock`."""
    found: dict[str, str] = {}
    for name in _files():
        if name == bridge or not os.path.exists(f"{_DEVICES}/{name}"):
            continue
        try:
            with open(f"{DIRECTORY}/{name}", encoding="utf-8") as file:
                found.update({line.strip(): name for line in file if line.strip()})
        except OSError:
            continue
    return found


def write(bridge: str, ports: Sequence[str]) -> None:
    """Make `ports` the claims of the root that owns `bridge`. Under `machine_lock`."""
    path = f"{DIRECTORY}/{bridge}"
    if not ports:
        _unlink(path)
        return
    with open(f"{path}.new", "w", encoding="utf-8", opener=_opener) as file:
        file.write("".join(f"{port}\n" for port in ports))
    os.rename(f"{path}.new", path)


def forget(bridge: str) -> None:
    """Drop the claims of a root that is torn down, stale files, and the directory when it was the last."""
    if not os.path.isdir(DIRECTORY):
        return
    with machine_lock():
        _unlink(f"{DIRECTORY}/{bridge}")
        for name in _files():
            if not os.path.exists(f"{_DEVICES}/{name}"):
                _unlink(f"{DIRECTORY}/{name}")
        if not _files():
            _unlink(f"{DIRECTORY}/{_LOCK}")  # Lock notices that its file went and starts again
            try:
                os.rmdir(DIRECTORY)
            except OSError:
                pass  # someone came in between


def _files() -> list[str]:
    try:
        return [name for name in os.listdir(DIRECTORY) if name != _LOCK]
    except FileNotFoundError:
        return []


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
