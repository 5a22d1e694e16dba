"""READY, STATUS and RESTARTS of a pod as `kubectl get pods` prints them (KC2), from its status alone."""

from __future__ import annotations

import calendar
import time
from typing import Any

Json = dict[str, Any]


def ready(status: Json, spec: Json | None = None) -> str:
    """`1/2`: ready app containers and sidecars of all there are."""
    found = [*_sidecars(status, spec), *status.get("containerStatuses", [])]
    planned = len((spec or {}).get("containers") or ()) + len(_sidecar_names(spec))
    return f"{sum(1 for c in found if c['ready'] and 'running' in c['state'])}/{planned or len(found)}"


def text(status: Json, deleted: bool = False, spec: Json | None = None) -> str:
    """The STATUS column."""
    phase = status.get("phase", "Pending")
    found = status.get("reason") or phase
    if any(c["type"] == "PodScheduled" and c.get("reason") == "SchedulingGated" for c in status.get("conditions", [])):
        found = "SchedulingGated"
    init = _init_text(status, spec)
    if init:
        found = init
    if not init or _condition(status, "Initialized"):
        found = _app_text(status, found)
    if deleted and phase not in ("Succeeded", "Failed"):
        return "Terminating"
    return str(found)


def restarts(status: Json, now: float, spec: Json | None = None) -> str:
    """The RESTARTS column: `3 (2m ago)`."""
    if _init_text(status, spec) and not _condition(status, "Initialized"):
        found = status.get("initContainerStatuses", [])
    else:
        found = [*_sidecars(status, spec), *status.get("containerStatuses", [])]
    count = sum(c["restartCount"] for c in found)
    ends = [_seconds(c["lastState"]["terminated"]["finishedAt"]) for c in found if "terminated" in c["lastState"]]
    return f"{count} ({age(now - max(ends))} ago)" if count and ends else str(count)


def _sidecar_names(spec: Json | None) -> set[str]:
    return {c["name"] for c in (spec or {}).get("initContainers") or () if c.get("restartPolicy") == "Always"}


def _sidecars(status: Json, spec: Json | None) -> list[Json]:
    names = _sidecar_names(spec)
    return [c for c in status.get("initContainerStatuses", []) if c["name"] in names]


def age(seconds: float) -> str:
    """A duration as kubectl shortens it: 90s, 5m, 5m30s (below ten minutes), 3h, 3h20m, 2d."""
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return f"{minutes}m{whole % 60}s" if whole % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    return f"{days // 365}y"


def _init_text(status: Json, spec: Json | None = None) -> str:
    init = status.get("initContainerStatuses", [])
    sidecars = _sidecar_names(spec)
    for index, container in enumerate(init):
        state = container["state"]
        if container["name"] in sidecars and container.get("started"):
            continue
        if "terminated" in state:
            if state["terminated"]["exitCode"] == 0:
                continue
            return "Init:" + _ended(state["terminated"])
        reason = state.get("waiting", {}).get("reason", "")
        return f"Init:{reason}" if reason and reason != "PodInitializing" else f"Init:{index}/{len(init)}"
    return ""


def _app_text(status: Json, found: str) -> str:
    running = False
    for container in reversed(status.get("containerStatuses", [])):
        state = container["state"]
        if state.get("waiting", {}).get("reason"):
            found = state["waiting"]["reason"]
        elif "terminated" in state:
            reason = _ended(state["terminated"])
            # an error of an app container beats Completed; how a sidecar ended decides nothing (IN5)
            if reason != "Completed" or found in ("Pending", "Running", "Succeeded", "Failed") or found.startswith("Init:"):
                found = reason
        elif "running" in state and container["ready"]:
            running = True
    if found == "Completed" and running:
        return "Running" if _condition(status, "Ready") else "NotReady"
    return found


def _ended(terminated: Json) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    return f"Signal:{terminated['signal']}" if terminated.get("signal") else f"ExitCode:{terminated['exitCode']}"


def _condition(status: Json, kind: str) -> bool:
    return any(c["type"] == kind and c["status"] == "True" for c in status.get("conditions", []))


def _seconds(text_: str) -> float:
    return calendar.timegm(time.strptime(text_, "%Y-%m-%dT%H:%M:%SZ"))
