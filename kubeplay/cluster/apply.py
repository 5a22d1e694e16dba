"""Server-side apply: each object sent as it is in the file; the server merges, and says which fields others hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kubeplay.cluster import connection as http
from kubeplay.cluster.discovery import Discovery, Resource
from kubeplay.cluster.sending import Item
from kubeplay.errors import ClusterError, InvalidInput, KubeplayError, NotFound
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.cluster.connection import Connection

Object = dict[str, Any]
MANAGER = "kubeplay"
_MODES = {"strict": "Strict", "warn": "Warn", "ignore": "Ignore"}


class ApplyOptions(Record):
    """`namespace` for objects that name none; `dry_run` asks the server to do everything but store."""

    namespace: str = "default"
    manager: str = MANAGER
    force: bool = False
    dry_run: bool = False
    validate: str = "strict"
    create_namespace: bool = False


class Applied(Record):
    """What became of one object: the server's, or the error. `title` is `deployment.apps/web`."""

    title: str
    item: Item
    resource: Resource | None = None
    object: Object = {}
    warnings: tuple[str, ...] = ()
    error: KubeplayError | None = None


def apply(connection: Connection, items: Sequence[Item], options: ApplyOptions) -> Iterator[Applied]:
    """Send the objects in their order; one that is refused does not keep the others back. Raises InvalidInput, and what access does."""
    _check(options)
    discovery = Discovery(connection)
    known: set[str] = set()
    for item in items:
        if options.create_namespace and not options.dry_run:
            yield from _namespace(connection, discovery, item.namespace or options.namespace, known, options)
        yield one(connection, discovery, item, options)


def one(connection: Connection, discovery: Discovery, item: Item, options: ApplyOptions) -> Applied:
    """Send one object."""
    from kubeplay.cluster.sending import title

    try:
        resource = discovery.get(item.api_version, item.kind)
        name = f"{resource.title}/{item.name}"
        namespace = (item.namespace or options.namespace) if resource.namespaced else ""
        body = _placed(item.object, namespace)
        query = {"fieldManager": options.manager, "force": "true" if options.force else "false",
                 "fieldValidation": _MODES[options.validate]}  # fmt: skip
        if options.dry_run:
            query["dryRun"] = "All"
        answer = connection.request("PATCH", resource.path(namespace, item.name), query, body, http.APPLY)
        return Applied(name, item, resource, answer.body, answer.warnings)
    except (ClusterError, NotFound) as error:
        if isinstance(error, ClusterError) and error.status in (0, 401):
            raise  # every further object would meet the same
        return Applied(title(item), item, error=_told(error, item, options))


def _placed(obj: Object, namespace: str) -> Object:
    meta = {key: value for key, value in obj["metadata"].items() if key != "namespace"}
    return {**obj, "metadata": {**meta, "namespace": namespace} if namespace else meta}


def _namespace(
    connection: Connection, discovery: Discovery, name: str, known: set[str], options: ApplyOptions
) -> Iterator[Applied]:  # fmt: skip
    """--create-namespace: make it where it is not there yet."""
    if name in known:
        return
    known.add(name)
    try:
        connection.get(f"/api/v1/namespaces/{quote(name, safe='')}")
    except ClusterError as error:
        if error.status != 404:
            return  # who may not look may still apply
        made = Item({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, "--create-namespace")
        yield one(connection, discovery, made, options)


def _told(error: KubeplayError, item: Item, options: ApplyOptions) -> KubeplayError:
    """The refusal with the place in the file, and what the person can do."""
    where = f"{item.where}: {item.kind} {item.name}"
    if isinstance(error, ClusterError) and error.reason == "Conflict" and (fields := conflicts(error)):
        lines = "".join(f"\n  {field} is {manager}'s" for field, manager in fields)
        count = f"{len(fields)} fields belong" if len(fields) > 1 else "a field belongs"
        hint = "leave the fields out of the file to let them be, or take them over with --force-conflicts"
        return ClusterError(
            f"{where}: {count} to others in the cluster:{lines}", error.status, error.reason, error.causes, hint=hint
        )
    if isinstance(error, ClusterError):
        missing = error.status == 404 and error.message.startswith("namespaces ")
        hint = "--create-namespace makes it" if missing else error.hint
        return ClusterError(f"{where}: {error.message}", error.status, error.reason, error.causes, hint=hint)
    return NotFound(f"{where}: {error.message}", hint=error.hint)


def conflicts(error: ClusterError) -> list[tuple[str, str]]:
    """(field, manager) of a refused apply."""
    found = []
    for cause in error.causes:
        if cause.get("reason") == "FieldManagerConflict":
            said = str(cause.get("message") or "")  # conflict with "kubectl" using apps/v1
            manager = said.partition('"')[2].partition('"')[0] or said
            found.append((str(cause.get("field") or "?"), manager[:128]))
    return found


def _check(options: ApplyOptions) -> None:
    if not options.manager or len(options.manager) > 128 or not options.manager.isprintable():
        # validation.ValidateFieldManager: at most 128 printable characters
        raise InvalidInput(f"--field-manager {options.manager[:140]!r}: must be 1 to 128 printable characters")
