"""A pod's `status` from its plan and what was seen of its containers: pure, as the kubelet computes it.

Order of things (ids of kubernetes-semantics.md): container states first (CS1, CS2, CS6, CS7), the phase from them
(PH1-PH3), the conditions from both (CO1-CO5). Nothing here looks at a clock or a disk.
"""

from __future__ import annotations

from typing import Any

from kubeplay.clock import rfc3339
from kubeplay.kube import resize
from kubeplay.kube.resize import FAILED as FAILED_RESIZE
from kubeplay.kube.restarts import follows
from kubeplay.plan.amounts import qos_class as qos_class
from kubeplay.plan.container import EPHEMERAL, INIT, SIDECAR, ContainerPlan
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.volumes import Mount
from kubeplay.record import Record

PENDING, RUNNING, SUCCEEDED, FAILED = "Pending", "Running", "Succeeded", "Failed"
TERMINAL = (SUCCEEDED, FAILED)
CRASH_LOOP = "CrashLoopBackOff"
RESTARTING_ALL = "RestartingAllContainers"  # RR2, CS7
POD_MESSAGE = 12 * 1024  # TM1: bytes of termination messages in a status, split evenly among the pod's containers
_NOTICED = 10.0  # seconds from an end to the sync that shows the back-off (RB5, record 121); the end itself is shown until then

Json = dict[str, Any]

# Conditions that we write; others are somebody else's and kept (CO1).
OURS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled", "AllContainersRestarting",
        "PodResizePending", "PodResizeInProgress")  # fmt: skip


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
    user: str = ""


class ContainerView(Record):
    """A planned container, its last two instances, and why its last start attempt failed ("" = it did not).

    `started` and `ready` are what its probes say of an instance that runs (CS9); `killed` is why we ended the newest one ourselves.
    """

    plan: ContainerPlan
    current: Instance | None = None
    previous: Instance | None = None
    waiting: str = ""
    message: str = ""
    started: bool = True
    ready: bool = True
    killed: str = ""


class PodView(Record):
    """What is known of a pod.

    `finished`: everything is torn down, so a terminal phase may be shown. `ending`: being deleted or stopped by a
    person, so nothing will start again. `reason` and `message` are the pod's own (a refused pod: SysctlForbidden);
    `failed`: they are why it must end, whatever its containers did (DeadlineExceeded, Evicted). `created` is when it was accepted (CO5).
    `unscheduled`: reason and message of a pod that this machine has no place for (LR1), both "" when it shows nothing of it.
    `resize`: what stands in the way of a resize (RS8).
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
    unscheduled: tuple[str, str] | None = None
    resize: tuple[str, str] = ("", "")


def pod_status(view: PodView, now: float, previous: Json | None = None) -> Json:
    """The `status` of the pod; `previous` is the one before it (transition times, PH3)."""
    old = previous or {}
    waits = _waiting_names(old)
    view = view._replace(containers=tuple([c if c.plan.name in waits else _noticed(c, now) for c in view.containers]))
    if view.rejected:
        return _rejected(view)
    if view.unscheduled is not None and old.get("phase", PENDING) == PENDING:
        return _unscheduled(view, view.unscheduled, now, old)
    init = [_container(c, view) for c in view.containers if c.plan.kind in (INIT, SIDECAR)]
    app = [_container(c, view) for c in view.containers if c.plan.kind not in (INIT, SIDECAR, EPHEMERAL)]
    debug = [_container(c, view) for c in view.containers if c.plan.kind == EPHEMERAL]
    app_by_name = sorted(app, key=lambda c: str(c["name"]))  # as the kubelet lists them (record 184)
    reached = FAILED if view.failed else phase(view, init, app)
    status: Json = {"observedGeneration": view.generation, "phase": _shown(view, reached, old.get("phase", ""), app)}
    status.update(_why(view, status["phase"], old))
    status["conditions"] = _conditions(view, reached, init, app, now, old)
    status.update(_addresses(view, old))
    status["startTime"] = rfc3339(view.created)
    if init:
        status["initContainerStatuses"] = init
    status["containerStatuses"] = app_by_name
    if debug:
        status["ephemeralContainerStatuses"] = debug
    status["qosClass"] = qos_class(view.plan)
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
        conditions.insert(0, _condition(view, "PodScheduled", False, *why, now, before.get("PodScheduled")))
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
    status.update(_resources(view, state))
    if view.plan.mounts:
        status["volumeMounts"] = [_mount(mount) for mount in view.plan.mounts]
    return status


def _resources(view: ContainerView, state: Json) -> Json:
    """What the container has been given (RS8), and who its first process runs as (SC2); as the kubelet, only once it has run."""
    if "waiting" in state and view.current is None:
        return {}
    found = resize.shown(view.plan.resources)
    made: Json = {"allocatedResources": found["requests"]} if "requests" in found else {}
    made["resources"] = found
    if view.current and view.current.user:
        uid, gid, *groups = [int(number) for number in view.current.user.split()]
        made["user"] = {"linux": {"uid": uid, "gid": gid, "supplementalGroups": groups}}
    return made


def _mount(mount: Mount) -> Json:
    """A read-only mount says whether what is mounted below it is read-only too."""
    shown: Json = {"name": mount.volume, "mountPath": mount.path}
    return {**shown, "readOnly": True, "recursiveReadOnly": "Disabled"} if mount.read_only else shown


def container_state(view: ContainerView, pod: PodView) -> tuple[Json, Json]:
    """(state, lastState) of one container (CS1, CS2, CS6)."""
    current, most = view.current, POD_MESSAGE // len(pod.plan.containers)
    ended = _terminated(current, most) if current and current.state in ("exited", "unknown") else {}
    before = _terminated(view.previous, most) if view.previous else {}
    if current and current.state == "running":
        return {"running": {"startedAt": rfc3339(current.started or current.finished or 0)}}, before
    if ended:
        again = not pod.ending and not pod.finished and current is not None and _goes_on(view, current.exit_code)
        if current is not None and current.reason == RESTARTING_ALL and not pod.ending and not pod.finished:
            return _waiting(view.waiting or default_reason(pod.plan), view.message), ended
        if again and view.waiting:
            return _waiting(view.waiting, view.message), ended
        return ended, before
    return _waiting(view.waiting or default_reason(pod.plan), view.message), before


def default_reason(plan: PodPlan) -> str:
    """What a container waits for when nothing went wrong (CS2)."""
    return "PodInitializing" if any(c.kind in (INIT, SIDECAR) for c in plan.containers) else "ContainerCreating"


def _waiting(reason: str, message: str) -> Json:
    return {"waiting": {"reason": reason, "message": message} if message else {"reason": reason}}


def _terminated(instance: Instance, most: int) -> Json:
    """`most` bytes of its message are shown (TM1)."""
    if instance.state == "unknown" and instance.exit_code is None:
        body: Json = {"exitCode": 137, "reason": "ContainerStatusUnknown"}  # CS7
        body["message"] = instance.message or "The container could not be located when the pod was terminated"
    else:
        code = instance.exit_code or 0
        body = {"exitCode": code, "reason": instance.reason or ("Completed" if code == 0 else "Error")}
        if instance.message:
            body["message"] = instance.message.encode(errors="surrogateescape")[:most].decode(errors="ignore")
    body["startedAt"] = rfc3339(instance.started or 0)  # never started: the epoch, as in record 005
    body["finishedAt"] = rfc3339(instance.finished or instance.started or 0)
    body["containerID"] = f"kubeplay://{instance.id}"
    return {"terminated": body}


def _is_ready(view: ContainerView, state: Json) -> bool:
    if view.plan.kind == INIT:  # CS9: exit 0
        return "terminated" in state and state["terminated"]["exitCode"] == 0
    return "running" in state and view.started and view.ready


def phase(view: PodView, init: list[Json], app: list[Json]) -> str:
    """The phase that the containers have come to, in the order of PH1; sidecars that have ended do not count (PH2)."""
    seen = {c.plan.name: c for c in view.containers}
    regular = [s for s in init if seen[s["name"]].plan.kind == INIT]
    sidecars = [s for s in init if seen[s["name"]].plan.kind == SIDECAR]
    codes = [None if "running" in s["state"] else _exit_code(s) for s in regular]
    if any(code and (view.ending or not _goes_on(seen[s["name"]], code)) for s, code in zip(regular, codes)):
        return FAILED
    if any(code != 0 for code in codes) and not _undone(view, codes):
        return PENDING
    running = any("running" in s["state"] for s in sidecars)
    if any("running" in s["state"] and not s["started"] for s in sidecars) and not view.initialized:
        return PENDING
    if any("waiting" in s["state"] and _exit_code(s) is None for s in sidecars) and not view.ending:
        return PENDING
    return _app_phase(view, seen, app, running)


def _undone(view: PodView, codes: list[int | None]) -> bool:
    """Whether nobody will see these init containers run: the pod ends after its app containers have."""
    return (view.ending or view.finished) and view.initialized


def _goes_on(container: ContainerView, code: int | None) -> bool:
    return follows(container.plan, code, container.killed)


def _app_phase(view: PodView, seen: dict[str, ContainerView], app: list[Json], beside: bool) -> str:
    """`beside`: a sidecar runs."""
    codes = [(seen[s["name"]], _exit_code(s)) for s in app]
    running = beside or any("running" in s["state"] for s in app)
    if any(code is None and "running" not in s["state"] for s, (_, code) in zip(app, codes)):
        return PENDING
    if running:
        return RUNNING
    if not view.ending and any(_goes_on(container, code) for container, code in codes):
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
    made = [_condition(view, kind, value, reason, message, now, before.get(kind)) for kind, value, reason, message in found]
    all_again = any(c.current is not None and c.current.reason == RESTARTING_ALL for c in view.containers)
    if all_again or "AllContainersRestarting" in before:
        made.append(_condition(view, "AllContainersRestarting", all_again, "", "", now, before.get("AllContainersRestarting")))
    return made + [c for kind, c in before.items() if kind not in OURS]  # foreign ones are preserved (CO1)


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
