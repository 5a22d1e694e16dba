"""One container's part of a pod's status: its state and the one before, ready, started (CS1, CS2, CS6-CS9, TM1): pure."""

from __future__ import annotations

from kubeplay.clock import rfc3339
from kubeplay.kube import resize
from kubeplay.kube.restarts import follows
from kubeplay.kube.views import CRASH_LOOP, RESTARTING_ALL, ContainerView, Instance, Json, PodView
from kubeplay.plan.container import INIT, SIDECAR
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.volumes import Mount

POD_MESSAGE = 12 * 1024  # TM1: bytes of termination messages in a status, split evenly among the pod's containers
_NOTICED = 10.0  # seconds from an end to the sync that shows the back-off (RB5, record 121); the end itself is shown until then


def noticed(view: ContainerView, now: float) -> ContainerView:
    ended = view.current.finished if view.current else None
    fresh = view.waiting == CRASH_LOOP and ended is not None and now < ended + _NOTICED
    return view._replace(waiting="", message="") if fresh else view


def container(view: ContainerView, pod: PodView) -> Json:
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
        again = not pod.ending and not pod.finished and current is not None and goes_on(view, current.exit_code)
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


def goes_on(container: ContainerView, code: int | None) -> bool:
    return follows(container.plan, code, container.killed)


def exit_code(status: Json) -> int | None:
    """Exit code of a container that has ended, counting one that waits for its restart (PH2)."""
    for part in ("state", "lastState"):
        if "terminated" in status[part]:
            return int(status[part]["terminated"]["exitCode"])
        if part == "state" and "running" in status[part]:
            return None
    return None
