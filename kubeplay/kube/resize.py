"""In-place resize (RS8), pure: what a changed object asks of a plan that runs, whether that may be, and what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeplay.kube import resources
from kubeplay.plan import amounts
from kubeplay.plan.container import APP, SIDECAR, ContainerPlan, Resources
from kubeplay.plan.pod import PodPlan
from kubeplay.record import Record

DEFERRED, INFEASIBLE, FAILED = "Deferred", "Infeasible", "Error"
_CPU = ("cpu_request", "cpu_limit")
_MEMORY = ("memory_request", "memory_limit")


class Change(Record):
    """A container whose resources change; `restart`: its policy wants a new instance for that."""

    name: str
    before: Resources
    after: Resources
    restart: bool


def wanted(spec: Mapping[str, Any], plan: PodPlan) -> PodPlan:
    """The plan with the resources that the object's spec has now."""
    items = {item["name"]: item for field in ("initContainers", "containers") for item in spec.get(field) or []}
    made = [c._replace(resources=resources.plan(items[c.name])) if c.name in items else c for c in plan.containers]
    return plan._replace(containers=tuple(made))


def changes(before: PodPlan, after: PodPlan) -> list[Change]:
    return [
        Change(old.name, old.resources, new.resources, _restarts(old, new))
        for old, new in zip(before.containers, after.containers)
        if old.resources != new.resources
    ]


def _restarts(old: ContainerPlan, new: ContainerPlan) -> bool:
    changed = [name for name, fields in (("cpu", _CPU), ("memory", _MEMORY)) if _of(old, fields) != _of(new, fields)]
    return any(name in old.restart_to_resize for name in changed)


def _of(plan: ContainerPlan, fields: tuple[str, ...]) -> list[int | None]:
    return [getattr(plan.resources, field) for field in fields]


def fault(before: PodPlan, after: PodPlan) -> str:
    """Why the API server would refuse it; "" = it may be."""
    kinds = {c.name: c.kind for c in before.containers}
    for change in changes(before, after):
        if kinds[change.name] not in (APP, SIDECAR):
            return f"container {change.name}: only app containers and sidecars can be resized"
        old, new = change.before._asdict(), change.after._asdict()
        for field, value in old.items():
            if field not in (*_CPU, *_MEMORY) and new[field] != value:
                return f"container {change.name}: only cpu and memory resources are mutable"
            if value is not None and new[field] is None:
                return f"container {change.name}: resource {field.replace('_', ' ')}s cannot be removed"
    if amounts.qos_class(before) != amounts.qos_class(after):
        return f"Pod QOS Class may not change as a result of resizing ({amounts.qos_class(before)} to {amounts.qos_class(after)})"
    return ""


def verdict(after: PodPlan, capacity: Mapping[str, int], used: Mapping[str, int]) -> tuple[str, str]:
    """(reason, message) of the condition PodResizePending, both "" when there is room [K: pkg/kubelet/allocation]."""
    for name, amount in sorted(amounts.demand(after).items()):
        if "=" not in name and amount > capacity.get(name, 0):
            return INFEASIBLE, f"Node didn't have enough capacity: {name}, requested: {amount}, capacity: {capacity.get(name, 0)}"
    for name, amount in sorted(amounts.demand(after).items()):
        if "=" not in name and amount > capacity.get(name, 0) - used.get(name, 0):
            text = f"requested: {amount}, used: {used.get(name, 0)}, capacity: {capacity.get(name, 0)}"
            return DEFERRED, f"Node didn't have enough resource: {name}, {text}"
    return "", ""


# as a status shows them
def shown(wanted_: Resources) -> dict[str, dict[str, str]]:
    """`resources` of a container status; {} where nothing is asked for."""
    limits = {name: text(name, amount) for name, amount in _limits(wanted_).items()}
    asked = {name: text(name, amount) for name, amount in amounts.requests(wanted_).items()}
    return {key: value for key, value in (("limits", limits), ("requests", asked)) if value}


def _limits(wanted_: Resources) -> dict[str, int]:
    found = {"cpu": wanted_.cpu_limit, "memory": wanted_.memory_limit, "ephemeral-storage": wanted_.ephemeral_limit}
    return {**{name: amount for name, amount in found.items() if amount is not None}, **dict(wanted_.others)}


def promised(plan: PodPlan) -> dict[str, dict[str, Any]]:
    """What of the node the whole pod has (record 104), and its own resources, as fields of its status."""
    whole = {name: text(name, amount) for name, amount in sorted(amounts.demand(plan).items()) if "=" not in name}
    own = shown(plan.resources) if plan.resources is not None else {}
    return {key: value for key, value in (("allocatedResources", whole), ("resources", own)) if value}


def text(name: str, amount: int) -> str:
    """An amount of a plan as a quantity: CPU in milli, bytes in the largest binary unit that fits."""
    if name == "cpu":
        return f"{amount}m" if amount % 1000 else str(amount // 1000)
    if "/" in name or not amount:
        return str(amount)
    for unit, size in (("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
        if amount % size == 0:
            return f"{amount // size}{unit}"
    return str(amount)
