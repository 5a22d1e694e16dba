"""What the pods of autoscaled workloads use, read from their cgroups when an autoscaler is about to decide: the metrics server here.

CPU is the rate since the reading before; the first one of a container tells memory alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.engine import stats
from kubeplay.kube import labels
from kubeplay.record import Record
from kubeplay.supervisor.controllers.model import Thing, World

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

SHORTEST = 5.0  # seconds between two readings of a rate


class Usage(Record):
    """One container: `cpu` in milli (None = not known yet) over the `window` seconds before `at`, `memory` in bytes."""

    at: float
    window: float
    cpu: int | None
    memory: int


def target(world: World, own: Thing) -> Thing | None:
    """The workload that an autoscaler scales."""
    from kubeplay.plan.stack import ObjectKey

    reference = own.body["spec"]["scaleTargetRef"]
    return world.find(ObjectKey(reference["kind"], own.key.namespace, reference["name"]))


def pods_of(world: World, workload: Thing) -> list[Thing]:
    """By its selector, as the scale subresource has it."""
    selector = workload.body["spec"].get("selector")
    here = world.list("Pod", workload.key.namespace)
    return [pod for pod in here if labels.matches(selector, pod.body["metadata"].get("labels"))]


def read(engine: Engine, world: World, own: Thing, samples: dict[str, stats.Sample]) -> None:
    """Bring `world.usage` up to date for one autoscaler; `samples` are the last totals, by container."""
    workload = target(world, own)
    if workload is None:
        return
    now = engine.clock.now()
    for pod in pods_of(world, workload):
        found: dict[str, Usage] = dict(world.usage.get(pod.uid) or {})
        for row in engine.store.runtime.containers(pod.uid):
            taken = stats.sample(engine, row, now) if row.state == "running" else None
            if taken is None:
                continue
            before = samples.get(row.id)
            if before is None or now - before.at >= SHORTEST:
                samples[row.id] = taken
                rate = None if before is None else max(0, taken.cpu - before.cpu) // max(1, round((now - before.at) * 1e6))
                found[row.name] = Usage(now, now - before.at if before else 0.0, rate, taken.memory)
        world.usage[pod.uid] = found
