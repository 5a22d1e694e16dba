"""Quality of service of a pod, and what follows from it: group limits and OOM score (RS4, RS5, RS6)."""

from __future__ import annotations

from collections.abc import Callable

from kubeplay.engine.oci.cgroup import Limits, quota, shares
from kubeplay.plan import amounts
from kubeplay.plan.amounts import BEST_EFFORT, GUARANTEED
from kubeplay.plan.container import APP, SIDECAR, ContainerPlan, Resources
from kubeplay.plan.pod import PodPlan

PAUSE_SCORE = -998  # RS6


def qos(pod: PodPlan) -> str:
    """RS5."""
    return amounts.qos_class(pod)


def pod_limits(pod: PodPlan) -> Limits:
    """RS4: shares from the effective request (IN6); quota and memory only when every container has that limit, or the pod itself does."""
    if qos(pod) == BEST_EFFORT:
        return Limits()
    own = pod.resources or Resources()
    return Limits(
        shares=shares(amounts.demand(pod).get(amounts.CPU)),
        quota=quota(own.cpu_limit or _together(pod, lambda c: c.resources.cpu_limit)),
        memory=own.memory_limit or _together(pod, lambda c: c.resources.memory_limit),
        pages=_pages(pod),
    )


def _together(pod: PodPlan, limit: Callable[[ContainerPlan], int | None]) -> int:
    """What all containers may take at most, 0 where one has no limit."""
    return amounts.effective(pod, limit) if all(limit(c) for c in amounts.lasting(pod)) else 0


def _pages(pod: PodPlan) -> tuple[tuple[str, int], ...]:
    """Huge pages are never over-committed: the pod gets what it asks for (RS7)."""
    return tuple(sorted((name, amount) for name, amount in amounts.demand(pod).items() if name.startswith("hugepages-")))


def oom_score_adj(pod: PodPlan, container: ContainerPlan, memory: int) -> int:
    """RS6, before clamping to what this process may set."""
    quality = qos(pod)
    if quality == GUARANTEED:
        return -997
    if quality == BEST_EFFORT:
        return 1000
    share = _share(pod)
    score = _burstable(_memory(container) + share, memory)
    if container.kind == SIDECAR:  # never killed before the app containers it serves
        apps = [_memory(c) for c in pod.containers if c.kind == APP]
        score = min(score, _burstable(min(apps, default=0) + share, memory))
    return max(3, min(999, score))


def _share(pod: PodPlan) -> int:
    """What the pod requests beyond its containers' requests, an equal part for each."""
    if pod.resources is None:
        return 0
    running = [c for c in pod.containers if c.kind in (APP, SIDECAR)]
    own = amounts.requests(pod.resources).get(amounts.MEMORY, 0)
    return max(0, own - amounts.effective(pod, _memory)) // max(1, len(running))


def _memory(container: ContainerPlan) -> int:
    r = container.resources
    return (r.memory_limit if r.memory_request is None else r.memory_request) or 0


def _burstable(request: int, memory: int) -> int:
    return 1000 - 1000 * request // max(memory, 1)
