"""`update`: other resources for a container of a pod that is there. The stored object changes; reconcile does the rest (RS8)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kubeplay.engine.store.locks import Lock
from kubeplay.engine.store.runtime import STOP, BackoffRow
from kubeplay.errors import Conflict, InvalidInput, NotFound
from kubeplay.kube import resize
from kubeplay.kube.status import TERMINAL
from kubeplay.kube.validate import resources as rules
from kubeplay.kube.validate.report import Faults
from kubeplay.plan import codec
from kubeplay.play.kinds.base import body as body_text
from kubeplay.reconcile import services
from kubeplay.reconcile.model import RESIZE, UNSCHEDULED
from kubeplay.reconcile.observe import Look, key_of, look, remember
from kubeplay.reconcile.pod import reconcile

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

Amounts = Mapping[str, Mapping[str, str]]


def update(engine: Engine, uid: str, name: str, amounts: Amounts) -> tuple[str, str]:
    """Ask for other `limits` and `requests` of container `name`; (reason, message) of what keeps them from being given, "" when nothing.

    Raises InvalidInput, NotFound, Conflict for a pod that has ended.
    """
    with Lock(engine.paths.lock(uid)):
        found = look(engine, uid)
        if found.stored is None or found.seen.phase in TERMINAL:
            raise Conflict(f"pod {found.row.namespace}/{found.row.name} has ended", hint="start it again first")
        obj = json.loads(found.stored.body)
        _change(obj, name, amounts)
        before, after = found.seen.plan, resize.wanted(obj["spec"], found.seen.plan)
        wrong = resize.fault(before, after)
        if wrong:
            raise InvalidInput(f"pod {found.row.namespace}/{found.row.name}: {wrong}")
        with engine.store.write():
            engine.store.objects.update(key_of(found.row), body_text(obj))
            if not found.seen.bound or found.row.desired == STOP:
                _rest(engine, found, codec.dumps(after))
                remember(uid, codec.dumps(after), after)
            else:
                engine.store.runtime.set_backoff(BackoffRow(uid, RESIZE, 0.0, engine.clock.now()))
    if reconcile(engine, uid).routes:
        services.refresh(engine)
    left = engine.store.runtime.backoffs(uid).get(RESIZE)
    return (left.reason, left.message) if left else ("", "")


def _rest(engine: Engine, found: Look, text: str) -> None:
    """A pod that has nothing yet, or nothing any more, takes what it asks for when it is bound."""
    engine.store.runtime.set_pod(found.row.uid, plan=text)
    engine.store.runtime.clear_backoff(found.row.uid, UNSCHEDULED)
    engine.store.runtime.clear_backoff(found.row.uid, RESIZE)


def _change(obj: dict[str, Any], name: str, amounts: Amounts) -> None:
    """Raises NotFound, InvalidInput."""
    for field in ("initContainers", "containers"):
        for index, item in enumerate(obj["spec"].get(field) or []):
            if item["name"] == name:
                item["resources"] = merged(item.get("resources") or {}, amounts)
                faults = Faults()
                rules.container(faults, f"spec.{field}[{index}].resources", item["resources"], [])
                if faults.items:
                    raise InvalidInput(f"container {name} cannot have these resources", faults.items)
                return
    raise NotFound(f"the pod has no container {name!r} that can be resized")


def merged(resources: Mapping[str, Any], amounts: Amounts) -> dict[str, Any]:
    """What is given replaces what was; a request that was its limit stays so, which keeps a Guaranteed pod one (RS1, RS5)."""
    limits, requests = dict(resources.get("limits") or {}), dict(resources.get("requests") or {})
    for name, value in amounts.get("limits", {}).items():
        if name in requests and requests[name] == limits.get(name) and name not in amounts.get("requests", {}):
            requests[name] = value
        limits[name] = value
    requests.update(amounts.get("requests", {}))
    return {**resources, **{key: found for key, found in (("limits", limits), ("requests", requests)) if found}}
