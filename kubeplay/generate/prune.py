"""Stored objects back to what an author writes: without what the server fills in (DF1, DE1), sets or reports.

The rule is not kept twice. A field may go when kube.defaults would put the same value back: the object is stripped of
everything that could be a default, filled in again, and what comes back equal was a default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubeplay.kube.kinds import Kind

Object = dict[str, Any]

# Fields that some default fills; a name too many costs nothing, since only equal values go.
# Pods (DF1), workloads (DE1), Services, claims and namespaces (SV1, SV3).
_CANDIDATE_TEXT = """
restartPolicy dnsPolicy terminationGracePeriodSeconds schedulerName securityContext enableServiceLinks serviceAccount serviceAccountName
priority preemptionPolicy imagePullPolicy terminationMessagePath terminationMessagePolicy resources requests protocol hostPort defaultMode
type apiVersion divisor pullPolicy optional volumeMode timeoutSeconds periodSeconds successThreshold failureThreshold path scheme service
expirationSeconds
replicas strategy revisionHistoryLimit progressDeadlineSeconds
sessionAffinity sessionAffinityConfig targetPort externalTrafficPolicy internalTrafficPolicy ipFamilies ipFamilyPolicy clusterIPs finalizers
dataSourceRef allocateLoadBalancerNodePorts
persistentVolumeReclaimPolicy reclaimPolicy volumeBindingMode
backoffLimit completionMode suspend manualSelector podReplacementPolicy metadata
concurrencyPolicy successfulJobsHistoryLimit failedJobsHistoryLimit
podManagementPolicy updateStrategy rollingUpdate partition maxUnavailable maxSurge persistentVolumeClaimRetentionPolicy
whenDeleted whenScaled kind status minReplicas metrics targetCPUUtilizationPercentage behavior scaleUp scaleDown stabilizationWindowSeconds
selectPolicy policies
"""
_CANDIDATES = frozenset(_CANDIDATE_TEXT.split())
# Candidates that decide over other defaults: a NodePort Service gets fields that a ClusterIP one does not.
_DECIDING = frozenset(("type", "sessionAffinity", "ipFamilyPolicy", "serviceAccountName"))
# Maps of the author's own keys, never looked into.
_OPAQUE = frozenset(
    ("parameters", "capacity", "labels", "annotations", "data", "binaryData", "stringData", "nodeSelector", "matchLabels", "selector")
)
_TOP = frozenset(("apiVersion", "kind", "metadata", "spec", "provisioner"))
_METADATA = ("name", "namespace", "labels", "annotations")
NAMESPACE_LABEL = "kubernetes.io/metadata.name"
# annotations that a server or a controller writes (DE4, DS1)
CONTROLLERS_OWN = ("deployment.kubernetes.io/", "deprecated.daemonset.template.generation")
# what tools that apply files note about them: their own business at the next apply
TOOLS_OWN = ("kubectl.kubernetes.io/last-applied-configuration", "applyset.kubernetes.io/")


def prune(obj: Object, kind: Kind) -> Object:
    """A new object that defaults turn into the same one again."""
    from kubeplay.kube import defaults

    plain = {field: value for field, value in obj.items() if field != "status"}
    plain["metadata"] = _metadata(obj["metadata"], kind)
    undecided = defaults.apply(_bare(plain, _CANDIDATES), kind)
    decided = defaults.apply(_bare(plain, _CANDIDATES - _DECIDING), kind)
    small: Object = _without_defaults(plain, undecided, decided)
    _drop_alias(small)
    return small if defaults.apply(small, kind) == defaults.apply(plain, kind) else plain


def _metadata(meta: Object, kind: Kind) -> Object:
    made = {field: meta[field] for field in _METADATA if meta.get(field)}
    if made.get("namespace") == "default" or not kind.namespaced:
        made.pop("namespace", None)
    others = (*TOOLS_OWN, NAMESPACE_LABEL) if kind.kind == "Namespace" else TOOLS_OWN
    for field, own in (("labels", others), ("annotations", (*CONTROLLERS_OWN, *TOOLS_OWN))):
        kept = {name: value for name, value in made.pop(field, {}).items() if not name.startswith(own)}
        made.update({field: kept} if kept else {})
    return made


def _drop_alias(obj: Object) -> None:
    """Drop `serviceAccount`, the old second name that defaults add to serviceAccountName."""
    spec = obj.get("spec") or {}
    for pod in (spec, (spec.get("template") or {}).get("spec") or {}):
        if pod.get("serviceAccountName"):
            pod.pop("serviceAccount", None)


def _bare(value: Any, gone: frozenset[str], top: bool = True) -> Any:
    """A copy without the fields `gone`, whatever their values."""
    if isinstance(value, list):
        return [_bare(item, gone, False) for item in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for key, item in value.items():
        if key in _OPAQUE:
            made[key] = item
        elif (top and key in _TOP) or key not in gone:
            made[key] = _bare(item, gone, False)
    return made


def _without_defaults(value: Any, undecided: Any, decided: Any, top: bool = True) -> Any:
    """`value` without the candidates that a default has filled in just the same."""
    if isinstance(value, list):
        twins = zip(value, _items(undecided, value), _items(decided, value))
        return [_without_defaults(item, one, other, False) for item, one, other in twins]
    if not isinstance(value, dict):
        return value
    made = {}
    for key, item in value.items():
        filled = undecided if key in _DECIDING else decided
        if key in _OPAQUE:
            made[key] = item
        elif not (top and key in _TOP) and key in _CANDIDATES and isinstance(filled, dict) and key in filled and filled[key] == item:
            continue
        else:
            inner = _without_defaults(item, _field(undecided, key), _field(decided, key), False)
            if inner or not item:  # a record that held only defaults goes as a whole
                made[key] = inner
    return made


def _items(filled: Any, like: list[Any]) -> list[Any]:
    return filled if isinstance(filled, list) and len(filled) == len(like) else [None] * len(like)


def _field(filled: Any, key: str) -> Any:
    return filled.get(key) if isinstance(filled, dict) else None
