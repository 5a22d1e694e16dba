"""A field of many objects at once: a path through maps and lists, every item of a list included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubeplay.kustomize.model import Id, Tree
from kubeplay.record import Record

Change = Callable[[Any], Any]


class Spec(Record):
    """A path, the kinds that have it ("" = every one), and whether it is made where it is missing."""

    path: tuple[str, ...]
    create: bool
    kind: str = ""
    group: str = ""
    version: str = ""

    def fits(self, id: Id) -> bool:
        return self.kind in ("", id.kind) and self.group in ("", id.group) and self.version in ("", id.version)


def spec(path: str, create: bool, kind: str = "", group: str = "", version: str = "") -> Spec:
    """A spec of a path such as `spec/containers[]/image`: a list (`[]`) is never made; a slash of a name is written `\\/`."""
    steps = path.replace("\\/", "\0").strip("/").split("/")
    return Spec(tuple([step.replace("\0", "/") for step in steps]), create, kind, group, version)


def of(row: Tree) -> Spec:
    """A spec that a person has written."""
    return spec(row.get("path") or "", bool(row.get("create")), *[row.get(key) or "" for key in ("kind", "group", "version")])


def change(value: Any, path: tuple[str, ...], create: bool, made: Change) -> None:
    """`made(old)` becomes the value of the field, None when there was none; where it is missing and not to be made nothing happens."""
    if isinstance(value, list):
        for item in value:
            change(item, path, create, made)
    elif isinstance(value, dict) and path:
        key, rest = path[0].removesuffix("[]"), path[1:]
        old = value.get(key)
        if old is None and not (create and key == path[0]):
            return
        if not rest:
            value[key] = made(old)
            return
        if old is None:
            old = value[key] = {}
        change(old, rest, create, made)


def set_keys(values: dict[str, str]) -> Change:
    """Labels or annotations into a map that may not be there yet."""
    return lambda old: {**old, **values} if isinstance(old, dict) else dict(values)
