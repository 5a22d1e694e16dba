"""How a play says that a pod of it cannot go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.errors import PodError
from kubeplay.kube.status import CRASH_LOOP
from kubeplay.play.runner import Job
from kubeplay.reconcile import logtail
from kubeplay.reconcile.model import Failure

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine


def error(engine: Engine, job: Job, failure: Failure, died: bool) -> PodError:
    """The pod, the container, why, and of one that `died` the last lines of its log."""
    what = f", container {failure.container}" if failure.container else ""
    reason, message = failure.reason, failure.message
    log = ""
    rows = [r for r in engine.store.runtime.containers(job.uid) if r.name == failure.container]
    if rows and died:
        last = rows[-1]
        if last.exit_code is not None and reason in (CRASH_LOOP, "Error"):
            message = f"it ended with exit code {last.exit_code}" + (f" {len(rows)} times" if len(rows) > 1 else "")
            reason = last.reason or "Error"
        tail = logtail.tail(last.log_path)
        log = "\nlast lines of its log:\n" + "\n".join(f"  {line}" for line in tail.splitlines()) if tail else ""
    return PodError(failure.reason, f"pod {job.name}{what}: {reason}: {message}{log}", hint="--keep-on-failure keeps what was made")
