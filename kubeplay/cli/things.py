"""Stored objects as a cluster would show them: by kind and name, with what a server adds and with their status of this moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.engine.store.objects import StoredObject
from kubeplay.errors import InvalidInput, NotFound
from kubeplay.kube.kinds import Kind, table
from kubeplay.kube.kinds import named as named

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.engine.store.events import Event

Json = dict[str, Any]
# `get all`: kubectl's category, as far as we have the kinds
ALL = ("Pod", "Service", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet", "Job", "CronJob")
SHOWN = ("Event", "Namespace", "StorageClass", "Node", "EndpointSlice", "Endpoints")  # kinds of which there may be some that are not stored
_WORKLOADS = ("Deployment", "ReplicaSet")


def kind(word: str) -> Kind:
    """The kind a person means by `po`, `pods` or `deployment.apps`. Raises InvalidInput."""
    found = named(word)
    if found is None:
        from difflib import get_close_matches

        words = [w for k in table().values() for w in (k.singular, k.plural)]
        close = get_close_matches(word.lower(), words, 1, 0.7)
        raise InvalidInput(f"there is no kind {word!r}", hint=f"did you mean {close[0]}?" if close else "kubeplay get pods")
    return found


def is_kind(word: str) -> bool:
    return named(word) is not None


def kinds(words: str) -> list[Kind]:
    """The kinds of `pods,svc` or `all`."""
    found: list[Kind] = []
    for word in filter(None, words.split(",")):
        found += [kind(name) for name in ALL] if word == "all" else [kind(word)]
    if not found:
        raise InvalidInput("no kind is named", hint="kubeplay get pods")
    return found


def title(one: Kind, name: str) -> str:
    """`pod/web`, `deployment.apps/web`: what -o name prints."""
    return f"{one.singular}.{one.group}/{name}" if one.group else f"{one.singular}/{name}"


def listed(app: App, one: Kind, namespace: str) -> list[Json]:
    """Every object of a kind in a namespace ("" = all), by namespace and name."""
    if one.kind == "Event":
        return [event(one_) for one_ in app.store.events.list(namespace)]
    if one.kind == "Node":
        from kubeplay.cli import node

        return [node.node(app)]
    found = app.store.objects.list(one.kind, namespace if one.namespaced else "")
    bodies = _bodies(app, one, found)
    if one.kind == "Namespace":
        bodies = _namespaces(app, bodies)
    if one.kind in ("EndpointSlice", "Endpoints"):
        from kubeplay.cli import endpoints

        bodies = endpoints.with_ours(app, one.kind, bodies, namespace)
    if one.kind == "StorageClass":
        from kubeplay.cli import claims

        bodies = claims.with_built_in(app, bodies)
    return bodies


def fetched(app: App, one: Kind, name: str) -> Json:
    """The object called NAME, or NS/NAME. Raises NotFound."""
    from kubeplay.plan.stack import ObjectKey

    scope, _, last = name.rpartition("/")
    namespace = (scope or app.namespace) if one.namespaced else ""
    stored = app.store.objects.find(ObjectKey(one.kind, namespace, last))
    if stored is not None and one.kind != "Node":
        return _bodies(app, one, [stored])[0]
    for body in listed(app, one, namespace) if one.kind in SHOWN else []:
        if body["metadata"]["name"] == last:
            return body
    if one.kind == "Pod":  # by id, as everywhere
        from kubeplay.cli import resolve

        row = resolve.pod(app, name)
        return fetched(app, one, f"{row.namespace}/{row.name}")
    where = f" in namespace {namespace}" if namespace else ""
    raise NotFound(f"no {one.singular} {last!r}{where}")


def _bodies(app: App, one: Kind, found: Sequence[StoredObject]) -> list[Json]:
    from kubeplay.cli.inspection import stored

    bodies = [stored(each) for each in found]
    if one.kind == "Pod":
        _pods(app, found, bodies)
    elif one.kind in _WORKLOADS:
        for each, body in zip(found, bodies):
            body.setdefault("status", _workload(app, each))
    elif one.kind == "ResourceQuota":
        from kubeplay.play import policies

        for body in bodies:
            body["status"] = policies.status(app.store, body)
    elif one.kind == "Job":
        from kubeplay.kube import jobs

        bodies = [jobs.served(body) for body in bodies]
    elif one.kind == "Service":
        from kubeplay.cli import endpoints

        endpoints.complete(app, bodies)
    elif one.kind in ("PersistentVolumeClaim", "PersistentVolume"):
        from kubeplay.cli import claims

        claims.complete(app, one.kind, bodies)
    return bodies


def _pods(app: App, found: Sequence[StoredObject], bodies: Iterable[Json]) -> None:
    """Status as it is now, and the node, which is always this machine once the pod is bound (LR1)."""
    from kubeplay.cli.podstatus import statuses

    uids = {each.uid for each in found}
    rows = [row for row in app.store.runtime.pods() if row.uid in uids]
    now = statuses(app, rows)
    for each, body in zip(found, bodies):
        body["status"] = now.get(each.uid, body.get("status", {}))
        waits = any(c["type"] == "PodScheduled" and c["status"] != "True" for c in body["status"].get("conditions", []))
        if not waits and body.get("spec") is not None:
            body["spec"] = {**body["spec"], "nodeName": body["spec"].get("nodeName") or app.engine.node_name}


def _workload(app: App, one: StoredObject) -> Json:
    """The status of a Deployment or ReplicaSet, counted from its pods."""
    import json

    owners = {one.uid}
    if one.key.kind == "Deployment":
        owners = {rs.uid for rs in app.store.objects.list("ReplicaSet", one.key.namespace, one.uid)}
    pods = [pod for owner in owners for pod in app.store.objects.list("Pod", one.key.namespace, owner)]
    states = [json.loads(pod.status) if pod.status else {} for pod in pods]
    ready = sum(any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", [])) for status in states)
    made: Json = {"observedGeneration": one.generation, "replicas": len(pods)}
    if one.key.kind == "Deployment":
        made["updatedReplicas"] = len(pods)
    return {**made, "readyReplicas": ready, "availableReplicas": ready} if ready else made


def _namespaces(app: App, bodies: list[Json]) -> list[Json]:
    """Those that were played, and those that are there because something is in them (`default` always is)."""
    played = {body["metadata"]["name"]: body for body in bodies}
    used = {"default", *(row.namespace for row in app.store.runtime.pods())}
    used |= {each.key.namespace for each in app.store.objects.list() if each.key.namespace}
    found = []
    for name in sorted({*played, *used}):
        body = played.get(name) or {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        labels = {"kubernetes.io/metadata.name": name, **(body["metadata"].get("labels") or {})}
        found.append({**body, "metadata": {**body["metadata"], "labels": labels}, "status": body.get("status") or {"phase": "Active"}})
    return found


# who tells of a kind in a cluster
_SOURCES = {
    "Deployment": "deployment-controller", "ReplicaSet": "replicaset-controller", "StatefulSet": "statefulset-controller",
    "DaemonSet": "daemonset-controller", "Job": "job-controller", "CronJob": "cronjob-controller",
    "HorizontalPodAutoscaler": "horizontal-pod-autoscaler", "PodDisruptionBudget": "controllermanager",
    "PersistentVolumeClaim": "persistentvolume-controller", "Service": "service-controller", "Ingress": "ingress-controller",
}  # fmt: skip


def event(one: Event) -> Json:
    """An event as core/v1 has it."""
    from kubeplay.clock import rfc3339

    first, last = rfc3339(one.first), rfc3339(one.last)
    source = "default-scheduler" if one.reason in ("Scheduled", "FailedScheduling") else _SOURCES.get(one.key.kind, "kubelet")
    return {
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": f"{one.key.name}.{one.id:016x}", "namespace": one.key.namespace or "default", "creationTimestamp": first},
        "involvedObject": {"kind": one.key.kind, "namespace": one.key.namespace, "name": one.key.name, "uid": one.uid},
        "reason": one.reason, "message": one.message, "type": one.type, "count": one.times,
        "firstTimestamp": first, "lastTimestamp": last, "source": {"component": source}, "reportingComponent": source,
    }  # fmt: skip
