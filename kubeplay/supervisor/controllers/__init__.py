"""Controllers: one pure file per kind, which meet only in the store (DESIGN.md, decision 3).

`CONTROLLERS` says who decides for which kind; a kind's module is imported when its first object is there. Kept light: every command
asks `due` at its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

# kind -> its module in this package
CONTROLLERS: dict[str, str] = {
    "Deployment": "deployment",
    "ReplicaSet": "replicaset",
    "StatefulSet": "statefulset",
    "DaemonSet": "daemonset",
    "PodDisruptionBudget": "poddisruptionbudget",
    "Job": "job",
    "CronJob": "cronjob",
    "HorizontalPodAutoscaler": "horizontalpodautoscaler",
}
# Kinds whose controllers look at pods that they do not own: while an object of one exists, every change is looked at.
BROAD: tuple[str, ...] = ("PodDisruptionBudget",)
# Kinds that own others, whose deletion garbage.py finishes. A claim in use goes with its last user (PV3), a pod with its containers.
OWNERS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob")


def controller(kind: str) -> Any:
    """The module that decides for a kind: `decide` and perhaps `concerns`."""
    from importlib import import_module

    return import_module(f"{__name__}.{CONTROLLERS[kind]}")


def due(engine: Engine) -> bool:
    """Whether the controllers need the supervisor: something to decide about now, or at a time to come."""
    rows = engine.store.controllers
    if rows.timers():
        return True
    return rows.behind(tuple({*CONTROLLERS, *OWNERS}), BROAD)
