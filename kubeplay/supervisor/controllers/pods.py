"""What controllers ask of a pod: does it count, is it ready, since when is it available (DE4)."""

from __future__ import annotations

import calendar
import time
from typing import TYPE_CHECKING, Any

from kubeplay.kube.status import FAILED, TERMINAL

if TYPE_CHECKING:
    from kubeplay.supervisor.controllers.model import Thing

Json = dict[str, Any]


def seconds(text: str | None) -> float | None:
    """Epoch seconds of an RFC 3339 time of ours (UTC, with or without a fraction), None for none."""
    if not text:
        return None
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + (float(f"0.{fraction}") if fraction else 0.0)


def phase(pod: Thing) -> str:
    return str(pod.status.get("phase") or "Pending")


def active(pod: Thing) -> bool:
    """Whether it counts as there: one that ends or has ended does not and is replaced (RP1); one that a person stopped does."""
    return pod.deleted is None and (pod.held or phase(pod) not in TERMINAL)


def failed(pod: Thing) -> bool:
    return pod.deleted is None and not pod.held and phase(pod) == FAILED


def ready(pod: Thing) -> bool:
    condition = _ready(pod)
    return condition is not None and condition.get("status") == "True"


def ready_since(pod: Thing) -> float | None:
    """When it became ready, None while it is not."""
    condition = _ready(pod)
    return seconds(condition.get("lastTransitionTime")) if condition is not None and condition.get("status") == "True" else None


def _ready(pod: Thing) -> Json | None:
    conditions: list[Json] = pod.status.get("conditions") or []
    return next((one for one in conditions if one.get("type") == "Ready"), None)


def available_at(pod: Thing, min_ready: float) -> float | None:
    """When it is available: so many seconds after it became ready. None while it is not ready."""
    since = ready_since(pod)
    return None if since is None else since + min_ready


def available(pod: Thing, min_ready: float, now: float) -> bool:
    """DE4."""
    if not min_ready:
        return ready(pod)
    due = available_at(pod, min_ready)
    return due is not None and due <= now


def restarts(pod: Thing) -> int:
    """Of the container that was restarted most."""
    return max((int(one.get("restartCount") or 0) for one in pod.status.get("containerStatuses") or ()), default=0)


def ended_at(pod: Thing) -> float:
    """When the last container of an ended pod ended; without any, when the pod was made."""
    ends = [seconds((one.get("state") or {}).get("terminated", {}).get("finishedAt")) for one in pod.status.get("containerStatuses") or ()]
    return max((end for end in ends if end is not None), default=pod.created)
