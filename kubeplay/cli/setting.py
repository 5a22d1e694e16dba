"""set image, env, resources: fields of pod templates, with kubectl's words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.cli import choosing, things
from kubeplay.cli.declare import argument, command, flag, many, text
from kubeplay.errors import InvalidInput, NotFound
from kubeplay.kube.kinds import Kind

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.play.edit import Change

Json = dict[str, Any]
CONTAINERS = text("-c", "--containers", help="Only containers whose names fit, with * for anything.", default="*", metavar="NAMES")
_OBJECTS = "KIND NAME... or KIND/NAME..., then"


def split(words: Sequence[str], is_pair: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    """Objects, and the pairs after them."""
    first = next((at for at, word in enumerate(words) if is_pair(word)), len(words))
    return list(words[:first]), list(words[first:])


def _fitting(spec: Json, pattern: str, where: str) -> list[Json]:
    """Containers whose names fit. Raises NotFound."""
    from fnmatch import fnmatchcase

    every = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    found = [one for one in every if any(fnmatchcase(one["name"], part) for part in pattern.split(","))]
    if not found:
        names = ", ".join(one["name"] for one in every)
        raise NotFound(f"unable to find container named {pattern!r} in {where}", hint=f"its containers: {names}")
    return found


def _each(change: Callable[[Json], None], pattern: str) -> Change:
    """The change of every container whose name fits."""
    from kubeplay.play import rollout

    def write(body: Json) -> None:
        for container in _fitting(rollout.pod_spec(body), pattern, f"{body['kind']} {body['metadata']['name']}"):
            change(container)

    return write


def _changed(app: App, found: list[choosing.Chosen], change: Change, verb: str, given: dict[str, Any]) -> int:
    def act(one: Kind, body: Json) -> str:
        edited = choosing.edit(app, one, body, change, given)
        quiet = not edited.changed and given.get("output") in (None, "")
        return "" if quiet else choosing.said(one, edited.body, verb, given)  # kubectl says nothing of what stays as it is

    return choosing.each(app, found, act)


@command(
    "image",
    "Give containers other images; workloads roll them out.\n\n    kubeplay set image deploy/web main=shop/web:2\n"
    "    kubeplay set image deploy,ds *=busybox:1.36 --all",
    argument("KIND", f"{_OBJECTS} CONTAINER=IMAGE, * for every container.", dest="words", many=True, complete="kind"),
    choosing.OPTIONS,
)
def image(app: App, *, words: tuple[str, ...], **given: Any) -> int:
    from kubeplay.play import rollout

    names, pairs = split(words, lambda word: "=" in word)
    images = [pair.partition("=")[::2] for pair in pairs]
    if not images or not all(name and image_ for name, image_ in images):
        raise InvalidInput("CONTAINER=IMAGE is required", hint="kubeplay set image deploy/web main=shop/web:2")

    return _changed(app, choosing.chosen(app, names, given), rollout.with_images(dict(images)), "image updated", given)


@command(
    "env",
    "Set variables of containers, or take them away.\n\n    kubeplay set env deploy/web LOG=debug OLD-\n"
    "    kubeplay set env deploy/web --from=configmap/conf --prefix=APP_\n    kubeplay set env pod/web --list",
    argument("KIND", f"{_OBJECTS} NAME=VALUE to set, NAME- to remove.", dest="words", many=True, complete="kind"),
    choosing.OPTIONS,
    CONTAINERS,
    many("-e", "--env", help="A variable, as NAME=VALUE.", dest="more", metavar="NAME=VALUE"),
    text("--from", help="Every key of a ConfigMap or Secret: configmap/NAME, secret/NAME.", metavar="KIND/NAME", dest="source"),
    text("--keys", help="Of --from only these keys.", metavar="KEY,..."),
    text("--prefix", help="Of --from: put this before each name.", default="", metavar="TEXT"),
    flag("--overwrite", help="Also where there is another value already.", default=True),
    flag("--list", help="Print the variables.", dest="show"),
)
def env(app: App, *, words: tuple[str, ...], more: tuple[str, ...], containers: str, overwrite: bool, show: bool, **given: Any) -> int:
    names, pairs = split(words, lambda word: "=" in word or word.endswith("-"))
    found = choosing.chosen(app, names, given)
    put = dict(pair.partition("=")[::2] for pair in (*pairs, *more) if "=" in pair)
    entries: list[Json] = [{"name": name, "value": value} for name, value in put.items()]
    entries += _from(app, given)
    drop = {pair[:-1] for pair in pairs if "=" not in pair}
    if show:
        sys.stdout.write("".join(_listed(one, body, containers) for one, body in found))
        return 0
    if not (entries or drop):
        raise InvalidInput("at least one environment variable must be provided", hint="kubeplay set env deploy/web NAME=VALUE")

    change = _each(lambda container: _variables(container, entries, drop, overwrite), containers)
    return _changed(app, found, change, "env updated", given)


def _variables(container: Json, entries: Sequence[Json], drop: set[str], overwrite: bool) -> None:
    now = [one for one in container.get("env") or [] if one["name"] not in drop]
    places = {one["name"]: at for at, one in enumerate(now)}
    taken = [one["name"] for one in entries if one["name"] in places and now[places[one["name"]]] != one]
    if taken and not overwrite:
        raise InvalidInput(f"'{taken[0]}' already has a value, and --overwrite is false")
    for one in entries:
        if one["name"] in places:
            now[places[one["name"]]] = one
        else:
            now.append(one)
    container.pop("env", None)
    if now:
        container["env"] = now


def _from(app: App, given: dict[str, Any]) -> list[Json]:
    """A reference to each key of --from, named as kubectl does: upper-case, `_` for what a variable cannot have."""
    if not given["source"]:
        return []
    word, _, name = given["source"].partition("/")
    one = things.kind(word)
    if one.kind not in ("ConfigMap", "Secret"):
        raise InvalidInput(f"--from {given['source']}: neither a ConfigMap nor a Secret")
    body = things.fetched(app, one, name)
    wanted = given["keys"].split(",") if given["keys"] else sorted({*(body.get("data") or {})})
    ref = "configMapKeyRef" if one.kind == "ConfigMap" else "secretKeyRef"
    return [
        {"name": given["prefix"] + _variable(key), "valueFrom": {ref: {"name": body["metadata"]["name"], "key": key}}} for key in wanted
    ]


def _variable(key: str) -> str:
    import re

    return re.sub("[^A-Za-z0-9_]", "_", key).upper()


def _listed(one: Kind, body: Json, containers: str) -> str:
    from kubeplay.play import rollout

    title = things.title(one, body["metadata"]["name"])
    lines = []
    for container in _fitting(rollout.pod_spec(body), containers, title):
        lines.append(f"# {title}, container {container['name']}")
        for entry in container.get("env") or []:
            lines.append(_entry(entry))
    return "".join(f"{line}\n" for line in lines)


def _entry(entry: Json) -> str:
    """A variable as --list shows it; one that comes from elsewhere as a comment."""
    for kind, ref in (entry.get("valueFrom") or {}).items():
        what = f"{ref.get('name', '')}, key {ref['key']}" if ref.get("key") else kind
        return f"# {entry['name']} from {what}"
    return f"{entry['name']}={entry.get('value', '')}"


@command(
    "resources",
    "Set limits and requests of containers; 0 takes one away.\n\n"
    "    kubeplay set resources deploy/web --limits=cpu=200m,memory=64Mi --requests=cpu=100m",
    argument("KIND", "KIND NAME... or KIND/NAME....", dest="words", many=True, required=False, complete="kind"),
    choosing.OPTIONS,
    CONTAINERS,
    text("--limits", help="As cpu=200m,memory=64Mi.", metavar="NAME=AMOUNT,..."),
    text("--requests", help="As cpu=100m,memory=32Mi.", metavar="NAME=AMOUNT,..."),
)
def resources(app: App, *, words: tuple[str, ...], containers: str, limits: str | None, requests: str | None, **given: Any) -> int:
    wanted = {"limits": _amounts("--limits", limits), "requests": _amounts("--requests", requests)}
    if not any(wanted.values()):
        raise InvalidInput("you must specify an update to requests or limits (in the form of --requests/--limits)")

    def change(container: Json) -> None:
        for field, amounts in wanted.items():
            now = {**((container.get("resources") or {}).get(field) or {}), **amounts}
            kept = {name: amount for name, amount in now.items() if amount not in ("0", 0)}
            container.setdefault("resources", {}).pop(field, None)
            if kept:
                container["resources"][field] = kept

    found = choosing.chosen(app, words, given)
    return _changed(app, found, _each(change, containers), "resource requirements updated", given)


def _amounts(flag_: str, text_: str | None) -> dict[str, str]:
    found = {}
    for part in filter(None, (text_ or "").split(",")):
        name, equals, amount = part.partition("=")
        if not (name and equals and amount):
            raise InvalidInput(f"{flag_} {part!r} is not NAME=AMOUNT")
        found[name] = amount
    return found


@command(
    "serviceaccount",
    "Give pod templates another ServiceAccount: the last word.\n\n    kubeplay set serviceaccount deploy/web builder",
    argument("KIND", f"{_OBJECTS} the account's name.", dest="words", many=True, complete="kind"),
    choosing.OPTIONS,
)
def serviceaccount(app: App, *, words: tuple[str, ...], **given: Any) -> int:
    if len(words) < 2 and not given["files"] and not given["kustomize"]:
        raise InvalidInput("both the object and the serviceaccount must be specified")

    from kubeplay.play import rollout

    def change(body: Json) -> None:
        spec = rollout.pod_spec(body)
        spec["serviceAccountName"] = spec["serviceAccount"] = words[-1]

    return _changed(app, choosing.chosen(app, words[:-1], given), change, "serviceaccount updated", given)
