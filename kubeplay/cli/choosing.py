"""Which objects a command that changes them means, and saying what became of each: what label, scale, set, rollout and delete share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.cli import things
from kubeplay.cli.declare import ALL_NAMESPACES, Option, choice, flag, many, text
from kubeplay.cli.sourcing import KUSTOMIZE as KUSTOMIZE
from kubeplay.errors import InvalidInput, KubeplayError, NotFound
from kubeplay.kube.kinds import Kind
from kubeplay.plan.stack import ObjectKey

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.play.edit import Change, Edited

Json = dict[str, Any]
Chosen = tuple[Kind, Json]
DRY_RUN = choice("--dry-run", choices=("none", "client", "server"), bare="client", default="none",
                 help="client, server: say what would be done; store nothing.")  # fmt: skip
FILES = many("-f", "--filename", dest="files", help="The objects that these files name.", metavar="FILE", complete="file")
SELECTOR = text("-l", "--selector", help="Objects of a kind with these labels: app=web,tier!=db,'env in (a, b)'.", metavar="SELECTOR")
ALL = flag("--all", help="Every object of the kind in the namespace.", dest="every")
OUTPUT = text("-o", "--output", help="Print the objects instead: name, json, yaml.", metavar="FORM", dest="output")
OPTIONS: tuple[Option, ...] = (
    FILES, KUSTOMIZE, SELECTOR, ALL, ALL_NAMESPACES, OUTPUT, DRY_RUN,
    text("--field-selector", help="Objects with these fields: metadata.name!=web.", metavar="SELECTOR"),
    flag("-R", "--recursive", help="Accepted for kubectl's sake: directories are read with what is in them.", hidden=True),
)  # fmt: skip


def chosen(app: App, words: Sequence[str], given: dict[str, Any], *, missing: Callable[[NotFound], None] | None = None) -> list[Chosen]:
    """What `KIND NAME...`, `KIND/NAME...`, files or a selector mean. `missing` is told of what is not there; else NotFound is raised.

    Raises InvalidInput where nothing is meant, or two ways are mixed.
    """
    files, every = given.get("files") or (), given.get("every") or given.get("all_namespaces")
    chooses = bool(given.get("selector") or given.get("field_selector") or every)
    if files or given.get("kustomize"):
        if words or chooses:
            raise InvalidInput("give either files, or kinds and names")
        return _found(app, [(things.kind(key.kind), f"{key.namespace}/{key.name}") for key in named(app, files, given)], missing)
    if not words:
        raise InvalidInput("no resources are named", hint="give KIND NAME, KIND/NAME, -f FILE or -k DIR")
    from kubeplay.cli.get import targets

    pairs = targets(words)
    if any(name for _, name in pairs):
        if chooses:
            raise InvalidInput("a name and a selector or --all exclude each other")
        return _found(app, pairs, missing)
    if not chooses:
        raise InvalidInput("resource(s) were provided, but no name was specified", hint="give names, --selector or --all")
    from kubeplay.kube import selector

    labels, fields = selector.labels(given.get("selector") or ""), selector.fields(given.get("field_selector") or "")
    scope = app.scope(bool(given.get("all_namespaces")))
    bodies = [(one, body) for one, _ in pairs for body in things.listed(app, one, scope)]
    return [(one, body) for one, body in bodies if labels(body["metadata"].get("labels") or {}) and fields(body)]


def named(app: App, files: Sequence[str], given: dict[str, Any]) -> list[ObjectKey]:
    """The objects of files, or of the kustomization of -k. Raises InvalidInput where a document names none."""
    from kubeplay.cli.play import named as keys

    found, faults = keys(app, tuple(files), given)
    if faults:
        raise InvalidInput("not every document names an object", faults)
    return found


def _found(app: App, pairs: Iterable[tuple[Kind, str]], missing: Callable[[NotFound], None] | None) -> list[Chosen]:
    found = []
    for one, name in pairs:
        try:
            found.append((one, things.fetched(app, one, name)))
        except NotFound as error:
            if missing is None:
                raise
            missing(error)
    return found


def key_of(one: Kind, body: Json) -> ObjectKey:
    meta = body["metadata"]
    return ObjectKey(one.kind, (meta.get("namespace") or "default") if one.namespaced else "", meta["name"])


def each(app: App, found: Sequence[Chosen], act: Callable[[Kind, Json], str]) -> int:
    """Act on each object and print what it says, report every failure; the exit status."""
    from kubeplay.cli.failure import report

    status = 0
    with app.supervised():
        for one, body in found:
            try:
                said = act(one, body)
            except KubeplayError as error:
                status = report(error, app.settings.log_level, app.settings.log_format)
                continue
            if said:
                sys.stdout.write(said)
                sys.stdout.flush()
    return status


def edit(app: App, one: Kind, body: Json, change: Change, given: dict[str, Any], *, version: int | None = None) -> Edited:
    """Change a stored object as the flags say (--dry-run)."""
    from kubeplay.play import edit as edits

    key = key_of(one, body)
    if one.kind in ("Namespace", "Node") and app.store.objects.find(key) is None:  # it is there without being stored
        app.store.objects.create(key, edits.written({"apiVersion": "v1", "kind": one.kind, "metadata": {"name": key.name}}))
    return edits.edit(app.engine, key, change, expect_version=version, dry=given.get("dry_run") not in (None, "none"))


def said(one: Kind, body: Json, verb: str, given: dict[str, Any]) -> str:
    """`deployment.apps/web scaled`, or the object in the form that -o asks for."""
    form = given.get("output")
    if form in ("json", "yaml"):
        from kubeplay.cli.get import Wish, written

        return written([(one, body)], Wish(form), 0.0, True)
    if form not in (None, "", "name"):
        raise InvalidInput(f"-o {form!r} is not known", hint="forms: name, json, yaml")
    title = things.title(one, body["metadata"]["name"])
    return f"{title}\n" if form == "name" else f"{title} {verb}{dry(given)}\n"


def dry(given: dict[str, Any]) -> str:
    """kubectl's mark of what was not done."""
    return {"client": " (dry run)", "server": " (server dry run)"}.get(given.get("dry_run") or "", "")
