"""What killed commands have left of the objects that a play wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.engine.host import faults
from kubeplay.kube import ephemeral
from kubeplay.play import change
from kubeplay.play import down as downs
from kubeplay.play import record as records

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.plan.stack import ObjectKey, Stack


def take_over(engine: Engine, stack: Stack, hold: records.Record, left: list[tuple[ObjectKey, str]], grace: float) -> None:
    """What killed commands left: keep what this play wants just so, undo the rest."""
    downs.collect(engine)
    bodies = {planned.key: planned.body for planned in stack.objects}
    undo = []
    for key, value in left:
        if value != records.MADE:
            continue
        stored = engine.store.objects.find(key)
        wanted = bodies.get(key, "")
        if key.kind == records.VOLUME or stored is None or not wanted or _written(stored.body, wanted) != wanted:
            undo.append(key)
    downs.remove(engine, undo, timeout=grace)
    for key in undo:
        engine.store.leases.release(hold.holder, records.POOL, records.text_of(key)) if key not in bodies else hold.settle(key)
    faults.point("play:taken")


def _written(stored: str, wanted: str) -> str:
    return change.as_written(ephemeral.without(stored), wanted)
