"""Pods that take more of the disk than their limits allow are evicted (VO7, RS8): looked at every ten seconds by the supervisor, while
a pod with such a limit runs. The order and the texts are the kubelet's [K: eviction_manager.go localStorageEviction].
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kubeplay.engine.store.events import WARNING
from kubeplay.engine.store.runtime import RUN, RUNNING, BackoffRow, PodRow
from kubeplay.plan.container import APP, SIDECAR
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.volumes import EmptyDir
from kubeplay.reconcile.model import EVICTED
from kubeplay.reconcile.observe import key_of, plan_of
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

REASON = "Evicted"
_LIMIT = re.compile(r'"(?:size|ephemeral)_limit":[1-9]')


class Usage(Record):
    """Bytes on disk: of emptyDirs by name, of containers (writable layer and logs) by name, of all the pod's own volumes."""

    volumes: Mapping[str, int] = {}
    containers: Mapping[str, int] = {}
    others: int = 0


class Verdict(Record):
    """What exceeds its limit: an emptyDir, a container, or with both "" the whole pod; `limit` in bytes."""

    limit: int
    volume: str = ""
    container: str = ""

    def text(self, written: str) -> str:
        """The pod's message; `written` is the limit as its manifest has it."""
        if self.volume:
            return f'Usage of EmptyDir volume "{self.volume}" exceeds the limit "{written}". '
        if self.container:
            return f'Container {self.container} exceeded its local ephemeral storage limit "{written}". '
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {written}. "


def decide(plan: PodPlan, usage: Usage) -> Verdict | None:
    """What the pod is evicted for, None = nothing."""
    for volume in plan.volumes:
        source = volume.source
        if isinstance(source, EmptyDir) and source.size_limit and usage.volumes.get(volume.name, 0) > source.size_limit:
            return Verdict(source.size_limit, volume=volume.name)
    limits = {c.name: c.resources.ephemeral_limit for c in plan.containers if c.resources.ephemeral_limit and c.kind in (APP, SIDECAR)}
    total = sum(usage.volumes.values()) + sum(usage.containers.values()) + usage.others
    if limits and total > sum(limits.values()):
        return Verdict(sum(limits.values()))
    for name, limit in limits.items():
        if usage.containers.get(name, 0) > limit:
            return Verdict(limit, container=name)
    return None


def watched(engine: Engine) -> list[PodRow]:
    """Pods that run and have a limit."""
    rows = [row for row in engine.store.runtime.pods() if row.desired == RUN and _LIMIT.search(row.plan)]
    if not rows:
        return []
    live = {row.pod_uid for row in engine.store.runtime.containers() if row.state == RUNNING}
    return [row for row in rows if row.uid in live and EVICTED not in engine.store.runtime.backoffs(row.uid)]


def check(engine: Engine) -> list[str]:
    """Ask for the eviction of every pod that is above a limit; their uids."""
    found = []
    for row in watched(engine):
        plan = plan_of(row)
        verdict = decide(plan, measure(engine, row.uid, plan))
        if verdict is None:
            continue
        message = verdict.text(_written(engine, row, verdict))
        engine.store.runtime.set_backoff(BackoffRow(row.uid, EVICTED, 0.0, engine.clock.now(), REASON, message))
        engine.store.events.add(key_of(row), row.uid, REASON, message, WARNING)
        found.append(row.uid)
    return found


def measure(engine: Engine, uid: str, plan: PodPlan) -> Usage:
    """What the pod takes of the disk; what is in memory or claimed does not count."""
    from kubeplay.engine.usage import size_of, writable

    sizes = {name: size_of(f"{engine.paths.pod_volumes(uid)}/{name}") for name in (v.name for v in plan.volumes)}
    empty = {v.name for v in plan.volumes if isinstance(v.source, EmptyDir) and not v.source.medium}
    logs = f"{engine.paths.pod_logs(plan.namespace, plan.name, uid)}"
    newest = {row.name: row for row in engine.store.runtime.containers(uid)}  # by attempt, so the last wins
    containers = {name: writable(engine.paths.container(row.id)) + size_of(f"{logs}/{name}") for name, row in newest.items()}
    return Usage(
        {name: size for name, size in sizes.items() if name in empty}, containers,
        sum(size for name, size in sizes.items() if name not in empty),
    )  # fmt: skip


def _written(engine: Engine, row: PodRow, verdict: Verdict) -> str:
    """The limit as the stored manifest has it."""
    import json

    stored = engine.store.objects.find(key_of(row))
    spec: dict[str, Any] = json.loads(stored.body)["spec"] if stored else {}
    for volume in spec.get("volumes") or []:
        if volume["name"] == verdict.volume:
            return str(volume["emptyDir"]["sizeLimit"])
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        if container["name"] == verdict.container:
            return str(container["resources"]["limits"]["ephemeral-storage"])
    from kubeplay.kube import quantity

    return quantity.parse(str(verdict.limit) if verdict.limit % 1024 else f"{verdict.limit // 1024}Ki").canonical()
