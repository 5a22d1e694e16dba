"""Pods as an author would write them: of a stored Pod, or of containers picked from pods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.kube import jobs, notes

Object = dict[str, Any]
HASH_LABEL = "pod-template-hash"
_TRACES = (HASH_LABEL, *jobs.UIDS, *jobs.NAMES, jobs.INDEX, jobs.INDEX_FAILURES, jobs.INDEX_IGNORED)


def plain(pod: Object) -> Object:
    """A stored Pod without the traces of the controller that made it."""
    meta = {field: value for field, value in pod["metadata"].items() if field not in ("ownerReferences", "generateName")}
    for field in ("labels", "annotations"):
        if meta.get(field):
            meta[field] = {key: value for key, value in meta[field].items() if key not in _TRACES}
    return {**pod, "metadata": meta}


def unwritable(pod: Object) -> str:
    """Why no manifest says what this Pod is; "" where one does."""
    name = pod["metadata"]["name"]
    if not pod["spec"].get("containers"):
        return f"pod {name} has no containers: a cluster knows no such pod"
    if any(key.startswith("rootfs.kubeplay.io/") for key in pod["metadata"].get("annotations") or {}):
        return f"pod {name} runs from a directory of this machine (--rootfs): no cluster can"
    return ""


def of_a_cluster(pod: Object, wrapped: str = "") -> Object:
    """A Pod as somebody would write it for a cluster: without the notes of `run` to kubeplay.

    One that `run`, `create` or `pod create` made and that is to be `wrapped` in a workload or published by a Service gets the label
    `app` to select it by and no requests of nothing, and for a Deployment or DaemonSet it loses the restart policy Never, which `run`
    gives where nobody asks for another.
    """
    marks = pod["metadata"].get("annotations") or {}
    meta = {**pod["metadata"], "annotations": notes.without(marks)}
    if not wrapped or not notes.by_flags(marks):
        return {**pod, "metadata": meta}
    meta["labels"] = meta.get("labels") or {"app": meta["name"]}
    spec = {**pod["spec"], "containers": [_requesting(container) for container in pod["spec"]["containers"]]}
    if wrapped in ("deployment", "daemonset") and spec.get("restartPolicy") == "Never":
        spec["restartPolicy"] = "Always"
    return {**pod, "metadata": meta, "spec": spec}


def _requesting(container: Object) -> Object:
    """Without requests of 0, which `run` writes beside limits: a cluster then reserves the limits."""
    resources = container.get("resources") or {}
    asked = {name: amount for name, amount in (resources.get("requests") or {}).items() if amount != "0"}
    if asked == (resources.get("requests") or {}):
        return container
    rest = {field: value for field, value in resources.items() if field != "requests"}
    return {**container, "resources": {**rest, "requests": asked} if asked else rest}


def of_containers(chosen: Sequence[tuple[Object, str]]) -> Object:
    """One Pod of containers, `<first>-pod` as with Podman; pod-wide settings are those of the first one's pod."""
    first_pod, first = chosen[0]
    name = f"{first}-pod"
    spec = {field: value for field, value in first_pod["spec"].items() if field not in ("initContainers", "containers", "volumes")}
    spec["containers"] = [_container(pod, container) for pod, container in chosen]
    names = [container["name"] for container in spec["containers"]]
    if len(set(names)) < len(names):
        raise InvalidInput(f"containers of the same name cannot share a pod: {', '.join(names)}")
    volumes = _volumes(chosen)
    if volumes:
        spec["volumes"] = volumes
    meta: Object = {"name": name, "namespace": first_pod["metadata"].get("namespace") or "default"}
    for field in ("labels", "annotations"):
        if plain(first_pod)["metadata"].get(field):
            meta[field] = plain(first_pod)["metadata"][field]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def _container(pod: Object, name: str) -> Object:
    for container in pod["spec"]["containers"] + (pod["spec"].get("initContainers") or []):
        if container["name"] == name:
            found: Object = container
            return found
    raise InvalidInput(f"pod {pod['metadata']['name']} has no container {name}")


def _volumes(chosen: Sequence[tuple[Object, str]]) -> list[Object]:
    """The volumes that the containers mount. Raises InvalidInput where one name means two volumes."""
    made: dict[str, Object] = {}
    for pod, name in chosen:
        used = {mount["name"] for mount in _container(pod, name).get("volumeMounts") or []}
        for volume in pod["spec"].get("volumes") or []:
            if volume["name"] in used and made.setdefault(volume["name"], volume) != volume:
                raise InvalidInput(f"volume {volume['name']} is not the same in both pods: use generate on the pods")
    return list(made.values())
