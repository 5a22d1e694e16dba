"""Change the limits of groups that are in use (RS8), by the same arithmetic that made them (RS2, RS4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.engine import container
from kubeplay.engine.oci import qos
from kubeplay.engine.oci.cgroup import Limits, quota, shares
from kubeplay.engine.store.runtime import ContainerRow
from kubeplay.plan.container import Resources
from kubeplay.plan.pod import PodPlan

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine


def of_pod(engine: Engine, uid: str, before: PodPlan, after: PodPlan) -> None:
    """Give the pod's group the larger of both plans' limits, no limit where either has none; the same plan twice = just its own."""
    old, new = qos.pod_limits(before), qos.pod_limits(after)
    widest = Limits(
        max(old.shares, new.shares), max(old.quota, new.quota) if old.quota and new.quota else 0,
        max(old.memory, new.memory) if old.memory and new.memory else 0, new.pages,
    )  # fmt: skip
    engine.cgroups.set_limits(engine.cgroups.pod(uid, qos.qos(after)), widest)


def of_container(engine: Engine, row: ContainerRow, wanted: Resources) -> None:
    facts = container.read_facts(engine, row.id)
    if facts is None or not facts.cgroup:
        return
    request = wanted.cpu_request if wanted.cpu_request is not None else wanted.cpu_limit
    engine.cgroups.set_limits(facts.cgroup, Limits(shares(request), quota(wanted.cpu_limit), wanted.memory_limit or 0))
