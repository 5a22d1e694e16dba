"""Pods across a reboot: `suspend` stops what runs and remembers it, `resume` brings that back, and what the machine's end cut off.

What a person stopped stays stopped, and what has ended stays ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.engine.store.runtime import RUN, STOP, BackoffRow
from kubeplay.kube.status import TERMINAL
from kubeplay.play import lifecycle
from kubeplay.reconcile import ingress, system
from kubeplay.reconcile.observe import Look, look

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.reconcile.model import Outcome

MARK = "boot:resume"  # a key of the back-off table that no container's name can be; a start of any sort clears it


def suspend(engine: Engine, timeout: float | None = None) -> list[str]:
    """Stop every pod that runs, to be resumed; their names."""
    engine.refresh()
    found = [each for each in _pods(engine) if each.row.desired == RUN and not each.seen.void and each.seen.phase not in TERMINAL]
    for each in found:
        engine.store.runtime.set_backoff(BackoffRow(each.row.uid, MARK, 0.0, engine.clock.now()))
    lifecycle.stop_pods(engine, [each.row.uid for each in found], timeout)
    return _names(found)


def resume(engine: Engine) -> tuple[list[str], list[Outcome]]:
    """Start what was suspended, and what ran when the machine went down; names and what came of each. One that fails stops no other."""
    found = [each for each in _pods(engine) if _waits(each)]
    return _names(found), lifecycle.start_pods(engine, [each.row.uid for each in found], tolerant=True) if found else []


def _waits(each: Look) -> bool:
    suspended = each.row.desired == STOP and MARK in each.seen.backoffs
    return suspended or (each.row.desired == RUN and each.seen.void and each.seen.phase not in TERMINAL)


def _pods(engine: Engine) -> list[Look]:
    """Every pod but our own DNS server and proxy, which come with those that need them."""
    own, rows = ((system.NAMESPACE, system.NAME), (system.NAMESPACE, ingress.NAME)), engine.store.runtime.pods()
    return [look(engine, row.uid) for row in rows if (row.namespace, row.name) not in own]


def _names(found: Sequence[Look]) -> list[str]:
    return [f"{each.row.namespace}/{each.row.name}" for each in found]
