"""`pod create`: a pod that has no container yet; containers that join one, and leave it.

A cluster knows no empty pod, so the door is passed with a container that stands for those to come and is taken out again. Ports are
a container's in a Pod: until the first one comes, the annotation keeps them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from kubeplay.errors import Conflict, InvalidInput
from kubeplay.plan.stack import Stack
from kubeplay.play.imperative import network, pod, resources
from kubeplay.play.imperative.draft import Draft, Given, Machine, Object

PORTS = "kubeplay.io/ports"  # ours alone: a manifest has no use for it
ROOTFS = "rootfs.kubeplay.io/"  # and the container's name: a note of `--rootfs`, which a manifest cannot ask for
STAND_IN = "container"
# flags of `pod create` that are not the same for a container
SHARED = ("ipc", "net", "uts", "pid")
HASH_LABEL = "pod-template-hash"  # a ReplicaSet would take the clone for its own


def build(name: str, namespace: str, given: Given, machine: Machine) -> pod.Made:
    """A Pod with a container that stands for those to come. Raises InvalidInput, NotSupported."""
    draft = Draft(STAND_IN)
    draft.container["image"] = STAND_IN
    network.fill(draft, given, machine)
    pod.describe(draft, given, machine)
    pod.live(draft, given)
    shared = (given.get("share") or "").split(",")
    if unknown := [word for word in shared if word and word not in (*SHARED, "none", "cgroup")]:
        raise InvalidInput(f"--share {','.join(unknown)}: not known", hint="ipc, net and uts are shared always; pid can be")
    if "pid" in shared:
        draft.spec["shareProcessNamespace"] = True
    whole = resources.unreserved(resources.of(given))
    if whole:
        draft.spec["resources"] = whole
    return pod.assembled(name, namespace, draft, machine)


def emptied(stack: Stack) -> Stack:
    """The compiled pod without its stand-in."""
    (planned,), (plan,) = stack.objects, stack.pods
    body = json.loads(planned.body)
    ports = body["spec"]["containers"][0].get("ports")
    body["spec"]["containers"] = []
    _keep(body, ports)
    return stack._replace(
        objects=(planned._replace(body=text(body)),),
        pods=(plan._replace(containers=(), annotations=tuple(sorted(body["metadata"].get("annotations", {}).items()))),),
    )


def text(obj: Object) -> str:
    """As stored bodies are."""
    from kubeplay.play.kinds.base import body

    return body(obj)


def _keep(obj: Object, ports: list[Any] | None) -> None:
    marks = {key: value for key, value in (obj["metadata"].get("annotations") or {}).items() if key != PORTS}
    if ports:
        marks[PORTS] = json.dumps(ports, sort_keys=True, separators=(",", ":"))
    obj["metadata"]["annotations"] = marks


def joined(obj: Object, draft: Draft, policy: str | None) -> Object:
    """The stored Pod with one container more; `policy` is its own --restart, None = as the pod. Raises Conflict."""
    made: Object = json.loads(json.dumps(obj))
    spec, container = made["spec"], dict(draft.container)
    names = [one["name"] for field in ("containers", "initContainers", "ephemeralContainers") for one in spec.get(field) or ()]
    if container["name"] in names:
        raise Conflict(f"pod {obj['metadata']['name']} has a container {container['name']} already", hint="give it another --name")
    if policy is not None and policy != spec["restartPolicy"]:
        container["restartPolicy"] = policy
    _take_ports(made, container)
    spec["containers"] = [*spec["containers"], container]
    if draft.volumes:
        spec["volumes"] = [*(spec.get("volumes") or []), *draft.volumes]
    if "stopSignal" in container.get("lifecycle", {}):
        spec["os"] = {"name": "linux"}
    if draft.annotations:
        made["metadata"]["annotations"] = {**(made["metadata"].get("annotations") or {}), **draft.annotations}
    return made


def _take_ports(obj: Object, container: Object) -> None:
    """The first container gets the ports of the pod."""
    kept = (obj["metadata"].get("annotations") or {}).get(PORTS)
    if kept:
        container["ports"] = json.loads(kept)
        _keep(obj, None)


def left(obj: Object, name: str) -> Object:
    """The stored Pod without one of its containers; what it published stays the pod's. Raises Conflict."""
    made: Object = json.loads(json.dumps(obj))
    containers = made["spec"]["containers"]
    gone = next((one for one in containers if one["name"] == name), None)
    if gone is None:
        raise Conflict(f"container {name} is no ordinary container of pod {obj['metadata']['name']}", hint="remove the pod")
    rest = [one for one in containers if one is not gone]
    if rest and gone.get("ports"):
        rest[0] = {**rest[0], "ports": [*(rest[0].get("ports") or []), *gone["ports"]]}
    elif gone.get("ports"):
        _keep(made, gone["ports"])
    made["spec"]["containers"] = rest
    used = {mount["name"] for one in (*rest, *(made["spec"].get("initContainers") or ())) for mount in one.get("volumeMounts") or ()}
    if made["spec"].get("volumes"):
        made["spec"]["volumes"] = [volume for volume in made["spec"]["volumes"] if volume["name"] in used]
    marks = made["metadata"].get("annotations") or {}
    made["metadata"]["annotations"] = {key: value for key, value in marks.items() if not key.endswith(f"/{name}")}
    return made


def renamed(obj: Object, name: str) -> Object:
    """The stored Pod under another name; its only container, when it was called as the pod, goes with it."""
    made: Object = json.loads(json.dumps(obj))
    old = made["metadata"]["name"]
    made["metadata"]["name"] = name
    containers = made["spec"]["containers"]
    if [one["name"] for one in containers] == [old]:
        containers[0]["name"] = name
        marks = made["metadata"].get("annotations") or {}
        made["metadata"]["annotations"] = {_renamed(key, old, name): value for key, value in marks.items()}
    return made


def _renamed(key: str, old: str, name: str) -> str:
    """Podman's annotations of single containers end in their names."""
    return f"{key[: -len(old)]}{name}" if key.startswith("io.podman.annotations.") and key.endswith(f"/{old}") else key


def cloned(obj: Object, name: str) -> Object:
    """As an author would write it, under another name; it belongs to nobody."""
    made = renamed(obj, name)
    kept = ("name", "namespace", "labels", "annotations")
    made["metadata"] = {field: value for field, value in made["metadata"].items() if field in kept}
    labels = made["metadata"].get("labels") or {}
    made["metadata"]["labels"] = {key: value for key, value in labels.items() if key != HASH_LABEL}
    return made


def check_joining(given: Given) -> None:
    """What is the pod's cannot be said of a container that joins it. Raises InvalidInput, in podman's sense."""
    said = [name for name in pod.POD_ONLY if given.get(name)]
    if said:
        flags = ", ".join("--" + name.replace("_", "-") for name in said)
        raise InvalidInput(f"{flags}: must be defined when the pod is created", hint="kubeplay pod create, or run --pod new:NAME")


def copied(obj: Object, compile_: Callable[[Object], Stack]) -> Stack:
    """An empty pod through the door: with a stand-in that has its ports."""
    full: Object = json.loads(json.dumps(obj))
    stand_in: Object = {"name": STAND_IN, "image": STAND_IN}
    _take_ports(full, stand_in)
    full["spec"]["containers"] = [stand_in]
    return emptied(compile_(full))
