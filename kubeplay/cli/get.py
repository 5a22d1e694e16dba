"""get: stored objects of any kind, in kubectl's columns and forms (KC2, KC3)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.cli import things
from kubeplay.cli.declare import ALL_NAMESPACES, argument, command, flag, many, text
from kubeplay.errors import InvalidInput
from kubeplay.kube import printers
from kubeplay.kube.kinds import Kind
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.cli.app import App

Json = dict[str, Any]
Found = list[tuple[Kind, Json]]
FORMS = "json, yaml, wide, name, jsonpath=TEMPLATE, go-template=TEMPLATE, custom-columns=HEADER:PATH,..."
GAP = 3  # kubectl's tabwriter
NARROWEST = 6
POLL_SECONDS = 0.25  # how soon --watch shows a change


class Wish(Record):
    """What of the objects is shown, and how."""

    form: str = ""
    labels: bool = False
    columns: tuple[str, ...] = ()
    heading: bool = True
    namespaces: bool = False
    kinds: bool = False
    secrets: bool = False


@command(
    "get",
    "Show objects: pods, services, configmaps, ... with their status.\n\n"
    "    kubeplay get pods\n    kubeplay get pod web -o yaml\n    kubeplay get deploy,svc -o wide\n    kubeplay get pod/web svc/web\n\n"
    "The values of Secrets are shown with --show-secrets only.",
    argument("KIND", "Kinds, with commas (pods, svc, deploy, cm, ...; all), or KIND/NAME.", dest="words", many=True, complete="kind"),
    text("-o", "--output", help=f"{FORMS}.", metavar="FORM", dest="output"),
    text("--format", help="table, json, wide, or a Go template for each object."),
    text("-l", "--selector", help="Objects with these labels: app=web,tier!=db,'env in (a, b)'.", metavar="SELECTOR"),
    text("--field-selector", help="Objects with these fields: status.phase=Running,metadata.name!=web.", metavar="SELECTOR"),
    many("-f", "--filter", dest="filters", help="Show what matches KEY=VALUE only: name, label, namespace, status.", metavar="KEY=VALUE"),
    text("--sort-by", help="Sort by what this path leads to: .metadata.name.", metavar="PATH"),
    many("-L", "--label-columns", help="Show these labels as columns.", metavar="LABEL"),
    flag("--show-labels", help="Show all labels in a last column."),
    flag("-q", "--quiet", help="Print names only."),
    flag("--no-headers", "--noheading", help="Leave the table's header out.", dest="no_headers"),
    flag("--no-trunc", help="Accepted for podman's sake: nothing is cut."),
    flag("--ignore-not-found", help="One that is not there is no error."),
    flag("--show-kind", help="Show names as KIND/NAME."),
    flag("--show-secrets", help="Show the values of Secrets, in base64."),
    flag("-w", "--watch", help="Stay, and show what changes."),
    flag("--watch-only", help="The same, without what is there now."),
    ALL_NAMESPACES,
)
def get(app: App, *, words: tuple[str, ...], watch: bool, watch_only: bool, **given: Any) -> int:
    wish = _wish(words, given)
    status = 0
    if not watch_only:
        found = _found(app, words, given)
        status = _shown(app, found, wish, given, words)
    if watch or watch_only:
        _watch(app, words, given, wish)
    return status


def _wish(words: Sequence[str], given: dict[str, Any]) -> Wish:
    form = given["output"] or ("name" if given["quiet"] else "")
    if given["format"]:
        form = {"table": "", "json": "json", "wide": "wide"}.get(given["format"], f"go-template={given['format']}")
    several = len(words) == 1 and ("," in words[0] or words[0] == "all") or any("/" in word for word in words[1:])
    labels = tuple(label for text_ in given["label_columns"] for label in text_.split(","))
    return Wish(
        form, given["show_labels"], labels, not given["no_headers"], given["all_namespaces"], given["show_kind"] or several,
        given["show_secrets"],
    )  # fmt: skip


def _found(app: App, words: Sequence[str], given: dict[str, Any]) -> Found:
    """The objects that are meant. Raises NotFound, InvalidInput."""
    from kubeplay.errors import NotFound

    found: Found = []
    for one, name in targets(words):
        if not name:
            scope = app.scope(given["all_namespaces"])
            found += [(one, body) for body in things.listed(app, one, scope)]
            continue
        if given["all_namespaces"]:
            raise InvalidInput("a name is of one namespace", hint="give either a name or --all-namespaces")
        try:
            found.append((one, things.fetched(app, one, name)))
        except NotFound:
            if not given["ignore_not_found"]:
                raise
    return _ordered(_chosen(found, given), given["sort_by"])


def targets(words: Sequence[str]) -> list[tuple[Kind, str]]:
    """(kind, name) of `pods`, `pod web db`, `pod/web svc/web`; a name is "" where every object is meant. Raises InvalidInput."""
    if "/" in words[0] and things.is_kind(words[0].partition("/")[0]):
        pairs = [word.partition("/") for word in words]
        if not all(slash and name for _, slash, name in pairs):
            raise InvalidInput("KIND/NAME and plain names cannot be mixed", hint="kubeplay get pod/web service/web")
        return [(things.kind(word), name) for word, _, name in pairs]
    kinds = things.kinds(words[0])
    if len(words) > 1:
        return [(one, name) for one in kinds for name in words[1:]]
    return [(one, "") for one in kinds]


def _chosen(found: Found, given: dict[str, Any]) -> Found:
    from kubeplay.kube import selector

    fits = selector.labels(given["selector"] or "")
    fields = selector.fields(given["field_selector"] or "")
    found = [pair for pair in found if fits(pair[1]["metadata"].get("labels") or {}) and fields(pair[1])]
    return _filtered(found, given["filters"]) if given["filters"] else found


def _filtered(found: Found, filters: Sequence[str]) -> Found:
    from kubeplay.cli import listing
    from kubeplay.kube import columns

    def record(one: Kind, body: Json) -> Json:
        status = body.get("status", {})
        text_ = columns.text(status, "deletionTimestamp" in body["metadata"], body.get("spec")) if one.kind == "Pod" else ""
        meta = body["metadata"]
        return {
            "Name": meta["name"], "Namespace": meta.get("namespace", ""), "Labels": meta.get("labels") or {}, "Kind": one.kind,
            "Status": (text_, status.get("phase", "")), "ID": meta.get("uid", ""), "_pair": (one, body),
        }  # fmt: skip

    known = listing.Listing(
        (), "Name",
        {
            "name": listing.contains("Name"), "label": listing.label, "namespace": listing.equals("Namespace"),
            "kind": listing.equals("Kind"), "id": listing.prefix("ID"),
            "status": lambda r, v: v.lower() in (s.lower() for s in r["Status"]),
        },
    )  # fmt: skip
    return [kept["_pair"] for kept in listing.filtered(known, [record(*pair) for pair in found], filters)]


def _ordered(found: Found, path: str | None) -> Found:
    if not path:
        return found
    from kubeplay.kube import jsonpath

    def rank(pair: tuple[Kind, Json]) -> tuple[int, float, str]:
        values = jsonpath.values(path, pair[1])
        if not values:
            return 2, 0.0, ""
        if isinstance(values[0], (int, float)):
            return 0, float(values[0]), ""
        return 1, 0.0, jsonpath.shown(values[0])

    return sorted(found, key=rank)


def _shown(app: App, found: Found, wish: Wish, given: dict[str, Any], words: Sequence[str]) -> int:
    single = len(found) == 1 and len(words) > 1 or len(words) == 1 and "/" in words[0]
    if not found and wish.form in ("", "wide", "name") and not given["ignore_not_found"]:
        where = "" if given["all_namespaces"] or not any(one.namespaced for one, _ in targets(words)) else f" in {app.namespace} namespace"
        print(f"No resources found{where}.", file=sys.stderr)
        return 0
    sys.stdout.write(written(found, wish, app.engine.clock.now(), single))
    return 0


def written(found: Found, wish: Wish, now: float, single: bool) -> str:
    """The objects in the form that is wished. Raises InvalidInput for one that is not known."""
    form, _, template = wish.form.partition("=")
    if form in ("", "wide"):
        return _tables(found, wish, now, form == "wide")
    if form == "name":
        return "".join(things.title(one, body["metadata"]["name"]) + "\n" for one, body in found)
    bodies = [body if wish.secrets else _redacted(body) for _, body in found]
    whole = bodies[0] if single and bodies else {"apiVersion": "v1", "items": bodies, "kind": "List", "metadata": {"resourceVersion": ""}}
    if form == "json":
        import json

        return json.dumps(whole, indent=4, sort_keys=True, ensure_ascii=False) + "\n"
    if form == "yaml":
        from kubeplay.kube import write

        return write.document(_sorted(whole))
    if form == "jsonpath":
        from kubeplay.kube import jsonpath

        return jsonpath.render(template, whole)
    if form == "go-template":
        from kubeplay.cli import listing

        return listing.templated(template, bodies)
    if form == "custom-columns":
        return _custom(template, bodies, wish.heading)
    raise InvalidInput(f"-o {wish.form!r} is not known", hint=f"forms: {FORMS}")


def _redacted(body: Json) -> Json:
    from kubeplay.cli.objects import redacted

    return redacted(body)


def _sorted(value: Any) -> Any:
    """Keys in order, as kubectl writes them."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def _tables(found: Found, wish: Wish, now: float, wide: bool) -> str:
    """A table for each kind, an empty line between."""
    groups: dict[str, Found] = {}
    for pair in found:
        groups.setdefault(pair[0].kind, []).append(pair)
    return "\n".join(_table(group, wish, now, wide) for group in groups.values())


def _table(group: Found, wish: Wish, now: float, wide: bool) -> str:
    from kubeplay.cli.table import render

    printer = printers.printer(group[0][0].kind)
    header = [*(["NAMESPACE"] if wish.namespaces and group[0][0].namespaced else []), *(["NAME"] if printer.named else [])]
    header += [column.header for column in printer.columns if wide or not column.wide]
    header += [label.rpartition("/")[2].upper() for label in wish.columns] + (["LABELS"] if wish.labels else [])
    rows = [_row(one, body, wish, now, wide) for one, body in group]
    return render(header if wish.heading else None, rows, GAP, NARROWEST)


def _row(one: Kind, body: Json, wish: Wish, now: float, wide: bool) -> list[str]:
    printer, meta = printers.printer(one.kind), body["metadata"]
    cells = [meta.get("namespace", "")] if wish.namespaces and one.namespaced else []
    if printer.named:
        own = printers.name(body)
        cells.append(things.title(one, own) if wish.kinds else own)
    cells += [cell for column, cell in zip(printer.columns, printer.cells(body, now)) if wide or not column.wide]
    labels = meta.get("labels") or {}
    cells += [labels.get(label, "") for label in wish.columns]
    return cells + ([",".join(f"{k}={v}" for k, v in sorted(labels.items())) or printers.NONE] if wish.labels else [])


def _custom(template: str, bodies: Sequence[Json], heading: bool) -> str:
    from kubeplay.cli.table import render
    from kubeplay.kube import jsonpath

    pairs = [part.partition(":") for part in template.split(",")]
    if not template or not all(header and path for header, _, path in pairs):
        raise InvalidInput(f"-o custom-columns={template}: not HEADER:PATH[,HEADER:PATH]")
    rows = [[",".join(map(jsonpath.shown, jsonpath.values(path, body))) or printers.NONE for _, _, path in pairs] for body in bodies]
    return render([header for header, _, _ in pairs] if heading else None, rows, GAP, NARROWEST)


def _watch(app: App, words: Sequence[str], given: dict[str, Any], wish: Wish) -> None:
    """Print each object again when it has changed; until interrupted. What has gone is printed once more as it was."""
    known = {_key(pair): pair for pair in _found(app, words, {**given, "ignore_not_found": True})}
    after = wish._replace(heading=False)
    while True:
        sys.stdout.flush()
        app.engine.clock.sleep(POLL_SECONDS)
        found = {_key(pair): pair for pair in _found(app, words, {**given, "ignore_not_found": True})}
        changed = [pair for key, pair in found.items() if key not in known or known[key][1] != pair[1]]
        changed += [pair for key, pair in known.items() if key not in found]
        for pair in changed:
            sys.stdout.write(written([pair], after, app.engine.clock.now(), True))
        known = found


def _key(pair: tuple[Kind, Json]) -> tuple[str, str, str]:
    meta = pair[1]["metadata"]
    return pair[0].kind, meta.get("namespace", ""), meta["name"]
