"""Values from the parser's events, in one pass.

The C parser gives events; this makes dicts and lists of them as kubectl's decoder does, merge keys included
(kubernetes-surprises.md: `<<` acts where it stands, so it overrides what is above it; in `<<: [a, b]` the first wins).
Faults that kubectl lets through on purpose or by chance are errors here: a key given twice, keys that become equal as
JSON, text after `...`, aliases that blow up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
from kubeplay.record import Record

# Deeper than any manifest (a Deployment has about 12 levels, a CRD's schema some dozens) and safe for recursion.
MAX_DEPTH = 150

# The bounds of kubectl's own decoder: below 400,000 nodes aliases may make up 99 %, above 4,000,000 only 10 %.
_ALIAS_FREE, _ALIAS_LOW, _ALIAS_HIGH = 1000, 400_000, 4_000_000

# What a request to the API server may have (load.MAX_DOCUMENT), when aliases are written out.
MAX_EXPANDED = 3 * 1024 * 1024

# What a plain scalar means.
Words = Callable[[str], object]

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


class _Anchor:
    """What an alias stands for; known when its node is complete."""

    __slots__ = ("value", "size")

    def __init__(self, value: Any = _OPEN, size: int = 1) -> None:
        self.value = value
        self.size = size


class _Frame(Record):
    """What was being filled when a deeper mapping or list began."""

    container: Any
    key: Any
    explicit: set[str] | None
    anchor: _Anchor | None
    nodes: int
    flow: bool


class Composer:
    """Reads one document; `read` returns its value (None for an empty one)."""

    def __init__(self, text: bytes, words: Words = resolve) -> None:
        self.text = text
        self.words = words
        self.letters = ""
        self.parser = CParser(text)
        self.escapes = b"\\/" in text
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
        resolve = self.words
        in_map = flow = False
        while True:
            event = get()
            kind = type(event)
            self.nodes += 1
            if kind is ScalarEvent:
                value: Any = event.value
                tag = event.tag
                if flow and "?" in value and event.implicit[0]:
                    # The scanner of kubectl ends a plain scalar there, newer ones do not.
                    raise BadYaml("did not find expected ',' or a closing bracket", event.start_mark, "quote a value with `?` in it")
                if flow and tag is not None and not value:
                    self._tag_comma(event)
                if self.escapes and event.style == '"':
                    self._escapes(event)
                if in_map and key is _NOTHING:
                    key = self._key(event)
                    if key is _MERGE:
                        explicit = set(container) if explicit is None else explicit
                    elif key in (container if explicit is None else explicit):
                        raise BadYaml(f"the key {_short(key)} is given twice", event.start_mark, _TWICE)
                    elif explicit is not None:
                        explicit.add(key)
                    continue
                if tag is None:
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
                    frame.anchor.value, frame.anchor.size = value, self.nodes - frame.nodes
                container, key, explicit, flow = frame.container, frame.key, frame.explicit, frame.flow
                in_map = type(container) is dict
            else:
                if in_map and key is _NOTHING:
                    raise BadYaml("a key must be a scalar, not a mapping or a list", event.start_mark)
                assert kind is MappingStartEvent or kind is SequenceStartEvent
                if len(frames) >= MAX_DEPTH:
                    raise BadYaml(f"nested more than {MAX_DEPTH} levels deep", event.start_mark)
                anchor = None
                if event.anchor is not None:
                    anchor = self.anchors[event.anchor] = _Anchor()
                frames.append(_Frame(container, key, explicit, anchor, self.nodes, flow))
                flow = event.flow_style
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
        value, tag, plain = event.value, event.tag, event.implicit[0]
        if plain and value == "<<":
            return _MERGE
        if tag is None:
            found: Any = self.words(value) if plain and value[:1] in HINTS_OR_EMPTY else value
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

    def _raw(self, start: int, end: int) -> str:
        """A piece of the text by the parser's own count of characters, which leaves out a byte order mark."""
        if not self.letters:
            self.letters = self.text.decode("utf-8").removeprefix("\ufeff")
        return self.letters[start:end]

    def _escapes(self, event: Any) -> None:
        """JSON's escape for a slash is not one of YAML 1.1: kubectl refuses it outside of JSON files."""
        import re

        raw = self._raw(event.start_mark.index, event.end_mark.index)
        if re.search(r"(?<!\\)(?:\\\\)*\\/", raw):
            raise BadYaml("found unknown escape character", event.start_mark, "write `/` without a backslash")

    def _tag_comma(self, event: Any) -> None:
        """kubectl reads `!x,` in a flow collection as a tag that ends in a comma; nobody can mean that."""
        end = event.end_mark.index
        if self._raw(end, end + 1) == ",":
            raise BadYaml("a tag is followed by a comma", event.end_mark, "put a space before the comma, or quote the value")

    def _alias(self, event: Any) -> Any:
        found = self.anchors.get(event.anchor)
        if found is None:
            raise BadYaml(f"unknown anchor {_short(event.anchor)}", event.start_mark, "anchors do not reach across documents")
        if type(found.value) is float or type(found.value) is int:
            return _number(found.value, event)
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


def compose(text: bytes, words: Words = resolve) -> tuple[Any, bytes]:
    """The value of a document's text, and the text as it could be scanned (the same, nearly always)."""
    import yaml

    from kubeplay.kube import dialect

    hidden = dialect.needs_marks_hidden(text)
    if hidden:
        text = dialect.hide_marks(text)
    budget = dialect.MAX_READ
    while True:
        try:
            composer = Composer(text, words)
            value = composer.read()
        except yaml.MarkedYAMLError as error:
            budget -= len(text)
            changed = dialect.hide_colon(text, error) if budget > 0 else None
            if changed is None:
                raise
            text, hidden = changed, True
            continue
        if composer.aliased and expanded_size(value, {}) > MAX_EXPANDED:
            raise BadYaml(f"with its aliases written out the document is larger than {MAX_EXPANDED >> 20} MiB")
        return (dialect.restored(value) if hidden else value), text


def expanded_size(value: Any, sizes: dict[int, int]) -> int:
    """About how long a value is as JSON; each shared part is measured once."""
    if isinstance(value, str):
        return len(value) + 2
    if not isinstance(value, (dict, list)):
        return 2
    if id(value) not in sizes:
        inner = value if isinstance(value, list) else [*value.keys(), *value.values()]
        sizes[id(value)] = 2 + sum(expanded_size(item, sizes) + 1 for item in inner)
    return sizes[id(value)]
