"""A pod's `status` from its plan and what was seen of its containers: pure, as the kubelet computes it.

Order of things (ids of kubernetes-semantics.md): container states first (container_status.py), the phase from them (PH1-PH3), the
conditions from both (conditions.py). Nothing here looks at a clock or a disk.
"""

from __future__ import annotations

from kubeplay.clock import rfc3339
from kubeplay.kube import resize
from kubeplay.kube.conditions import OURS as OURS
from kubeplay.kube.conditions import condition, conditions
from kubeplay.kube.container_status import container, exit_code, goes_on, noticed
from kubeplay.kube.downward import one_of_each_family
from kubeplay.kube.views import CRASH_LOOP as CRASH_LOOP
from kubeplay.kube.views import FAILED as FAILED
from kubeplay.kube.views import PENDING as PENDING
from kubeplay.kube.views import RESTARTING_ALL as RESTARTING_ALL
from kubeplay.kube.views import RUNNING as RUNNING
from kubeplay.kube.views import SUCCEEDED as SUCCEEDED
from kubeplay.kube.views import TERMINAL as TERMINAL
from kubeplay.kube.views import ContainerView as ContainerView
from kubeplay.kube.views import Instance as Instance
from kubeplay.kube.views import Json as Json
from kubeplay.kube.views import PodView as PodView
from kubeplay.plan.amounts import qos_class as qos_class
from kubeplay.plan.container import EPHEMERAL, INIT, SIDECAR


def pod_status(view: PodView, now: float, previous: Json | None = None) -> Json:
    """The `status` of the pod; `previous` is the one before it (transition times, PH3)."""
    old = previous or {}
    waits = _waiting_names(old)
    view = view._replace(containers=tuple([c if c.plan.name in waits else noticed(c, now) for c in view.containers]))
    if view.rejected:
        return _rejected(view)
    if view.unscheduled is not None and old.get("phase", PENDING) == PENDING:
        return _unscheduled(view, view.unscheduled, now, old)
    init = [container(c, view) for c in view.containers if c.plan.kind in (INIT, SIDECAR)]
    app = [container(c, view) for c in view.containers if c.plan.kind not in (INIT, SIDECAR, EPHEMERAL)]
    debug = [container(c, view) for c in view.containers if c.plan.kind == EPHEMERAL]
    app_by_name = sorted(app, key=lambda c: str(c["name"]))  # as the kubelet lists them (record 184)
    reached = FAILED if view.failed else phase(view, init, app)
    status: Json = {"observedGeneration": view.generation, "phase": _shown(view, reached, old.get("phase", ""), app)}
    status.update(_why(view, status["phase"], old))
    status["conditions"] = conditions(view, reached, init, app, now, old)
    status.update(_addresses(view, old))
    status["startTime"] = rfc3339(view.created)
    if init:
        status["initContainerStatuses"] = init
    status["containerStatuses"] = app_by_name
    if debug:
        status["ephemeralContainerStatuses"] = debug
    status["qosClass"] = qos_class(view.plan)
    status.update(resize.promised(view.plan))
    return status


def _why(view: PodView, shown: str, old: Json) -> Json:
    """The pod's own reason and message: with the phase that they explain (record 119), and then for good (PH3)."""
    if old.get("phase") in TERMINAL:
        return {key: old[key] for key in ("reason", "message") if key in old}
    if not view.reason or (view.failed and shown not in TERMINAL):
        return {}
    return {"reason": view.reason, "message": view.message}


def _unscheduled(view: PodView, why: tuple[str, str], now: float, old: Json) -> Json:
    """A pod that waits for a place has nothing but that condition (record 115), one of another node not even that (117)."""
    before = {c["type"]: c for c in old.get("conditions", [])}
    conditions = [c for kind, c in before.items() if kind not in OURS]
    if why[0]:
        conditions.insert(0, condition(view, "PodScheduled", False, *why, now, before.get("PodScheduled")))
    status: Json = {"observedGeneration": view.generation, "phase": PENDING, "qosClass": qos_class(view.plan)}
    return {**status, "conditions": conditions} if conditions else status


def _rejected(view: PodView) -> Json:
    """A pod that was not admitted has no container statuses (086 and the surprises: SysctlForbidden)."""
    return {
        "observedGeneration": view.generation, "phase": FAILED, "reason": view.reason, "message": view.message,
        "startTime": rfc3339(view.created), "qosClass": qos_class(view.plan),
    }  # fmt: skip


def _waiting_names(old: Json) -> set[str]:
    """Containers shown as waiting after an end: a start that failed in another way said so at once (record 204), and it stays so."""
    found = [*old.get("initContainerStatuses", []), *old.get("containerStatuses", [])]
    return {c["name"] for c in found if "waiting" in c["state"] and "terminated" in c["lastState"]}


def phase(view: PodView, init: list[Json], app: list[Json]) -> str:
    """The phase that the containers have come to, in the order of PH1; sidecars that have ended do not count (PH2)."""
    seen = {c.plan.name: c for c in view.containers}
    regular = [s for s in init if seen[s["name"]].plan.kind == INIT]
    sidecars = [s for s in init if seen[s["name"]].plan.kind == SIDECAR]
    codes = [None if "running" in s["state"] else exit_code(s) for s in regular]
    if any(code and (view.ending or not goes_on(seen[s["name"]], code)) for s, code in zip(regular, codes)):
        return FAILED
    if any(code != 0 for code in codes) and not _undone(view, codes):
        return PENDING
    running = any("running" in s["state"] for s in sidecars)
    if any("running" in s["state"] and not s["started"] for s in sidecars) and not view.initialized:
        return PENDING
    if any("waiting" in s["state"] and exit_code(s) is None for s in sidecars) and not view.ending:
        return PENDING
    return _app_phase(view, seen, app, running)


def _undone(view: PodView, codes: list[int | None]) -> bool:
    """Whether nobody will see these init containers run: the pod ends after its app containers have."""
    return (view.ending or view.finished) and view.initialized


def _app_phase(view: PodView, seen: dict[str, ContainerView], app: list[Json], beside: bool) -> str:
    """`beside`: a sidecar runs."""
    codes = [(seen[s["name"]], exit_code(s)) for s in app]
    running = beside or any("running" in s["state"] for s in app)
    if any(code is None and "running" not in s["state"] for s, (_, code) in zip(app, codes)):
        return PENDING
    if running:
        return RUNNING
    if not view.ending and any(goes_on(container, code) for container, code in codes):
        return RUNNING
    return SUCCEEDED if all(code == 0 for _, code in codes) else FAILED


def _shown(view: PodView, reached: str, old: str, app: list[Json]) -> str:
    """Terminal phases are final (PH3) and appear only when nothing of the pod is left running."""
    if old in TERMINAL:
        return old
    if reached in TERMINAL and not view.finished:
        started = view.initialized or any("waiting" not in s["state"] for s in app)
        return old or (RUNNING if started else PENDING)
    if reached not in TERMINAL and view.finished and view.ending:
        return FAILED  # stopped before its containers had run
    return reached


def _addresses(view: PodView, old: Json) -> Json:
    """hostIP and podIP (CO5); a pod that has ended keeps showing the address it had."""
    found: Json = {}
    hosts = [one for one in (view.host_ip, view.host_ip6) if one]
    if view.host_ip:
        found.update(hostIP=view.host_ip, hostIPs=[{"ip": one} for one in hosts])
    own = one_of_each_family(view.addresses)
    addresses = own or (tuple(hosts) if view.plan.sandbox.host_network and view.host_ip and view.sandbox_ready else ())
    if addresses:
        found.update(podIP=addresses[0], podIPs=[{"ip": a} for a in addresses])
    elif old.get("podIP"):
        found.update(podIP=old["podIP"], podIPs=old["podIPs"])
    return found
