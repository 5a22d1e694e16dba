"""What the API server fills in before it checks an object (semantics DF1 and the kinds' own rules).

`apply` never changes its argument. What the server adds at run time (uid, times, allocated addresses,
status) is not made here, nor a name for `generateName`: this is a pure function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubeplay.kube import defaults_endpoints, defaults_pod, defaults_policy
from kubeplay.kube.normal import fresh

if TYPE_CHECKING:
    from kubeplay.kube.kinds import Kind

Object = dict[str, Any]


def apply(obj: Object, kind: Kind) -> Object:
    """A new object with every default of its kind."""
    result: Object = fresh(obj)
    if not isinstance(result.get("metadata"), dict):
        result["metadata"] = {}
    fill = _KINDS.get((kind.group, kind.kind))
    if fill:
        fill(result)
    return result


def _record(parent: Object, field: str) -> Object:
    """The record in a field, made when absent."""
    value = parent.get(field)
    if not isinstance(value, dict):
        value = parent[field] = {}
    return value


def _pod(obj: Object) -> None:
    spec = _record(obj, "spec")
    defaults_pod.template(spec)
    defaults_pod.pod(spec)


def _template(spec: Object) -> None:
    template = _record(spec, "template")
    _record(template, "metadata")
    defaults_pod.template(_record(template, "spec"))


def _replica_set(obj: Object) -> None:
    spec = _record(obj, "spec")
    spec.setdefault("replicas", 1)
    _template(spec)


def _deployment(obj: Object) -> None:
    """DE1."""
    spec = _record(obj, "spec")
    for field, value in (("replicas", 1), ("revisionHistoryLimit", 10), ("progressDeadlineSeconds", 600)):
        spec.setdefault(field, value)
    strategy = _record(spec, "strategy")
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = _record(strategy, "rollingUpdate")
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    _template(spec)


def _secret(obj: Object) -> None:
    """VL2: stringData is merged over data, as base64, and gone."""
    if not obj.get("type"):
        obj["type"] = "Opaque"
    texts = obj.pop("stringData", None)
    if texts:
        from base64 import b64encode

        data = _record(obj, "data")
        for key, text in texts.items():
            data[key] = b64encode(str(text).encode("utf-8", "surrogatepass")).decode("ascii")


def _namespace(obj: Object) -> None:
    metadata = obj["metadata"]
    metadata.pop("namespace", None)  # kubectl drops it for what lives in no namespace
    if metadata.get("name"):
        _record(metadata, "labels")["kubernetes.io/metadata.name"] = metadata["name"]
    _record(obj, "spec").setdefault("finalizers", ["kubernetes"])


def _claim(obj: Object) -> None:
    spec = _record(obj, "spec")
    spec.setdefault("volumeMode", "Filesystem")
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source and not reference:
        spec["dataSourceRef"] = dict(source)
    elif reference and not source and not reference.get("namespace"):
        spec["dataSource"] = dict(reference)


def _volume(obj: Object) -> None:
    """PV2: a volume made by hand is kept."""
    spec = _record(obj, "spec")
    for field, value in (("persistentVolumeReclaimPolicy", "Retain"), ("volumeMode", "Filesystem")):
        spec.setdefault(field, value)
    if isinstance(spec.get("hostPath"), dict):
        spec["hostPath"].setdefault("type", "")


def _storage_class(obj: Object) -> None:
    """PV2: what a class makes goes with its claim."""
    for field, value in (("reclaimPolicy", "Delete"), ("volumeBindingMode", "Immediate")):
        obj.setdefault(field, value)


def _service(obj: Object) -> None:
    """SV1, SV3; addresses and node ports are given out later, when the Service is made."""
    spec = _record(obj, "spec")
    for field, value in (("sessionAffinity", "None"), ("type", "ClusterIP")):
        if not spec.get(field):
            spec[field] = value
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    if spec["sessionAffinity"] == "ClientIP":
        client = _record(_record(spec, "sessionAffinityConfig"), "clientIP")
        client.setdefault("timeoutSeconds", 10800)
    for port in defaults_pod.records(spec, "ports"):
        if not port.get("protocol"):
            port["protocol"] = "TCP"
        if not port.get("targetPort"):
            port["targetPort"] = port.get("port", 0)
    _traffic(spec)
    _families(spec)


def _traffic(spec: Object) -> None:
    reachable = spec["type"] in ("NodePort", "LoadBalancer") or (spec["type"] == "ClusterIP" and spec.get("externalIPs"))
    if reachable and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if spec["type"] in ("NodePort", "LoadBalancer", "ClusterIP"):
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def _families(spec: Object) -> None:
    """One family, IPv4, unless asked otherwise; the address texts are kept in step."""
    if spec["type"] == "ExternalName":
        return
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    headless = spec.get("clusterIP") == "None" and not spec.get("selector")
    if not spec.get("ipFamilyPolicy"):
        dual = len(spec.get("ipFamilies") or ()) > 1 or len(spec.get("clusterIPs") or ()) > 1
        spec["ipFamilyPolicy"] = "RequireDualStack" if dual or headless else "SingleStack"
    if not spec.get("ipFamilies"):
        spec["ipFamilies"] = ["IPv4"] if spec["ipFamilyPolicy"] == "SingleStack" else ["IPv4", "IPv6"]


def _sets(name: str) -> Callable[[Object], None]:
    """A rule of defaults_sets.py, read when its first object comes."""

    def fill(obj: Object) -> None:
        from kubeplay.kube import defaults_sets

        getattr(defaults_sets, name)(obj)

    return fill


def _job(obj: Object) -> None:
    from kubeplay.kube import defaults_batch

    defaults_batch.job(obj)


def _cron_job(obj: Object) -> None:
    from kubeplay.kube import defaults_batch

    defaults_batch.cron_job(obj)


def _ingress_class(obj: Object) -> None:
    from kubeplay.kube import defaults_networking

    defaults_networking.ingress_class(obj)


def _network_policy(obj: Object) -> None:
    from kubeplay.kube import defaults_networking

    defaults_networking.network_policy(obj)


_KINDS: dict[tuple[str, str], Callable[[Object], None]] = {
    ("", "Pod"): _pod,
    ("", "Secret"): _secret,
    ("", "Namespace"): _namespace,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "PersistentVolume"): _volume,
    ("storage.k8s.io", "StorageClass"): _storage_class,
    ("", "Service"): _service,
    ("", "Endpoints"): defaults_endpoints.endpoints,
    ("discovery.k8s.io", "EndpointSlice"): defaults_endpoints.endpoint_slice,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _sets("stateful_set"),
    ("apps", "DaemonSet"): _sets("daemon_set"),
    ("autoscaling", "HorizontalPodAutoscaler"): _sets("autoscaler"),
    ("batch", "Job"): _job,
    ("batch", "CronJob"): _cron_job,
    ("", "LimitRange"): defaults_policy.limit_range,
    ("scheduling.k8s.io", "PriorityClass"): defaults_policy.priority_class,
    ("rbac.authorization.k8s.io", "RoleBinding"): defaults_policy.binding,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): defaults_policy.binding,
    ("networking.k8s.io", "IngressClass"): _ingress_class,
    ("networking.k8s.io", "NetworkPolicy"): _network_policy,
}
