"""What shows only when the objects of a stack are seen together."""

from __future__ import annotations

from collections.abc import Sequence

from kubeplay.kube.portable.model import CLUSTER, WARNING, Finding, Object, items, part, record

_ONE_NODE = ["ReadWriteOnce"]
_TEMPLATED = ("Deployment", "ReplicaSet", "ReplicationController")


def together(objects: Sequence[Object], target: str = CLUSTER) -> dict[int, list[Finding]]:
    """Findings by the index of the object they are about; nothing for this machine, which is one node."""
    if target != CLUSTER:
        return {}
    claims = {
        (_namespace(obj), record(obj, "metadata").get("name"))
        for obj in objects
        if obj.get("kind") == "PersistentVolumeClaim" and record(obj, "spec").get("accessModes") == _ONE_NODE
    }
    found: dict[int, list[Finding]] = {}
    for index, obj in enumerate(objects):
        pod = part(obj)
        if pod is None or not _spread(obj):
            continue
        for at, volume in enumerate(items(pod.spec, "volumes")):
            name = record(volume, "persistentVolumeClaim").get("claimName")
            if (_namespace(obj), name) in claims:
                path = (*pod.at, "spec", "volumes", at, "persistentVolumeClaim", "claimName")
                why = "a ReadWriteOnce claim of several pods: those on another node than the first wait for ever"
                remedy = "a StatefulSet with volumeClaimTemplates, or a ReadWriteMany claim"
                found.setdefault(index, []).append(Finding(path, WARNING, why, remedy, "shared-claim"))
    return found


def _spread(obj: Object) -> bool:
    """Whether there may be several of its pods at once."""
    replicas = record(obj, "spec").get("replicas")
    return obj.get("kind") == "DaemonSet" or (obj.get("kind") in _TEMPLATED and isinstance(replicas, int) and replicas > 1)


def _namespace(obj: Object) -> str:
    return str(record(obj, "metadata").get("namespace") or "default")
