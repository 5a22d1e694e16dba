"""kubectl's JSONPath templates: `{.items[*].metadata.name}`, `{range ...}{end}`, filters, slices, quoted text.

Own code because no library speaks the template around the path (client-go util/jsonpath), which is what people have in their scripts.
A path that leads nowhere gives nothing, as kubectl's --allow-missing-template-keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.record import Record

_DEEPEST = 100  # nested ranges or brackets of one template: more is a mistake or an attack
_NAME = re.compile(r"[^\[\].{}()'\"\s,=!<>]+")
_FILTER = re.compile(r"^(.+?)\s*(==|!=|<=|>=|<|>)\s*(.+)$", re.S)

Step = Callable[[list[Any]], list[Any]]


class Text(Record):
    """What is printed as it stands."""

    text: str


class Path(Record):
    """An expression; its values are printed with a space between."""

    steps: tuple[Step, ...]


class Range(Record):
    """`{range PATH}PARTS{end}`: the parts once for each value."""

    steps: tuple[Step, ...]
    parts: tuple[Any, ...]


def values(path: str, root: Any) -> list[Any]:
    """What one path such as `.status.phase` or `{.status.phase}` leads to. Raises InvalidInput."""
    text = path.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].strip()
    if not text.startswith((".", "[", "$", "@")):
        text = "." + text
    return _walk(_steps(text), root)


def render(template: str, root: Any) -> str:
    """The template filled in. Raises InvalidInput where it is none."""
    if "{" not in template:
        template = "{" + template + "}"
    parts, rest = _parts(list(_pieces(template)), 0)
    if rest:
        raise InvalidInput(f"jsonpath {template!r}: {{end}} without {{range}}")
    return "".join(_written(parts, root))


def _pieces(template: str) -> Iterator[tuple[bool, str]]:
    """(is an expression, text): quotes inside braces may hold braces."""
    at = 0
    while at < len(template):
        start = template.find("{", at)
        if start < 0:
            yield False, template[at:]
            return
        if start > at:
            yield False, template[at:start]
        end = _closing(template, start, "{", "}")
        yield True, template[start + 1 : end].strip()
        at = end + 1


def _closing(text: str, start: int, opening: str, closing: str) -> int:
    """Where the bracket at `start` is closed. Raises InvalidInput."""
    depth, quote, at = 0, "", start
    while at < len(text):
        c = text[at]
        if quote:
            at += c == "\\"
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c == opening:
            depth += 1
        elif c == closing:
            depth -= 1
            if not depth:
                return at
        at += 1
    raise InvalidInput(f"jsonpath {text!r}: {opening} at {start + 1} is not closed")


def _parts(pieces: list[tuple[bool, str]], depth: int) -> tuple[tuple[Any, ...], list[tuple[bool, str]]]:
    """Parts up to an {end}, and the pieces from there on ([] at the end of the template)."""
    if depth > _DEEPEST:
        raise InvalidInput("jsonpath: ranges are nested too deep")
    made: list[Any] = []
    while pieces:
        expression, text = pieces[0]
        if expression and text == "end":
            return tuple(made), pieces
        pieces = pieces[1:]
        if not expression:
            made.append(Text(text))
        elif text.startswith("range"):
            inner, pieces = _parts(pieces, depth + 1)
            if not pieces:
                raise InvalidInput(f"jsonpath: {{{text}}} without {{end}}")
            pieces = pieces[1:]
            made.append(Range(_steps(text[5:].strip()), inner))
        elif text[:1] in ("'", '"'):
            made.append(Text(_unquoted(text)))
        else:
            made.append(Path(_steps(text)))
    return tuple(made), []


def _unquoted(text: str) -> str:
    if len(text) < 2 or text[-1] != text[0]:
        raise InvalidInput(f"jsonpath: {text} is not closed")
    known = {"n": "\n", "t": "\t", "r": "\r"}
    return re.sub(r"\\(.)", lambda m: known.get(m[1], m[1]), text[1:-1], flags=re.S)


def _written(parts: Sequence[Any], root: Any) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Text):
            yield part.text
        elif isinstance(part, Path):
            yield " ".join(map(shown, _walk(part.steps, root)))
        else:
            for value in _walk(part.steps, root):
                yield from _written(part.parts, value)


def shown(value: Any) -> str:
    """A value as kubectl prints it: texts as they are, everything else as JSON."""
    import json

    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _walk(steps: Sequence[Step], root: Any) -> list[Any]:
    found = [root]
    for step in steps:
        found = step(found)
    return found


def _steps(text: str) -> tuple[Step, ...]:
    made: list[Step] = []
    at = 1 if text[:1] in ("$", "@") else 0
    while at < len(text):
        if text.startswith("..", at):
            made.append(_descend)
            at += 1 if text[at + 2 : at + 3] not in ("[", "") else 2
        elif text[at] == ".":
            at += 1
            if text[at : at + 1] == "*":
                made.append(_every)
                at += 1
            elif at < len(text) and text[at] not in ".[":
                name, at = _name(text, at)
                made.append(_field(name))
        elif text[at] == "[":
            end = _closing(text, at, "[", "]")
            made.append(_bracket(text[at + 1 : end].strip(), text))
            at = end + 1
        elif not made and at == 0:
            name, at = _name(text, at)
            made.append(_field(name))
        else:
            raise InvalidInput(f"jsonpath {text!r}: {text[at]!r} is not expected at {at + 1}")
    return tuple(made)


def _name(text: str, at: int) -> tuple[str, int]:
    """A field's name; a backslash takes what follows as it is (`.metadata.labels.app\\.kubernetes\\.io/name`)."""
    name = ""
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            name, at = name + text[at + 1], at + 2
            continue
        match = _NAME.match(text[at]) if text[at] != "\\" else None
        if match is None:
            break
        name, at = name + text[at], at + 1
    if not name:
        raise InvalidInput(f"jsonpath {text!r}: no name at {at + 1}")
    return name, at


def _bracket(inside: str, whole: str) -> Step:
    if inside.startswith("?(") and inside.endswith(")"):
        return _filter(inside[2:-1].strip(), whole)
    if inside == "*":
        return _every
    if inside[:1] in ("'", '"'):
        names = [_unquoted(part.strip()) for part in re.split(r",(?=\s*['\"])", inside)]
        return lambda found: [v for name in names for v in _field(name)(found)]
    if re.fullmatch(r"-?\d*(:-?\d*){0,2}", inside) and ":" in inside:
        bounds = [int(part) if part else None for part in inside.split(":")]
        return lambda found: [v for one in found if isinstance(one, list) for v in one[slice(*bounds)]]
    if re.fullmatch(r"-?\d+(\s*,\s*-?\d+)*", inside):
        places = [int(part) for part in inside.split(",")]
        return lambda found: [
            one[place] for one in found if isinstance(one, list) for place in places if -len(one) <= place < len(one)
        ]
    raise InvalidInput(f"jsonpath {whole!r}: [{inside}] is no index, slice, name or filter")


def _field(name: str) -> Step:
    return lambda found: [one[name] for one in found if isinstance(one, dict) and name in one]


def _every(found: list[Any]) -> list[Any]:
    return [v for one in found for v in (one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())]


def _descend(found: list[Any]) -> list[Any]:
    made: list[Any] = []
    for one in found:
        made.append(one)
        made += _descend(_every([one]))
    return made


def _filter(text: str, whole: str) -> Step:
    """`@.type=="Ready"`, or a path alone: it exists."""
    match = _FILTER.match(text)
    if match is None:
        exists = _operand(text, whole)
        return lambda found: [v for v in _every(found) if exists(v)]
    left, operator, right = _operand(match[1].strip(), whole), match[2], _operand(match[3].strip(), whole)
    return lambda found: [v for v in _every(found) if _holds(left(v), operator, right(v))]


def _operand(text: str, whole: str) -> Callable[[Any], list[Any]]:
    if text[:1] in ("'", '"'):
        fixed: Any = _unquoted(text)
        return lambda value: [fixed]
    if text[:1] in ("@", "$", "."):
        steps = _steps(text)
        return lambda value: _walk(steps, value)
    known = {"true": True, "false": False, "null": None, "nil": None}
    if text in known:
        return lambda value: [known[text]]
    try:
        number = float(text)
    except ValueError:
        raise InvalidInput(f"jsonpath {whole!r}: {text!r} is no path, text or number") from None
    return lambda value: [number]


def _holds(left: list[Any], operator: str, right: list[Any]) -> bool:
    if not left or not right:
        return False
    a, b = left[0], right[0]
    if operator in ("==", "!="):
        return bool(a == b) == (operator == "==")
    if isinstance(a, bool) or isinstance(b, bool) or isinstance(a, str) != isinstance(b, str) or not isinstance(a, (str, int, float)):
        return False
    return bool({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator])
