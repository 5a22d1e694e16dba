"""JSON as policies and signatures must be read: nothing twice, nothing unknown, nothing of another type. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from kubeplay.errors import InvalidInput


def loads(data: bytes, limit: int, where: str) -> Any:
    """Decode; refuse what is too long, no UTF-8, has a key twice, NaN or trailing text. Raises InvalidInput naming `where`."""
    if len(data) > limit:
        raise InvalidInput(f"{where} has {len(data)} bytes (the limit is {limit})")
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{where} is not JSON: {str(error)[:200]}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)[:100]!r} is there twice")
    return made


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def members(value: Any, where: str, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, Any]:
    """An object with exactly these members. Raises InvalidInput naming `where` and the member."""
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} must be an object")
    wanted = tuple(required)
    for name in wanted:
        if name not in value:
            raise InvalidInput(f"{where} lacks {name!r}")
    known = {*wanted, *optional}
    for name in value:
        if name not in known:
            raise InvalidInput(f"{where}: unknown member {name[:100]!r}", hint=_nearest(name, known))
    return value


def string(value: Any, where: str) -> str:
    """A string that is not empty."""
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"{where} must be a string that is not empty")
    return value


def strings(value: Any, where: str) -> tuple[str, ...]:
    """A list of at least one string."""
    if not isinstance(value, list) or not value:
        raise InvalidInput(f"{where} must be a list that is not empty")
    return tuple([string(item, f"{where}[{index}]") for index, item in enumerate(value)])


def _nearest(name: str, known: set[str]) -> str:
    near = [one for one in sorted(known) if one.lower() == name.lower()]
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
