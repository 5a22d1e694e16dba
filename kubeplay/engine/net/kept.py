"""Whose traffic is ruled (NP1), in a file of the runroot beside the routes of Services; no file while nobody's is."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from kubeplay.engine.host.paths import ensure_directory
from kubeplay.engine.store.locks import Lock
from kubeplay.plan import codec
from kubeplay.plan.policy import Isolation

if TYPE_CHECKING:
    from kubeplay.engine.net.networks import Networks

NOBODY = Isolation()


def keep_policies(networks: Networks, isolation: Callable[[], Isolation]) -> Isolation:
    """Say whose traffic is ruled from the next `sync` on; what was kept.

    `isolation` is called with the lock held, so that the older look of two at the same time is not the one kept.
    """
    with Lock(networks.paths.lock("net")):
        found = isolation()
        path, text = _path(networks.directory), codec.dumps(found)
        if found == NOBODY:
            _forget(path)
        elif _read(path) != text:
            ensure_directory(networks.directory)
            with open(f"{path}.new", "w", encoding="utf-8") as file:
                file.write(text)
            os.rename(f"{path}.new", path)
        return found


def policies(directory: str) -> Isolation:
    """What was kept last, nobody's after a reboot."""
    text = _read(_path(directory))
    found: Isolation = codec.loads(text) if text else NOBODY
    return found


def _path(directory: str) -> str:
    return f"{directory}/policies.json"


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
