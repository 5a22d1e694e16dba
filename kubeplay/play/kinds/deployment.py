"""Deployment: one ReplicaSet of its present template, and that one's pods (DE2, DE4)."""

from __future__ import annotations

from typing import Any

from kubeplay.play.compile import CompileOptions
from kubeplay.play.kinds import names, workload
from kubeplay.play.kinds.base import Object, Part, key, planned

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def build(obj: Object, templates: list[Object], options: CompileOptions) -> Part:
    code = names.template_hash(obj["spec"]["template"])
    replica_set = _replica_set(obj, code)
    labelled = [_labelled(template, code) for template in templates]
    pods = workload.pods_of(replica_set, labelled, workload.podman_marks(obj), options)
    return workload.joined((planned(obj), planned(replica_set, key(obj))), pods)


def _replica_set(obj: Object, code: str) -> Object:
    spec, name = obj["spec"], key(obj)
    template = _labelled(spec["template"], code)
    selector = dict(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: code}
    replicas = 1 if spec.get("replicas") is None else spec["replicas"]
    made: Object = {"replicas": replicas, "selector": selector, "template": template}
    if spec.get("minReadySeconds"):
        made["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name.name}-{code}",
            "namespace": name.namespace,
            "labels": dict(template["metadata"]["labels"]),
            "annotations": _annotations(obj, replicas),
            "ownerReferences": [workload.owner_reference(obj)],
        },
        "spec": made,
    }


def _labelled(template: Object, code: str) -> Object:
    meta = dict(template.get("metadata") or {})
    meta["labels"] = {**(meta.get("labels") or {}), HASH_LABEL: code}
    return {**template, "metadata": meta}


def _annotations(obj: Object, replicas: int) -> dict[str, str]:
    """DE4: the Deployment's own, its revision, and the bounds of a rollout."""
    marks = {name: value for name, value in (obj["metadata"].get("annotations") or {}).items() if name != LAST_APPLIED}
    marks[REVISION] = "1"
    marks["deployment.kubernetes.io/desired-replicas"] = str(replicas)
    marks["deployment.kubernetes.io/max-replicas"] = str(replicas + _surge(obj["spec"], replicas))
    return marks


def _surge(spec: dict[str, Any], replicas: int) -> int:
    """DE1: a percentage is rounded up."""
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return 0
    surge = (strategy.get("rollingUpdate") or {}).get("maxSurge", "25%")
    if isinstance(surge, str):
        return -(-replicas * int(surge.rstrip("%")) // 100)
    return int(surge)
