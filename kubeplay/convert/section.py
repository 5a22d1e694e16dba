"""A mapping of a compose file as its reader sees it: each question names a key and the type it must have; faults are collected."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from kubeplay.convert.model import Report
from kubeplay.convert.reading import Map, Place, Tagged, text_of

T = TypeVar("T")
_WHAT = {str: "a text", int: "a whole number", bool: "true or false", list: "a list", Map: "a mapping"}


class Section:
    """`path` is where the mapping stands, as `services.web`."""

    __slots__ = ("map", "path", "report", "whole")

    def __init__(self, value: Map, path: str, report: Report, whole: Place = ("", 0)) -> None:
        self.map, self.path, self.report, self.whole = value, path, report, whole

    def __contains__(self, key: str) -> bool:
        return self.map.get(key) is not None

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def place(self, key: str) -> Place:
        return self.map.places.get(key) or self.whole

    def fault(self, key: str, message: str, hint: str = "", reason: str = "FieldValueInvalid") -> None:
        self.report.fault(self.at(key) if key else self.path, message, self.place(key), hint, reason)

    def note(self, key: str, message: str) -> None:
        self.report.note(self.at(key) if key else self.path, message, self.place(key))

    def raw(self, key: str) -> Any:
        value = self.map.get(key)
        return value.value if isinstance(value, Tagged) else value

    def wrong(self, key: str, wanted: str) -> None:
        found = self.raw(key)
        shown = "a list" if isinstance(found, list) else "a mapping" if isinstance(found, dict) else f"{text_of(found)[:60]!r}"
        self.fault(key, f"must be {wanted}, this is {shown}", reason="FieldValueTypeInvalid")

    def text(self, key: str, default: str = "") -> str:
        """A scalar as text."""
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, (list, dict)):
            self.wrong(key, "a text")
            return default
        return text_of(value)

    def flag(self, key: str, default: bool = False) -> bool:
        value = self.raw(key)
        if isinstance(value, bool):
            return value
        if value is None:
            return default
        # what `${VAR}` leaves is a text, and go's ParseBool decides
        word = text_of(value).strip().lower() if not isinstance(value, (list, dict)) else ""
        if word in ("true", "t", "1", "yes", "y", "on"):
            return True
        if word not in ("false", "f", "0", "no", "n", "off"):
            self.wrong(key, "true or false")
        return False

    def integer(self, key: str, default: int | None = None, most: int = 2**31 - 1) -> int | None:
        value = self.raw(key)
        if value is None:
            return default
        word = text_of(value).strip() if not isinstance(value, (list, dict, bool)) else ""
        if not word.removeprefix("-").isdecimal() or len(word) > 18 or not -most <= int(word) <= most:
            self.wrong(key, "a whole number")
            return default
        return int(word)

    def parsed(self, key: str, how: Callable[[str], T], default: T) -> T:
        """A text as `how` reads it; its ValueError is a fault."""
        if key not in self:
            return default
        try:
            return how(self.text(key))
        except ValueError as error:
            self.fault(key, str(error))
            return default

    def words(self, key: str) -> list[str]:
        """A list of texts, or one."""
        value = self.raw(key)
        if value is None:
            return []
        found = value if isinstance(value, list) else [value]
        if any(isinstance(item, (list, dict)) for item in found):
            self.wrong(key, "a list of texts")
            return []
        return [text_of(item) for item in found]

    def command(self, key: str) -> list[str] | None:
        """A command: a list, or a text that is cut as a shell does; None where it is not said."""
        value = self.raw(key)
        if not isinstance(value, str):
            return None if value is None else self.words(key)
        try:
            return shlex.split(value)
        except ValueError as error:
            self.fault(key, f"{error} in {value[:60]!r}")
            return None

    def section(self, key: str) -> Section:
        """The mapping at `key`, empty where there is none."""
        value = self.raw(key)
        if value is not None and not isinstance(value, Map):
            self.wrong(key, "a mapping")
        return Section(value if isinstance(value, Map) else Map(), self.at(key), self.report, self.place(key))

    def sections(self, key: str) -> Iterator[Section]:
        """The mappings of a list."""
        value = self.raw(key)
        if value is not None and not isinstance(value, list):
            self.wrong(key, "a list")
        for at, item in enumerate(value if isinstance(value, list) else []):
            if isinstance(item, Map):
                yield Section(item, f"{self.at(key)}[{at}]", self.report, self.place(key))

    def pairs(self, key: str) -> dict[str, str | None]:
        """A mapping of texts, which may also be a list of KEY=VALUE; None is a key without value."""
        value = self.raw(key)
        if value is None:
            return {}
        if isinstance(value, Map):
            nested = [name for name, item in value.items() if isinstance(item, (list, dict))]
            for name in nested:
                self.section(key).wrong(name, "a text")
            return {name: None if item is None else text_of(item) for name, item in value.items() if name not in nested}
        found: dict[str, str | None] = {}
        for word in self.words(key):
            name, equals, text = word.partition("=")
            found[name] = text if equals else None
        return found

    def only(self, known: str | frozenset[str]) -> None:
        """A fault for each key that is none of these; `x-` ones are everybody's own."""
        from difflib import get_close_matches

        fields = known.split() if isinstance(known, str) else known
        for key in self.map:
            if key not in fields and not key.startswith("x-"):
                close = get_close_matches(key, list(fields), 1, 0.7)
                self.fault(key, f"unknown field {key[:80]!r}", f"did you mean `{close[0]}`?" if close else "", "FieldValueUnknown")

    def unsaid(self, fields: dict[str, str]) -> None:
        """A note for each field that is there and that no manifest can say."""
        for key, why in fields.items():
            value = self.raw(key)
            if value not in (None, False, "", [], {}):
                self.note(key, why)
