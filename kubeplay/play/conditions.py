"""Conditions of a pod that are not ours: what readiness gates wait for, set by a person or a program of theirs (CO1, CO4)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubeplay.clock import rfc3339
from kubeplay.engine.store.locks import Lock
from kubeplay.errors import InvalidInput
from kubeplay.kube.names import qualified
from kubeplay.kube.status import OURS
from kubeplay.reconcile.model import Outcome
from kubeplay.reconcile.observe import key_of
from kubeplay.reconcile.pod import reconcile
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

VALUES = ("True", "False", "Unknown")


class Condition(Record):
    """One condition as a person gives it; `status` is one of VALUES."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


def parse(text: str, reason: str = "", message: str = "") -> Condition:
    """`TYPE=STATUS`. Raises InvalidInput."""
    kind, sign, value = text.partition("=")
    wanted = next((each for each in VALUES if each.lower() == value.lower()), "")
    if not sign or not wanted:
        raise InvalidInput(f"{text!r} is no condition", hint="write TYPE=True, TYPE=False or TYPE=Unknown, as example.com/ready=True")
    faults = qualified(kind)
    if faults:
        raise InvalidInput(f"{kind!r} is no type of a condition: {faults[0]}")
    if kind in OURS:
        raise InvalidInput(f"the condition {kind} follows from what the pod does and cannot be set", hint="readinessGates name others")
    return Condition(kind, wanted, reason, message)


def put(engine: Engine, uid: str, conditions: list[Condition]) -> Outcome:
    """Set them and look at the pod again. Raises NotFound."""
    row = engine.store.runtime.pod(uid)
    lock = Lock(engine.paths.lock(uid))
    lock.take()
    try:
        stored = engine.store.objects.find(key_of(row))
        status: dict[str, Any] = json.loads(stored.status) if stored and stored.status else {}
        for each in conditions:
            _replace(status, each, engine.clock.now())
        engine.store.objects.set_status(key_of(row), json.dumps(status, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    finally:
        lock.release()
    return reconcile(engine, uid)


def _replace(status: dict[str, Any], wanted: Condition, now: float) -> None:
    """In the place of the one of its type; the time changes only with the status (CO5)."""
    found: list[dict[str, Any]] = status.setdefault("conditions", [])
    before = next((c for c in found if c["type"] == wanted.type), None)
    since = before["lastTransitionTime"] if before and before["status"] == wanted.status else rfc3339(now)
    made = {"type": wanted.type, "status": wanted.status, "lastProbeTime": None, "lastTransitionTime": since}
    made.update({key: text for key, text in (("reason", wanted.reason), ("message", wanted.message)) if text})
    if before is None:
        found.append(made)
    else:
        found[found.index(before)] = made
