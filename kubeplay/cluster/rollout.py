"""When what was applied is up: the same questions as `kubectl rollout status` asks, of the kinds that come up at all. `verdict` is pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.errors import ClusterError, KubeplayError, Timeout
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.cluster.apply import Applied
    from kubeplay.cluster.connection import Connection

Object = dict[str, Any]
SECONDS = 300.0  # helm's --timeout
_PAUSES = (0.25, 0.5, 1.0, 2.0)  # seconds between two looks; the last one from then on


class Verdict(Record):
    """`done`, or what is waited for; `failed` when nothing more will come."""

    done: bool
    why: str = ""
    failed: bool = False


def verdict(obj: Object) -> Verdict:
    """Whether an object of the cluster is what its spec asks for."""
    kind, spec, status = str(obj.get("kind")), _map(obj.get("spec")), _map(obj.get("status"))
    judge = _JUDGES.get(kind)
    if judge is None:
        return Verdict(True)
    if kind in _CONTROLLED and _count(status, "observedGeneration") < _count(_map(obj.get("metadata")), "generation"):
        return Verdict(False, "the controller has not seen the change yet")
    return judge(spec, status)


def wait(
    connection: Connection, applied: Sequence[Applied], seconds: float, tell: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic, rest: Callable[[float], None] = time.sleep,
) -> None:  # fmt: skip
    """Until everything is up. Raises Timeout naming what is not, KubeplayError when something will never be."""
    open_, until, looks = [one for one in applied if one.resource is not None and one.object], clock() + seconds, 0
    said: dict[str, str] = {}
    while True:
        left: list[tuple[Applied, str]] = []
        for one in open_:
            found = _look(connection, one)
            if found.failed:
                raise KubeplayError(f"{one.title}: {found.why}")
            if not found.done:
                left.append((one, found.why))
                if said.get(one.title) != found.why:
                    said[one.title] = found.why
                    tell(f"{one.title}: {found.why}")
        open_ = [one for one, _ in left]
        if not open_:
            return
        if clock() >= until:
            waiting = "".join(f"\n  {one.title}: {why}" for one, why in left)
            raise Timeout(f"not up after {seconds:g} s:{waiting}", hint="what was applied stays; a longer --timeout waits longer")
        rest(_PAUSES[min(looks, len(_PAUSES) - 1)])
        looks += 1


def _look(connection: Connection, one: Applied) -> Verdict:
    assert one.resource is not None
    if one.resource.kind not in _JUDGES:
        return Verdict(True)
    meta = _map(one.object.get("metadata"))
    try:
        found = connection.get(one.resource.path(str(meta.get("namespace") or ""), one.item.name))
    except ClusterError as error:
        if error.status == 404:
            return Verdict(False, "it has been deleted meanwhile", True)
        raise
    return verdict(found)


def _deployment(spec: Object, status: Object) -> Verdict:
    for condition in _conditions(status):
        if (condition.get("type"), condition.get("reason")) == ("Progressing", "ProgressDeadlineExceeded"):
            return Verdict(False, f"exceeded its progress deadline: {str(condition.get('message') or '')[:300]}", True)
    wanted, updated = _count(spec, "replicas", 1), _count(status, "updatedReplicas")
    if updated < wanted:
        return Verdict(False, f"{updated} of {wanted} replicas have been updated")
    if _count(status, "replicas") > updated:
        return Verdict(False, f"{_count(status, 'replicas') - updated} old replicas are still ending")
    available = _count(status, "availableReplicas")
    return Verdict(available >= updated, f"{available} of {updated} updated replicas are available")


def _stateful_set(spec: Object, status: Object) -> Verdict:
    wanted, ready = _count(spec, "replicas", 1), _count(status, "readyReplicas")
    if ready < wanted:
        return Verdict(False, f"{ready} of {wanted} pods are ready")
    if _map(spec.get("updateStrategy")).get("type") == "OnDelete":
        return Verdict(True)
    partition = _count(_map(_map(spec.get("updateStrategy")).get("rollingUpdate")), "partition")
    updated = _count(status, "updatedReplicas")
    return Verdict(updated >= wanted - partition or status.get("updateRevision") == status.get("currentRevision"),
                   f"{updated} of {wanted - partition} pods have been updated")  # fmt: skip


def _daemon_set(spec: Object, status: Object) -> Verdict:
    wanted, updated = _count(status, "desiredNumberScheduled"), _count(status, "updatedNumberScheduled")
    if updated < wanted and _map(spec.get("updateStrategy")).get("type") != "OnDelete":
        return Verdict(False, f"{updated} of {wanted} pods have been updated")
    available = _count(status, "numberAvailable")
    return Verdict(available >= wanted, f"{available} of {wanted} pods are available")


def _replica_set(spec: Object, status: Object) -> Verdict:
    wanted, available = _count(spec, "replicas", 1), _count(status, "availableReplicas")
    return Verdict(available >= wanted, f"{available} of {wanted} replicas are available")


def _job(spec: Object, status: Object) -> Verdict:
    for condition in _conditions(status):
        if condition.get("type") == "Failed" and condition.get("status") == "True":
            return Verdict(False, f"failed: {str(condition.get('message') or condition.get('reason') or '')[:300]}", True)
        if condition.get("type") in ("Complete", "Suspended") and condition.get("status") == "True":
            return Verdict(True)
    return Verdict(False, f"{_count(status, 'succeeded')} of {_count(spec, 'completions', 1)} completions")


def _pod(spec: Object, status: Object) -> Verdict:
    phase = str(status.get("phase") or "Pending")[:20]
    if phase == "Failed":
        return Verdict(False, f"failed: {str(status.get('message') or status.get('reason') or '')[:300]}", True)
    ready = any(one.get("type") == "Ready" and one.get("status") == "True" for one in _conditions(status))
    return Verdict(ready or phase == "Succeeded", f"{phase}, not ready")


_CONTROLLED = frozenset(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"))
_JUDGES: dict[str, Callable[[Object, Object], Verdict]] = {
    "Deployment": _deployment, "StatefulSet": _stateful_set, "DaemonSet": _daemon_set, "ReplicaSet": _replica_set, "Job": _job, "Pod": _pod,
}  # fmt: skip


def _map(value: Any) -> Object:
    return value if isinstance(value, dict) else {}


def _count(value: Object, field: str, default: int = 0) -> int:
    found = value.get(field)
    return found if isinstance(found, int) else default


def _conditions(status: Object) -> list[Object]:
    found = status.get("conditions")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
