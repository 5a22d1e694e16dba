"""A container's environment, command, arguments and subPaths once everything they refer to is known (EN1-EN6).

Order as in the kubelet: envFrom entries, then env entries (each sees the ones before it), then the variables of Services
that nobody set. What cannot be resolved is a CreateContainerConfigError, worded like the kubelet's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kubeplay.errors import ContainerError, InvalidInput
from kubeplay.kube import downward, envfile
from kubeplay.kube.expand import expand, unresolved
from kubeplay.plan.container import ContainerPlan, Resolved
from kubeplay.plan.env import EnvField, EnvFileKey, EnvFrom, EnvKeyRef, EnvLiteral, EnvResource
from kubeplay.plan.pod import PodPlan

CONFIG_ERROR = "CreateContainerConfigError"  # CS4

Objects = Callable[[str, str], Mapping[str, str] | None]
"""(kind, name) -> what env may see of it: ConfigMap.data, Secret.data decoded; None = no such object."""

Files = Callable[[str, str], tuple[str, bytes | None]]
"""(volume, path) -> where that file is on the host and what it holds; None = it is not there, or nothing that could be read."""


def resolve(
    pod: PodPlan,
    container: ContainerPlan,
    facts: downward.PodFacts,
    node: downward.NodeFacts,
    objects: Objects,
    services: Mapping[str, str],
    files: Files,
) -> Resolved:
    """Everything the plan of `container` left open. `services`: SV4's variables. Raises ContainerError."""
    known: dict[str, str] = {}
    for source in container.env_from:
        known.update(_from(source, objects))
    for entry in container.env:
        if isinstance(entry, EnvFileKey):
            value = _file_key(entry, files)
        else:
            value = _value(entry, pod, container, facts, node, objects, known, services)
        if value is not None:
            known[entry.name] = value
    for name, value in services.items():
        known.setdefault(name, value)
    return Resolved(
        env=tuple(known.items()),
        command=_expanded(container.command, known),
        args=_expanded(container.args, known),
        sub_paths=tuple([_sub_path(m.sub_path, m.sub_path_expr, known) for m in container.mounts]),
    )


def facts_of(pod: PodPlan, uid: str, pod_ips: tuple[str, ...], host_ips: tuple[str, ...], node_name: str = "") -> downward.PodFacts:
    """The facts of a planned pod, with what only the run time knows."""
    return downward.PodFacts(
        name=pod.name, namespace=pod.namespace, uid=uid, labels=dict(pod.labels), annotations=dict(pod.annotations),
        node_name=pod.node_name or node_name, service_account=pod.service_account, host_ips=host_ips, pod_ips=pod_ips,
    )  # fmt: skip


def _from(source: EnvFrom, objects: Objects) -> dict[str, str]:
    data = objects(source.kind, source.object_name)
    if data is None:
        if source.optional:
            return {}
        raise _missing(source.kind, source.object_name)
    return {source.prefix + key: data[key] for key in sorted(data) if _usable(source.prefix + key)}


def _usable(name: str) -> bool:
    """EN4: printable ASCII without `=`; the kubelet leaves other keys of an envFrom out."""
    return bool(name) and name.isascii() and name.isprintable() and "=" not in name


def _value(
    entry: EnvLiteral | EnvKeyRef | EnvField | EnvResource,
    pod: PodPlan,
    container: ContainerPlan,
    facts: downward.PodFacts,
    node: downward.NodeFacts,
    objects: Objects,
    known: Mapping[str, str],
    services: Mapping[str, str],
) -> str | None:
    if isinstance(entry, EnvLiteral):
        return expand(entry.value, lambda name: known.get(name, services.get(name)))
    if isinstance(entry, EnvKeyRef):
        return _key(entry, pod.namespace, objects)
    if isinstance(entry, EnvField):
        value = downward.field(entry.path, facts)
    else:
        value = _resource(entry, pod, container, node)
    if value is None:
        raise ContainerError(CONFIG_ERROR, f"environment variable {entry.name}: unsupported field reference")
    return value


def _resource(entry: EnvResource, pod: PodPlan, container: ContainerPlan, node: downward.NodeFacts) -> str | None:
    named = entry.container or container.name
    for each in pod.containers:
        if each.name == named:
            return downward.resource(entry.resource, entry.divisor, each.resources, node)
    raise ContainerError(CONFIG_ERROR, f"container {named} not found")


def _key(entry: EnvKeyRef, namespace: str, objects: Objects) -> str | None:
    data = objects(entry.kind, entry.object_name)
    if data is not None and entry.key in data:
        return data[entry.key]
    if entry.optional:
        return None
    if data is None:
        raise _missing(entry.kind, entry.object_name)
    raise ContainerError(CONFIG_ERROR, f"couldn't find key {entry.key} in {entry.kind} {namespace}/{entry.object_name}")


def _file_key(entry: EnvFileKey, files: Files) -> str | None:
    """A variable of a file; the messages are the kubelet's (record 173, 181, 253)."""
    path, data = files(entry.volume, entry.path)
    if data is None and entry.optional:
        return None
    try:
        value = "" if data is None else envfile.value(data, entry.key)
    except InvalidInput:
        data = None
    if data is None:
        raise ContainerError(CONFIG_ERROR, "couldn't parse env file")
    if not value and not entry.optional:
        raise ContainerError(CONFIG_ERROR, f'environment variable key "{entry.key}" not found in file "{path}"')
    return value or None


def _missing(kind: str, name: str) -> ContainerError:
    return ContainerError(CONFIG_ERROR, f'{kind.lower()} "{name}" not found')


def _expanded(words: tuple[str, ...] | None, known: Mapping[str, str]) -> tuple[str, ...] | None:
    return None if words is None else tuple([expand(word, known.get) for word in words])


def _sub_path(plain: str, expression: str, known: Mapping[str, str]) -> str:
    if not expression:
        return plain
    path, missing = unresolved(expression, known.get)
    if missing:
        raise ContainerError(CONFIG_ERROR, f"missing value for {', '.join(missing)}")
    if path.startswith("/"):
        raise ContainerError(CONFIG_ERROR, f"error SubPath `{path}` must not be an absolute path")
    if ".." in path.split("/"):
        raise ContainerError(CONFIG_ERROR, f"unable to provision SubPath `{path}`: must not contain '..'")
    return path
