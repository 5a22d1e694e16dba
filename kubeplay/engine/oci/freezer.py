"""Pause a container by the cgroup freezer, versions 1 and 2, so that a kill of the one who paused cannot leave it paused.

A frozen process ignores SIGKILL until it is thawed (version 1), so whoever freezes must not be able to die and forget. The thaw is done by
a shell that waits for the end of a pipe which only we hold: it comes when we are done, and when we are killed.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from kubeplay.errors import NotSupported, Timeout

if TYPE_CHECKING:
    from kubeplay.engine.oci.cgroup import Cgroups

_SECONDS = 10.0  # a process in uninterruptible sleep freezes when it wakes up


@contextmanager
def frozen(cgroups: Cgroups, path: str) -> Iterator[None]:
    """Every process of the group at `path` stands still inside the block. Raises NotSupported, Timeout (then it runs on)."""
    control = _control(cgroups, path)
    if control is None:
        raise NotSupported("this machine has no freezer for the container's cgroup", hint="use --pause=false")
    file, freeze, thaw = control
    from kubeplay.engine.oci.afterwards import afterwards

    with afterwards(f"read x; echo {thaw} > {shlex.quote(file)}"):
        with open(file, "w", encoding="ascii") as handle:
            handle.write(freeze)
        _await(file)
        yield


def freeze(cgroups: Cgroups, path: str) -> None:
    """Every process of the group stands still until `thaw`. Raises NotSupported, Timeout."""
    control = _control(cgroups, path)
    if control is None:
        raise NotSupported("this machine has no freezer for the container's cgroup")
    with open(control[0], "w", encoding="ascii") as handle:
        handle.write(control[1])
    _await(control[0])


def thaw(cgroups: Cgroups, path: str) -> None:
    """Let them run; nothing happens where there is no such group or freezer."""
    control = _control(cgroups, path)
    if control is not None:
        with suppress(OSError), open(control[0], "w", encoding="ascii") as handle:
            handle.write(control[2])


def is_frozen(cgroups: Cgroups, path: str) -> bool:
    control = _control(cgroups, path)
    return control is not None and _state(control[0])


def _control(cgroups: Cgroups, path: str) -> tuple[str, str, str] | None:
    """The control file, what freezes and what thaws."""
    first = cgroups.control_file(path, "freezer.state", "freezer")
    if first:
        return first, "FROZEN", "THAWED"
    second = cgroups.control_file(path, "cgroup.freeze")
    return (second, "1", "0") if second else None


def _await(file: str) -> None:
    deadline = time.monotonic() + _SECONDS
    pause = 0.0005
    while not _state(file):
        if time.monotonic() > deadline:
            raise Timeout("the container could not be paused", hint="use --pause=false")
        time.sleep(pause)
        pause = min(pause * 2, 0.02)


def _state(file: str) -> bool:
    """Version 1 says FREEZING until all stand still; version 2 tells it in cgroup.events (cgroup-v2.rst)."""
    if file.endswith("freezer.state"):
        with open(file, encoding="ascii") as handle:
            return handle.read().strip() == "FROZEN"
    with open(f"{os.path.dirname(file)}/cgroup.events", encoding="ascii") as handle:
        return "frozen 1" in handle.read().splitlines()
