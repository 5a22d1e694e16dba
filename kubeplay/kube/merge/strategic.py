"""A strategic merge patch put upon an object: pure, and the object is left as it was (KC4).

A patch has the object's own form. What it names is set, a null takes away, maps are merged and lists replaced, except for those whose
items the API tells apart by a key (keys.py). In a map or in an item of such a list `$patch: delete|replace|merge` says what else is
meant; beside a list stand `$setElementOrder/FIELD` and `$deleteFromPrimitiveList/FIELD`, in a map `$retainKeys`.
"""

from __future__ import annotations

from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.kube.merge import keys, order
from kubeplay.record import Record

Json = dict[str, Any]
PATCH, RETAIN, ORDER, DELETE = "$patch", "$retainKeys", "$setElementOrder/", "$deleteFromPrimitiveList/"
_WAYS = ("delete", "replace", "merge")


class Ways(Record):
    """Where programs differ. `prepend`: what a list has stays in its order and what it has not comes first (kustomize), whereas the API
    server goes by the order of the patch.

    `vanish`: a field whose map says `$patch: delete` goes (kustomize) and does not stay as an empty map (the API server).
    """

    prepend: bool = False
    vanish: bool = False


KUBECTL = Ways()
KUSTOMIZE = Ways(prepend=True, vanish=True)


def apply(body: Json, patch: Json, record: str, ways: Ways = KUBECTL) -> Json:
    """The body after the patch; `record` is keys.record_of the object. Raises InvalidInput for a patch that means nothing."""
    return _map(body, patch, record, ways, "")


def _map(body: Json, patch: Json, record: str, ways: Ways, path: str) -> Json:
    way = _way(patch, path)
    if way == "delete":
        return {}
    if way == "replace":
        return {name: item for name, item in patch.items() if name != PATCH}
    made = _retained(body, patch, path)
    for name in patch:
        if name.startswith(DELETE):
            bare = name[len(DELETE) :]
            if isinstance(made.get(bare), list):
                gone = order.places(_list_of(patch, name, path), "")
                made[bare] = [item for item in made[bare] if order.mark(item, "") not in gone]
    for name, item in patch.items():
        if name.startswith(ORDER):
            bare = name[len(ORDER) :]
            if bare not in patch and isinstance(made.get(bare), list):
                made[bare] = _items(made[bare], [], keys.field(record, bare), ways, _join(path, bare), _list_of(patch, name, path))
        elif not name.startswith("$"):
            _set(made, name, item, patch, record, ways, path)
        elif name not in (PATCH, RETAIN) and not name.startswith(DELETE):
            made[name] = item  # no directive of ours: an author's key, as JSON Schema's $ref
    return made


def _set(made: Json, name: str, item: Any, patch: Json, record: str, ways: Ways, path: str) -> None:
    """Bring one field of the patch into a map that is being made."""
    here = _join(path, name)
    if item is None:
        made.pop(name, None)
        return
    field, old = keys.field(record, name), made.get(name)
    if isinstance(item, dict):
        if field.replaces and PATCH not in item:
            made[name] = item
        elif ways.vanish and item.get(PATCH) == "delete":
            made.pop(name, None)
        else:
            made[name] = _map(old if isinstance(old, dict) else {}, item, field.of, ways, here)
    elif isinstance(item, list) and field.merges:
        made[name] = _items(old if isinstance(old, list) else [], item, field, ways, here, patch.get(ORDER + name))
    elif isinstance(item, list) and any(isinstance(one, dict) and PATCH in one for one in item):
        made[name] = [one for one in item if not (isinstance(one, dict) and PATCH in one)]
    else:
        made[name] = item


def _retained(body: Json, patch: Json, path: str) -> Json:
    if RETAIN not in patch:
        return dict(body)
    stay = _list_of(patch, RETAIN, path)
    strange = [name for name in patch if not name.startswith("$") and patch[name] is not None and name not in stay]
    if strange:
        raise InvalidInput(f"{path or 'the patch'}: {RETAIN} does not name {', '.join(strange)}, which the patch sets")
    return {name: item for name, item in body.items() if name in stay}


def _items(old: list[Any], new: list[Any], field: keys.Field, ways: Ways, path: str, wanted: Any) -> list[Any]:
    """A list after a patch's items; `wanted` is its $setElementOrder, None where there is none: then the patch's own order counts."""
    if not old:  # as it is, whether or not its items can be told apart
        bare = [item for item in new if not (isinstance(item, dict) and _way(item, path) in ("delete", "replace"))]
        return [_map({}, item, field.of, ways, path) if isinstance(item, dict) else item for item in bare]
    if wanted is None and not ways.prepend:
        wanted = [item for item in new if not (isinstance(item, dict) and item.get(PATCH) == "delete")]
    if not field.key:
        there = order.places(old, "")
        made = [*old, *[item for item in order.once(new) if order.mark(item, "") not in there]]
    else:
        if any(_way(_record(item, path), path) == "replace" for item in new):
            return [_map({}, item, field.of, ways, path) for item in new if PATCH not in item]
        made = _records(old, new, field, ways, path)
    return order.sorted_by(made, old, wanted, field.key) if wanted is not None else made


def _records(old: list[Any], new: list[Json], field: keys.Field, ways: Ways, path: str) -> list[Any]:
    there, gone = order.places(old, field.key), set[str]()
    made, added = list(old), list[Json]()
    for item in new:
        if field.key not in item:
            raise InvalidInput(f"{path}: an item of the patch does not contain declared merge key: {field.key}")
        mark = order.mark(item, field.key)
        if item.get(PATCH) == "delete":
            gone.add(mark)
        elif mark not in there:
            added.append(_map({}, item, field.of, ways, path))
        else:
            at = there[mark]
            made[at] = _map(_record(made[at], path), item, field.of, ways, f"{path}[{item[field.key]}]")
    made = [*added, *made] if ways.prepend else [*made, *added]
    return [item for item in made if order.mark(item, field.key) not in gone]


def _way(patch: Json, path: str) -> str:
    way = patch.get(PATCH)
    if PATCH in patch and way not in _WAYS:
        raise InvalidInput(f"{path or 'the patch'}: unknown patch type {way!r} found in the patch", hint=f"known are {', '.join(_WAYS)}")
    return way or ""


def _record(item: Any, path: str) -> Json:
    if not isinstance(item, dict):
        raise InvalidInput(f"{path}: the items of this list are maps, not {item!r}")
    return item


def _list_of(patch: Json, name: str, path: str) -> list[Any]:
    found = patch[name]
    if not isinstance(found, list):
        raise InvalidInput(f"{_join(path, name)}: must be a list")
    return found


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
