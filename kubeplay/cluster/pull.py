"""A namespace of a cluster as manifests: listed kind by kind in pages, with what the chosen objects refer to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kubeplay.cluster.discovery import Discovery, Resource
from kubeplay.cluster.plain import Plain, left_out, plain
from kubeplay.errors import ClusterError, InvalidInput, NotFound
from kubeplay.generate import order
from kubeplay.generate.references import uses
from kubeplay.kube import kinds
from kubeplay.kube.kinds import Kind
from kubeplay.plan.stack import ObjectKey
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.cluster.connection import Connection

Object = dict[str, Any]
PAGE = 250  # objects of a page; kubectl asks for 500, at 1.5 MiB each that is more than one answer of ours may hold
MAX_OBJECTS = 10_000
_FOLLOWED = ("ConfigMap", "Secret", "PersistentVolumeClaim", "ServiceAccount")


class PullOptions(Record):
    """`selector` "" = everything of the namespace."""

    namespace: str
    selector: str = ""
    show_secrets: bool = False


class Pulled(Record):
    """Manifests in the order of files; `notes` say what is not in them and why."""

    found: tuple[Plain, ...]
    notes: tuple[str, ...]


def pull(connection: Connection, options: PullOptions) -> Pulled:
    """Raises NotFound when there is nothing, ClusterError, InvalidInput (too many objects)."""
    discovery, notes = Discovery(connection), list[str]()
    found: dict[ObjectKey, tuple[Kind, Object]] = {}
    for kind in _wanted():
        resource = discovery.find(kind.api_version, kind.kind)
        if resource is not None:
            _take(connection, kind, resource, options, found, notes)
    if options.selector:
        _follow(connection, discovery, options, found, notes)
    if not found:
        which = f" with labels {options.selector}" if options.selector else ""
        hint = "; ".join(notes) or f"kubectl get all -n {options.namespace}"
        raise NotFound(f"nothing to pull from namespace {options.namespace}{which}", hint=hint)
    if options.namespace != "default":
        _namespace(connection, options.namespace, found)
    made = [_plain(obj, kind, options) for kind, obj in found.values()]
    ranks = {id(obj): at for at, obj in enumerate(order.documents([one.object for one in made]))}
    return Pulled(tuple(sorted(made, key=lambda one: ranks[id(one.object)])), tuple(notes))


def _namespace(connection: Connection, name: str, found: dict[ObjectKey, tuple[Kind, Object]]) -> None:
    """The namespace itself, with its labels (they say which pods it takes) where they may be read: files need it to play."""
    kind = kinds.find("v1", "Namespace")
    assert kind is not None
    obj: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    try:
        _keep(kind, connection.get(f"/api/v1/namespaces/{quote(name, safe='')}"), "", found, [])
    except ClusterError as error:
        if error.status not in (403, 404):
            raise
        found[ObjectKey("Namespace", "", name)] = kind, obj


def _plain(obj: Object, kind: Kind, options: PullOptions) -> Plain:
    try:
        return plain(obj, kind, show_secrets=options.show_secrets)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"{kind.kind} {str(obj['metadata'].get('name'))[:100]}"
        raise ClusterError(f"{what}: this is no object of an API server ({type(error).__name__})") from error


def _wanted() -> list[Kind]:
    """The kinds of a namespace that we play; of those that two versions serve, the later one."""
    own = {kind.kind: kind for kind in kinds.table().values() if kind.namespaced and kind.support == "slice"}
    return list(own.values())


def _take(
    connection: Connection, kind: Kind, resource: Resource, options: PullOptions, found: dict[ObjectKey, tuple[Kind, Object]],
    notes: list[str],
) -> None:  # fmt: skip
    try:
        for obj in _listed(connection, resource, options):
            _keep(kind, obj, options.namespace, found, notes)
    except ClusterError as error:
        if error.status not in (403, 404):
            raise
        notes.append(f"no {resource.plural}: {error.message}")


def _keep(kind: Kind, obj: Object, namespace: str, found: dict[ObjectKey, tuple[Kind, Object]], notes: list[str]) -> None:
    obj = {"apiVersion": kind.api_version, "kind": kind.kind, **obj}  # items of a list say neither
    meta = obj.get("metadata")
    is_one = isinstance(meta, dict) and isinstance(meta.get("name"), str) and (obj["apiVersion"], obj["kind"]) == _names(kind)
    if not is_one or not isinstance(meta, dict):
        raise ClusterError(f"the cluster's list of {kind.plural} holds what is none")
    why = left_out(obj)
    if why is None:
        found[ObjectKey(kind.kind, namespace, meta["name"])] = kind, obj
    elif why:
        notes.append(f"{kind.kind} {meta['name']} is left out: {why}")
    if len(found) > MAX_OBJECTS:
        raise InvalidInput(f"namespace {namespace} has more than {MAX_OBJECTS} objects", hint="choose some of them with -l")


def _names(kind: Kind) -> tuple[str, str]:
    """apiVersion and kind as an object says them."""
    return kind.api_version, kind.kind


def _listed(connection: Connection, resource: Resource, options: PullOptions) -> Iterator[Object]:
    query = {"limit": str(PAGE), **({"labelSelector": options.selector} if options.selector else {})}
    after, pages = "", 0
    while True:
        answer = connection.get(resource.path(options.namespace), {**query, **({"continue": after} if after else {})})
        items = answer.get("items")
        yield from (one for one in items if isinstance(one, dict)) if isinstance(items, list) else ()
        meta = answer.get("metadata")
        after, pages = str((meta if isinstance(meta, dict) else {}).get("continue") or ""), pages + 1
        if not after:
            return
        if pages > MAX_OBJECTS:
            raise ClusterError(f"the cluster's list of {resource.plural} has no end")


def _follow(
    connection: Connection, discovery: Discovery, options: PullOptions, found: dict[ObjectKey, tuple[Kind, Object]], notes: list[str]
) -> None:
    """What pods of the chosen objects need comes with them, whatever its labels."""
    wanted = {key for kind, obj in list(found.values()) for key in _used(obj) if key.kind in _FOLLOWED and key not in found}
    for key in sorted(wanted):
        kind = kinds.find("v1", key.kind)
        resource = discovery.find("v1", key.kind)
        if kind is None or resource is None:
            continue
        try:
            _keep(kind, connection.get(resource.path(options.namespace, key.name)), options.namespace, found, notes)
        except ClusterError as error:
            if error.status not in (403, 404):
                raise
            notes.append(f"{key.kind} {key.name}, which is referred to, is not in it: {error.message}")


def _used(obj: Object) -> list[ObjectKey]:
    try:
        return uses(obj)
    except (AttributeError, KeyError, TypeError):  # a server may answer anything
        return []
