"""A pod's `status` from its plan and what was seen of its containers: pure, as the kubelet computes it.

Order of things (ids of kubernetes-semantics.md): container states first (CS1, CS2, CS6, CS7), the phase from them
(PH1-PH3), the conditions from both (CO1-CO5). Nothing here looks at a clock or a disk.
"""

from __future__ import annotations

from typing import Any

from kubeplay.clock import rfc3339
from kubeplay.plan.container import INIT, ContainerPlan
from kubeplay.plan.pod import PodPlan
from kubeplay.record import Record

PENDING, RUNNING, SUCCEEDED, FAILED = "Pending", "Running", "Succeeded", "Failed"
TERMINAL = (SUCCEEDED, FAILED)
CRASH_LOOP = "CrashLoopBackOff"
_NOTICED = 10.0  # seconds from an end to the sync that shows the back-off (RB5, record 121); the end itself is shown until then

Json = dict[str, Any]


class Instance(Record):
    """One container instance as seen; `state` is created, running, exited or unknown; times are epoch seconds."""

    id: str
    attempt: int
    state: str
    image: str = ""
    image_id: str = ""
    started: float | None = None
    finished: float | None = None
    exit_code: int | None = None
    reason: str = ""
    message: str = ""


class ContainerView(Record):
    """A planned container, its last two instances, and why its last start attempt failed ("" = it did not).

    `started` and `ready` are what its probes say of an instance that runs (CS9).
    """

    plan: ContainerPlan
    current: Instance | None = None
    previous: Instance | None = None
    waiting: str = ""
    message: str = ""
    started: bool = True
    ready: bool = True


class PodView(Record):
    """What is known of a pod.

    `finished`: everything is torn down, so a terminal phase may be shown. `ending`: being deleted or stopped by a
    person, so nothing will start again. `reason` and `message` are the pod's own (a refused pod: SysctlForbidden);
    `failed`: they are why it must end, whatever its containers did (DeadlineExceeded, Evicted).
    """

    plan: PodPlan
    created: float
    containers: tuple[ContainerView, ...]
    sandbox_ready: bool = False
    addresses: tuple[str, ...] = ()
    host_ip: str = ""
    initialized: bool = False
    ending: bool = False
    finished: bool = False
    rejected: bool = False
    failed: bool = False
    reason: str = ""
    message: str = ""
    generation: int = 1
    gates: tuple[str, ...] = ()


def restartable(plan: ContainerPlan, exit_code: int | None) -> bool:
    """Whether a container that ended with `exit_code` is to be started again (RB6)."""
    if plan.restart_policy == "Never":
        return False
    if plan.restart_policy == "OnFailure" or plan.kind == INIT:
        return exit_code != 0
    return True


def pod_status(view: PodView, now: float, previous: Json | None = None) -> Json:
    """The `status` of the pod; `previous` is the one before it (transition times, PH3)."""
    old = previous or {}
    view = view._replace(containers=tuple([_noticed(c, now) for c in view.containers]))
    if view.rejected:
        return _rejected(view)
    init = [_container(c, view) for c in view.containers if c.plan.kind == INIT]
    app = [_container(c, view) for c in view.containers if c.plan.kind != INIT]
    app_by_name = sorted(app, key=lambda c: str(c["name"]))  # as the kubelet lists them (record 184)
    reached = FAILED if view.failed else phase(view, init, app)
    status: Json = {"observedGeneration": view.generation, "phase": _shown(view, reached, old.get("phase", ""), app)}
    if view.reason and not (view.failed and status["phase"] not in TERMINAL):  # with the phase they explain (record 119)
        status.update(reason=view.reason, message=view.message)
    status["conditions"] = _conditions(view, reached, init, app, now, old)
    status.update(_addresses(view, old))
    status["startTime"] = rfc3339(view.created)
    if init:
        status["initContainerStatuses"] = init
    status["containerStatuses"] = app_by_name
    status["qosClass"] = qos_class(view.plan)
    return status


def _rejected(view: PodView) -> Json:
    """A pod that was not admitted has no container statuses (086 and the surprises: SysctlForbidden)."""
    return {
        "observedGeneration": view.generation, "phase": FAILED, "reason": view.reason, "message": view.message,
        "startTime": rfc3339(view.created), "qosClass": qos_class(view.plan),
    }  # fmt: skip


def _noticed(view: ContainerView, now: float) -> ContainerView:
    ended = view.current.finished if view.current else None
    fresh = view.waiting == CRASH_LOOP and ended is not None and now < ended + _NOTICED
    return view._replace(waiting="", message="") if fresh else view


def _container(view: ContainerView, pod: PodView) -> Json:
    state, last = container_state(view, pod)
    ready = _is_ready(view, state)
    shown = view.current
    status: Json = {
        "name": view.plan.name, "state": state, "lastState": last, "ready": ready,
        "restartCount": shown.attempt if shown else 0,
        "image": (shown.image if shown else "") or view.plan.image,
        "imageID": shown.image_id if shown else "",
        "started": "running" in state and view.started,
    }  # fmt: skip
    if shown and shown.id:
        status["containerID"] = f"kubeplay://{shown.id}"
    return status


def container_state(view: ContainerView, pod: PodView) -> tuple[Json, Json]:
    """(state, lastState) of one container (CS1, CS2, CS6)."""
    current = view.current
    ended = _terminated(current) if current and current.state in ("exited", "unknown") else {}
    before = _terminated(view.previous) if view.previous else {}
    if current and current.state == "running":
        return {"running": {"startedAt": rfc3339(current.started or current.finished or 0)}}, before
    if ended:
        again = not pod.ending and not pod.finished and current is not None and restartable(view.plan, current.exit_code)
        if again and view.waiting:
            return _waiting(view.waiting, view.message), ended
        return ended, before
    return _waiting(view.waiting or default_reason(pod.plan), view.message), before


def default_reason(plan: PodPlan) -> str:
    """What a container waits for when nothing went wrong (CS2)."""
    return "PodInitializing" if any(c.kind == INIT for c in plan.containers) else "ContainerCreating"


def _waiting(reason: str, message: str) -> Json:
    return {"waiting": {"reason": reason, "message": message} if message else {"reason": reason}}


def _terminated(instance: Instance) -> Json:
    if instance.state == "unknown" and instance.exit_code is None:
        body: Json = {"exitCode": 137, "reason": "ContainerStatusUnknown"}  # CS7
        body["message"] = instance.message or "The container could not be located when the pod was terminated"
    else:
        code = instance.exit_code or 0
        body = {"exitCode": code, "reason": instance.reason or ("Completed" if code == 0 else "Error")}
        if instance.message:
            body["message"] = instance.message
    body["startedAt"] = rfc3339(instance.started or 0)  # never started: the epoch, as in record 005
    body["finishedAt"] = rfc3339(instance.finished or instance.started or 0)
    body["containerID"] = f"kubeplay://{instance.id}"
    return {"terminated": body}


def _is_ready(view: ContainerView, state: Json) -> bool:
    if view.plan.kind == INIT:  # CS9: exit 0
        return "terminated" in state and state["terminated"]["exitCode"] == 0
    return "running" in state and view.started and view.ready


def phase(view: PodView, init: list[Json], app: list[Json]) -> str:
    """The phase that the containers have come to (PH1, PH2)."""
    plans = {c.plan.name: c.plan for c in view.containers}
    pending_init = False
    for status in init:
        code = _exit_code(status)
        if code is None or "running" in status["state"]:
            pending_init = True
        elif code != 0:
            if view.ending or not restartable(plans[status["name"]], code):
                return FAILED
            pending_init = True
    if pending_init and not view.initialized:
        return PENDING
    return _app_phase(view, plans, app)


def _app_phase(view: PodView, plans: dict[str, ContainerPlan], app: list[Json]) -> str:
    codes = [(plans[s["name"]], _exit_code(s)) for s in app]
    running = any("running" in s["state"] for s in app)
    if any(code is None and "running" not in s["state"] for s, (_, code) in zip(app, codes)):
        return PENDING
    if running:
        return RUNNING
    if not view.ending and any(restartable(plan, code) for plan, code in codes):
        return RUNNING
    return SUCCEEDED if all(code == 0 for _, code in codes) else FAILED


def _exit_code(status: Json) -> int | None:
    """Exit code of a container that has ended, counting one that waits for its restart (PH2)."""
    for part in ("state", "lastState"):
        if "terminated" in status[part]:
            return int(status[part]["terminated"]["exitCode"])
        if part == "state" and "running" in status[part]:
            return None
    return None


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


def _conditions(view: PodView, reached: str, init: list[Json], app: list[Json], now: float, old: Json) -> list[Json]:
    initialized = _initialized(view, reached, init)
    containers = _containers_ready(reached, app)
    found = [
        ("PodReadyToStartContainers", view.sandbox_ready, "", ""),
        ("Initialized", *initialized),
        ("Ready", *_ready(view, containers, old)),
        ("ContainersReady", *containers),
        ("PodScheduled", True, "", ""),
    ]
    before = {c["type"]: c for c in old.get("conditions", [])}
    made = [_condition(view, kind, value, reason, message, now, before.get(kind)) for kind, value, reason, message in found]
    ours = {c["type"] for c in made}
    return made + [c for kind, c in before.items() if kind not in ours]  # foreign ones are preserved (CO1)


def _condition(view: PodView, kind: str, value: bool, reason: str, message: str, now: float, before: Json | None) -> Json:
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
    incomplete = [s["name"] for s in init if not s["ready"]]
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
    for gate in view.gates:
        if gate not in known:
            return False, "ReadinessGatesNotReady", f'corresponding condition of pod readiness gate "{gate}" does not exist.'
        if known[gate] != "True":
            return False, "ReadinessGatesNotReady", f'the status of pod readiness gate "{gate}" is not "True", but {known[gate]}'
    return True, "", ""


def _addresses(view: PodView, old: Json) -> Json:
    """hostIP and podIP (CO5); a pod that has ended keeps showing the address it had."""
    found: Json = {}
    if view.host_ip:
        found.update(hostIP=view.host_ip, hostIPs=[{"ip": view.host_ip}])
    addresses = view.addresses or ((view.host_ip,) if view.plan.sandbox.host_network and view.host_ip and view.sandbox_ready else ())
    if addresses:
        found.update(podIP=addresses[0], podIPs=[{"ip": a} for a in addresses])
    elif old.get("podIP"):
        found.update(podIP=old["podIP"], podIPs=old["podIPs"])
    return found


def qos_class(plan: PodPlan) -> str:
    """RS5: over app and init containers, CPU and memory only; zero counts as not set."""
    requests = [0, 0]
    limits = [0, 0]
    guaranteed = True
    for container in plan.containers:
        r = container.resources
        for index, (request, limit) in enumerate(((r.cpu_request, r.cpu_limit), (r.memory_request, r.memory_limit))):
            requests[index] += (limit if request is None else request) or 0
            limits[index] += limit or 0
            guaranteed = guaranteed and bool(limit)
    if not any(requests) and not any(limits):
        return "BestEffort"
    return "Guaranteed" if guaranteed and requests == limits else "Burstable"
