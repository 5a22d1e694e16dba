"""One compose file over another, and a service over the one that it extends (compose spec, "Merge"); both in long forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubeplay.convert.reading import Map, Tagged

# Lists whose items are the same thing when these fields are; the later one wins.
_KEYS: dict[str, tuple[str, ...]] = {
    "volumes": ("target",), "ports": ("target", "published", "host_ip", "protocol"), "secrets": ("source", "target"),
    "configs": ("source", "target"),
}  # fmt: skip
_REPLACED = frozenset(("command", "entrypoint", "test", "profiles"))


def services(base: Map, over: Map) -> Map:
    """`over` laid over `base`."""
    return _maps(base, over)


def whole(base: Map, over: Map) -> Map:
    """One file over another: services one by one, the rest by name."""
    return _maps(base, over)


def _maps(base: Map, over: Map) -> Map:
    made = Map(base, base.places)
    for key, value in over.items():
        place = over.place(key)
        if isinstance(value, Tagged):
            made.pop(key, None)
            if value.tag == "reset":
                continue
            made[key] = value.value
        elif key in made and value is not None:
            made[key] = _value(key, made[key], value)
        elif key not in made or value is not None:
            made[key] = value
        made.places[key] = place
    return made


def _value(key: str, base: Any, over: Any) -> Any:
    if isinstance(base, Map) and isinstance(over, Map):
        return _maps(base, over)
    if isinstance(base, list) and isinstance(over, list) and key not in _REPLACED:
        return _lists(base, over, _identity(_KEYS.get(key)))
    return over


def _identity(fields: tuple[str, ...] | None) -> Callable[[Any], Any]:
    if fields is None:
        return repr
    return lambda item: tuple(repr(item.get(field)) for field in fields) if isinstance(item, dict) else repr(item)


def _lists(base: list[Any], over: list[Any], identity: Callable[[Any], Any]) -> list[Any]:
    made = {identity(item): item for item in base}
    for item in over:
        made[identity(item)] = item
    return list(made.values())


def without_tags(value: Any) -> Any:
    """A value in which nothing waits to be merged any more."""
    if isinstance(value, Tagged):
        return None if value.tag == "reset" else without_tags(value.value)
    if isinstance(value, Map):
        return Map({key: without_tags(item) for key, item in value.items()}, value.places)
    return [without_tags(item) for item in value] if isinstance(value, list) else value
