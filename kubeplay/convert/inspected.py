"""What `podman inspect` and `docker inspect` print of containers, as Pods.

An inspected container is first said in compose's words, so that each setting has one way to Kubernetes. Containers of one podman pod, and
those that share a network (`--network container:`), are one Pod. What the image itself sets is left out where the image was inspected too.
"""

from __future__ import annotations

import json
from typing import Any

from kubeplay.convert import container, mounts, names, pods, ports
from kubeplay.convert.inspected_words import service
from kubeplay.convert.model import Converted, Folder, Note, Object, Options, Report
from kubeplay.convert.part import Work
from kubeplay.convert.project import Project
from kubeplay.convert.reading import Map
from kubeplay.convert.section import Section
from kubeplay.errors import InvalidInput

MOST = 100  # containers of one conversion
_ORDER = ("Never", "OnFailure", "Always")
_RESTARTS = {"": "Never", "no": "Never", "on-failure": "OnFailure", "always": "Always", "unless-stopped": "Always"}


def convert(sources: list[tuple[str, bytes]], options: Options, folder: Folder) -> Converted:
    """Pods of every container that these texts describe. Raises InvalidInput."""
    found = [_map(item, 0) for name, data in sources for item in _items(name, data)]
    images = {str(item["Id"]).removeprefix("sha256:"): item for item in found if "RootFS" in item}
    named = {str(item["Id"]): item for item in found if "InfraContainerID" in item and "RootFS" not in item}
    here = [item for item in found if isinstance(item.get("Config"), Map) and "RootFS" not in item]
    if not here:
        raise InvalidInput("no containers in the input", hint="as in: podman inspect web | kubeplay generate kube --from container -")
    if len(here) > MOST:
        raise InvalidInput(f"more than {MOST} containers")
    report = Report()
    made: list[Object] = []
    notes: list[Note] = []
    for key, members in _groups(here).items():
        pod, others = _pod(members, named.get(key), images, options, folder, report)
        if pod is None:
            continue
        made += [*others, pod]
        about = ("Pod", pod["metadata"]["name"])
        notes += [note._replace(about=about) for note in report.notes[len(notes) :]]
    report.check(sources[0][0])
    if not made:
        raise InvalidInput("only infra containers in the input", hint="inspect the containers of the pod too")
    distinct = {(obj["kind"], obj["metadata"]["name"]): obj for obj in made}
    if options.namespace:
        for obj in distinct.values():
            obj["metadata"]["namespace"] = options.namespace
    return Converted(tuple(distinct.values()), tuple(notes))


def _items(name: str, data: bytes) -> list[dict[str, Any]]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise InvalidInput(f"{name}: is not JSON", hint="give what `podman inspect NAME` prints, without --format") from None
    items = found if isinstance(found, list) else [found]
    if not all(isinstance(item, dict) and "Id" in item for item in items):
        raise InvalidInput(f"{name}: is not what `podman inspect` or `docker inspect` prints: each object has an Id")
    return items


def _map(value: Any, depth: int) -> Any:
    """JSON's objects as mappings that Section reads."""
    if depth > 40:
        raise InvalidInput("the JSON is nested more than 40 levels deep")
    if isinstance(value, dict):
        return Map({str(key): _map(item, depth + 1) for key, item in value.items()})
    return [_map(item, depth + 1) for item in value] if isinstance(value, list) else value


def _groups(found: list[Map]) -> dict[str, list[Map]]:
    """Containers by their pod, or by the container whose network they use."""
    by_id = {str(item["Id"]): item for item in found}
    by_name = {_name(item): str(item["Id"]) for item in found}
    made: dict[str, list[Map]] = {}
    for item in found:
        mode = Section(item, "", Report()).section("HostConfig").text("NetworkMode")
        leader = mode.partition(":")[2] if mode.startswith("container:") else ""
        leader = leader if leader in by_id else by_name.get(leader, "")
        pod = item.get("Pod") if isinstance(item.get("Pod"), str) else ""
        made.setdefault(pod or leader or str(item["Id"]), []).append(item)
    return made


def _name(item: Map) -> str:
    return str(item.get("Name") or item["Id"]).lstrip("/")


def _pod(
    members: list[Map], named: Map | None, images: dict[str, Map], options: Options, folder: Folder, report: Report
) -> tuple[Object | None, list[Object]]:
    """The Pod of a group, and the claims that it uses. An infra container brings its ports only."""
    real = [item for item in members if not item.get("IsInfra")]
    if not real:
        return None, []
    services = {}
    for item in members:
        image = images.get(str(item.get("Image") or "").removeprefix("sha256:"))
        services[_name(item)] = service(Section(item, _name(item), report), image)
    volumes = Map(
        {one["source"]: Map() for made in services.values() for one in made["volumes"] if one["type"] == "volume" and one["source"]}
    )
    project = Project("", "/dev/null", dict(services), Map({"volumes": volumes}), {})
    work = Work(project, options, folder, report)
    name = names.label(_name(named) if named is not None else f"{_name(real[0])}-pod") or "pod"
    spec: Object = {}
    containers, found_volumes = [], dict[str, Object]()
    for item in real:
        found = Section(services[_name(item)], _name(item), report)
        made, settings = container.build(found, work, names.label(_name(item)) or "container")
        volume_mounts, theirs = mounts.build(found, work, name)
        renamed = {volume["name"]: _place(volume, made["name"], found_volumes) for volume in theirs}
        if volume_mounts:
            made["volumeMounts"] = [{**mount, "name": renamed[mount["name"]]} for mount in volume_mounts]
        if known := ports.of(found):
            made["ports"] = [_port(port) for port in known]
        spec |= {**pods.settings(found), **settings}
        containers.append(made)
        _unsaid(found, item)
    _infra(members, services, containers, report)
    spec["containers"] = containers
    if found_volumes:
        spec["volumes"] = list(found_volumes.values())
    spec["restartPolicy"] = _restart(real, report)
    meta: Object = {"name": name, "labels": {"app": name}}
    annotations = {key: value for item in real for key, value in (services[_name(item)].get("annotations") or {}).items()}
    if annotations:
        meta["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}, list(work.made.values())


def _place(volume: Object, owner: str, found: dict[str, Object]) -> str:
    """The pod's name for a container's volume: its own, or with the container's name where that means another one."""
    name = volume["name"]
    if found.get(name, volume) != volume:
        name = names.label(f"{owner}-{name}")
        volume = {**volume, "name": name}
    found[name] = volume
    return str(name)


def _port(port: ports.Port) -> Object:
    made: Object = {"containerPort": port.target}
    if port.protocol != "TCP":
        made["protocol"] = port.protocol
    if port.published > 0:
        made["hostPort"] = port.published
        made.update({"hostIP": port.address} if port.address not in ("", "0.0.0.0", "::") else {})
    return made


def _infra(members: list[Map], services: dict[str, Map], containers: list[Object], report: Report) -> None:
    """A podman pod publishes its ports with its infra container: they go to the first container."""
    known = [
        _port(port) for item in members if item.get("IsInfra") for port in ports.of(Section(services[_name(item)], _name(item), report))
    ]
    if known:
        containers[0]["ports"] = [*containers[0].get("ports", []), *known]


def _restart(members: list[Map], report: Report) -> str:
    policies = []
    for item in members:
        policy = Section(item, _name(item), report).section("HostConfig").section("RestartPolicy")
        policies.append(_RESTARTS.get(policy.text("Name"), "Always"))
        if tries := policy.integer("MaximumRetryCount"):
            report.note(f"{_name(item)}.RestartPolicy", f"a pod tries again without end; after {tries} times gives up a Job (backoffLimit)")
    chosen = max(policies, key=_ORDER.index)
    if len(set(policies)) > 1:
        report.note("", f"containers of a pod have one restart policy: {chosen}")
    return chosen


def _unsaid(found: Section, item: Map) -> None:
    host = Section(item, found.path, found.report).section("HostConfig")
    host.unsaid({"AutoRemove": "a Pod stays when it is done; a Job with ttlSecondsAfterFinished goes"})
    mode = host.text("NetworkMode")
    own = mode not in ("", "default", "bridge", "host", "none", "slirp4netns", "pasta") and not mode.startswith(
        ("container:", "slirp4netns:", "pasta:")
    )
    if own:
        host.note("NetworkMode", f"{mode[:80]}: every pod reaches every other; names are given by Services, limits by NetworkPolicies")
