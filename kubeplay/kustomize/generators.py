"""configMapGenerator and secretGenerator: objects from literals, files and files of variables."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence

from kubeplay.errors import InvalidInput
from kubeplay.kustomize.model import Id, Resource, Tree, copied
from kubeplay.kustomize.root import Root

KINDS = (("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret"))
# kustomize breaks base64 into lines of this length, which is part of what is hashed.
_LINE = 70
_BEHAVIORS = ("", "unspecified", "create", "replace", "merge")


def generated(root: Root, kustomization: Tree) -> list[Resource]:
    """What the generators of a kustomization make. Raises InvalidInput, NotFound."""
    common = kustomization.get("generatorOptions") or {}
    return [
        _resource(root, row, kind, common, f"{root.shown}: {field}[{at}]")
        for field, kind in KINDS
        for at, row in enumerate(kustomization.get(field) or ())
    ]


def _resource(root: Root, row: Tree, kind: str, common: Tree, where: str) -> Resource:
    name, options, behavior = row.get("name") or "", row.get("options") or {}, row.get("behavior") or ""
    if not name:
        raise InvalidInput(f"{where}: needs a name")
    if behavior not in _BEHAVIORS:
        raise InvalidInput(f"{where}: behavior is {behavior!r}, which is none of {', '.join(_BEHAVIORS[1:])}")
    metadata: Tree = {"name": name}
    if row.get("namespace"):
        metadata["namespace"] = row["namespace"]
    for key in ("labels", "annotations"):
        merged = {**(common.get(key) or {}), **(options.get(key) or {})}
        if merged:
            metadata[key] = merged
    value: Tree = {"apiVersion": "v1", "kind": kind, "metadata": metadata, **_data(root, row, kind, where)}
    if kind == "Secret":
        value["type"] = row.get("type") or "Opaque"
    if options.get("immutable") or common.get("immutable"):
        value["immutable"] = True
    hashed = not (options.get("disableNameSuffixHash") or common.get("disableNameSuffixHash"))
    return Resource(value, where, hashed=hashed, behavior=behavior)


def _data(root: Root, row: Tree, kind: str, where: str) -> Tree:
    plain: dict[str, str] = {}
    binary: dict[str, str] = {}
    for key, content in _pairs(root, row, where):
        if key in plain or key in binary:
            raise InvalidInput(f"{where}: cannot add key {key}, another key by that name already exists")
        if not _is_key(key):
            raise InvalidInput(f"{where}: {key!r} is not a valid key name: letters, digits, `-`, `_` and `.` only")
        if kind == "Secret":
            plain[key] = _base64(content)
            continue
        try:
            plain[key] = content.decode("utf-8")
        except UnicodeDecodeError:
            binary[key] = _base64(content)
    return {**({"data": plain} if plain else {}), **({"binaryData": binary} if binary else {})}


def _is_key(key: str) -> bool:
    return key not in (".", "..") and re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key) is not None


def _base64(content: bytes) -> str:
    text = b64encode(content).decode()
    if len(text) <= _LINE:
        return text
    return "".join(f"{text[at : at + _LINE]}\n" for at in range(0, len(text), _LINE))


def _pairs(root: Root, row: Tree, where: str) -> Iterator[tuple[str, bytes]]:
    for source in [*(row.get("envs") or ()), *filter(None, [row.get("env")])]:
        yield from _variables(root.read(source), root.name(source))
    for literal in row.get("literals") or ():
        key, equals, text = literal.partition("=")
        if not equals or not key:
            raise InvalidInput(f"{where}: invalid literal source {literal}, expected key=value")
        yield key, _unquoted(text).encode()
    for file in row.get("files") or ():
        key, equals, path = file.partition("=")
        if equals and (not key or not path or "=" in path):
            raise InvalidInput(f"{where}: {file!r} is not [key=]file, or has `=` in a name")
        yield (key, root.read(path)) if equals else (os.path.basename(file), root.read(file))


def _unquoted(text: str) -> str:
    """A literal without the quotes around it, if it has a pair of them."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _variables(data: bytes, source: str) -> Iterator[tuple[str, bytes]]:
    """A file of `KEY=VALUE` lines. Raises InvalidInput; a line without `=` would take the variable of whoever builds, which is refused."""
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise InvalidInput(f"{source}: is not UTF-8") from None
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r").lstrip(" \t")
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals:
            problem = f"{source}:{number}: {key} has no value: the variables of whoever builds are not looked at"
            raise InvalidInput(problem, hint="write KEY=VALUE")
        yield key, value.encode()


def absorbed(resources: Sequence[Resource], made: Resource) -> list[Resource]:
    """The resources with a generated one: new, or instead of the one of its name, or merged into it. Raises InvalidInput."""
    wanted: Id = made.id
    found = [one for one in resources if any(id.same(wanted) for id in one.ids)]
    if not found:
        if made.behavior in ("merge", "replace"):
            raise InvalidInput(f"{made.origin}: id {wanted} does not exist; cannot merge or replace")
        return [*resources, made]
    if len(found) > 1:
        raise InvalidInput(f"{made.origin}: found multiple objects {wanted} that could accept merge")
    if made.behavior not in ("merge", "replace"):
        raise InvalidInput(f"{made.origin}: id {wanted} exists; behavior must be merge or replace")
    now = _combined(found[0], made)
    return [now if one is found[0] else one for one in resources]


def _combined(old: Resource, made: Resource) -> Resource:
    """The old one's name and what it was called; labels and annotations of both; data of both, or of the new one alone."""
    value = copied(made.value)
    metadata = {**value["metadata"], "name": old.name}
    if old.id.namespace:
        metadata["namespace"] = old.id.namespace
    for key in ("labels", "annotations"):
        both = {**(old.value["metadata"].get(key) or {}), **(metadata.get(key) or {})}
        if both:
            metadata[key] = both
    value["metadata"] = metadata
    if made.behavior == "merge":
        for key in ("data", "binaryData"):
            both = {**(old.value.get(key) or {}), **(value.get(key) or {})}
            if both:
                value[key] = both
    return old._replace(value=value, hashed=old.hashed and made.hashed)
