"""`replacements`: a value of one object copied into fields of others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.kube.compose import BadYaml
from kubeplay.kube.document import Document, Positions
from kubeplay.kube.scalars import resolve
from kubeplay.kustomize import shape
from kubeplay.kustomize.model import Id, Resource, Tree, copied, plain
from kubeplay.kustomize.reading import value
from kubeplay.kustomize.root import Root
from kubeplay.kustomize.select import selected
from kubeplay.record import Record

_TEXTS = ("metadata.labels.", "metadata.annotations.")
_ID = ("group", "version", "kind", "name", "namespace")


class Replacement(Record):
    """One replacement and where it stands."""

    where: str
    source: Tree
    targets: tuple[Tree, ...]


def of(root: Root, rows: Sequence[Tree]) -> list[Replacement]:
    """The replacements of a kustomization and of the files it names. Raises InvalidInput."""
    found = []
    for at, row in enumerate(rows):
        where = f"{root.shown}: replacements[{at}]"
        inner, path = [row], row.get("path")
        if path:
            if row.get("source") or row.get("targets"):
                raise InvalidInput(f"{where}: cannot specify both path and inline replacement")
            inner, where = _file(root.read(path), root.name(path)), root.name(path)
        found += [_checked(one, where) for one in inner]
    return found


def _file(data: bytes, source: str) -> list[Tree]:
    """A file holds one replacement or a list of them."""
    import yaml

    try:
        found = value(data)
    except BadYaml as error:
        raise InvalidInput(f"{source}:{error.line + 1}:{error.column + 1}: {error.message}", hint=error.hint) from None
    except yaml.YAMLError as error:
        raise InvalidInput(f"{source}: {error}") from None
    rows = found if isinstance(found, list) else [found]
    shape.checked(Document(source, 0, {"replacements": rows}, Positions(data)), {"replacements": [shape.REPLACEMENT]})
    return rows


def _checked(row: Tree, where: str) -> Replacement:
    source, targets = row.get("source"), row.get("targets")
    if not source or not targets:
        raise InvalidInput(f"{where}: replacements must specify a source and at least one target")
    for part in (source, *targets):
        if (part.get("options") or {}).get("encoding"):
            raise InvalidInput(f"{where}: options.encoding is not supported")
    if any(not target.get("select") for target in targets):
        raise InvalidInput(f"{where}: target must specify resources to select")
    return Replacement(where, source, tuple(targets))


def replaced(resources: Sequence[Resource], replacements: Sequence[Replacement]) -> None:
    """Every target with the source's value. Raises InvalidInput for a source or a field that is not there."""
    for one in replacements:
        value = _value(resources, one)
        for target in one.targets:
            options = target.get("options") or {}
            for resource in _targets(resources, target, one.where):
                for path in target.get("fieldPaths") or ("metadata.name",):
                    _replace(resource, path, value, options, one.where)


def _value(resources: Sequence[Resource], one: Replacement) -> Any:
    wanted = {key: one.source[key] for key in _ID if one.source.get(key)}
    found = [resource for resource in resources if any(_is(id, wanted) for id in resource.ids)]
    named = " ".join(f"{key} {value}" for key, value in wanted.items())
    if len(found) != 1:
        what = "nothing selected by" if not found else "multiple matches for selector"
        raise InvalidInput(f"{one.where}: {what} {named}")
    path = one.source.get("fieldPath") or "metadata.name"
    places = list(_places(found[0].value, steps(path), False))
    if len(places) != 1 or _MISSING is (value := places[0].value):
        raise InvalidInput(f"{one.where}: fieldPath `{path}` is missing for replacement source {found[0].id}")
    options = one.source.get("options") or {}
    if options.get("delimiter"):
        parts, at = _text(value, one.where).split(options["delimiter"]), options.get("index") or 0
        if not 0 <= at < len(parts):
            raise InvalidInput(f"{one.where}: options.index {at} is out of bounds for value {value}")
        return parts[at]
    return value


def _is(id: Id, wanted: Tree) -> bool:
    return all((getattr(id, key) or ("default" if key == "namespace" else "")) == value for key, value in wanted.items())


def _targets(resources: Sequence[Resource], target: Tree, where: str) -> list[Resource]:
    rejected = {id(one) for row in target.get("reject") or () if row for one in selected(resources, row, where)}
    return [one for one in selected(resources, target["select"], where) if id(one) not in rejected]


_MISSING = object()


class _Place(Record):
    """A field of a map or a list."""

    parent: Any
    key: Any

    @property
    def value(self) -> Any:
        if isinstance(self.parent, list):
            return self.parent[self.key] if self.key < len(self.parent) else _MISSING
        return self.parent.get(self.key, _MISSING)

    def put(self, value: Any) -> None:
        if isinstance(self.parent, list) and self.key == len(self.parent):
            self.parent.append(value)
        else:
            self.parent[self.key] = value


def steps(path: str) -> list[str]:
    """The parts between dots; `\\.` and brackets keep a dot. `[name=web]` stays whole, `[a.b/c]` is the key in it."""
    parts, part, depth, at = [""], "", 0, 0
    while at < len(path):
        letter = path[at]
        if letter == "\\" and path[at + 1 : at + 2] == ".":
            part, at = part + ".", at + 1
        elif letter == "." and not depth:
            parts.append(part)
            part = ""
        else:
            depth += (letter == "[") - (letter == "]" and depth > 0)
            part += letter
        at += 1
    found = [*parts[1:], part]
    return [one[1:-1] if one.startswith("[") and one.endswith("]") and "=" not in one else one for one in found if one]


def _places(value: Any, path: list[str], create: bool) -> Iterator[_Place]:
    """The places that a path means; with `create` what is missing is made, else nothing comes of it."""
    step, rest = path[0], path[1:]
    for place in _here(value, step, create):
        if not rest:
            yield place
            continue
        inner = place.value
        if inner is _MISSING or inner is None:
            if not create:
                continue
            inner = [] if rest[0].startswith("[") or rest[0] == "-" else {}
            place.put(inner)
        yield from _places(inner, rest, create)


def _here(value: Any, step: str, create: bool) -> list[_Place]:
    if isinstance(value, dict):
        if step == "*":
            return [_Place(value, key) for key in value]
        return [_Place(value, step)] if create or step in value else []
    if not isinstance(value, list):
        return []
    if step == "*":
        return [_Place(value, at) for at in range(len(value))]
    if step == "-":
        return [_Place(value, len(value) if create else len(value) - 1)] if value or create else []
    if step.startswith("["):
        key, _, wanted = step[1:-1].partition("=")
        found = [_Place(value, at) for at, item in enumerate(value) if _matches(item, key, wanted)]
        if not found and create:
            value.append({key: wanted} if key else wanted)
            found = [_Place(value, len(value) - 1)]
        return found
    at = int(step) if step.isdecimal() and step.isascii() and len(step) < 10 else -1
    return [_Place(value, at)] if 0 <= at < len(value) else []


def _matches(item: Any, key: str, wanted: str) -> bool:
    found = item.get(key) if isinstance(item, dict) and key else item if not key else None
    return found is not None and not isinstance(found, (dict, list)) and plain(found) == wanted


def _replace(resource: Resource, path: str, value: Any, options: Tree, where: str) -> None:
    create = bool(options.get("create"))
    places = list(_places(resource.value, steps(path), create))
    if not places:
        raise InvalidInput(f"{where}: unable to find field `{path}` in replacement target {resource.id}", hint="options.create makes it")
    for place in places:
        old = place.value
        made = _made(None if old is _MISSING else old, value, options, where)
        place.put(plain(made) if path.startswith(_TEXTS) and not isinstance(made, (dict, list)) else made)


def _made(old: Any, value: Any, options: Tree, where: str) -> Any:
    """The new value: a whole one, or a part of the text that is there; where a scalar was, its type stays."""
    if delimiter := options.get("delimiter"):
        parts, at, part = _text(old, where).split(delimiter) if old is not None else [], options.get("index") or 0, _text(value, where)
        if at < 0:
            parts.insert(0, part)
        elif at >= len(parts):
            parts.append(part)
        else:
            parts[at] = part
        value = delimiter.join(parts)
    if isinstance(value, (dict, list)) or isinstance(old, (dict, list)) or old is None:
        return copied(value)
    return plain(value) if isinstance(old, str) else resolve(plain(value))


def _text(value: Any, where: str) -> str:
    if isinstance(value, (dict, list)) or value is None:
        raise InvalidInput(f"{where}: delimiter option can only be used with scalar nodes")
    return plain(value)
