"""When a workload is as its file wants it, by its status alone: what `play --wait-ready` and `rollout status` go by. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubeplay.kube import rollout
from kubeplay.record import Record

Json = dict[str, Any]
OVERDUE = "ProgressDeadlineExceeded"


class Verdict(Record):
    """`failed` says why it will not come about, "" = it may; `text` what it waits for, in kubectl's words."""

    done: bool
    failed: str = ""
    text: str = ""


def judge(body: Json, status: Json, generation: int) -> Verdict:
    """Whether the object is there, will never be, or what is missing. A kind without a rule is there as it is."""
    rule = _RULES.get(body["kind"])
    return rule(body, status, generation) if rule else Verdict(True)


def knows(kind: str) -> bool:
    return kind in _RULES


def condition(status: Json, type: str) -> Json:
    """A condition by its type, {} when it is not there."""
    found: list[Json] = status.get("conditions") or []
    return next((one for one in found if one.get("type") == type), {})


def deployment(body: Json, status: Json, generation: int) -> Verdict:
    """kubectl's rollout status of a Deployment."""
    name, spec = body["metadata"]["name"], body["spec"]
    if (status.get("observedGeneration") or 0) < generation:
        return Verdict(False, text="Waiting for deployment spec update to be observed...")
    if condition(status, "Progressing").get("reason") == OVERDUE:
        return Verdict(False, f'deployment "{name}" exceeded its progress deadline')
    count, updated = rollout.replicas(spec), status.get("updatedReplicas") or 0
    waiting = f'Waiting for deployment "{name}" rollout to finish: '
    if updated < count:
        return Verdict(False, text=f"{waiting}{updated} out of {count} new replicas have been updated...")
    old = (status.get("replicas") or 0) - updated
    if old > 0:
        return Verdict(False, text=f"{waiting}{old} old replicas are pending termination...")
    available = status.get("availableReplicas") or 0
    if available < updated:
        return Verdict(False, text=f"{waiting}{available} of {updated} updated replicas are available...")
    return Verdict(True, text=f'deployment "{name}" successfully rolled out')


def _paused(body: Json, status: Json, generation: int) -> Verdict:
    """For who waits for a play: a paused Deployment rolls nothing out, nobody should wait for it."""
    if body["spec"].get("paused"):
        return Verdict(True, text=f'deployment "{body["metadata"]["name"]}" is paused')
    return deployment(body, status, generation)


def replica_set(body: Json, status: Json, generation: int) -> Verdict:
    name, count = body["metadata"]["name"], rollout.replicas(body["spec"])
    if (status.get("observedGeneration") or 0) < generation:
        return Verdict(False, text=f'Waiting for replica set "{name}" spec update to be observed...')
    available = status.get("availableReplicas") or 0
    text = f'Waiting for replica set "{name}": {available} of {count} replicas are available...'
    return Verdict(True) if available >= count and (status.get("replicas") or 0) == count else Verdict(False, text=text)


def daemon_set(body: Json, status: Json, generation: int) -> Verdict:
    """kubectl's rollout status of a DaemonSet."""
    name = body["metadata"]["name"]
    if (status.get("observedGeneration") or 0) < generation:
        return Verdict(False, text="Waiting for daemon set spec update to be observed...")
    desired = status.get("desiredNumberScheduled") or 0
    updated, available = status.get("updatedNumberScheduled") or 0, status.get("numberAvailable") or 0
    waiting = f'Waiting for daemon set "{name}" rollout to finish: '
    by_hand = (body["spec"].get("updateStrategy") or {}).get("type") == "OnDelete"
    if updated < desired and not by_hand:
        return Verdict(False, text=f"{waiting}{updated} out of {desired} new pods have been updated...")
    if available < desired:
        return Verdict(False, text=f"{waiting}{available} of {desired} updated pods are available...")
    return Verdict(True, text=f'daemon set "{name}" successfully rolled out')


def stateful_set(body: Json, status: Json, generation: int) -> Verdict:
    """kubectl's rollout status of a StatefulSet."""
    spec = body["spec"]
    if (status.get("observedGeneration") or 0) < generation:
        return Verdict(False, text="Waiting for statefulset spec update to be observed...")
    count, ready = rollout.replicas(spec), status.get("readyReplicas") or 0
    if ready < count:
        return Verdict(False, text=f"Waiting for {count - ready} pods to be ready...")
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return Verdict(True)
    updated = status.get("updatedReplicas") or 0
    partition = (strategy.get("rollingUpdate") or {}).get("partition")
    if partition is not None:
        if updated < count - partition:
            text = f"Waiting for partitioned roll out to finish: {updated} out of {count - partition} new pods have been updated..."
            return Verdict(False, text=text)
        return Verdict(True, text=f"partitioned roll out complete: {updated} new pods have been updated...")
    if status.get("updateRevision") != status.get("currentRevision"):
        text = f"waiting for statefulset rolling update to complete {updated} pods at revision {status.get('updateRevision')}..."
        return Verdict(False, text=text)
    current = status.get("currentReplicas") or 0
    return Verdict(True, text=f"statefulset rolling update complete {current} pods at revision {status.get('currentRevision')}...")


def job(body: Json, status: Json, generation: int) -> Verdict:
    """Complete, failed, or suspended: then nobody should wait for it."""
    name, failed = body["metadata"]["name"], condition(status, "Failed")
    if condition(status, "Complete").get("status") == "True":
        return Verdict(True, text=f'job "{name}" complete')
    if failed.get("status") == "True":
        return Verdict(False, f'job "{name}" failed: {failed.get("reason", "")}: {failed.get("message", "")}')
    if body["spec"].get("suspend"):
        return Verdict(True, text=f'job "{name}" is suspended')
    wanted = body["spec"].get("completions")
    count = f"{status.get('succeeded') or 0}{f' of {wanted}' if wanted else ''}"
    return Verdict(False, text=f'Waiting for job "{name}" to complete: {count} pods have succeeded...')


_RULES: dict[str, Callable[[Json, Json, int], Verdict]] = {
    "Deployment": _paused,
    "ReplicaSet": replica_set,
    "DaemonSet": daemon_set,
    "StatefulSet": stateful_set,
    "Job": job,
}
