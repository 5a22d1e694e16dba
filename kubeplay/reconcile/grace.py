"""How long containers get to end: who decides it (TE3), and that it may only become shorter while they do (TE1)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kubeplay.engine.store.runtime import BackoffRow
from kubeplay.reconcile.order import MINIMUM

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.reconcile.observe import Look

NOTHING = 0.03  # seconds from TERM to KILL where no grace is given
ENDING = "ending"  # key of the back-off table: a person stops the pod, and how long that may take
EVICTED_GRACE = 1.0  # TE3: an eviction has its own


def seconds(look: Look, own: float | None = None) -> float:
    """TE3: what the deletion says, else the probe (`own`), else the pod; negative counts as 1 (TE1)."""
    stored, found = look.stored, look.seen.plan.grace_seconds if own is None else own
    if stored and stored.deleted is not None and stored.grace_seconds is not None:
        found = stored.grace_seconds
    return float(found if found >= 0 else 1)


def least(given: float, explicit: bool, catches: bool) -> float:
    """What a container gets after its stop signal at least (TE2).

    A person's own figure is meant: `explicit`. Where the pod asks for no grace at all, a process that has an answer to the signal has
    two seconds for it, as on a kubelet (record 159); to others they would make no difference.
    """
    if explicit:
        return max(min(given, MINIMUM), NOTHING)
    return MINIMUM if given > 0 or catches else NOTHING


def remember(engine: Engine, uid: str, given: float) -> None:
    """Note that a pod is being stopped within `given` seconds from now: whoever does it already hurries, a new supervisor goes on."""
    known = engine.store.runtime.backoffs(uid).get(ENDING)
    now = engine.clock.now()
    if known is None or now + given < known.since + known.delay:
        engine.store.runtime.set_backoff(BackoffRow(uid, ENDING, given, now))


def due(engine: Engine, uid: str) -> float | None:
    """When the pod's end is due by what the store says, on the monotonic clock; None = nobody asked for it."""
    row = engine.store.row(
        "SELECT min(due) FROM (SELECT deleted AS due FROM objects WHERE uid=? UNION ALL"
        " SELECT since + delay FROM backoffs WHERE pod_uid=? AND key=?)",
        uid, uid, ENDING,
    )  # fmt: skip
    return None if row is None or row[0] is None else time.monotonic() + row[0] - engine.clock.now()
