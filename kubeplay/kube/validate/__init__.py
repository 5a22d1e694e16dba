"""The API server's validation of each kind, as kube-apiserver 1.36 does it (VL1-VL8).

`validate` takes an object with its defaults (kube/defaults.py), already checked for types and unknown
fields (kube/schema.py) and admitted (kube/admission.py), and returns every fault, in the order in which
the server lists them. The rules of a kind are imported when its first object comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kubeplay.errors import Fault
from kubeplay.kube.validate.report import SERVICE_RANGE, Faults, Object

if TYPE_CHECKING:
    from kubeplay.kube.kinds import Kind

Check = Callable[[Faults, Object], None]


def validate(obj: Object, kind: Kind, *, service_range: str = SERVICE_RANGE) -> list[Fault]:
    """Every fault of a defaulted object; none for a kind that has no rules here.

    `service_range` is the IPv4 range in which a Service may ask for an address (another root has another one).
    """
    faults = Faults(service_range)
    if not isinstance(obj.get("metadata"), dict):
        obj = {**obj, "metadata": {}}
    load = _KINDS.get((kind.group, kind.kind))
    if load is not None:
        load()(faults, obj)
    return faults.items


def _pod() -> Check:
    from kubeplay.kube.validate import pod

    return pod.pod


def _deployment() -> Check:
    from kubeplay.kube.validate import workload

    return workload.deployment


def _replica_set() -> Check:
    from kubeplay.kube.validate import workload

    return workload.replica_set


def _config_map() -> Check:
    from kubeplay.kube.validate import data

    return data.config_map


def _secret() -> Check:
    from kubeplay.kube.validate import data

    return data.secret


def _namespace() -> Check:
    from kubeplay.kube.validate import data

    return data.namespace


def _claim() -> Check:
    from kubeplay.kube.validate import claim

    return claim.claim


def _volume() -> Check:
    from kubeplay.kube.validate import storage

    return storage.volume


def _storage_class() -> Check:
    from kubeplay.kube.validate import storage

    return storage.storage_class


def _service() -> Check:
    from kubeplay.kube.validate import service

    return service.service


def _stateful_set() -> Check:
    from kubeplay.kube.validate import statefulset

    return statefulset.stateful_set


def _daemon_set() -> Check:
    from kubeplay.kube.validate import daemonset

    return daemonset.daemon_set


def _autoscaler() -> Check:
    from kubeplay.kube.validate import autoscaler

    return autoscaler.autoscaler


def _budget() -> Check:
    from kubeplay.kube.validate import disruption

    return disruption.budget


def _endpoints() -> Check:
    from kubeplay.kube.validate import endpoints

    return endpoints.endpoints


def _endpoint_slice() -> Check:
    from kubeplay.kube.validate import endpoints

    return endpoints.endpoint_slice


def _job() -> Check:
    from kubeplay.kube.validate import job

    return job.job


def _cron_job() -> Check:
    from kubeplay.kube.validate import cronjob

    return cronjob.cron_job


def _rule(module: str, name: str) -> Callable[[], Check]:
    """A rule by its name, imported when it is asked for."""

    def load() -> Check:
        from importlib import import_module

        found: Check = getattr(import_module(f"{__name__}.{module}"), name)
        return found

    return load


_RBAC = "rbac.authorization.k8s.io"
_KINDS: dict[tuple[str, str], Callable[[], Check]] = {
    ("", "Pod"): _pod,
    ("", "ConfigMap"): _config_map,
    ("", "Secret"): _secret,
    ("", "Namespace"): _namespace,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "PersistentVolume"): _volume,
    ("storage.k8s.io", "StorageClass"): _storage_class,
    ("", "Service"): _service,
    ("", "Endpoints"): _endpoints,
    ("discovery.k8s.io", "EndpointSlice"): _endpoint_slice,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("policy", "PodDisruptionBudget"): _budget,
    ("batch", "Job"): _job,
    ("batch", "CronJob"): _cron_job,
    ("", "ServiceAccount"): _rule("policy", "service_account"),
    ("", "LimitRange"): _rule("policy", "limit_range"),
    ("", "ResourceQuota"): _rule("policy", "resource_quota"),
    ("scheduling.k8s.io", "PriorityClass"): _rule("policy", "priority_class"),
    (_RBAC, "Role"): _rule("rbac", "role"),
    (_RBAC, "ClusterRole"): _rule("rbac", "cluster_role"),
    (_RBAC, "RoleBinding"): _rule("rbac", "role_binding"),
    (_RBAC, "ClusterRoleBinding"): _rule("rbac", "cluster_role_binding"),
    ("networking.k8s.io", "Ingress"): _rule("ingress", "ingress"),
    ("networking.k8s.io", "IngressClass"): _rule("ingress", "ingress_class"),
    ("networking.k8s.io", "NetworkPolicy"): _rule("networkpolicy", "network_policy"),
}
