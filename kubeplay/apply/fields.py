"""Which fields of two objects differ, by paths that people write: items that the API tells apart by a key are named by it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubeplay.apply.model import FieldChange
from kubeplay.kube.merge import keys, order
from kubeplay.kube.merge.difference import same, told_apart
from kubeplay.play.given import LAST_APPLIED

Json = dict[str, Any]
_OPEN = ("metadata", "apiVersion", "kind", "type", "immutable")  # of a Secret, the rest is nobody's to see


def changes(old: Json, new: Json) -> tuple[FieldChange, ...]:
    """The differing fields, in the order of their names; a Secret's values are marked."""
    record = keys.record_of(new.get("apiVersion", ""), new.get("kind", ""))
    found = tuple(_maps(old, new, record, ""))
    if new.get("kind") != "Secret":
        return found
    return tuple([one if _is_open(one) else one._replace(secret=True) for one in found])


def _is_open(one: FieldChange) -> bool:
    """Whether everybody may see what a Secret has there: kubectl's annotation has its values once more."""
    again = LAST_APPLIED in one.path or any(isinstance(value, dict) and LAST_APPLIED in value for value in (one.old, one.new))
    return one.path.partition(".")[0].partition("[")[0] in _OPEN and not again


def _differ(old: Any, new: Any, field: keys.Field, path: str) -> Iterator[FieldChange]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _maps(old, new, field.of, path)
    elif isinstance(old, list) and isinstance(new, list) and any(isinstance(item, dict) for item in [*old, *new]):
        named = field.merges and field.key and told_apart(field, old, new)
        yield from _named(old, new, field, path) if named else _numbered(old, new, field, path)
    elif not same(old, new):
        yield FieldChange(path, old, new)


def _maps(old: Json, new: Json, record: str, path: str) -> Iterator[FieldChange]:
    for name in sorted({*old, *new}):
        if not same(old.get(name), new.get(name)):
            yield from _differ(old.get(name), new.get(name), keys.field(record, name), _step(path, name))


def _named(old: list[Json], new: list[Json], field: keys.Field, path: str) -> Iterator[FieldChange]:
    before, after = ({order.mark(item, field.key): item for item in items} for items in (old, new))
    for mark in {**after, **before}:
        item = after.get(mark) or before[mark]
        yield from _differ(before.get(mark), after.get(mark), field, f"{path}[{field.key}={item[field.key]}]")
    if [mark for mark in before if mark in after] != [mark for mark in after if mark in before]:
        yield FieldChange(f"{path} (order)", [item[field.key] for item in old], [item[field.key] for item in new])


def _numbered(old: list[Any], new: list[Any], field: keys.Field, path: str) -> Iterator[FieldChange]:
    for at in range(max(len(old), len(new))):
        pair = [items[at] if at < len(items) else None for items in (old, new)]
        yield from _differ(pair[0], pair[1], field, f"{path}[{at}]")


def _step(path: str, name: str) -> str:
    """A name with dots or slashes is one key, as of a label: it stands in brackets."""
    if "." in name or "/" in name:
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name
