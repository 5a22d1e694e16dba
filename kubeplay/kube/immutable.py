"""What of a stored workload or policy may not change (VL6): pure, over defaulted objects. Names of fields are the API's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
FIXED = "field is immutable"
_STATEFUL = ("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy",
             "minReadySeconds")  # fmt: skip
STATEFUL_TEXT = (
    "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy',"
    " 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
# kind -> fields that stay for ever
_FIELDS: dict[str, tuple[str, ...]] = {
    "Deployment": ("spec.selector",),
    "ReplicaSet": ("spec.selector",),
    "DaemonSet": ("spec.selector",),
    "Job": ("spec.selector", "spec.completionMode", "spec.podFailurePolicy", "spec.backoffLimitPerIndex", "spec.managedBy",
            "spec.successPolicy"),
    "CronJob": (),
    "HorizontalPodAutoscaler": (),
    "PodDisruptionBudget": (),
    "Ingress": (),
    "IngressClass": ("spec.controller",),
    "NetworkPolicy": (),
    "ResourceQuota": ("spec.scopes",),
    "LimitRange": (),
    "ServiceAccount": (),
    "Role": (),
    "ClusterRole": (),
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
    "PriorityClass": ("value", "preemptionPolicy"),
    "Namespace": (),
}  # fmt: skip


def knows(kind: str) -> bool:
    """Whether the rules of a kind's updates stand here."""
    return kind in _FIELDS or kind in _MORE


def faults(kind: str, old: Json, new: Json) -> list[str]:
    """Why an object cannot become `new`, a line each; nothing when it can."""
    lines = [f"{path}: {FIXED}" for path in _FIELDS.get(kind, ()) if _at(old, path) != _at(new, path)]
    more = _MORE.get(kind)
    return lines + (more(old, new) if more else [])


def _at(obj: Any, path: str) -> Any:
    for step in path.split("."):
        obj = obj.get(step) if isinstance(obj, dict) else None
    return None if obj in ({}, [], "") else obj


def _stateful(old: Json, new: Json) -> list[str]:
    before, after = ({k: v for k, v in one["spec"].items() if k not in _STATEFUL and v is not None} for one in (old, new))
    return [] if before == after else [STATEFUL_TEXT]


def _job(old: Json, new: Json) -> list[str]:
    """The template while it runs; completions, except of an Indexed Job that grows together with its parallelism."""
    lines = []
    was, now = old["spec"], new["spec"]
    if was.get("completions") != now.get("completions"):
        elastic = now.get("completionMode") == "Indexed" and now.get("completions") == now.get("parallelism") is not None
        if not (elastic and was.get("completions") == was.get("parallelism")):
            lines.append(f"spec.completions: {FIXED}")
    if _bare(was["template"]) != _bare(now["template"]):
        lines.append(f"spec.template: {FIXED}")
    return lines


def _bare(template: Json) -> Json:
    """A Job's template without the labels that its controller adds (JO2)."""
    added = ("controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name")
    meta = template.get("metadata") or {}
    labels = {name: value for name, value in (meta.get("labels") or {}).items() if name not in added}
    return {**template, "metadata": {**{k: v for k, v in meta.items() if k != "labels"}, **({"labels": labels} if labels else {})}}


_MORE: dict[str, Callable[[Json, Json], list[str]]] = {"StatefulSet": _stateful, "Job": _job}
