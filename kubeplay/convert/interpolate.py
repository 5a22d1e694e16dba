"""`$NAME` and `${NAME:-default}` in a compose file's values (compose spec, "Interpolation"); pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from kubeplay.convert.reading import Map, Place, Tagged

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATORS = (":-", ":?", ":+", "-", "?", "+")
MAX_DEPTH = 20  # of defaults in defaults
MAX_TEXT = 1 << 20  # of one value


class Unset(ValueError):
    """`${NAME:?message}` of a variable that is not set."""


class Text:
    """Fills texts from `variables`; `missing` gets the names that were not there and had no default."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.missing: set[str] = set()

    def fill(self, text: str, depth: int = 0) -> str:
        """The text with its variables. Raises ValueError where it cannot be read, Unset."""
        if "$" not in text:
            return text
        if depth > MAX_DEPTH:
            raise ValueError("defaults are nested too deep")
        parts, at, size = list[str](), 0, 0
        while (found := text.find("$", at)) >= 0:
            made, end = self._variable(text, found, depth)
            parts += (text[at:found], made)
            size += len(made)
            if size > MAX_TEXT:
                raise ValueError("the value becomes longer than 1 MiB")
            at = end
        return "".join((*parts, text[at:]))

    def _variable(self, text: str, at: int, depth: int) -> tuple[str, int]:
        """What stands for the `$` at `at`, and where the text goes on."""
        if text.startswith("$$", at):
            return "$", at + 2
        braced = text.startswith("${", at)
        found = _NAME.match(text, at + (2 if braced else 1))
        if found is None:
            raise ValueError(f"{text[at : at + 20]!r} is no variable: a dollar sign that is meant is written `$$`")
        if not braced:
            return self._plain(found[0]), found.end()
        end = _closing(text, at)
        rest = text[found.end() : end]
        if not rest:
            return self._plain(found[0]), end + 1
        operator = next((one for one in _OPERATORS if rest.startswith(one)), "")
        if not operator:
            raise ValueError(f"{text[at : end + 1][:60]!r} is no variable: after the name come }} :- - :? ? :+ or +")
        return self._chosen(found[0], operator, rest[len(operator) :], depth), end + 1

    def _plain(self, name: str) -> str:
        if name not in self.variables:
            self.missing.add(name)
        return self.variables.get(name, "")

    def _chosen(self, name: str, operator: str, word: str, depth: int) -> str:
        value = self.variables.get(name)
        there = value is not None and (bool(value) or ":" not in operator)
        if operator[-1] == "+":
            return self.fill(word, depth + 1) if there else ""
        if there:
            return value or ""
        if operator[-1] == "?":
            raise Unset(f"required variable {name} is missing a value: {self.fill(word, depth + 1) or 'it is not set'}")
        return self.fill(word, depth + 1)


def _closing(text: str, at: int) -> int:
    """Where the brace that `${` opens at `at` is closed. Raises ValueError."""
    depth, here = 0, at
    while here < len(text):
        if text.startswith("${", here):
            depth, here = depth + 1, here + 2
        elif text[here] == "}":
            depth -= 1
            if not depth:
                return here
            here += 1
        else:
            here += 2 if text.startswith("$$", here) else 1
    raise ValueError(f"{text[at : at + 40]!r} is not closed by }}")


Failed = Callable[[str, str, Place], None]


def fill(value: Any, text: Text, failed: Failed, path: str = "", place: Place = ("", 0)) -> Any:
    """A value with all its texts filled; keys stay. `failed(path, message, place)` is told of what cannot be."""
    if isinstance(value, str):
        try:
            return text.fill(value)
        except ValueError as error:
            failed(path, str(error), place)
            return value
    if isinstance(value, Tagged):
        return Tagged(value.tag, fill(value.value, text, failed, path, place))
    if isinstance(value, list):
        return [fill(item, text, failed, f"{path}[{at}]", place) for at, item in enumerate(value)]
    if isinstance(value, Map):
        return Map(
            {key: fill(item, text, failed, f"{path}.{key}" if path else key, value.place(key)) for key, item in value.items()}, value.places
        )
    return value
