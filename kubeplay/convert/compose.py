"""A compose project as manifests: services to parts, parts to pods, pods to workloads and Services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubeplay.convert import container, mounts, names, networks, order, pods, ports, services, workload
from kubeplay.convert.model import Converted, Folder, Note, Object, Options, Report
from kubeplay.convert.part import Part, Work
from kubeplay.convert.project import load
from kubeplay.convert.section import Section

_TOP = {"models": "AI models are not Kubernetes' affair"}


def convert(paths: Sequence[str], options: Options, folder: Folder, texts: Mapping[str, bytes] = {}) -> Converted:
    """The manifests of the project of these compose files. Raises InvalidInput with every fault, NotFound."""
    report = Report()
    project = load(paths, options, folder, report, texts)
    work = Work(project, options, folder, report)
    _names(work)
    parts = {name: _part(name, work) for name in project.services}
    objects, homes = _workloads(parts, work)
    Section(project.top, "", report).unsaid(_TOP)
    _shared(work)
    report.check(paths[0])
    made = [*work.made.values(), *objects]
    if options.namespace:
        for obj in made:
            obj["metadata"]["namespace"] = options.namespace
    return Converted(tuple(made), tuple(_about(note, homes, work) for note in report.notes))


def _names(work: Work) -> None:
    """Kubernetes' name of every service."""
    for service in work.project.services:
        name = names.service(service)
        place = Section(work.project.top, "", work.report).section("services").place(service)
        if not name:
            work.report.fault(f"services.{service}", "a name needs a letter or a number", place)
        elif name in work.names.values():
            work.report.fault(f"services.{service}", f"two services would be called {name}", place)
        elif name != service:
            work.report.note(f"services.{service}", f"is called {name}: others that call it {service} must be changed", place)
        work.names[service] = name or "service"


def _part(service: str, work: Work) -> Part:
    place = Section(work.project.top, "", work.report).section("services").place(service)
    found = Section(work.project.services[service], f"services.{service}", work.report, place)
    name = work.names[service]
    made, pod = container.build(found, work, name)
    pod = {**pods.settings(found), **pod}
    volume_mounts, volumes = mounts.build(found, work, name)
    if volume_mounts:
        made["volumeMounts"] = volume_mounts
    known = tuple(ports.of(found))
    if known:
        made["ports"] = list({(port.target, port.protocol): _port(port) for port in known}.values())
    labels = {"app": name}
    return Part(service, name, found, made, pod, volumes, labels, _annotations(found), known, networks.aliases(found, work))


def _port(port: ports.Port) -> Object:
    made: Object = {"containerPort": port.target}
    if port.protocol != "TCP":
        made["protocol"] = port.protocol
    if port.host and port.published > 0:
        made["hostPort"] = port.published
        made.update({"hostIP": port.address} if port.address else {})
    return made


def _annotations(found: Section) -> dict[str, str]:
    """docker's labels may be any text, so they are annotations; kompose's own were read."""
    from kubeplay.kube.names import qualified_match

    made = {}
    for field in ("labels", "annotations"):
        for key, value in found.pairs(field).items():
            prefix, slash, name = key.rpartition("/")
            if key.startswith("kompose."):
                if key not in _KOMPOSE:
                    found.note(field, f"{key} is not read")
            elif qualified_match(name) and len(name) < 64 and (not slash or prefix.replace(".", "").replace("-", "").isalnum()):
                made[key] = value or ""
            else:
                found.note(field, f"{key[:80]} is no name of an annotation")
    return made


_KOMPOSE = frozenset(
    (
        "kompose.service.type",
        "kompose.service.expose",
        "kompose.service.expose.tls-secret",
        "kompose.controller.type",
        "kompose.volume.size",
    )
)


def _workloads(parts: dict[str, Part], work: Work) -> tuple[list[Object], dict[str, tuple[str, str]]]:
    """The objects of all parts, and where what is said of a service is written."""
    links = _links(parts)
    joined = _joined(parts)
    done = order.folded(parts)
    order.refuse_circles(parts)
    taken = {part.name for part in parts.values()}
    objects: list[Object] = []
    homes: dict[str, tuple[str, str]] = {}
    apart = networks.apart(parts.values(), work)
    for service, part in parts.items():
        if service in done or service in joined:
            continue
        if apart:
            part = part._replace(labels={**part.labels, **{networks.label(name): "true" for name in networks.of(part.section)}})
        part = part._replace(aliases=(*part.aliases, *links.get(service, ())))
        members = [parts[other] for other, leader in joined.items() if leader == service]
        made = workload.build(part, _pod(part, members, parts, work))
        objects += [*services.build(part, taken), made, *([one] if (one := services.ingress(part)) else [])]
        homes |= {one.service: (made["kind"], part.name) for one in (part, *members)}
        for other in order.conditions(part.section):
            homes.setdefault(other, (made["kind"], part.name)) if other in done else None
    if apart:
        objects += networks.policies({name: part for name, part in parts.items() if name not in done and name not in joined}, work)
    return objects, homes


def _pod(part: Part, members: Sequence[Part], parts: Mapping[str, Part], work: Work) -> Object:
    """The pod's spec of a part and of those that share its network."""
    spec: Object = dict(part.pod)
    inits: dict[str, order.Placed] = {}
    inside = {part.service, *(member.service for member in members)}
    for one in (part, *members):
        reach = {name: other for name, other in parts.items() if name not in inside - {one.service}}
        for init in order.first(one._replace(section=_without(one.section, inside)), reach, work):
            inits.setdefault(init[0]["name"], init)
    volumes: dict[str, Object] = {}
    spec["containers"] = [_placed(one.container, one.volumes, volumes) for one in (part, *members)]
    if inits:
        spec["initContainers"] = [_placed(*init, volumes) for init in inits.values()]
    if volumes:
        spec["volumes"] = list(volumes.values())
    return spec


def _placed(made: Object, volumes: Sequence[Object], found: dict[str, Object]) -> Object:
    """The container with its volumes in the pod: one whose name is taken by another, or is a directory of its own, is renamed."""
    renamed = {}
    for volume in volumes:
        name = volume["name"]
        if name in found and (found[name] != volume or "emptyDir" in volume):
            name = names.label(f"{made['name']}-{name}")
        renamed[volume["name"]] = name
        found.setdefault(name, {**volume, "name": name})
    if not volumes:
        return made
    return {**made, "volumeMounts": [{**mount, "name": renamed[mount["name"]]} for mount in made["volumeMounts"]]}


def _without(found: Section, inside: set[str]) -> Section:
    """The service without its dependence on those of its own pod."""
    depends = found.section("depends_on").map
    if not inside & set(depends):
        return found
    kept = type(depends)({name: value for name, value in depends.items() if name not in inside}, depends.places)
    return Section(type(depends)({**found.map, "depends_on": kept}, found.map.places), found.path, found.report, found.whole)


def _joined(parts: Mapping[str, Part]) -> dict[str, str]:
    """Services that live in the network of another: containers of its pod."""
    made = {}
    for service, part in parts.items():
        leader, seen = service, {service}
        while (mode := parts[leader].section.text("network_mode")).startswith(("service:", "container:")):
            leader = mode.partition(":")[2]
            if leader not in parts:
                part.section.note("network_mode", f"{mode}: only services of this project can share a pod")
                break
            if leader in seen:
                part.section.fault("network_mode", "services share each other's network in a circle")
                break
            seen.add(leader)
        if leader != service and leader in parts and len(seen) > 1:
            made[service] = leader
            if part.ports:
                part.section.note("ports", f"belong to {leader}, whose network it is: publish them there")
    return made


def _links(parts: Mapping[str, Part]) -> dict[str, list[str]]:
    """The names that `links` gives to other services."""
    made: dict[str, list[str]] = {}
    for part in parts.values():
        for word in part.section.words("links"):
            service, _, alias = word.partition(":")
            if alias and alias != service and service in parts:
                made.setdefault(service, []).append(alias)
    return {service: list(dict.fromkeys(found)) for service, found in made.items()}


def _shared(work: Work) -> None:
    for claim, writers in work.sharing.items():
        if len(set(writers)) > 1:
            work.report.note(
                "volumes", f"{claim} is written by {', '.join(dict.fromkeys(writers))}: on many nodes that takes ReadWriteMany"
            )


def _about(note: Note, homes: Mapping[str, tuple[str, str]], work: Work) -> Note:
    """The note with the object that it is written at."""
    if not note.path.startswith("services."):
        return note
    rest = note.path.removeprefix("services.")
    fits = [name for name in work.project.services if rest == name or rest.startswith((f"{name}.", f"{name}["))]
    return note._replace(about=homes.get(max(fits, key=len), ("", ""))) if fits else note
