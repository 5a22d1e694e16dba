"""The API server's validation of each kind, as kube-apiserver 1.36 does it (VL1-VL8).

`validate` takes an object with its defaults (kube/defaults.py), already checked for types and unknown
fields (kube/schema.py) and admitted (kube/admission.py), and returns every fault, in the order in which
the server lists them. The rules of a kind are imported when its first object comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.errors import Fault
from kubeplay.kube.validate.report import SERVICE_RANGE, Faults, Object

if TYPE_CHECKING:
    from kubeplay.kube.kinds import Kind


def validate(obj: Object, kind: Kind, *, service_range: str = SERVICE_RANGE) -> list[Fault]:
    """Every fault of a defaulted object; none for a kind that has no rules here.

    `service_range` is the IPv4 range in which a Service may ask for an address (another root has another one).
    """
    faults = Faults(service_range)
    if not isinstance(obj.get("metadata"), dict):
        obj = {**obj, "metadata": {}}
    rule = _KINDS.get((kind.group, kind.kind))
    if rule is not None:
        from importlib import import_module

        module, name = rule
        getattr(import_module(f"{__name__}.{module}"), name)(faults, obj)
    return faults.items


_RBAC = "rbac.authorization.k8s.io"
# (group, kind) -> the module here and the function of it that judges the kind
_KINDS: dict[tuple[str, str], tuple[str, str]] = {
    ("", "Pod"): ("pod", "pod"),
    ("", "ConfigMap"): ("data", "config_map"),
    ("", "Secret"): ("data", "secret"),
    ("", "Namespace"): ("data", "namespace"),
    ("", "PersistentVolumeClaim"): ("claim", "claim"),
    ("", "PersistentVolume"): ("storage", "volume"),
    ("storage.k8s.io", "StorageClass"): ("storage", "storage_class"),
    ("", "Service"): ("service", "service"),
    ("", "Endpoints"): ("endpoints", "endpoints"),
    ("discovery.k8s.io", "EndpointSlice"): ("endpoints", "endpoint_slice"),
    ("apps", "Deployment"): ("workload", "deployment"),
    ("apps", "ReplicaSet"): ("workload", "replica_set"),
    ("apps", "StatefulSet"): ("statefulset", "stateful_set"),
    ("apps", "DaemonSet"): ("daemonset", "daemon_set"),
    ("autoscaling", "HorizontalPodAutoscaler"): ("autoscaler", "autoscaler"),
    ("policy", "PodDisruptionBudget"): ("disruption", "budget"),
    ("batch", "Job"): ("job", "job"),
    ("batch", "CronJob"): ("cronjob", "cron_job"),
    ("", "ServiceAccount"): ("policy", "service_account"),
    ("", "LimitRange"): ("policy", "limit_range"),
    ("", "ResourceQuota"): ("policy", "resource_quota"),
    ("scheduling.k8s.io", "PriorityClass"): ("policy", "priority_class"),
    (_RBAC, "Role"): ("rbac", "role"),
    (_RBAC, "ClusterRole"): ("rbac", "cluster_role"),
    (_RBAC, "RoleBinding"): ("rbac", "role_binding"),
    (_RBAC, "ClusterRoleBinding"): ("rbac", "cluster_role_binding"),
    ("networking.k8s.io", "Ingress"): ("ingress", "ingress"),
    ("networking.k8s.io", "IngressClass"): ("ingress", "ingress_class"),
    ("networking.k8s.io", "NetworkPolicy"): ("networkpolicy", "network_policy"),
}
