"""YAML as compose reads it: 1.2's words (`no` is a string), merge keys, `!reset` and `!override`; each key knows its line.

Not kube/load, which reads as kubectl does: there `no` is false and a merge key overrides what is above it. Events of the C parser
are taken one by one, so that depth and aliases are bounded before anything is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kubeplay.errors import Fault, InvalidInput
from kubeplay.record import Record

# Ours: compose files are a few KiB; the largest that the web's collections hold have some 5,000 nodes.
MAX_BYTES = 4 << 20
MAX_DEPTH = 60
MAX_NODES = 200_000

_INT = re.compile(r"([-+]?)(0x[0-9a-fA-F]{1,16}|0o?[0-7]{1,22}|0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,20}|[0-9]{1,20}(\.[0-9]{0,20})?)([eE][-+]?[0-9]{1,3})?")
_TAG = "tag:yaml.org,2002:"
_TAGS = frozenset(
    (None, "!", *(_TAG + name for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "merge", "binary")))
)
_WORDS = {**dict.fromkeys(("", "~", "null", "Null", "NULL")), **dict.fromkeys(("true", "True", "TRUE"), True),
          **dict.fromkeys(("false", "False", "FALSE"), False)}  # fmt: skip

Place = tuple[str, int]


class Map(dict[str, Any]):
    """A mapping that knows where its keys stand."""

    __slots__ = ("places",)

    def __init__(self, items: Any = (), places: dict[str, Place] | None = None) -> None:
        super().__init__(items)
        self.places: dict[str, Place] = dict(places or {})

    def place(self, key: str) -> Place:
        return self.places.get(key, ("", 0))


class Tagged(Record):
    """A value that says how it is merged: `!reset` takes away what was there, `!override` replaces it."""

    tag: str
    value: Any


class _Bad(ValueError):
    def __init__(self, message: str, mark: Any) -> None:
        super().__init__(message)
        self.line: int = mark.line + 1 if mark is not None else 1
        self.column: int = mark.column + 1 if mark is not None else 1


def read(data: bytes, source: str) -> Map:
    """The mapping of a file. Raises InvalidInput with the place of what is wrong."""
    import yaml
    from yaml._yaml import CParser

    try:
        if len(data) > MAX_BYTES:
            raise _Bad(f"the file is larger than {MAX_BYTES >> 20} MiB", None)
        value = _Reader(CParser(data), source).document()
    except _Bad as error:
        line, column, message = error.line, error.column, str(error)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = _Bad(str(error.problem or error), mark)
        line, column, message = place.line, place.column, str(place)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line, column, message = 1, 1, str(getattr(error, "reason", error))
    else:
        return value
    raise InvalidInput(f"{source}: the YAML cannot be read", [Fault("", "YAML", message, "", source, line, column)])


class _Reader:
    def __init__(self, parser: Any, source: str) -> None:
        self.get = parser.get_event
        self.source = source
        self.nodes = 0
        self.anchors: dict[str, tuple[Any, int]] = {}

    def document(self) -> Map:
        from yaml.events import DocumentStartEvent, StreamEndEvent

        self.get()
        event = self.get()
        if type(event) is not DocumentStartEvent:
            raise _Bad("the file is empty", None)
        start = self.get()
        value = self.value(start, 0)
        self.get()
        after = self.get()
        if type(after) is not StreamEndEvent:
            raise _Bad("a second document: a compose file has one", getattr(after, "start_mark", None))
        if not isinstance(value, Map):
            raise _Bad("a compose file is a mapping with `services`", start.start_mark)
        return value

    def value(self, event: Any, depth: int) -> Any:
        from yaml.events import AliasEvent, MappingStartEvent, ScalarEvent

        self.nodes += 1
        if depth > MAX_DEPTH:
            raise _Bad(f"nested more than {MAX_DEPTH} levels deep", event.start_mark)
        before = self.nodes
        kind = type(event)
        if kind is AliasEvent:
            return self.alias(event)
        anchor = event.anchor
        if kind is ScalarEvent:
            made = scalar(event)
        else:
            made = self.mapping(depth) if kind is MappingStartEvent else list(self.items(depth))
        if event.tag in ("!reset", "!override"):
            made = Tagged(event.tag[1:], made)
        elif event.tag not in _TAGS:
            raise _Bad(f"the tag {event.tag[:60]} is not one of compose's", event.start_mark)
        if anchor is not None:
            self.anchors[anchor] = (made, self.nodes - before + 1)
        self.bound(event)
        return made

    def alias(self, event: Any) -> Any:
        found = self.anchors.get(event.anchor)
        if found is None:
            raise _Bad(f"the alias *{event.anchor} stands for nothing before it", event.start_mark)
        self.nodes += found[1]
        self.bound(event)
        return found[0]

    def bound(self, event: Any) -> None:
        if self.nodes > MAX_NODES:
            raise _Bad(f"more than {MAX_NODES} values, aliases written out", event.start_mark)

    def items(self, depth: int) -> Iterator[Any]:
        from yaml.events import SequenceEndEvent

        while type(event := self.get()) is not SequenceEndEvent:
            yield self.value(event, depth + 1)

    def mapping(self, depth: int) -> Map:
        from yaml.events import MappingEndEvent, ScalarEvent

        made, merged = Map(), list[Map]()
        while type(event := self.get()) is not MappingEndEvent:
            if type(event) is not ScalarEvent:
                raise _Bad("a key must be a word", event.start_mark)
            key = event.value
            if key in made:
                raise _Bad(f"the key {key[:60]!r} is given twice", event.start_mark)
            value = self.value(self.get(), depth + 1)
            if key == "<<" and event.implicit[0]:
                merged += self.merged(value, event)
                continue
            made[key] = value
            mark: Any = event.start_mark
            made.places[key] = (self.source, mark.line + 1)
        for other in merged:
            for key, value in other.items():
                if key not in made:
                    made[key] = value
                    made.places[key] = other.place(key)
        return made

    def merged(self, value: Any, event: Any) -> list[Map]:
        found = value if isinstance(value, list) else [value]
        if not all(isinstance(one, Map) for one in found):
            raise _Bad("`<<` takes a mapping, or a list of them", event.start_mark)
        self.nodes += sum(len(one) for one in found)
        self.bound(event)
        return found


def scalar(event: Any) -> Any:
    """The value of a scalar event: what is quoted, a block, or tagged !!str is text."""
    text: str = event.value
    if (event.tag is None and not event.implicit[0]) or event.tag in ("!", _TAG + "str"):
        return text
    if event.tag == _TAG + "binary":
        raise _Bad("!!binary is not for compose files", event.start_mark)
    return plain(text)


def plain(text: str) -> Any:
    """The value of a plain scalar by YAML 1.2's core schema, and `0644` is octal as in go-yaml."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "+-0123456789":
        found = _INT.fullmatch(text)
        if found is not None:
            digits = found[2]
            octal = len(digits) > 1 and digits[0] == "0" and digits[1] not in "xX"
            number = int(digits.replace("o", ""), 8) if octal else int(digits, 0)
            return -number if found[1] == "-" else number
    if text[0] in "+-.0123456789" and _FLOAT.fullmatch(text):
        return float(text)
    return text


def text_of(value: Any) -> str:
    """A scalar as the text that Go's fmt.Sprint makes of it, which is what a container's environment gets."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return str(value)
