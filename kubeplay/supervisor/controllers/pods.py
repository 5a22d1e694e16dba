"""What controllers ask of a pod: does it count, is it ready, since when is it available (DE4)."""

from __future__ import annotations

import calendar
import time
from typing import TYPE_CHECKING, Any

from kubeplay.kube.status import FAILED, TERMINAL
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.supervisor.controllers.model import Thing

Json = dict[str, Any]


def seconds(text: str | None) -> float | None:
    """Epoch seconds of an RFC 3339 time of ours (UTC, with or without a fraction), None for none."""
    if not text:
        return None
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + (float(f"0.{fraction}") if fraction else 0.0)


class Facts(Record):
    """What a status says: `since` is when it became ready, None while it is not."""

    phase: str
    ready: bool
    since: float | None


_known: dict[str, tuple[Json, Facts]] = {}
_MOST = 10_000  # pods remembered: more than a machine has


def facts(pod: Thing) -> Facts:
    """Read once per status: with 200 pods each change of one has the others looked at, too."""
    found = _known.get(pod.uid)
    if found is not None and found[0] is pod.status:
        return found[1]
    condition = next((one for one in pod.status.get("conditions") or () if one.get("type") == "Ready"), None)
    is_ready = condition is not None and condition.get("status") == "True"
    since = seconds(condition.get("lastTransitionTime")) if condition is not None and is_ready else None
    made = Facts(str(pod.status.get("phase") or "Pending"), is_ready, since)
    if len(_known) >= _MOST:
        _known.clear()
    _known[pod.uid] = pod.status, made
    return made


def phase(pod: Thing) -> str:
    return facts(pod).phase


def active(pod: Thing) -> bool:
    """Whether it counts as there: one that ends or has ended does not and is replaced (RP1); one that a person stopped does."""
    return pod.deleted is None and (pod.held or facts(pod).phase not in TERMINAL)


def failed(pod: Thing) -> bool:
    return pod.deleted is None and not pod.held and facts(pod).phase == FAILED


def ready(pod: Thing) -> bool:
    return facts(pod).ready


def ready_since(pod: Thing) -> float | None:
    """When it became ready, None while it is not."""
    return facts(pod).since


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
