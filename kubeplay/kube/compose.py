"""Values from the parser's events, in one pass.

The C parser gives events; this makes dicts and lists of them as kubectl's decoder does, merge keys included
(kubernetes-surprises.md: `<<` acts where it stands, so it overrides what is above it; in `<<: [a, b]` the first wins).
Faults that kubectl lets through on purpose or by chance are errors here: a key given twice, keys that become equal as
JSON, text after `...`, aliases that blow up.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from kubeplay.kube.scalars import HINTS, BadScalar, json_number, key_text, resolve, resolve_tagged

# Deeper than any manifest (a Deployment has about 12 levels, a CRD's schema some dozens) and safe for recursion.
MAX_DEPTH = 150

# The bounds of kubectl's own decoder: below 400,000 nodes aliases may make up 99 %, above 4,000,000 only 10 %.
_ALIAS_FREE, _ALIAS_LOW, _ALIAS_HIGH = 1000, 400_000, 4_000_000

_NOTHING = object()
_MERGE = object()
_OPEN = object()


class BadYaml(ValueError):
    """A fault at one place of a document; line and column count from 0."""

    def __init__(self, message: str, mark: Any = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.line = mark.line if mark is not None else 0
        self.column = mark.column if mark is not None else 0
        self.hint = hint


class _Anchor(NamedTuple):
    value: Any
    size: int


class _Frame(NamedTuple):
    container: Any
    key: Any
    explicit: set[str] | None
    anchor: str | None
    nodes: int


class Composer:
    """Reads one document; `read` returns its value (None for an empty one)."""

    def __init__(self, text: bytes) -> None:
        self.parser = CParser(text)
        self.anchors: dict[str, _Anchor] = {}
        self.nodes = 0
        self.aliased = 0

    def read(self) -> Any:
        """The value of the document; anything after its end is an error."""
        get = self.parser.get_event
        get()
        if type(get()) is not DocumentStartEvent:
            return None
        value = self._node(get)
        event = get()
        assert type(event) is DocumentEndEvent
        self._end(event)
        return value

    def _end(self, end: Any) -> None:
        import yaml

        try:
            event = self.parser.get_event()
        except yaml.YAMLError as error:
            raise BadYaml("text after the end of the document", getattr(error, "problem_mark", None) or end.end_mark, _AFTER) from None
        if type(event) is not StreamEndEvent:
            raise BadYaml("text after the end of the document", getattr(event, "start_mark", None), _AFTER)

    def _node(self, get: Any) -> Any:
        """The loop: `container` is what is being filled, `key` its pending key."""
        frames: list[_Frame] = []
        container: Any = None
        key: Any = _NOTHING
        explicit: set[str] | None = None
        in_map = False
        while True:
            event = get()
            kind = type(event)
            self.nodes += 1
            if kind is ScalarEvent:
                value: Any = event.value
                tag = event.tag
                if in_map and key is _NOTHING:
                    key = self._key(event)
                    if key is _MERGE:
                        explicit = set(container) if explicit is None else explicit
                    elif key in (container if explicit is None else explicit):
                        raise BadYaml(f"the key {_short(key)} is given twice", event.start_mark, _TWICE)
                    elif explicit is not None:
                        explicit.add(key)
                    continue
                if tag is None or tag == "!":
                    if event.implicit[0] and value[:1] in HINTS_OR_EMPTY:
                        value = resolve(value)
                        if type(value) is float or type(value) is int:
                            value = _number(value, event)
                else:
                    value = _tagged(tag, value, event)
                if event.anchor is not None:
                    self.anchors[event.anchor] = _Anchor(value, 1)
            elif kind is AliasEvent:
                value = self._alias(event)
                if in_map and key is _NOTHING:
                    key = _alias_key(value, event)
                    if key in (container if explicit is None else explicit):
                        raise BadYaml(f"the key {_short(key)} is given twice", event.start_mark, _TWICE)
                    if explicit is not None:
                        explicit.add(key)
                    continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                value, frame = container, frames.pop()
                if frame.anchor is not None:
                    self.anchors[frame.anchor] = _Anchor(value, self.nodes - frame.nodes)
                container, key, explicit = frame.container, frame.key, frame.explicit
                in_map = type(container) is dict
            else:
                if in_map and key is _NOTHING:
                    raise BadYaml("a key must be a scalar, not a mapping or a list", event.start_mark)
                assert kind is MappingStartEvent or kind is SequenceStartEvent
                if len(frames) >= MAX_DEPTH:
                    raise BadYaml(f"nested more than {MAX_DEPTH} levels deep", event.start_mark)
                frames.append(_Frame(container, key, explicit, event.anchor, self.nodes))
                if event.anchor is not None:
                    self.anchors[event.anchor] = _Anchor(_OPEN, 0)
                in_map = kind is MappingStartEvent
                container, key, explicit = {} if in_map else [], _NOTHING, None
                continue
            # `value` is complete: put it where it belongs.
            if in_map:
                if key is _MERGE:
                    _merge(container, value, event, kind is AliasEvent)
                else:
                    container[key] = value
                key = _NOTHING
            elif container is None:
                return value
            else:
                container.append(value)

    def _key(self, event: Any) -> Any:
        value, tag = event.value, event.tag
        if tag is None or tag == "!":
            if not event.implicit[0]:
                return value
            if value == "<<":
                return _MERGE
            if value[:1] not in HINTS_OR_EMPTY:
                found: Any = value
            else:
                found = resolve(value)
        elif tag == "tag:yaml.org,2002:merge" and value == "<<":
            return _MERGE
        else:
            found = _tagged(tag, value, event, number=False)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchor(found, 1)
        if type(found) is str:
            return found
        try:
            return key_text(found)
        except BadScalar as error:
            raise BadYaml(str(error), event.start_mark) from None

    def _alias(self, event: Any) -> Any:
        found = self.anchors.get(event.anchor)
        if found is None:
            raise BadYaml(f"unknown anchor {_short(event.anchor)}", event.start_mark, "anchors do not reach across documents")
        if found.value is _OPEN:
            raise BadYaml(f"the anchor {_short(event.anchor)} contains itself", event.start_mark)
        self.nodes += found.size
        self.aliased += found.size
        if self.aliased > 100 and self.nodes > _ALIAS_FREE and self.aliased > self.nodes * _allowed(self.nodes):
            raise BadYaml("the document contains excessive aliasing", event.start_mark)
        return found.value


_TWICE = "kubectl would keep only the last one: remove one"
_AFTER = "kubectl would ignore it in silence: put `---` before it, or remove it"
HINTS_OR_EMPTY = HINTS | {""}


def _allowed(nodes: int) -> float:
    if nodes <= _ALIAS_LOW:
        return 0.99
    if nodes >= _ALIAS_HIGH:
        return 0.10
    return 0.99 - 0.89 * (nodes - _ALIAS_LOW) / (_ALIAS_HIGH - _ALIAS_LOW)


def _short(text: object) -> str:
    shown = str(text)
    return repr(shown if len(shown) <= 60 else shown[:57] + "...")


def _number(value: int | float, event: Any) -> int | float:
    try:
        return json_number(value)
    except BadScalar as error:
        raise BadYaml(str(error), event.start_mark) from None


def _tagged(tag: str, text: str, event: Any, number: bool = True) -> Any:
    try:
        value = resolve_tagged(tag, text)
        return json_number(value) if number and type(value) in (int, float) else value  # type: ignore[arg-type]
    except BadScalar as error:
        raise BadYaml(str(error), event.start_mark) from None


def _alias_key(value: Any, event: Any) -> str:
    if isinstance(value, (dict, list)):
        raise BadYaml("a key must be a scalar, not a mapping or a list", event.start_mark)
    try:
        return key_text(value)
    except BadScalar as error:
        raise BadYaml(str(error), event.start_mark) from None


def _merge(container: dict[str, Any], value: Any, event: Any, alias: bool) -> None:
    if type(value) is dict:
        container.update(value)
        return
    if type(value) is list and not alias and all(type(item) is dict for item in value):
        for item in reversed(value):
            container.update(item)
        return
    raise BadYaml("a merge key needs a mapping or a list of mappings", event.start_mark)
