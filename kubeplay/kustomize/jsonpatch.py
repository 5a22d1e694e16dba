"""JSON patches (RFC 6902) over a tree; an index from the end (`-1`) is taken too, as kubectl and kustomize do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeplay.kustomize.model import copied

_FIELDS = {"add": ("value",), "replace": ("value",), "test": ("value",), "remove": (), "move": ("from",), "copy": ("from",)}
# Copies of copies double a tree with each step (evanphx/json-patch bounds what copies add as well).
MAX_NODES = 1_000_000


class BadPatch(ValueError):
    """An operation that cannot be done."""


def check(operations: object) -> str:
    """Why this is no list of operations; "" when it is one."""
    if not isinstance(operations, list):
        return "a JSON patch is a list of operations"
    for at, one in enumerate(operations):
        if not isinstance(one, dict) or one.get("op") not in _FIELDS:
            return f"operation {at}: `op` is none of {', '.join(_FIELDS)}"
        for name in ("path", *_FIELDS[one["op"]]):
            if name not in one:
                return f"operation {at} ({one['op']}): {name!r} is missing"
        for name in ("path", "from"):
            if not isinstance(one.get(name, ""), str) or (one.get(name) and not one[name].startswith("/")):
                return f"operation {at} ({one['op']}): {name!r} must be a JSON pointer, which begins with `/`"
    return ""


def applied(tree: Any, operations: Sequence[dict[str, Any]]) -> Any:
    """The tree after all operations. Raises BadPatch, and leaves the given tree as it was."""
    result = copied(tree)
    for one in operations:
        result = _step(result, one["op"], _pointer(one["path"]), one)
    return result


def _step(tree: Any, op: str, path: list[str], one: dict[str, Any]) -> Any:
    if op == "test":
        if _get(tree, path, op) != one["value"]:
            raise BadPatch(f"testing value {one['path']} failed")
        return tree
    if op in ("move", "copy"):
        start = _pointer(one["from"])
        value = copied(_get(tree, start, op))
        if op == "move":
            tree = _remove(tree, start, op)
        elif _size(tree) + _size(value) > MAX_NODES:
            raise BadPatch(f"copy: the object would have more than {MAX_NODES} parts")
        return _add(tree, path, value, "add")
    if op == "add":
        return _add(tree, path, copied(one["value"]), op)
    if op == "remove":
        return _remove(tree, path, op)
    _get(tree, path, op)
    if not path:
        return copied(one["value"])
    parent = _get(tree, path[:-1], op)
    parent[_index(parent, path[-1], op) if isinstance(parent, list) else path[-1]] = copied(one["value"])
    return tree


def _pointer(text: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]]


def _get(tree: Any, path: list[str], op: str) -> Any:
    value = tree
    for step in path:
        if isinstance(value, list):
            value = value[_index(value, step, op)]
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            raise BadPatch(f"{op} operation does not apply: doc is missing path: {_text(path)}: missing value")
    return value


def _index(items: list[Any], step: str, op: str, past: bool = False) -> int:
    """A place in a list; with `past` the one after its end too."""
    end = len(items) + past
    digits = step.removeprefix("-")
    if not (digits.isdecimal() and digits.isascii() and len(digits) < 10):
        raise BadPatch(f"{op} operation does not apply: {step!r} is no index of a list")
    at = int(step)
    if not -end <= at < end:
        raise BadPatch(f"{op} operation does not apply: index {step} is out of bounds: the list has {len(items)} items")
    return at + end if at < 0 else at


def _add(tree: Any, path: list[str], value: Any, op: str) -> Any:
    if not path:
        return value
    parent = _get(tree, path[:-1], op)
    if isinstance(parent, list):
        parent.insert(len(parent) if path[-1] == "-" else _index(parent, path[-1], op, True), value)
    elif isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        raise BadPatch(f"{op} operation does not apply: {_text(path[:-1])} is neither a mapping nor a list")
    return tree


def _remove(tree: Any, path: list[str], op: str) -> Any:
    _get(tree, path, op)
    if not path:
        raise BadPatch(f"{op} operation does not apply: the whole object cannot be removed")
    parent = _get(tree, path[:-1], op)
    del parent[_index(parent, path[-1], op) if isinstance(parent, list) else path[-1]]
    return tree


def _size(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_size, inner))


def _text(path: list[str]) -> str:
    return "/" + "/".join(path)
