"""The functions of a Go template: Go's own, and those docker and podman add (json, join, upper, table's pad, ...)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubeplay.cli.gotemplate import MISSING, Missing, field, show
from kubeplay.errors import InvalidInput

LONGEST = 1 << 20  # characters a padding may ask for: a template must not eat the memory


def _json(value: Any, *more: Any) -> str:
    import json

    return json.dumps(None if isinstance(value, Missing) else value, ensure_ascii=False, separators=(",", ":"), default=str)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(key, MISSING)
        elif isinstance(value, (list, tuple, str)):
            if not isinstance(key, int) or not 0 <= key < len(value):
                raise InvalidInput(f"template: index {show(key)} is out of range")
            value = value[key]
        else:
            return MISSING
    return value


def _len(value: Any) -> int:
    if isinstance(value, (str, Mapping, list, tuple)):
        return len(value)
    if value is None or isinstance(value, Missing):
        return 0
    raise InvalidInput(f"template: {show(value)!r} has no length")


def _join(*arguments: Any) -> str:
    """docker's `join LIST SEP`; the other order is taken too."""
    if len(arguments) != 2:
        raise InvalidInput("template: join needs a list and a separator")
    values, separator = arguments if not isinstance(arguments[0], str) else (arguments[1], arguments[0])
    if not values:
        return ""
    return show(separator).join(show(value) for value in values)


def _printf(form: Any, *values: Any) -> str:
    """Go's verbs over Python's: %v %s %d %q %t %f %x %c and widths."""
    import re

    rest = list(values)

    def verb(found: Any) -> str:
        flags, width, precision, letter = found.groups()
        if letter == "%":
            return "%"
        if not rest:
            return f"%!{letter}(MISSING)"
        if width and int(width) > LONGEST:
            raise InvalidInput("template: a width is too large")
        text = _formatted(rest.pop(0), letter, precision)
        if width:
            fill = "0" if "0" in flags and "-" not in flags else " "
            text = text.ljust(int(width)) if "-" in flags else text.rjust(int(width), fill)
        return text

    return re.sub(r"%([-+# 0]*)(\d*)(?:\.(\d+))?([a-zA-Z%])", verb, show(form))


def _formatted(value: Any, letter: str, precision: str | None) -> str:
    if letter == "q":
        import json

        return json.dumps(show(value), ensure_ascii=False)
    if letter == "d" and isinstance(value, (int, float)):
        return str(int(value))
    if letter in "feg" and isinstance(value, (int, float)):
        return f"{value:.{min(int(precision or 6), 50)}{letter}}"
    if letter == "x":
        return f"{value:x}" if isinstance(value, int) else show(value).encode().hex()
    if letter == "c" and isinstance(value, int):
        return chr(value)
    text = show(value)
    return text[: int(precision)] if precision else text


def _pad(value: Any, before: int, after: int) -> str:
    if max(before, after) > LONGEST:
        raise InvalidInput("template: a padding is too large")
    return " " * before + show(value) + " " * after if show(value) else ""


def _slice(value: Any, *bounds: int) -> Any:
    return value[bounds[0] if bounds else 0 : bounds[1] if len(bounds) > 1 else None]


def _and(*values: Any) -> Any:
    for value in values:
        if not value:
            return value
    return values[-1]


def _or(*values: Any) -> Any:
    for value in values:
        if value:
            return value
    return values[-1]


def _pairs(value: Any) -> Sequence[tuple[Any, Any]]:
    """What `range` walks: maps by key, lists by position, a number counts."""
    if isinstance(value, Mapping):
        return [(key, value[key]) for key in sorted(value, key=str)]
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if isinstance(value, int) and not isinstance(value, bool) and value <= LONGEST:
        return [(i, i) for i in range(value)]
    if value is None or isinstance(value, Missing):
        return []
    raise InvalidInput(f"template: range cannot iterate over {show(value)!r}")


ALL: dict[str, Callable[..., Any]] = {
    "_field": lambda value, name, strict=False: field(value, name, strict=strict),
    "_pairs": _pairs,
    "_show": show,
    "json": _json,
    "toJson": _json,
    "index": _index,
    "len": _len,
    "join": _join,
    "split": lambda value, separator: show(value).split(separator),
    "upper": lambda value: show(value).upper(),
    "lower": lambda value: show(value).lower(),
    "title": lambda value: show(value).title(),
    "truncate": lambda value, length: show(value)[: max(0, length)],
    "pad": _pad,
    "slice": _slice,
    "print": lambda *values: "".join(show(value) for value in values),
    "println": lambda *values: " ".join(show(value) for value in values) + "\n",
    "printf": _printf,
    "and": _and,
    "or": _or,
    "not": lambda value: not value,
    "eq": lambda first, *others: any(first == other for other in others),
    "ne": lambda first, second: first != second,
    "lt": lambda first, second: first < second,
    "le": lambda first, second: first <= second,
    "gt": lambda first, second: first > second,
    "ge": lambda first, second: first >= second,
}
