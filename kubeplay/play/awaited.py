"""`play --wait-ready`: until the workloads of a play are as their files want them, or will never be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.engine.host.on_exit import COMMAND
from kubeplay.errors import Timeout
from kubeplay.play import children, unready, verdicts
from kubeplay.play.progress import Progress, ProgressEvent
from kubeplay.reconcile import rouse
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.plan.stack import ObjectKey, Stack

LOOK_SECONDS = 0.05  # a row or two are read each time; it is others who do the work


class Waiting(Record):
    """One workload that is not there yet, and what kubectl would say of it."""

    key: ObjectKey
    verdict: verdicts.Verdict


def workloads(engine: Engine, stack: Stack) -> list[ObjectKey]:
    """Whom to wait for: the workloads of the file whose controllers run. Without a supervisor (a library's own play) none do."""
    import os

    if not os.path.exists(f"{engine.paths.runroot}/{COMMAND}"):
        return []
    return [one.key for one in stack.objects if one.owner is None and verdicts.knows(one.key.kind)]


def wait(engine: Engine, keys: Sequence[ObjectKey], deadline: float | None, progress: Progress) -> None:
    """Until each of them is as its file wants it. Raises Timeout at `deadline` (monotonic), or when one has failed."""
    if not keys:
        return
    rouse.rouse(engine)
    told: dict[ObjectKey, str] = {}
    while True:
        waiting = look(engine, keys)
        failed = [one for one in waiting if one.verdict.failed]
        if failed:
            why = "; ".join(one.verdict.failed for one in failed)
            raise Timeout(why + explain(engine, [one.key for one in failed]))
        for one in waiting:
            if one.verdict.text != told.get(one.key):
                told[one.key] = one.verdict.text
                progress(ProgressEvent("workload", "waiting", str(one.key), message=one.verdict.text))
        if not waiting:
            return
        if deadline is not None and engine.clock.monotonic() >= deadline:
            names = ", ".join(str(one.key) for one in waiting)
            texts = "".join(f"\n{one.verdict.text}" for one in waiting if one.verdict.text)
            raise Timeout(f"these did not come about in time: {names}{texts}" + explain(engine, [one.key for one in waiting]))
        engine.clock.sleep(LOOK_SECONDS)


def look(engine: Engine, keys: Sequence[ObjectKey]) -> list[Waiting]:
    """Those that are not there yet; one that was removed meanwhile is waited for by nobody."""
    found = []
    for key in keys:
        stored = engine.store.objects.find(key)
        if stored is None or stored.deleted is not None:
            continue
        verdict = verdicts.judge(json.loads(stored.body), json.loads(stored.status or "{}"), stored.generation)
        if not verdict.done or verdict.failed:
            found.append(Waiting(key, verdict))
    return found


def explain(engine: Engine, keys: Sequence[ObjectKey]) -> str:
    """What the conditions say, and why the pods are not ready."""
    lines = []
    for key in keys:
        stored = engine.store.objects.find(key)
        for one in json.loads(stored.status or "{}").get("conditions") or () if stored else ():
            if one.get("type") == "ReplicaFailure":
                lines.append(f"\n{key}: {one.get('reason', '')}: {one.get('message', '')}")
    return "".join(lines) + unready.explain(engine, [row.uid for key in keys for row in children.standing(engine, key)])
