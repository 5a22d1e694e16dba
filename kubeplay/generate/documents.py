"""From stored objects to the list of manifests: pure, no store, no engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.generate import order, pod, service, storage, workload
from kubeplay.generate.options import GenerateOptions, Wanted
from kubeplay.generate.prune import prune
from kubeplay.kube import ephemeral
from kubeplay.plan.stack import CLUSTER_WIDE, ObjectKey

Object = dict[str, Any]
Stored = Callable[[ObjectKey], "Object | None"]
_WORKLOADS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job")


def generate(wanted: Wanted, stored: Stored, options: GenerateOptions = GenerateOptions()) -> list[Object]:  # noqa: B008
    """Manifests of everything wanted and of what it refers to, in canonical order. Raises InvalidInput."""
    main = [*wanted.objects, *([pod.of_containers(wanted.containers)] if wanted.containers else [])]
    found: dict[ObjectKey, Object] = {}
    for obj in main:
        for made in _expanded(obj, options):
            found.setdefault(_key(made), made)
    for volume in wanted.volumes:
        made = storage.claim(volume)
        found.setdefault(_key(made), made)
    queue = list(found.values())
    for obj in queue:
        for key in uses(obj):
            other = None if key in found else stored(key)
            if other is not None:
                found[key] = other
                queue.append(other)
    return order.documents([_finished(obj, options) for obj in found.values()])


def _expanded(obj: Object, options: GenerateOptions) -> Iterator[Object]:
    """The object in the form asked for, with its Service."""
    if obj["kind"] == "Pod":
        if not obj["spec"].get("containers"):
            raise InvalidInput(f"pod {obj['metadata']['name']} has no containers: a cluster knows no such pod")
        if any(key.startswith("rootfs.kubeplay.io/") for key in obj["metadata"].get("annotations") or {}):
            raise InvalidInput(f"pod {obj['metadata']['name']} runs from a directory of this machine (--rootfs): no cluster can")
        obj = pod.plain(obj)
        if options.type in ("deployment", "daemonset", "job"):
            obj = workload.wrap(obj, options.type, options.replicas)
    elif obj["kind"] in _WORKLOADS:
        obj = _converted(obj, options)
    if options.service and obj["kind"] in ("Pod", "Deployment", "ReplicaSet", "DaemonSet"):
        yield service.of(obj)
        obj = service.published(obj)
    yield obj


def _converted(obj: Object, options: GenerateOptions) -> Object:
    """A stored workload, as it is or as another type made of its template."""
    if options.type in ("", "deployment") and obj["kind"] == "Deployment":
        return {**obj, "spec": {**obj["spec"], "replicas": options.replicas}} if options.replicas is not None else obj
    if not options.type:
        return obj
    meta, template = obj["metadata"], obj["spec"]["template"]
    labels = {key: value for key, value in (template["metadata"].get("labels") or {}).items() if key != pod.HASH_LABEL}
    made: Object = {"name": meta["name"], "namespace": meta.get("namespace") or "default", "labels": labels}
    if template["metadata"].get("annotations"):
        made["annotations"] = template["metadata"]["annotations"]
    one: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": template["spec"]}
    if options.type == "pod":
        return one
    wrapped = workload.wrap(one, options.type, options.replicas)
    wrapped["metadata"]["name"] = meta["name"]
    return wrapped


def _key(obj: Object) -> ObjectKey:
    meta = obj["metadata"]
    return ObjectKey(obj["kind"], "" if obj["kind"] in CLUSTER_WIDE else meta.get("namespace") or "default", meta["name"])


def uses(obj: Object) -> list[ObjectKey]:
    """ConfigMaps, Secrets and claims that a pod or a workload refers to, each once, in order; of a claim its volume and class."""
    if obj["kind"] == "PersistentVolumeClaim":
        named = (("PersistentVolume", obj["spec"].get("volumeName")), ("StorageClass", obj["spec"].get("storageClassName")))
        return [ObjectKey(kind, "", name) for kind, name in named if name]
    if obj["kind"] == "CronJob":
        obj = {**obj["spec"]["jobTemplate"], "kind": "Job", "metadata": obj["metadata"]}
    if obj["kind"] != "Pod" and obj["kind"] not in _WORKLOADS:
        return []
    spec, namespace = service.pod_spec(obj), obj["metadata"].get("namespace") or "default"
    found: dict[ObjectKey, None] = {}
    for kind, name in (*_volumes(spec), *_variables(spec)):
        if name:
            found[ObjectKey(kind, namespace, name)] = None
    return list(found)


def _volumes(spec: Object) -> Iterator[tuple[str, str]]:
    for volume in spec.get("volumes") or []:
        for field, kind, name in _VOLUMES:
            if volume.get(field):
                yield kind, volume[field].get(name) or ""


_VOLUMES = (
    ("configMap", "ConfigMap", "name"),
    ("secret", "Secret", "secretName"),
    ("persistentVolumeClaim", "PersistentVolumeClaim", "claimName"),
)


def _variables(spec: Object) -> Iterator[tuple[str, str]]:
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        for source in [*(container.get("envFrom") or []), *[entry.get("valueFrom") or {} for entry in container.get("env") or []]]:
            for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
                ref = source.get(f"{field}Ref") or source.get(f"{field}KeyRef") or {}
                yield kind, ref.get("name") or ""


def _finished(obj: Object, options: GenerateOptions) -> Object:
    from kubeplay.kube import kinds

    if obj["kind"] == "Secret" and not options.show_secrets:
        obj = storage.hidden(obj)
    kind = kinds.find(obj["apiVersion"], obj["kind"])
    if kind is None:
        raise InvalidInput(f"{obj['kind']} {obj['metadata']['name']} is of a kind that cannot be written")
    made: Object = order.keys(prune(obj, kind))
    return made


def loaded(body: str) -> Object:
    """A stored body as an object."""
    made: Object = json.loads(ephemeral.without(body))
    return made


def to_yaml(objects: list[Object], *, comment: bool = True) -> str:
    """The manifests as one YAML file."""
    from kubeplay import __version__
    from kubeplay.kube import write

    header = f"# Written by kubeplay {__version__}. A cluster takes it as it is: kubectl create -f FILE\n" if comment else ""
    hidden = any(obj["kind"] == "Secret" and storage.PLACEHOLDER in (obj.get("data") or {}).values() for obj in objects)
    if comment and hidden:
        header += "# The values of Secrets are left out: fill them in, or generate again with --show-secrets.\n"
    return header + ("---\n" if len(objects) > 1 else "") + write.documents(objects)
