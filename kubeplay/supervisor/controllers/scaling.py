"""The arithmetic of autoscaling: from what pods use to how many there should be [K: controller/podautoscaler]. Pure numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubeplay.record import Record

Json = dict[str, Any]
TOLERANCE = 0.1  # [K: --horizontal-pod-autoscaler-tolerance]
DOWN_WINDOW = 300  # [K: --horizontal-pod-autoscaler-downscale-stabilization]
DEFAULT: dict[str, Json] = {
    "scaleUp": {"policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]},
    "scaleDown": {"policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]},
}


class Demand(Record):
    """One metric of the target's pods, in milli or bytes. `used` has the ready ones that were measured, `unready` and `missing` the others;
    `requests` what each asks for. `share` is a target in percent of the requests, `average` one per pod; `one` of both is set.
    """

    current: int
    used: Mapping[str, int]
    unready: Sequence[str] = ()
    missing: Sequence[str] = ()
    requests: Mapping[str, int] = {}
    share: int = 0
    average: int = 0

    def ratio(self, used: Mapping[str, int]) -> float:
        """How many times the target is used."""
        if self.share:
            asked = sum(self.requests[name] for name in used)
            return (sum(used.values()) * 100 // asked) / self.share
        return sum(used.values()) / len(used) / self.average

    def full(self, name: str) -> int:
        """What a pod that was not measured is taken to use when that would make it fewer."""
        return self.requests[name] * max(100, self.share) // 100 if self.share else self.average


def proposal(demand: Demand, tolerance: float = TOLERANCE) -> int:
    """How many pods the metric wants. Pods that tell nothing never tip the scales."""
    ratio = demand.ratio(demand.used)
    grows = bool(demand.unready) and ratio > 1.0
    if not grows and not demand.missing:
        return demand.current if _within(ratio, tolerance) else math.ceil(ratio * len(demand.used))
    used = dict(demand.used)
    for name in demand.missing:
        if ratio < 1.0:
            used[name] = demand.full(name)
        elif ratio > 1.0:
            used[name] = 0
    if grows:
        used.update(dict.fromkeys(demand.unready, 0))
    again = demand.ratio(used)
    if _within(again, tolerance) or (ratio < 1.0 < again) or (again < 1.0 < ratio):
        return demand.current
    wanted = math.ceil(again * len(used))
    turned = (again < 1.0 and wanted > demand.current) or (again > 1.0 and wanted < demand.current)
    return demand.current if turned else wanted


def _within(ratio: float, tolerance: float) -> bool:
    return abs(1.0 - ratio) <= tolerance


class Memory:
    """What an autoscaler remembers of the last hour: its recommendations, and what it did. Lost with the process (LR5)."""

    def __init__(self) -> None:
        self.wanted: list[tuple[float, int]] = []
        self.changes: list[tuple[float, int]] = []

    def forget(self, before: float) -> None:
        self.wanted = [one for one in self.wanted if one[0] > before]
        self.changes = [one for one in self.changes if one[0] > before]


class Step(Record):
    """The size to have now; `limited` and `held` are (reason, message) when it is not the recommended one."""

    replicas: int
    limited: tuple[str, str] | None = None
    held: tuple[str, str] | None = None


def step(memory: Memory, behavior: Json, current: int, wanted: int, bounds: tuple[int, int], now: float) -> Step:
    """From a recommendation to a size: steadied over the windows, no faster than the policies, within the bounds."""
    steady = _steadied(memory, behavior, current, wanted, now)
    held = None
    if steady < wanted:
        held = ("ScaleUpStabilized", "recent recommendations were lower than current one, applying the lowest recent recommendation")
    elif steady > wanted:
        held = ("ScaleDownStabilized", "recent recommendations were higher than current one, applying the highest recent recommendation")
    least, most = bounds
    if steady > current:
        limit = max(current, _limit(memory, _rules(behavior, "scaleUp"), current, 1, now))
        if steady > min(most, limit):
            few = limit < most
            return Step(min(most, limit), _UP if few else _MOST, held)
    elif steady < current:
        limit = min(current, _limit(memory, _rules(behavior, "scaleDown"), current, -1, now))
        if steady < max(least, limit):
            return Step(max(least, limit), _DOWN if limit > least else _LEAST, held)
    return Step(steady, None, held)


_UP = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
_DOWN = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
_MOST = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
_LEAST = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")


def _rules(behavior: Json, field: str) -> Json:
    return {**DEFAULT[field], **(behavior.get(field) or {})}


def _steadied(memory: Memory, behavior: Json, current: int, wanted: int, now: float) -> int:
    up = _rules(behavior, "scaleUp").get("stabilizationWindowSeconds") or 0
    down = _rules(behavior, "scaleDown").get("stabilizationWindowSeconds")
    down = DOWN_WINDOW if down is None else down
    lowest = min([wanted, *(n for when, n in memory.wanted if when > now - up)])
    highest = max([wanted, *(n for when, n in memory.wanted if when > now - down)])
    memory.wanted.append((now, wanted))
    memory.forget(now - 3600)
    return min(max(current, lowest), highest)


def _limit(memory: Memory, rules: Json, current: int, way: int, now: float) -> int:
    """How far the policies let it go up (`way` 1) or down (-1) from the size it had when each one's period began."""
    policy = rules.get("selectPolicy") or "Max"
    if policy == "Disabled":
        return current
    found = [_reach(one, current - _changed(memory, now - one["periodSeconds"]), way) for one in rules["policies"]]
    return max(found) if (policy == "Max") == (way > 0) else min(found)


def _reach(policy: Json, began: int, way: int) -> int:
    if policy["type"] == "Pods":
        return began + way * int(policy["value"])
    return math.ceil(began * (100 + policy["value"]) / 100) if way > 0 else int(began * (100 - policy["value"]) / 100)


def _changed(memory: Memory, since: float) -> int:
    return sum(change for when, change in memory.changes if when > since)


def requests(pod: Json, resource: str, container: str, amount: Any) -> int | str:
    """What a pod asks for, or which container does not say."""
    total = 0
    for one in _containers(pod, container):
        asked = ((one.get("resources") or {}).get("requests") or {}).get(resource)
        if asked is None:
            return str(one["name"])
        total += amount(asked)
    return total


def _containers(pod: Json, only: str) -> Iterable[Json]:
    spec = pod.get("spec") or {}
    lasting = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    return [one for one in (*lasting, *(spec.get("containers") or ())) if only in ("", one["name"])]
