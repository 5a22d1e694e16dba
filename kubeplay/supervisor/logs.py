"""Rotate container logs (CS12: 10 MiB, 5 files, checked every 10 s): by the supervisor while it lives, and by the commands that come by.

A log that grows fast is something to wait for, so the supervisor stays for it; the others are left to conmon and the next command
(docs/decisions/0302-logs.md).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from kubeplay.engine.engine import Engine
from kubeplay.engine.store.runtime import RUNNING, ContainerRow
from kubeplay.reconcile.observe import plan_of

_SMALL = 1 << 12  # bytes; no log this small is looked at further: a command must not pay for every pod


def rotate_all(engine: Engine) -> None:
    """Look at the log of every running container."""
    full = list(_written(engine))
    if not full:
        return
    from kubeplay.engine import logs

    plans = {row.uid: plan_of(row).log for row in engine.store.runtime.pods() if row.uid in {one.pod_uid for one in full}}
    for row in full:
        if row.pod_uid in plans:
            logs.rotate(engine, row, plans[row.pod_uid])


def growing(engine: Engine) -> bool:
    """Whether a running container writes so much that its log should not be left alone."""
    from kubeplay.engine import logfiles

    now = engine.clock.now()
    return any(logfiles.grows(row.log_path, now) for row in _running(engine))


def _written(engine: Engine) -> Iterator[ContainerRow]:
    for row in _running(engine):
        try:
            if os.stat(row.log_path, follow_symlinks=False).st_size > _SMALL:
                yield row
        except OSError:
            continue


def _running(engine: Engine) -> Iterator[ContainerRow]:
    return (row for row in engine.store.runtime.containers() if row.state == RUNNING and row.log_path)
