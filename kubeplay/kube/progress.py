"""How far the pods of a stack are, in words: their states together, and what each that is not ready waits for. From objects alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kubeplay.kube import columns
from kubeplay.record import Record

Json = dict[str, Any]
DONE = "Succeeded"


class PodState(Record):
    """One pod: `text` as in kubectl's STATUS, `ready` also when it has completed, `why` what it waits for ("" = nothing is known)."""

    name: str
    text: str
    ready: bool
    why: str = ""


def state(body: Json) -> PodState:
    """The state of a stored Pod with its status."""
    meta, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    known = {one["type"]: one for one in status.get("conditions") or []}
    ready = status.get("phase") == DONE or known.get("Ready", {}).get("status") == "True"
    text = columns.text(status, "deletionTimestamp" in meta, spec)
    return PodState(f"{meta.get('namespace') or 'default'}/{meta['name']}", text, ready, "" if ready else _why(spec, status, known))


def _why(spec: Json, status: Json, known: dict[str, Json]) -> str:
    placed = known.get("PodScheduled", {})
    if placed.get("status") == "False":
        return str(placed.get("message") or placed.get("reason") or "")
    for label, field in (("init container", "initContainerStatuses"), ("container", "containerStatuses")):
        for one in status.get(field) or []:
            found = _container(one, spec)
            if found:
                return f"{label} {one['name']} {found}"
    gates = known.get("Ready", {})
    return str(gates.get("message") or "") if gates.get("reason") == "ReadinessGatesNotReady" else str(status.get("message") or "")


def _container(one: Json, spec: Json) -> str:
    """What a container waits for; "" for one that is as it should be, or waits for others only."""
    now = one.get("state") or {}
    if "waiting" in now:
        reason, message = now["waiting"].get("reason") or "waiting", now["waiting"].get("message") or ""
        return "" if reason == "PodInitializing" else f"waits: {': '.join(filter(None, (reason, message)))}"
    if "terminated" in now:
        return "" if not now["terminated"].get("exitCode") else f"ended with exit code {now['terminated']['exitCode']}"
    if one.get("ready") or "running" not in now:
        return ""
    every = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    asked: Json = next((container for container in every if container["name"] == one["name"]), {})
    if one.get("started") is False:
        return "runs, and its startup probe has not succeeded yet" if "startupProbe" in asked else "is starting"
    return "runs, and its readiness probe does not succeed" if "readinessProbe" in asked else "runs"


def summary(states: Sequence[PodState]) -> str:
    """`2 of 4 pods ready: 2 Running, 1 ContainerCreating, 1 CrashLoopBackOff`: the commonest state first."""
    counts: dict[str, int] = {}
    for one in states:
        counts[one.text] = counts.get(one.text, 0) + 1
    parts = [f"{count} {text}" for text, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
    ready = sum(one.ready for one in states)
    return f"{ready} of {len(states)} pod{'' if len(states) == 1 else 's'} ready: {', '.join(parts)}"


def waiting(states: Iterable[PodState]) -> list[tuple[str, str]]:
    """(pod, what it waits for) of those that are not ready, by name; its state where nothing is known."""
    return [(one.name, one.why or one.text) for one in sorted(states) if not one.ready]
