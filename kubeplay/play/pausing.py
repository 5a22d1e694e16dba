"""Pause and unpause the containers of a pod, with its lock held: nobody starts or ends one meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.engine import pausing
from kubeplay.engine.store.locks import Lock
from kubeplay.engine.store.runtime import RUNNING, ContainerRow
from kubeplay.errors import NotRunning
from kubeplay.reconcile.observe import key_of

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine


def pause(engine: Engine, uid: str, only: str = "") -> int:
    """Pause what runs of the pod, or its container `only`; how many were. Raises Timeout, NotSupported."""
    return _each(engine, uid, only, stand_still=True)


def unpause(engine: Engine, uid: str, only: str = "") -> int:
    return _each(engine, uid, only, stand_still=False)


def refuse(engine: Engine, uid: str, only: str, stand_still: bool) -> None:
    """Say why there was nothing to do."""
    rows = _running(engine, uid, only)
    what = f"container {only}" if only else f"pod {engine.store.runtime.pod(uid).name}"
    if not rows:
        raise NotRunning(f"{what} is not running")
    raise NotRunning(f"{what} is paused already" if stand_still else f"{what} is not paused")


def _each(engine: Engine, uid: str, only: str, *, stand_still: bool) -> int:
    lock = Lock(engine.paths.lock(uid))
    lock.take()
    try:
        engine.refresh(uid)
        rows = [row for row in _running(engine, uid, only) if pausing.is_paused(row) is not stand_still]
        key = key_of(engine.store.runtime.pod(uid))
        for row in rows:
            pausing.pause(engine, row) if stand_still else pausing.resume(engine, row)
            said = "Paused" if stand_still else "Unpaused"
            engine.store.events.add(key, uid, said, f"{said} container {row.name}")
        return len(rows)
    finally:
        lock.release()


def _running(engine: Engine, uid: str, only: str) -> list[ContainerRow]:
    return [row for row in engine.store.runtime.containers(uid) if row.state == RUNNING and (not only or row.name == only)]
