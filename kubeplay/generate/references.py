"""What an object needs beside itself: the ConfigMaps, Secrets, claims, classes, accounts and Services that its fields name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kubeplay.kube.portable.model import Part, items, part, record
from kubeplay.plan.stack import CLUSTER_WIDE, ObjectKey

Object = dict[str, Any]
Named = Iterator[tuple[str, Any]]


def uses(obj: Object) -> list[ObjectKey]:
    """The objects that `obj` refers to, each once, in the order of its fields. Whether they exist is not looked at."""
    namespace = obj["metadata"].get("namespace") or "default"
    found: dict[ObjectKey, None] = {}
    pod = part(obj)
    rule = _RULES.get(obj["kind"])
    for kind, name in (*(rule(obj) if rule else ()), *(_pod(pod) if pod else ())):
        if name and isinstance(name, str):
            found[ObjectKey(kind, "" if kind in CLUSTER_WIDE else namespace, name)] = None
    return list(found)


def _pod(pod: Part) -> Named:
    spec = pod.spec
    yield from _volumes(spec)
    yield from _variables(pod)
    for secret in items(spec, "imagePullSecrets"):
        yield "Secret", secret.get("name")
    yield "ServiceAccount", spec.get("serviceAccountName")
    yield "PriorityClass", spec.get("priorityClassName")


def _volumes(spec: Object) -> Named:
    for volume in items(spec, "volumes"):
        for field, kind, name in _VOLUMES:
            yield kind, record(volume, field).get(name)
        for source in items(record(volume, "projected"), "sources"):
            for field, kind in _SOURCES:
                yield kind, record(source, field).get("name")
        yield "StorageClass", record(record(record(volume, "ephemeral"), "volumeClaimTemplate"), "spec").get("storageClassName")


_SOURCES = (("configMap", "ConfigMap"), ("secret", "Secret"))
_VOLUMES = (
    ("configMap", "ConfigMap", "name"),
    ("secret", "Secret", "secretName"),
    ("persistentVolumeClaim", "PersistentVolumeClaim", "claimName"),
)


def _variables(pod: Part) -> Named:
    for _, container in pod.containers():
        sources = [*items(container, "envFrom"), *[record(entry, "valueFrom") for entry in items(container, "env")]]
        for source in sources:
            for field, kind in _SOURCES:
                for form in ("Ref", "KeyRef"):
                    yield kind, record(source, field + form).get("name")


def _claim(obj: Object) -> Named:
    spec = record(obj, "spec")
    yield "PersistentVolume", spec.get("volumeName")
    yield "StorageClass", spec.get("storageClassName")


def _stateful_set(obj: Object) -> Named:
    spec = record(obj, "spec")
    yield "Service", spec.get("serviceName")
    for template in items(spec, "volumeClaimTemplates"):
        yield "StorageClass", record(template, "spec").get("storageClassName")


def _ingress(obj: Object) -> Named:
    """Its class and Services. Not its certificates: each cluster has its own, and an Ingress is taken without."""
    spec = record(obj, "spec")
    yield "IngressClass", spec.get("ingressClassName")
    backends = [record(spec, "defaultBackend")]
    for rule in items(spec, "rules"):
        backends += [record(path, "backend") for path in items(record(rule, "http"), "paths")]
    for backend in backends:
        yield "Service", record(backend, "service").get("name")


def _binding(obj: Object) -> Named:
    role, namespace = record(obj, "roleRef"), obj["metadata"].get("namespace") or "default"
    yield str(role.get("kind")), role.get("name")
    for subject in items(obj, "subjects"):
        if subject.get("kind") == "ServiceAccount" and subject.get("namespace") in (None, namespace):
            yield "ServiceAccount", subject.get("name")


def _account(obj: Object) -> Named:
    for secret in (*items(obj, "imagePullSecrets"), *items(obj, "secrets")):
        yield "Secret", secret.get("name")


_RULES: dict[str, Callable[[Object], Named]] = {
    "PersistentVolumeClaim": _claim, "StatefulSet": _stateful_set, "Ingress": _ingress, "RoleBinding": _binding,
    "ClusterRoleBinding": _binding, "ServiceAccount": _account,
}  # fmt: skip
