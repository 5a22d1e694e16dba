"""What several kubeplay roots on one machine must not both take: subnets, host ports, node ports.

Subnets claim themselves by the routes they have in the kernel. Published ports exist only as nft rules, where no bind
can find them, so each root lists its own in a file here; a file counts as long as that root's bridge exists, which
makes the leftovers of a reboot or a kill -9 void. All of it is read and changed under one lock per machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from kubeplay.engine.host import userns
from kubeplay.engine.host.paths import ensure_directory
from kubeplay.engine.store.locks import Lock

_MACHINE = "/run/kubeplay-claims"
_DEVICES = "/proc/sys/net/ipv4/conf"  # of the network namespace of whoever looks
_LOCK = "lock"


def _directory() -> str:
    """The machine's, or an ordinary user's: his roots share a network of their own."""
    handed = userns.handed_on()
    return f"{handed.directory}/claims" if handed else _MACHINE


@contextmanager
def machine_lock() -> Iterator[None]:
    """Hold the one lock of the machine: short work only, no waiting inside."""
    directory = _directory()
    lock = Lock(f"{directory}/{_LOCK}")
    while True:
        ensure_directory(directory, 0o755 if directory == _MACHINE else 0o700)
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
    """Ports claimed by other roots: `IP/PROTO/PORT` -> the bridge that names the root. Under `machine_lock`.

    For an ordinary user also those of the machine's roots: root's rules would take the packets before the user's listener got them.
    """
    directory = _directory()
    found = _claimed(directory, bridge, lambda name: os.path.exists(f"{_DEVICES}/{name}"))
    return found if directory == _MACHINE else {**_claimed(_MACHINE, "", _machine_devices().__contains__), **found}


def _machine_devices() -> set[str]:
    """Those of the first thread's network namespace, the host's, whatever namespace this thread is in (proc_pid_net(5))."""
    with open("/proc/self/net/dev", encoding="ascii") as file:
        return {name.strip() for name, colon, _ in (line.partition(":") for line in file) if colon}


def _claimed(directory: str, bridge: str, lives: Callable[[str], bool]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in _files(directory):
        if name == bridge or not lives(name):
            continue
        try:
            with open(f"{directory}/{name}", encoding="utf-8") as file:
                found.update({line.strip(): name for line in file if line.strip()})
        except OSError:
            continue
    return found


def write(bridge: str, ports: Sequence[str]) -> None:
    """Make `ports` the claims of the root that owns `bridge`. Under `machine_lock`."""
    path = f"{_directory()}/{bridge}"
    if not ports:
        _unlink(path)
        return
    with open(f"{path}.new", "w", encoding="utf-8", opener=_opener) as file:
        file.write("".join(f"{port}\n" for port in ports))
    os.rename(f"{path}.new", path)


def forget(bridge: str) -> None:
    """Drop the claims of a root that is torn down, stale files, and the directory when it was the last."""
    directory = _directory()
    if not os.path.isdir(directory):
        return
    with machine_lock():
        _unlink(f"{directory}/{bridge}")
        for name in _files(directory):
            if not os.path.exists(f"{_DEVICES}/{name}"):
                _unlink(f"{directory}/{name}")
        if not _files(directory):
            _unlink(f"{directory}/{_LOCK}")  # Lock notices that its file went and starts again
            try:
                os.rmdir(directory)
            except OSError:
                pass  # someone came in between


def _files(directory: str) -> list[str]:
    try:
        return [name for name in os.listdir(directory) if name != _LOCK]
    except (FileNotFoundError, PermissionError):
        return []


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
