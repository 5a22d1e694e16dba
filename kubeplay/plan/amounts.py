"""What a pod asks of a machine, summed over its containers (IN6), and its quality of service (RS5): pure arithmetic over a plan.

A Guaranteed pod's own limits, or those of all its containers together, are what its cgroup gets (RS4).
"""

from __future__ import annotations

from collections.abc import Callable

from kubeplay.plan.container import APP, EPHEMERAL, INIT, SIDECAR, ContainerPlan, Resources
from kubeplay.plan.pod import PodPlan

GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"
CPU, MEMORY, DISK = "cpu", "memory", "ephemeral-storage"


def requests(resources: Resources) -> dict[str, int]:
    """What one container (or the pod itself) requests, by resource; a limit alone is a request too (RS1)."""
    pairs = (
        (CPU, resources.cpu_request, resources.cpu_limit), (MEMORY, resources.memory_request, resources.memory_limit),
        (DISK, resources.ephemeral_request, resources.ephemeral_limit),
    )  # fmt: skip
    found = {name: limit if request is None else request for name, request, limit in pairs}
    return {**{name: amount for name, amount in found.items() if amount is not None}, **dict(resources.others)}


def effective(pod: PodPlan, of: Callable[[ContainerPlan], int | None]) -> int:
    """IN6: max(apps + sidecars, each init container with the sidecars declared before it). A container that says nothing counts 0."""
    beside = peak = 0
    for container in pod.containers:
        amount = of(container) or 0
        if container.kind == INIT:
            peak = max(peak, beside + amount)
        elif container.kind in (APP, SIDECAR):
            beside += amount
    return max(beside, peak)


def lasting(pod: PodPlan) -> list[ContainerPlan]:
    """The containers that count: an ephemeral one has no resources and changes nothing."""
    return [c for c in pod.containers if c.kind != EPHEMERAL]


def demand(pod: PodPlan) -> dict[str, int]:
    """The effective request of the whole pod, zeros left out; what the pod itself says comes before its containers' sum."""
    if pod.resources is None and not any(c.resources != _NOTHING for c in pod.containers):
        return {}
    each = {c.name: requests(c.resources) for c in pod.containers}
    names = {name for found in each.values() for name in found}
    found = {name: effective(pod, lambda c, name=name: each[c.name].get(name)) for name in names}  # type: ignore[misc]
    if pod.resources is not None:
        found.update(requests(pod.resources))
    return {name: amount for name, amount in found.items() if amount}


_NOTHING = Resources()


def qos_class(pod: PodPlan) -> str:
    """RS5: over app and init containers, CPU and memory only, zero as not set; the pod's own resources speak for all of them."""
    each = [pod.resources] if pod.resources is not None else [c.resources for c in lasting(pod)]
    asked, limits = [0, 0], [0, 0]
    guaranteed = True
    for r in each:
        for index, (request, limit) in enumerate(((r.cpu_request, r.cpu_limit), (r.memory_request, r.memory_limit))):
            asked[index] += (limit if request is None else request) or 0
            limits[index] += limit or 0
            guaranteed = guaranteed and bool(limit)
    if not any(asked) and not any(limits):
        return BEST_EFFORT
    return GUARANTEED if guaranteed and asked == limits else BURSTABLE
