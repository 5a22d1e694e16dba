"""The three-way merge of `kubectl apply`: pure.

What the file says is set. What it said last time and says no more goes. What it never said stays as it is: defaults, fields that
controllers or people set, items of others in merged lists.
"""

from __future__ import annotations

from typing import Any

from kubeplay.kube.merge import difference, json_merge, keys, order, strategic
from kubeplay.record import Record

Json = dict[str, Any]


class Merge(Record):
    """`patch` makes `body` of the live object; empty when it is right as it is."""

    patch: Json
    body: Json


def merge(last: Json | None, modified: Json, live: Json, record: str) -> Merge:
    """Bring the live object to the file `modified`, which was `last` when it was applied before (None = never, as far as we know).

    `record` is keys.record_of the object; OPAQUE merges by RFC 7386. A null in the file takes the field away. Raises InvalidInput.
    """
    if record == keys.OPAQUE:
        made = json_merge.three_way(last, modified, live)
        return Merge(made, json_merge.apply(live, made))
    comes = difference.patch(live, modified, record, difference.ADDITIONS)
    goes = difference.patch(last or {}, modified, record, difference.DELETIONS)
    made = _both(goes, comes, record)
    return Merge(made, strategic.apply(live, made, record))


def _both(goes: Json, comes: Json, record: str) -> Json:
    """One patch of two: what comes wins over what goes."""
    made = dict(goes)
    for name, item in comes.items():
        old, field = made.get(name), keys.field(record, name)
        if isinstance(old, dict) and isinstance(item, dict):
            made[name] = _both(old, item, field.of)
        elif isinstance(old, list) and isinstance(item, list) and field.merges and field.key and not name.startswith("$"):
            made[name] = _lists(old, item, field)
        else:
            made[name] = item
    return made


def _lists(goes: list[Json], comes: list[Json], field: keys.Field) -> list[Json]:
    if any(field.key not in item for item in comes):  # a list that is replaced as a whole
        return comes
    there = {order.mark(item, field.key): item for item in goes}
    first = [_both(there.pop(order.mark(item, field.key), {}), item, field.of) for item in comes]
    return [*first, *there.values()]
