"""The order of a merged list: that of the file, and what only the object has stays where it stood beside that."""

from __future__ import annotations

from typing import Any


def mark(item: Any, key: str) -> str:
    """What tells an item apart, as something to look up: the value of its key, a text itself. Hostile ones may be maps."""
    value = item.get(key) if key and isinstance(item, dict) else item
    return f"{type(value).__name__}:{value!r}"


def places(items: list[Any], key: str) -> dict[str, int]:
    """Where each item is; the first of several that cannot be told apart."""
    return {mark(item, key): at for at, item in reversed(list(enumerate(items)))}


def once(items: list[Any]) -> list[Any]:
    """The texts of a list, each once."""
    return list({mark(item, ""): item for item in items}.values())


def repeats(items: list[Any], key: str) -> bool:
    """Whether two items cannot be told apart by the key."""
    return len({mark(item, key) for item in items}) < len(items)


def sorted_by(made: list[Any], live: list[Any], wanted: list[Any], key: str) -> list[Any]:
    """`made` in the order of `wanted`; each item that this does not name comes before the first named one that it preceded in `live`."""
    rank, place = places(wanted, key), places(live, key)
    named = sorted([item for item in made if mark(item, key) in rank], key=lambda item: rank[mark(item, key)])
    others = [item for item in made if mark(item, key) not in rank]
    others.sort(key=lambda item: place.get(mark(item, key), len(place)))
    return _woven(others, named, place, key)


def _woven(others: list[Any], named: list[Any], place: dict[str, int], key: str) -> list[Any]:
    result: list[Any] = []
    left, right = 0, 0
    while left < len(others) and right < len(named):
        one, two = place.get(mark(others[left], key)), place.get(mark(named[right], key))
        if one is not None and two is not None and one < two:
            result.append(others[left])
            left += 1
        else:
            result.append(named[right])
            right += 1
    return [*result, *others[left:], *named[right:]]
