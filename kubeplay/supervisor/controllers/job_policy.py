"""What a Job's policies say of its pods (JO5): podFailurePolicy of a failed one, successPolicy of the indexes that are done. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubeplay.kube import indexes
from kubeplay.record import Record
from kubeplay.supervisor.controllers.model import Json, Thing


class Verdict(Record):
    """What a failed pod means: whether it counts, whether its index is lost, and why the Job fails ("" = it does not)."""

    counts: bool = True
    lost: bool = False
    failed: str = ""


def verdict(spec: Json, pod: Thing) -> Verdict:
    """The first rule that matches decides; without one the pod counts."""
    for at, rule in enumerate((spec.get("podFailurePolicy") or {}).get("rules") or []):
        why = _matched(rule, pod)
        if not why:
            continue
        action = rule["action"]
        if action == "FailJob":
            return Verdict(failed=f"{why} matching {action} rule at index {at}")
        return Verdict(counts=action != "Ignore", lost=action == "FailIndex")
    return Verdict()


def _matched(rule: Json, pod: Thing) -> str:
    """How a rule matches, "" when it does not."""
    where = f"{pod.key.namespace}/{pod.key.name}"
    if rule.get("onExitCodes"):
        for container in _containers(pod.status):
            code = container["state"]["terminated"]["exitCode"]
            if _codes(rule["onExitCodes"], container["name"], code):
                return f"Container {container['name']} for pod {where} failed with exit code {code}"
        return ""
    for condition in pod.status.get("conditions") or []:
        for pattern in rule.get("onPodConditions") or []:
            if (condition["type"], condition["status"]) == (pattern["type"], pattern.get("status") or "True"):
                return f"Pod {where} has condition {condition['type']}"
    return ""


def _containers(status: Json) -> Iterator[Json]:
    """Containers that have failed, the app's before the init containers."""
    for field in ("containerStatuses", "initContainerStatuses"):
        for container in status.get(field) or []:
            if (container["state"].get("terminated") or {}).get("exitCode"):
                yield container


def _codes(wanted: Json, name: str, code: int) -> bool:
    if wanted.get("containerName") not in (None, name):
        return False
    return bool((code in wanted["values"]) == (wanted["operator"] == "In"))


def met(spec: Json, done: Sequence[indexes.Interval]) -> str:
    """Which rule of the successPolicy is met, in the controller's words; "" for none."""
    for at, rule in enumerate((spec.get("successPolicy") or {}).get("rules") or []):
        chosen, count = rule.get("succeededIndexes"), rule.get("succeededCount")
        have = indexes.count(done)
        if chosen is not None:
            wanted = indexes.parse(chosen, spec["completions"])
            have = _common(wanted, done)
            count = indexes.count(wanted) if count is None else count
        if done and count is not None and have >= count:
            return f"Matched rules at index {at}"
    return ""


def _common(one: Sequence[indexes.Interval], other: Sequence[indexes.Interval]) -> int:
    return sum(max(0, min(a[1], b[1]) - max(a[0], b[0]) + 1) for a in one for b in other)
