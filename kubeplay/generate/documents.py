"""From stored objects to the list of manifests: pure, no store, no engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.generate import order, pod, service, storage, workload
from kubeplay.generate.options import GenerateOptions, Wanted
from kubeplay.generate.prune import prune
from kubeplay.generate.references import uses
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
        for made in _expanded(obj, options._replace(podman_only=options.podman_only or _key(obj) in wanted.noted)):
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
        why = pod.unwritable(obj)
        if why:
            raise InvalidInput(why)
        obj = pod.plain(obj)
        if not options.podman_only:
            obj = pod.of_a_cluster(obj, options.type or ("service" if options.service else ""))
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
    if obj["spec"].get("volumeClaimTemplates"):
        raise InvalidInput(
            f"{obj['kind']} {obj['metadata']['name']} has volumeClaimTemplates: no {options.type} can make their claims",
            hint="leave --type out",
        )
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
