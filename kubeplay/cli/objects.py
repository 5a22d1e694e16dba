"""secret and configmap: ls, inspect and rm. The value of a Secret is shown on explicit demand only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubeplay.cli import human, listing
from kubeplay.cli.declare import ALL_NAMESPACES, LISTING, Command, argument, command, flag, text
from kubeplay.cli.listing import Column, Listing
from kubeplay.engine.store.objects import StoredObject
from kubeplay.errors import Conflict, InvalidInput, NotFound
from kubeplay.plan.stack import ObjectKey

if TYPE_CHECKING:
    from kubeplay.cli.app import App

COLUMNS = (
    Column("NAME", "Name"), Column("TYPE", "Type"), Column("DATA", "Data"), Column("CREATED", "CreatedAt"),
    Column("NAMESPACE", "Namespace", True),
)  # fmt: skip
LOOK = Listing(
    COLUMNS,
    "Name",
    {"name": listing.contains("Name"), "label": listing.label, "namespace": listing.equals("Namespace"), "type": listing.equals("Type")},
)


def _ls(kind: str) -> Command:
    columns = COLUMNS if kind == "Secret" else tuple(c for c in COLUMNS if c.field != "Type")

    @command("ls", f"List {kind}s.", LISTING, ALL_NAMESPACES)
    def ls(app: App, *, all_namespaces: bool, **given: Any) -> None:
        shown = ((Column("NAMESPACE", "Namespace"),) if all_namespaces else ()) + columns
        now = app.engine.clock.now()
        records = [_record(one, now) for one in app.store.objects.list(kind, app.scope(all_namespaces))]
        listing.show(LOOK._replace(columns=shown), records, listing.look(given))

    return ls


def _record(one: StoredObject, now: float) -> dict[str, Any]:
    import json

    body = json.loads(one.body)
    return {
        "Name": one.key.name, "Namespace": one.key.namespace, "Type": body.get("type", ""), "Data": len(_sizes(body)),
        "CreatedAt": human.ago(one.created, now),
        "_CreatedAt": one.created, "Labels": body["metadata"].get("labels") or {}, "Immutable": bool(body.get("immutable")), "ID": one.uid,
    }  # fmt: skip


def _sizes(body: dict[str, Any]) -> dict[str, int]:
    """Bytes of each key's value."""
    from base64 import b64decode

    encoded = {**(body.get("binaryData") or {}), **((body.get("data") or {}) if body["kind"] == "Secret" else {})}
    plain = body.get("data") or {} if body["kind"] != "Secret" else body.get("stringData") or {}
    return {**{k: len(b64decode(v or "")) for k, v in encoded.items()}, **{k: len(str(v).encode()) for k, v in plain.items()}}


def redacted(body: dict[str, Any]) -> dict[str, Any]:
    """A Secret with the sizes of its values in their place."""
    from kubeplay.play.given import LAST_APPLIED

    if body.get("kind") != "Secret":
        return body
    hidden = {key: f"<{size} bytes>" for key, size in sorted(_sizes(body).items())}
    shown = {**{k: v for k, v in body.items() if k != "stringData"}, "data": hidden}
    meta = shown.get("metadata") or {}
    if LAST_APPLIED in (meta.get("annotations") or {}):  # the values once more
        marks = {**meta["annotations"], LAST_APPLIED: f"<{len(str(meta['annotations'][LAST_APPLIED]))} bytes>"}
        shown["metadata"] = {**meta, "annotations": marks}
    return shown


def _inspect(kind: str) -> Command:
    secret = (flag("--show-secrets", "--showsecret", help="Show the values, in base64.", dest="show_secrets"),) if kind == "Secret" else ()

    @command(
        "inspect",
        f"Show everything about {kind}s, as JSON" + (": the sizes of their values, not the values." if secret else "."),
        argument("NAME", f"{kind}s.", many=True, complete=kind.lower()),
        text("-f", "--format", help="json, yaml, or a Go template."),
        secret,
    )
    def inspect(app: App, *, name: tuple[str, ...], format: str | None, show_secrets: bool = False) -> None:
        from kubeplay.cli.inspection import show, stored

        bodies = [stored(find(app, kind, one)) for one in name]
        show(bodies if show_secrets else [redacted(body) for body in bodies], format)

    return inspect


def find(app: App, kind: str, name: str) -> StoredObject:
    """The object called `name`. Raises NotFound."""
    namespace, _, last = name.rpartition("/")
    one = app.store.objects.find(ObjectKey(kind, namespace or app.namespace, last))
    if one is None:
        raise NotFound(f"no {kind} {last!r} in namespace {namespace or app.namespace}")
    return one


def _rm(kind: str) -> Command:
    @command(
        "rm",
        f"Remove {kind}s that no pod uses.",
        argument("NAME", f"{kind}s.", many=True, required=False, complete=kind.lower()),
        flag("-a", "--all", help=f"Every {kind} of the namespace."),
        flag("-i", "--ignore", help="One that is not there is no error."),
        flag("-f", "--force", help="Also when pods use it."),
    )
    def rm(app: App, *, name: tuple[str, ...], all: bool, ignore: bool, force: bool) -> None:
        if not name and not all:
            raise InvalidInput(f"no {kind} is named", hint="give names, or --all")
        names = [f"{one.key.namespace}/{one.key.name}" for one in app.store.objects.list(kind, app.namespace)] if all else list(name)
        for one in names:
            try:
                found = find(app, kind, one)
            except NotFound:
                if not ignore:
                    raise
                continue
            using = [] if force else users(app, found.key)
            if using:
                raise Conflict(f"{found.key} is used by pod {', '.join(using)}", hint="remove the pod first, or use --force")
            take(app, found.key)
            print(found.key.name)

    return rm


def take(app: App, key: ObjectKey) -> None:
    """Remove the object; where it is optional, its files go as well (VO3)."""
    from kubeplay.play.update import take

    with app.supervised():
        take(app.engine, key)


def users(app: App, key: ObjectKey) -> list[str]:
    """Names of the pods whose plan refers to the ConfigMap or Secret."""
    from kubeplay.cli.resolve import plan
    from kubeplay.plan.env import EnvKeyRef
    from kubeplay.plan.volumes import objects

    def refers(pod: Any) -> bool:
        files = any((one.kind, one.object_name) == (key.kind, key.name) for v in pod.volumes for one in objects(v.source))
        entries = [e for c in pod.containers for e in (*c.env, *c.env_from) if isinstance(e, EnvKeyRef) or hasattr(e, "prefix")]
        return files or any((e.kind, e.object_name) == (key.kind, key.name) for e in entries)

    return [pod.name for pod in map(plan, app.store.runtime.pods(key.namespace)) if refers(pod)]


def _exists(kind: str) -> Command:
    @command(
        "exists", f"Say by the exit status whether a {kind} exists (0) or not (1).", argument("NAME", f"{kind}.", complete=kind.lower())
    )
    def exists(app: App, *, name: str) -> int:
        try:
            find(app, kind, name)
        except NotFound:
            return 1
        return 0

    return exists


secret_ls, secret_inspect, secret_rm, secret_exists = _ls("Secret"), _inspect("Secret"), _rm("Secret"), _exists("Secret")
configmap_ls, configmap_inspect = _ls("ConfigMap"), _inspect("ConfigMap")
configmap_rm, configmap_exists = _rm("ConfigMap"), _exists("ConfigMap")
