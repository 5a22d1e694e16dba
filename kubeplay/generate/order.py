"""The order in which people expect keys and documents; the rest follows by name, so output is stable."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

_KEYS = """
apiVersion kind metadata type immutable data stringData binaryData spec
name namespace labels annotations
replicas selector strategy template completions parallelism
image imagePullPolicy command args workingDir envFrom env ports resources volumeMounts
hostname subdomain restartPolicy initContainers containers volumes
ip accessModes clusterIP port targetPort nodePort containerPort hostPort hostIP protocol
mountPath subPath subPathExpr readOnly value valueFrom prefix key path mode
"""
_RANK = {name: number for number, name in enumerate(_KEYS.split())}
_MAPS = frozenset(("labels", "annotations", "data", "binaryData", "stringData", "nodeSelector", "matchLabels", "limits", "requests"))
# podman-kube-facts.md section 5: what a workload needs comes before it.
DOCUMENTS = ("Namespace", "PriorityClass", "LimitRange", "ResourceQuota", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role",
             "RoleBinding", "StorageClass", "PersistentVolume", "PersistentVolumeClaim", "Service", "Endpoints", "EndpointSlice",
             "IngressClass", "Ingress", "NetworkPolicy", "ConfigMap", "Secret", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet",
             "PodDisruptionBudget", "HorizontalPodAutoscaler", "CronJob", "Job", "Pod")  # fmt: skip


def keys(value: Any, name: str = "") -> Any:
    """A copy with every record's keys in canonical order; maps of the author's own keys are sorted."""
    if isinstance(value, list):
        return [keys(item) for item in value]
    if not isinstance(value, dict):
        return value
    own = name in _MAPS or (name == "selector" and not {"matchLabels", "matchExpressions"} & value.keys())
    order = sorted(value) if own else sorted(value, key=lambda key: (_RANK.get(key, len(_RANK)), key))
    return {key: value[key] if own else keys(value[key], key) for key in order}


def documents(objects: list[Object]) -> list[Object]:
    """Objects in the order of DOCUMENTS, each kind in the order given."""
    return sorted(objects, key=lambda obj: DOCUMENTS.index(obj["kind"]) if obj["kind"] in DOCUMENTS else len(DOCUMENTS))
