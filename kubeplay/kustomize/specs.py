"""Which fields the transformers change: kustomize's own field specs, of which nothing may be missing or added for a build to be the same.

The rows were written from the API's types and compared with what `kubectl kustomize` (v5.5.0) changes and leaves alone.
"""

from __future__ import annotations

from functools import lru_cache

from kubeplay.kustomize.fields import Spec, spec
from kubeplay.record import Record

_APPS, _BATCH, _RBAC, _NET = "apps", "batch", "rbac.authorization.k8s.io", "networking.k8s.io"
_TEMPLATE, _CRON = "spec/template/", "spec/jobTemplate/spec/template/"
# (kind, group, version) as the tables select them: a workload's group is asked for where another group might have that kind.
_RC, _DEPLOYMENT, _RS, _DS = ("ReplicationController", "", "v1"), ("Deployment",), ("ReplicaSet",), ("DaemonSet",)
_STS, _JOB, _CRONJOB = ("StatefulSet", _APPS), ("Job", _BATCH), ("CronJob", _BATCH)


def _rows(path: str, create: bool, *kinds: tuple[str, ...]) -> list[Spec]:
    return [spec(path, create, *kind) for kind in kinds]


def _affinity(kind: str) -> list[Spec]:
    """Selectors of pods inside of a pod template, which must go on matching."""
    term = "DuringSchedulingIgnoredDuringExecution/"
    paths = [
        f"spec/template/spec/affinity/{name}/{when}labelSelector/matchLabels"
        for name in ("podAffinity", "podAntiAffinity")
        for when in (f"preferred{term}podAffinityTerm/", f"required{term}")
    ]
    paths.append("spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels")
    return [spec(path, False, kind, _APPS) for path in paths]


METADATA_LABELS = spec("metadata/labels", True)
TEMPLATE_LABELS = (
    METADATA_LABELS,
    *_rows(f"{_TEMPLATE}metadata/labels", True, _RC, _DEPLOYMENT, _RS, _DS, _STS, _JOB),
    *_rows("spec/volumeClaimTemplates[]/metadata/labels", True, _STS),
    *_rows("spec/jobTemplate/metadata/labels", True, _CRONJOB),
    *_rows(f"{_CRON}metadata/labels", True, _CRONJOB),
)
LABELS = (
    *_rows("spec/selector", True, ("Service", "", "v1"), _RC),
    *_rows("spec/selector/matchLabels", True, _DEPLOYMENT, _RS, _DS, _STS),
    *_rows("spec/selector/matchLabels", False, _JOB, ("PodDisruptionBudget", "policy")),
    *_rows("spec/jobTemplate/spec/selector/matchLabels", False, _CRONJOB),
    *_affinity("Deployment"),
    *_affinity("StatefulSet"),
    *_rows("spec/podSelector/matchLabels", False, ("NetworkPolicy", _NET)),
    *_rows("spec/ingress/from/podSelector/matchLabels", False, ("NetworkPolicy", _NET)),
    *_rows("spec/egress/to/podSelector/matchLabels", False, ("NetworkPolicy", _NET)),
    *TEMPLATE_LABELS,
)
ANNOTATIONS = (
    spec("metadata/annotations", True),
    *_rows(f"{_TEMPLATE}metadata/annotations", True, _RC, _DEPLOYMENT, _RS, _DS, ("StatefulSet",), _JOB),
    *_rows("spec/jobTemplate/metadata/annotations", True, _CRONJOB),
    *_rows(f"{_CRON}metadata/annotations", True, _CRONJOB),
)
NAMESPACES = (
    spec("metadata/name", True, "Namespace"),
    spec("spec/service/namespace", True, "APIService", "apiregistration.k8s.io"),
    spec("spec/conversion/webhook/clientConfig/service/namespace", False, "CustomResourceDefinition", "apiextensions.k8s.io"),
)
REPLICAS = tuple(_rows("spec/replicas", True, _DEPLOYMENT, ("ReplicationController",), _RS, ("StatefulSet",)))
# Whose names no prefix changes: other objects are called after them, or users are.
UNPREFIXED = (("CustomResourceDefinition", ""), ("APIService", "apiregistration.k8s.io"), ("Namespace", ""))


class Reference(Record):
    """Fields that hold the name of an object of a kind; "" stands for every group or version."""

    kind: str
    group: str
    version: str
    specs: tuple[Spec, ...]


_SETS = ("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "Job")
_ACCOUNTED = ("StatefulSet", "Deployment", "ReplicationController", "Job", "DaemonSet")


def _pods(fields: tuple[str, ...], holders: tuple[str, ...], pod: tuple[str, ...] = ("Pod",), template: bool = False) -> list[Spec]:
    """The fields of a pod's spec, wherever pods are described."""
    found = []
    for field in fields:
        found += [spec(f"spec/{field}", False, *pod), *_rows(f"{_TEMPLATE}spec/{field}", False, *[(kind,) for kind in holders])]
        found.append(spec(f"{_CRON}spec/{field}", False, "CronJob"))
        found += [spec(f"template/spec/{field}", False, "PodTemplate")] if template else []
    return found


def _of_containers(*fields: str) -> tuple[str, ...]:
    return tuple(f"{list_}/{field}" for list_ in ("containers", "initContainers") for field in fields)


def _annotated(*names: str) -> list[Spec]:
    return [Spec(("metadata", "annotations", name), False, "Ingress") for name in names]


def _config_maps() -> list[Spec]:
    fields = ("volumes/configMap/name", *_of_containers("env/valueFrom/configMapKeyRef/name", "envFrom/configMapRef/name"))
    return [
        *_pods((*fields, "volumes/projected/sources/configMap/name"), _SETS, ("Pod", "", "v1"), True),
        *_rows("rules/resourceNames", False, ("Role",), ("ClusterRole",)),
        *_annotated("nginx.ingress.kubernetes.io/fastcgi-params-configmap"),
    ]


def _secrets() -> list[Spec]:
    fields = ("volumes/secret/secretName", *_of_containers("env/valueFrom/secretKeyRef/name", "envFrom/secretRef/name"))
    names = ("ingress.kubernetes.io/auth-secret", "nginx.ingress.kubernetes.io/auth-secret", "nginx.ingress.kubernetes.io/auth-tls-secret")
    return [
        *_pods((*fields, "imagePullSecrets/name", "volumes/projected/sources/secret/name"), _SETS, ("Pod", "", "v1"), True),
        spec(f"{_TEMPLATE}spec/containers/env/valueFrom/secretKeyRef/name", False, "Service", "serving.knative.dev", "v1"),
        spec("spec/tls/secretName", False, "Ingress"),
        *_annotated(*names),
        spec("imagePullSecrets/name", False, "ServiceAccount"),
        *[spec(f"parameters/{name}", False, "StorageClass") for name in ("secretName", "adminSecretName", "userSecretName", "secretRef")],
        *_rows("rules/resourceNames", False, ("Role",), ("ClusterRole",)),
        spec("spec/azureFile/secretName", False, "PersistentVolume"),
    ]


def _services() -> list[Spec]:
    hooks = "admissionregistration.k8s.io"
    paths = ("spec/rules/http/paths/backend/serviceName", "spec/backend/serviceName", "spec/rules/http/paths/backend/service/name",
             "spec/defaultBackend/service/name")  # fmt: skip
    return [
        spec("spec/serviceName", False, "StatefulSet", _APPS),
        *[spec(path, False, "Ingress") for path in paths],
        spec("spec/service/name", False, "APIService", "apiregistration.k8s.io"),
        *_rows("webhooks/clientConfig/service", False, ("ValidatingWebhookConfiguration", hooks), ("MutatingWebhookConfiguration", hooks)),
    ]


@lru_cache(maxsize=1)
def references() -> tuple[Reference, ...]:
    scaled = (spec("spec/scaleTargetRef/name", False, "HorizontalPodAutoscaler"),)
    claims, classes = ("volumes/persistentVolumeClaim/claimName",), ("priorityClassName",)
    bindings = (("RoleBinding", _RBAC), ("ClusterRoleBinding", _RBAC))
    return (
        *[Reference(kind, "", "", scaled) for kind in ("Deployment", "ReplicationController", "ReplicaSet", "StatefulSet")],
        Reference("ConfigMap", "", "v1", tuple(_config_maps())),
        Reference("Secret", "", "v1", tuple(_secrets())),
        Reference("Service", "", "v1", tuple(_services())),
        Reference("Role", _RBAC, "", tuple(_rows("roleRef/name", False, bindings[0]))),
        Reference("ClusterRole", _RBAC, "", tuple(_rows("roleRef/name", False, *bindings))),
        Reference("ServiceAccount", "", "v1", (*_rows("subjects", False, *bindings), *_pods(("serviceAccountName",), _ACCOUNTED))),
        Reference("PersistentVolumeClaim", "", "v1", tuple(_pods(claims, _ACCOUNTED))),
        Reference("PersistentVolume", "", "v1", (spec("spec/volumeName", False, "PersistentVolumeClaim"),
                                                 spec("rules/resourceNames", False, "ClusterRole"))),
        Reference("StorageClass", "storage.k8s.io", "v1", (
            *_rows("spec/storageClassName", False, ("PersistentVolume",), ("PersistentVolumeClaim",)),
            spec("spec/volumeClaimTemplates/spec/storageClassName", False, "StatefulSet"))),
        Reference("PriorityClass", "scheduling.k8s.io", "v1", tuple(_pods(classes, _ACCOUNTED))),
        Reference("ValidatingAdmissionPolicy", "admissionregistration.k8s.io", "", (
            spec("spec/policyName", False, "ValidatingAdmissionPolicyBinding", "admissionregistration.k8s.io"),)),
    )  # fmt: skip
