"""Quality of service of a pod, and what follows from it: group limits and OOM score (RS4, RS5, RS6)."""

from __future__ import annotations

from kubeplay.engine.oci.cgroup import Limits, quota, shares
from kubeplay.plan.container import APP, ContainerPlan
from kubeplay.plan.pod import PodPlan

GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"
PAUSE_SCORE = -998  # RS6


def qos(pod: PodPlan) -> str:
    """RS5: over app and init containers, cpu and memory only."""
    some = False
    full = True
    for container in pod.containers:
        r = container.resources
        pairs = ((r.cpu_request, r.cpu_limit), (r.memory_request, r.memory_limit))
        some = some or any(request or limit for request, limit in pairs)
        full = full and all(limit and (request is None or request == limit) for request, limit in pairs)
    if not some:
        return BEST_EFFORT
    return GUARANTEED if full else BURSTABLE


def pod_limits(pod: PodPlan) -> Limits:
    """RS4: shares from the summed requests; quota and memory only when every container has that limit.

    Init containers run one after the other and before the rest, so the larger of their peak and the apps' sum counts.
    """
    if qos(pod) == BEST_EFFORT:
        return Limits()
    request = _effective(
        pod, [c.resources.cpu_request if c.resources.cpu_request is not None else c.resources.cpu_limit for c in pod.containers]
    )
    cpu = [c.resources.cpu_limit for c in pod.containers]
    memory = [c.resources.memory_limit for c in pod.containers]
    return Limits(
        shares=shares(request),
        quota=quota(_effective(pod, cpu)) if all(cpu) else 0,
        memory=_effective(pod, memory) if all(memory) else 0,
    )


def _effective(pod: PodPlan, values: list[int | None]) -> int:
    apps = sum(v or 0 for c, v in zip(pod.containers, values) if c.kind == APP)
    inits = max((v or 0 for c, v in zip(pod.containers, values) if c.kind != APP), default=0)
    return max(apps, inits)


def oom_score_adj(pod: PodPlan, container: ContainerPlan, memory: int) -> int:
    """RS6, before clamping to what this process may set."""
    quality = qos(pod)
    if quality == GUARANTEED:
        return -997
    if quality == BEST_EFFORT:
        return 1000
    request = container.resources.memory_request or container.resources.memory_limit or 0
    return max(3, min(999, 1000 - 1000 * request // max(memory, 1)))
