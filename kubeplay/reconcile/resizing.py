"""Carry out an in-place resize (RS8): the stored object is what is wanted, the stored plan what the pod has been given.

The plan follows the object when there is room for it; then the kernel's limits follow the plan, or a container is started anew where its
resizePolicy asks for that. A memory limit is never set below what is used: the resize waits, and is tried again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kubeplay.engine.store.runtime import RUNNING, BackoffRow
from kubeplay.kube import resize
from kubeplay.kube.resize import Change
from kubeplay.plan import codec
from kubeplay.plan.pod import PodPlan
from kubeplay.reconcile import room
from kubeplay.reconcile.model import RESIZE
from kubeplay.reconcile.observe import Look, remember

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

AGAIN_SECONDS = 10.0  # RB5


def step(engine: Engine, look: Look) -> list[Change]:
    """One try, the pod's lock held; the containers that have to be started anew. What stands in its way is noted under RESIZE."""
    uid, before = look.row.uid, look.seen.plan
    after = resize.wanted(json.loads(look.stored.body)["spec"], before) if look.stored else before
    found = resize.changes(before, after)
    with engine.store.write():
        here = room.room(engine, uid)
        reason, message = resize.verdict(after, here.capacity, here.used)
        if not reason:
            reason, message = _too_small(engine, look, found)
        if reason:
            engine.store.runtime.set_backoff(BackoffRow(uid, RESIZE, AGAIN_SECONDS, engine.clock.now(), reason, message))
            return []
        room.book(engine, uid, after)
        text = codec.dumps(after)
        engine.store.runtime.set_pod(uid, plan=text)
        engine.store.runtime.clear_backoff(uid, RESIZE)
        remember(uid, text, after)
    _limit(engine, look, after, found)
    return [change for change in found if change.restart]


def _too_small(engine: Engine, look: Look, found: list[Change]) -> tuple[str, str]:
    from kubeplay.engine.stats import sample

    for change in found:
        rows = look.rows.get(change.name, [])
        limit, old = change.after.memory_limit, change.before.memory_limit
        if change.restart or not rows or rows[-1].state != RUNNING or limit is None or (old is not None and limit >= old):
            continue
        used = sample(engine, rows[-1], engine.clock.now())
        if used is not None and used.memory > limit:
            what = f"attempting to set container {change.name} memory limit ({limit}) below current usage ({used.memory})"
            return resize.FAILED, what
    return "", ""


def _limit(engine: Engine, look: Look, after: PodPlan, found: list[Change]) -> None:
    """A group's limits are never smaller than those below it: the pod's own grow first and shrink last."""
    from kubeplay.engine import limits

    limits.of_pod(engine, look.row.uid, look.seen.plan, after)
    for change in found:
        rows = look.rows.get(change.name, [])
        if rows and rows[-1].state == RUNNING and not change.restart:
            limits.of_container(engine, rows[-1], change.after)
    limits.of_pod(engine, look.row.uid, after, after)
