"""--rm: a pod that has ended goes by itself, unless somebody waits for its exit status and takes it away himself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kubeplay.engine.host import faults
from kubeplay.engine.store.locks import Lock
from kubeplay.engine.store.runtime import DELETE
from kubeplay.kube.status import TERMINAL
from kubeplay.reconcile.observe import Look, key_of

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

ANNOTATION = "kubeplay.io/auto-remove"
AGAIN = 1.0  # seconds until a pod that is waited for is looked at again: who waits may have been killed


def wanted(look: Look) -> bool:
    """Whether the pod has ended and is to go."""
    return (ANNOTATION, "true") in look.seen.plan.annotations and look.seen.phase in TERMINAL and look.row.desired != DELETE


def begin(engine: Engine, look: Look) -> bool:
    """Mark the pod as deleted; False while somebody waits for it."""
    uid = look.row.uid
    lock = Lock(_path(engine, uid))
    if not lock.try_take():
        return False
    try:
        with engine.store.write():
            engine.store.objects.mark_deleted(key_of(look.row), 0)
            engine.store.runtime.set_pod(uid, desired=DELETE)
        os.unlink(_path(engine, uid))
    finally:
        lock.release()
    faults.point("reconcile:autoremove")
    return True


@contextmanager
def waited_for(engine: Engine, uid: str) -> Iterator[None]:
    """As long as this lasts, nobody else removes the pod for having ended."""
    lock = Lock(_path(engine, uid))
    lock.take()
    try:
        yield
    finally:
        try:
            os.unlink(_path(engine, uid))
        except FileNotFoundError:
            pass
        lock.release()


def _path(engine: Engine, uid: str) -> str:
    return engine.paths.lock(f"waited-{uid}")
