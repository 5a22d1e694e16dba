"""What a pod asks of this machine that a cluster's nodes do not give."""

from __future__ import annotations

from collections.abc import Iterator

from kubeplay.kube.portable.model import ERROR, INFO, WARNING, Facts, Finding, Object, Part, Path, items, part, record

_PUSH = "push it to a registry: kubeplay kube push-images --to REGISTRY"
_DEVICES = ("CharDevice", "BlockDevice")
# Names that docker and podman put into a container's /etc/hosts.
_HOST_NAMES = ("host.containers.internal", "host.docker.internal")
_SHARED = {"hostNetwork": "network", "hostPID": "processes", "hostIPC": "shared memory"}
HOSTNAME_LABEL = "kubernetes.io/hostname"

_OWN, _PODMAN = "kubeplay.io/", "io.podman.annotations."
# Annotations that change what runs here (play/compile/marks.py): what stands for them in a cluster.
_MARKS = {
    "kubeplay.io/network": "a NetworkPolicy keeps pods apart",
    "kubeplay.io/auto-remove": "a Job with ttlSecondsAfterFinished goes by itself",
    "kubeplay.io/image-pull-policy": "imagePullPolicy: Always",
    "io.podman.annotations.pids-limit": "the kubelet's podPidsLimit holds for all pods of a node",
    "io.podman.annotations.cpuset": "whole cpus as requests and limits, where the kubelet's cpuManagerPolicy is static",
    "io.podman.annotations.memory-nodes": "the kubelet's memoryManagerPolicy",
    "io.podman.annotations.userns": "hostUsers: false",
}


def findings(obj: Object, facts: Facts) -> Iterator[Finding]:
    """What a cluster would need changed in the pod that `obj` is or makes."""
    found = part(obj)
    if found is None:
        return
    if obj.get("kind") == "Pod":
        yield from _bare(found)
    yield from _annotations(found)
    yield from _node(found)
    yield from _volumes(found)
    for path, container in found.containers():
        yield from _image(path, container, facts)
        yield from _ports(path, container, bool(found.spec.get("hostNetwork")))
        yield from _resources(path, container)
        yield from _environment(path, container)


def _bare(pod: Part) -> Iterator[Finding]:
    lasting = (pod.spec.get("restartPolicy") or "Always") == "Always"
    remedy = "make it a Deployment: --type deployment" if lasting else "make it a Job: --type job"
    yield Finding(("kind",), INFO, "nothing makes a Pod again when its node goes", remedy, "bare-pod")


def _annotations(pod: Part) -> Iterator[Finding]:
    for key in record(pod.meta, "annotations"):
        name = str(key).partition("/")[0] if str(key).startswith(_PODMAN) else str(key)
        path: Path = (*pod.at, "metadata", "annotations", key)
        if name in _MARKS:
            yield Finding(path, WARNING, "has no effect in a cluster", _MARKS[name], "annotation")
        elif name.startswith((_OWN, _PODMAN)):
            yield Finding(path, INFO, "has no effect in a cluster", "", "annotation")


def _node(pod: Part) -> Iterator[Finding]:
    at = (*pod.at, "spec")
    for field, what in _SHARED.items():
        if pod.spec.get(field) is True:
            yield Finding((*at, field), WARNING, f"the node's {what}, which most clusters do not lend", f"leave {field} out", field)
    if pod.spec.get("nodeName"):
        yield Finding((*at, "nodeName"), ERROR, "the pod runs on no other node than this", "leave it to the scheduler", "nodeName")
    if HOSTNAME_LABEL in record(pod.spec, "nodeSelector"):
        path = (*at, "nodeSelector", HOSTNAME_LABEL)
        yield Finding(path, WARNING, "the pod runs on no other node than this", "leave it to the scheduler", "node-selector")


def _volumes(pod: Part) -> Iterator[Finding]:
    for index, volume in enumerate(items(pod.spec, "volumes")):
        path: Path = (*pod.at, "spec", "volumes", index)
        source = record(volume, "hostPath")
        if source.get("type") in _DEVICES:
            yield Finding((*path, "hostPath"), WARNING, "a device of one node", "ask for it as a resource of a device plugin", "device")
        elif "hostPath" in volume:
            why = "a path of one node: on the others it is missing or holds something else"
            yield Finding((*path, "hostPath"), WARNING, why, "use a persistentVolumeClaim, or a ConfigMap for files", "hostPath")
        image = record(volume, "image").get("reference")
        if isinstance(image, str) and image.startswith("localhost/"):
            yield Finding((*path, "image", "reference"), ERROR, "no registry has this image", _PUSH, "local-image")


def _image(path: Path, container: Object, facts: Facts) -> Iterator[Finding]:
    image = container.get("image")
    if not isinstance(image, str) or not image:
        return
    at = (*path, "image")
    if image.startswith("localhost/"):
        yield Finding(at, ERROR, "no registry has this image: nodes cannot pull it", _PUSH, "local-image")
    elif image.partition("/")[0].partition(":")[0] in ("localhost", "127.0.0.1") and "/" in image:
        yield Finding(at, ERROR, "a registry of this machine: to a node it is the node's own", _PUSH, "local-registry")
    elif image in facts.unpublished:
        yield Finding(at, WARNING, "made here and of no registry: nodes cannot pull it", _PUSH, "local-image")
    if container.get("imagePullPolicy") == "Never":
        why = "nodes that do not have the image do not get it"
        yield Finding((*path, "imagePullPolicy"), WARNING, why, "leave it out, or IfNotPresent", "never-pulled")
    if _is_latest(image):
        yield Finding(at, INFO, "another image tomorrow, perhaps another one on each node", "name a version or a digest", "latest")


def _is_latest(image: str) -> bool:
    name, at, _ = image.partition("@")
    _, colon, tag = name.rpartition("/")[2].partition(":")
    return not at and (not colon or tag == "latest")


def _ports(path: Path, container: Object, of_the_host: bool) -> Iterator[Finding]:
    for index, port in enumerate(items(container, "ports")):
        if port.get("hostPort") and not of_the_host:
            why = "a port of a node: one such pod for each node, at that node's address"
            yield Finding((*path, "ports", index, "hostPort"), WARNING, why, "use a Service: --service, or an Ingress", "hostPort")
        if port.get("hostIP") and not of_the_host:
            yield Finding((*path, "ports", index, "hostIP"), WARNING, "an address of this machine", "leave it out", "hostIP")


def _resources(path: Path, container: Object) -> Iterator[Finding]:
    resources = record(container, "resources")
    limits, requests = record(resources, "limits"), record(resources, "requests")
    for field, amounts in (("limits", limits), ("requests", requests)):
        for name in amounts:
            if "=" in str(name):
                why = "a device of this machine (CDI): an API server refuses the name"
                yield Finding((*path, "resources", field, name), ERROR, why, "ask for a resource of a device plugin", "device")
    for name in (name for name, amount in requests.items() if amount in ("0", 0) and name in limits):
        why = "the scheduler takes it for nothing, whatever the limit"
        yield Finding((*path, "resources", "requests", name), WARNING, why, "leave it out: the limit is requested then", "no-requests")
    if "initContainers" in path and container.get("restartPolicy") != "Always":
        return
    if "memory" not in limits:
        why = "no memory limit: it may take the whole node's"
        yield Finding((*path, "resources"), INFO, why, "set resources.limits.memory", "no-limits")
    lacking = [name for name in ("cpu", "memory") if name not in requests and name not in limits]
    if lacking:
        why = f"no request for {' and '.join(lacking)}: the scheduler takes it for nothing"
        yield Finding((*path, "resources"), INFO, why, "set resources.requests", "no-requests")


def _environment(path: Path, container: Object) -> Iterator[Finding]:
    for index, entry in enumerate(items(container, "env")):
        value = entry.get("value")
        if isinstance(value, str) and any(name in value for name in _HOST_NAMES):
            yield Finding((*path, "env", index, "value"), WARNING, "no such name in a cluster", "name a Service", "host-name")
