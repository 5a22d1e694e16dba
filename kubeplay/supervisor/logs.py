"""Rotate container logs while the supervisor lives (CS12: 10 MiB, 5 files, checked every 10 s)."""

from __future__ import annotations

from kubeplay.engine.engine import Engine
from kubeplay.engine.store.runtime import RUNNING
from kubeplay.reconcile.observe import plan_of


def rotate_all(engine: Engine) -> None:
    """Look at the log of every running container; conmon itself bounds those of a root without supervisor."""
    import os

    plans = {row.uid: plan_of(row).log for row in engine.store.runtime.pods()}
    for row in engine.store.runtime.containers():
        plan = plans.get(row.pod_uid)
        if row.state != RUNNING or not row.log_path or plan is None or not plan.max_size:
            continue
        try:
            if os.stat(row.log_path).st_size <= plan.max_size:
                continue
        except OSError:
            continue
        from kubeplay.engine import logs

        logs.rotate(engine, row, plan)
