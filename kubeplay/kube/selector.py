"""Label and field selectors as people type them: `app=web,tier in (a, b),!old`; `metadata.name=web`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from kubeplay.errors import InvalidInput

Match = Callable[[Mapping[str, str]], bool]
_SET = re.compile(r"(\S+)\s+(in|notin)\s*\((.*)\)", re.S)
_EQUALS = re.compile(r"([^=!]+?)\s*(==|=|!=)\s*(.*)", re.S)


def labels(text: str) -> Match:
    """Whether labels fit the selector; an empty one fits everything. Raises InvalidInput."""
    terms = [_term(part.strip(), text) for part in _split(text) if part.strip()]
    return lambda have: all(term(have) for term in terms)


def _split(text: str) -> list[str]:
    """At commas, but not those between parentheses."""
    return re.split(r",(?![^(]*\))", text)


def _term(part: str, whole: str) -> Match:
    found = _SET.fullmatch(part)
    if found:
        key, values = found[1], {value.strip() for value in found[3].split(",")}
        return (lambda have: key in have and have[key] in values) if found[2] == "in" else (lambda have: have.get(key) not in values)
    equal = _EQUALS.fullmatch(part)
    if equal:
        name, wanted = equal[1].strip(), equal[3].strip()
        return (lambda have: have.get(name) != wanted) if equal[2] == "!=" else (lambda have: have.get(name) == wanted)
    if part.startswith("!") and re.fullmatch(r"!\s*[^\s=!(),]+", part):
        absent = part[1:].strip()
        return lambda have: absent not in have
    if re.fullmatch(r"[^\s=!(),]+", part):
        return lambda have: part in have
    raise InvalidInput(f"selector {whole!r}: {part!r} is not KEY, !KEY, KEY=VALUE, KEY!=VALUE, KEY in (A,B) or KEY notin (A,B)")


def fields(text: str) -> Callable[[Mapping[str, Any]], bool]:
    """Whether an object fits a field selector. Raises InvalidInput."""
    terms = []
    for part in filter(None, map(str.strip, text.split(","))):
        equal = _EQUALS.fullmatch(part)
        if not equal:
            raise InvalidInput(f"field selector {text!r}: {part!r} is not FIELD=VALUE or FIELD!=VALUE")
        terms.append((equal[1].strip().split("."), equal[2] != "!=", equal[3].strip()))
    return lambda body: all((str(_at(body, path)) == wanted) == equal for path, equal, wanted in terms)


def _at(body: Any, path: list[str]) -> Any:
    for name in path:
        body = body.get(name, "") if isinstance(body, Mapping) else ""
    return body
