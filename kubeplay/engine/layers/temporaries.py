"""Directories that are being made: their maker holds an flock on them, so a dead maker's are told apart and swept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from kubeplay.engine.host.paths import ensure_directory
from kubeplay.engine.layers import tree
from kubeplay.engine.store.locks import try_lock_directory

MAKING, DOOMED = ".tmp-", ".del-"


@contextmanager
def temporary(directory: str) -> Iterator[str]:
    """A new directory in `directory`, for this process alone; what has not been renamed away is removed at the end."""
    ensure_directory(directory)
    while True:
        path = f"{directory}/{MAKING}{os.getpid()}-{os.urandom(4).hex()}"
        os.mkdir(path, 0o700)
        fd = try_lock_directory(path)
        if fd >= 0:
            break  # else a sweep took it before we had the lock
    try:
        yield path
    finally:
        os.close(fd)
        tree.remove(path)


def doom(directory: str, name: str) -> None:
    """Take `name` out of use at once; `sweep` removes it."""
    os.rename(f"{directory}/{name}", f"{directory}/{DOOMED}{name}-{os.getpid()}")


def sweep(directory: str) -> None:
    """Remove what dead processes left half made or half removed."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        path = f"{directory}/{name}"
        if name.startswith(DOOMED):
            tree.remove(path)
        elif name.startswith(MAKING):
            fd = try_lock_directory(path)
            if fd >= 0:
                tree.remove(path)
                os.close(fd)
