"""The strategic patch that makes one object another: pure."""

from __future__ import annotations

from typing import Any

from kubeplay.kube.merge import keys, order
from kubeplay.kube.merge.strategic import DELETE, ORDER, PATCH, RETAIN
from kubeplay.record import Record

Json = dict[str, Any]


class Sides(Record):
    """Which half of a difference is asked for: what comes and changes, or what goes."""

    additions: bool = True
    deletions: bool = True


WHOLE = Sides()
ADDITIONS = Sides(deletions=False)
DELETIONS = Sides(additions=False)


def patch(old: Json, new: Json, record: str, sides: Sides = WHOLE) -> Json:
    """What `strategic.apply` has to put upon `old` so that it is `new`; empty when it is."""
    return _map(old, new, record, sides, False)


def _map(old: Json, new: Json, record: str, sides: Sides, retain: bool) -> Json:
    made: Json = {}
    for name, before in old.items():
        if name not in new:
            if sides.deletions and not name.startswith("$"):  # a hostile annotation may hold directives
                made[name] = None
            continue
        _field(made, name, before, new[name], keys.field(record, name), sides)
    if sides.additions:
        made.update({name: item for name, item in new.items() if name not in old})
    if retain and made:
        made[RETAIN] = sorted(name for name, item in new.items() if item is not None)
    return made


def _field(made: Json, name: str, before: Any, after: Any, field: keys.Field, sides: Sides) -> None:
    if isinstance(before, dict) and isinstance(after, dict) and not field.replaces:
        inner = _map(before, after, field.of, sides, field.retains)
        if inner:
            made[name] = inner
    elif isinstance(before, list) and isinstance(after, list) and field.merges and told_apart(field, before, after):
        _list(made, name, before, after, field, sides)
    elif sides.additions and not same(before, after):
        ambiguous = field.merges and field.key and isinstance(after, list) and all(isinstance(item, dict) for item in after)
        made[name] = [{PATCH: "replace"}, *after] if ambiguous else after


def told_apart(field: keys.Field, *lists: list[Any]) -> bool:
    """Whether the key of a merged list says which item is which. Where it does not, the whole list is taken: a TCP and a UDP port of
    one number are such items (kubectl mixes them up), and what lacks the key.
    """
    if not field.key:
        return not any(isinstance(item, (dict, list)) for items in lists for item in items)
    for items in lists:
        if order.repeats(items, field.key) or not all(isinstance(item, dict) and field.key in item for item in items):
            return False
    return True


def _list(made: Json, name: str, before: list[Any], after: list[Any], field: keys.Field, sides: Sides) -> None:
    was, now = order.places(before, field.key), order.places(after, field.key)
    gone = [item for item in before if order.mark(item, field.key) not in now] if sides.deletions else []
    if not field.key:
        items = [item for item in order.once(after) if order.mark(item, "") not in was] if sides.additions else []
        if gone:
            made[DELETE + name] = order.once(gone)
    else:
        items = _records(before, after, field, sides, was)
        items += [{PATCH: "delete", field.key: item[field.key]} for item in gone]
    if items:
        made[name] = items
    moved = [mark for mark in was if mark in now] != [mark for mark in now if mark in was]
    if after and (items or gone or (moved and sides.additions)):
        made[ORDER + name] = [{field.key: item[field.key]} for item in after] if field.key else order.once(after)


def _records(before: list[Json], after: list[Json], field: keys.Field, sides: Sides, was: dict[str, int]) -> list[Json]:
    found = []
    for item in after:
        at = was.get(order.mark(item, field.key))
        if at is None:
            if sides.additions:
                found.append(item)
            continue
        inner = _map(before[at], item, field.of, sides, field.retains)
        if inner:
            found.append({**inner, field.key: item[field.key]})
    return found


def same(one: Any, other: Any) -> bool:
    """Equality as JSON has it: 1 is no True."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(item, other[name]) for name, item in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
