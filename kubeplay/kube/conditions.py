"""The conditions of a pod (CO1-CO4): pure."""

from __future__ import annotations

from kubeplay.clock import rfc3339
from kubeplay.kube.resize import FAILED as FAILED_RESIZE
from kubeplay.kube.restarts import RESTART_ALL, rule
from kubeplay.kube.views import RESTARTING_ALL, SUCCEEDED, TERMINAL, ContainerView, Json, PodView
from kubeplay.plan.container import SIDECAR

# Conditions that we write; others are somebody else's and kept (CO1).
OURS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled", "AllContainersRestarting",
        "PodResizePending", "PodResizeInProgress")  # fmt: skip


def conditions(view: PodView, reached: str, init: list[Json], app: list[Json], now: float, old: Json) -> list[Json]:
    initialized = _initialized(view, reached, init)
    sidecars = {c.plan.name for c in view.containers if c.plan.kind == SIDECAR}
    containers = _containers_ready(reached, [*[s for s in init if s["name"] in sidecars], *app])
    found = [
        ("PodReadyToStartContainers", view.sandbox_ready, "", ""),
        ("Initialized", *initialized),
        ("Ready", *_ready(view, containers, old)),
        ("ContainersReady", *containers),
        ("PodScheduled", True, "", ""),
    ]
    if view.resize[0] and reached not in TERMINAL:
        found.append(("PodResizeInProgress" if view.resize[0] == FAILED_RESIZE else "PodResizePending", True, *view.resize))
    before = {c["type"]: c for c in old.get("conditions", [])}
    made = [condition(view, kind, value, reason, message, now, before.get(kind)) for kind, value, reason, message in found]
    all_again = not view.ending and not view.finished and any(_all_again(c) for c in view.containers)
    if all_again or "AllContainersRestarting" in before:
        made.append(condition(view, "AllContainersRestarting", all_again, "", "", now, before.get("AllContainersRestarting")))
    return made + [c for kind, c in before.items() if kind not in OURS]  # foreign ones are preserved (CO1)


def _all_again(container: ContainerView) -> bool:
    """Whether it asks for all containers to begin anew, or waits to (RR2)."""
    current = container.current
    if current is None or container.killed:
        return False
    asks = current.state == "exited" and rule(container.plan, current.exit_code) == RESTART_ALL
    return asks or current.reason == RESTARTING_ALL


def condition(view: PodView, kind: str, value: bool, reason: str, message: str, now: float, before: Json | None) -> Json:
    status = "True" if value else "False"
    since = before["lastTransitionTime"] if before and before["status"] == status else rfc3339(now)
    body: Json = {
        "type": kind, "observedGeneration": view.generation, "status": status, "lastProbeTime": None, "lastTransitionTime": since,
    }  # fmt: skip
    if reason:
        body["reason"] = reason
    if message:
        body["message"] = message
    return body


def _initialized(view: PodView, reached: str, init: list[Json]) -> tuple[bool, str, str]:
    """CO2."""
    if reached == SUCCEEDED:
        return True, "PodCompleted", ""
    sidecars = {c.plan.name for c in view.containers if c.plan.kind == SIDECAR}
    incomplete = [s["name"] for s in init if not s["started" if s["name"] in sidecars else "ready"]]
    if view.initialized or not incomplete:
        return True, "", ""
    return False, "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(incomplete)}]"


def _containers_ready(reached: str, app: list[Json]) -> tuple[bool, str, str]:
    """CO3."""
    if reached in TERMINAL:
        return False, "PodCompleted" if reached == SUCCEEDED else "PodFailed", ""
    unready = [s["name"] for s in app if not s["ready"]]
    if unready:
        return False, "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    return True, "", ""


def _ready(view: PodView, containers: tuple[bool, str, str], old: Json) -> tuple[bool, str, str]:
    """CO4; the texts are those of record 113."""
    if not containers[0]:
        return containers
    known = {c["type"]: c["status"] for c in old.get("conditions", [])}
    for gate in view.plan.readiness_gates:
        if gate not in known:
            return False, "ReadinessGatesNotReady", f'corresponding condition of pod readiness gate "{gate}" does not exist.'
        if known[gate] != "True":
            return False, "ReadinessGatesNotReady", f'the status of pod readiness gate "{gate}" is not "True", but {known[gate]}'
    return True, "", ""
