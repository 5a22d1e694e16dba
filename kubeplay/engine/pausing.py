"""Have a running container stand still until `resume`: by the cgroup freezer, or by SIGSTOP where it has no cgroup.

The mark comes before the freeze, so that whoever is killed in between leaves a container that `resume` and every stop know to thaw.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from kubeplay.engine import container
from kubeplay.engine.host import processes
from kubeplay.engine.oci import freezer, members
from kubeplay.engine.store.runtime import PAUSED, RUNNING, ContainerRow
from kubeplay.errors import NotRunning

if TYPE_CHECKING:
    from kubeplay.engine.container import Facts
    from kubeplay.engine.engine import Engine


def is_paused(row: ContainerRow) -> bool:
    return row.state == RUNNING and row.reason == PAUSED


def pause(engine: Engine, row: ContainerRow) -> None:
    """Raises NotRunning for one that does not run, or is paused already; Timeout, NotSupported (then it runs on)."""
    facts = _facts(engine, row)
    if is_paused(row):
        raise NotRunning(f"container {row.name} is paused already", hint="kubeplay unpause")
    engine.store.runtime.set_container(row.id, reason=PAUSED)
    try:
        if facts.cgroup:
            freezer.freeze(engine.cgroups, facts.cgroup)
        else:
            _stop(engine, row, facts)
    except BaseException:
        resume(engine, row._replace(reason=PAUSED))
        raise


def resume(engine: Engine, row: ContainerRow) -> None:
    """Let it run on. Raises NotRunning when it is not paused."""
    facts = _facts(engine, row)
    if not is_paused(row):
        raise NotRunning(f"container {row.name} is not paused")
    thaw(engine, row, facts)
    engine.store.runtime.set_container(row.id, reason="")


def thaw(engine: Engine, row: ContainerRow, facts: Facts) -> None:
    """Let its processes run, whatever the row says: what is to end must be able to."""
    if facts.cgroup:
        freezer.thaw(engine.cgroups, facts.cgroup)
        return
    for process in members.everyone(engine.paths.bundle(row.id), shared=facts.shared_pids):
        processes.send(process, signal.SIGCONT)


def _facts(engine: Engine, row: ContainerRow) -> Facts:
    facts = container.read_facts(engine, row.id)
    if row.state != RUNNING or facts is None:
        raise NotRunning(f"container {row.name} is {row.state}, not running")
    return facts


def _stop(engine: Engine, row: ContainerRow, facts: Facts) -> None:
    from kubeplay.engine.oci.stopped import stop

    stop(lambda: members.everyone(engine.paths.bundle(row.id), shared=facts.shared_pids))
