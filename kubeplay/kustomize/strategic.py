"""Strategic merge patches as kustomize lays them over resources.

Like an API server's, by the same table of merge keys, but from the patch alone (nothing was applied before), with the patch's items
of a list in front of the others, as kustomize has them. Lists whose items several keys tell apart (ports by number and protocol) go
by all of them.
"""

from __future__ import annotations

from typing import Any

from kubeplay.kube.merge.keys import field, record_of
from kubeplay.kustomize.model import Tree, copied, plain

DIRECTIVES = ("$patch", "$retainKeys", "$setElementOrder", "$deleteFromPrimitiveList")
# `x-kubernetes-list-map-keys` of the API beyond the one key that patches go by, and what the API takes a missing one for.
_ALSO: dict[str, dict[str, str | None]] = {
    "containerPort": {"protocol": "TCP"}, "port": {"protocol": "TCP"}, "topologyKey": {"whenUnsatisfiable": None},
}  # fmt: skip


class BadPatch(ValueError):
    """A patch that says what cannot be done."""


def merged(value: Tree, patch: Tree) -> Tree | None:
    """The resource with the patch laid over it; None when the patch deletes it. Raises BadPatch."""
    return _map(value, patch, record_of(str(value.get("apiVersion")), str(value.get("kind"))))


def _map(old: Tree, patch: Tree, record: str) -> Tree | None:
    directive = patch.get("$patch")
    if directive == "delete":
        return None
    if directive == "replace":
        return _fresh_map(patch)
    if directive not in (None, "merge"):
        raise BadPatch(f"$patch is {directive!r}, which is none of merge, replace and delete")
    retained = patch.get("$retainKeys")
    result = {key: item for key, item in old.items() if not isinstance(retained, list) or key in retained}
    for key, item in patch.items():
        if key.startswith(DIRECTIVES):
            _primitives(result, key, item)
        elif item is None:
            result.pop(key, None)
        else:
            _put(result, key, item, record)
    return result


def _primitives(result: Tree, key: str, item: Any) -> None:
    """`$deleteFromPrimitiveList/NAME`; the order that `$setElementOrder` asks for is left to the API server."""
    directive, _, name = key.partition("/")
    if directive == "$deleteFromPrimitiveList" and isinstance(result.get(name), list) and isinstance(item, list):
        result[name] = [one for one in result[name] if one not in item]


def _put(result: Tree, key: str, item: Any, record: str) -> None:
    about, old = field(record, key), result.get(key)
    if old is not None and _form(old) != _form(item):
        raise BadPatch(f"{key}: the patch has {_form(item)} where the object has {_form(old)}")
    if isinstance(item, dict):
        made = _map(old or {}, item, about.of)
        if made is None:
            result.pop(key, None)
        else:
            result[key] = made
    elif isinstance(item, list):
        result[key] = _list(old or [], item, about.of, about.key, about.merges)
    else:  # a text stays one, whatever it looks like in the patch: `value: 8080`
        result[key] = plain(item) if isinstance(old, str) else item


def _form(value: Any) -> str:
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else "a single value"


def _list(old: list[Any], patch: list[Any], record: str, key: str, merges: bool) -> list[Any]:
    if not merges:
        return [copied(item) for item in _told(patch)]  # with its nulls, which say nothing in a list
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [_fresh(item) for item in patch if not (isinstance(item, dict) and item.keys() <= {"$patch"})]
    if not key:
        return [*[item for item in patch if item not in old], *old]
    return _associative(old, patch, record, key)


def _told(patch: list[Any]) -> list[Any]:
    """A list that replaces, without what only directs the merge."""
    return [item for item in patch if not (isinstance(item, dict) and item.get("$patch") in ("replace", "delete"))]


def _associative(old: list[Any], patch: list[Any], record: str, key: str) -> list[Any]:
    """Items of both lists, told apart by their keys: the patch's first, in its order, or where several keys count only its new ones."""
    keys = (key, *[also for also in _ALSO.get(key, {}) if any(isinstance(item, dict) and also in item for item in (*old, *patch))])
    left, front, new = list(old), list[Any](), list[Any]()
    for item in patch:
        if not isinstance(item, dict) or item.get(key) is None:
            raise BadPatch(f"an item of a list has no {key!r}, by which the items are told apart")
        at = next((at for at, one in enumerate(left) if _same(one, item, keys)), None)
        made = _fresh(item) if at is None else _map(left[at], item, record)
        if item.get("$patch") == "delete":
            left = left if at is None else left[:at] + left[at + 1 :]
        elif at is None:
            new.append(made)
            front.append(made)
        elif len(keys) > 1:
            left[at] = made
        else:
            left.pop(at)
            front.append(made)
    return (new if len(keys) > 1 else front) + left


def _same(item: Any, wanted: Tree, keys: tuple[str, ...]) -> bool:
    return isinstance(item, dict) and all(item.get(key, _default(keys[0], key)) == wanted.get(key, _default(keys[0], key)) for key in keys)


def _default(first: str, key: str) -> str | None:
    return _ALSO.get(first, {}).get(key)


def _fresh(value: Any) -> Any:
    """What a patch adds, without nulls and directives."""
    if isinstance(value, dict):
        return _fresh_map(value)
    if isinstance(value, list):
        return [_fresh(item) for item in value if not (isinstance(item, dict) and item.get("$patch") == "delete")]
    return copied(value)


def _fresh_map(value: Tree) -> Tree:
    return {
        key: _fresh(item)
        for key, item in value.items()
        if item is not None and not key.startswith(DIRECTIVES) and not (isinstance(item, dict) and item.get("$patch") == "delete")
    }
