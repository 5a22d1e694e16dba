"""Which limits of a manifest have no effect here, for a person: said once per play, and by `info` and `system check`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubeplay.engine.oci.cgroup import Cgroups
    from kubeplay.plan.container import ContainerPlan
    from kubeplay.plan.pod import PodPlan

_NAMED = 5  # containers named in the notice; the rest are counted


def limits(container: ContainerPlan, controllers: Collection[str]) -> tuple[str, ...]:
    """The container's limits that no controller enforces."""
    wanted = container.resources
    huge = any(name.startswith("hugepages-") for name, _ in wanted.others)
    asked = (
        ("cpu", "cpu", wanted.cpu_limit), ("memory", "memory", wanted.memory_limit), ("pids", "pids", container.pids_limit),
        ("cpuset", "cpuset", container.cpuset or container.mems), ("hugepages", "hugetlb", huge),
    )  # fmt: skip
    return tuple(name for name, controller, value in asked if value and controller not in controllers)


def notice(pods: Sequence[PodPlan], cgroups: Cgroups) -> str:
    """One sentence about the limits in these pods that have no effect; "" when all have."""
    controllers = cgroups.controllers
    found = [
        f"{pod.namespace}/{pod.name}/{container.name} ({', '.join(names)})"
        for pod in pods
        for container in pod.containers
        if (names := limits(container, controllers))
    ]
    if not found:
        return ""
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"limits without effect: {', '.join(found[:_NAMED])}{more}: {reason(cgroups)}"


def reason(cgroups: Cgroups) -> str:
    """Why controllers are missing, and what would help."""
    from kubeplay.engine.oci.delegation import remedy

    if not cgroups.why:
        return f"the delegated cgroup lacks the controllers {', '.join(cgroups.missing)} (docs/rootless.md)"
    return f"{cgroups.why}; {remedy()}" if cgroups.unified else cgroups.why
