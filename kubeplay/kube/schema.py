"""Decoding: does a document fit the fields and types of its kind, as the API server's strict decoder sees it?

The order is the server's: a value of the wrong type stops the reading, so that unknown fields are reported only where
everything else decodes (kubernetes-surprises.md). The result is the object as the server would have it: null fields
gone, a null in a map or list as its type's zero, `3.0` an integer, amounts as text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from kubeplay.errors import Fault
from kubeplay.kube.document import Document, Path, path_text
from kubeplay.kube.kinds import Kind
from kubeplay.record import Record

Types = dict[str, dict[str, str]]
# A path as it grows: (parent, step); made into steps only when there is a fault to show.
_Chain = Any

_INT32, _INT64 = 1 << 31, 1 << 63
_TIME = r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,][0-9]+)?(?:Z|[+-]([0-9]{2}):([0-9]{2}))\Z"
_WORDS = {
    "s": "a string",
    "i": "an integer",
    "l": "an integer",
    "b": "true or false",
    "f": "a number",
    "y": "a base64 string",
    "t": "a time",
    "x": "an integer or a string",
}
_SIZES = {"i": "32 bits", "l": "64 bits"}
# What people write for a quantity's suffix, and the suffix they mean (VL4).
_SUFFIXES = {"K": "k", "KB": "k", "kb": "k", "ki": "Ki", "KiB": "Ki", "MB": "M", "mb": "M", "mi": "Mi", "MiB": "Mi"} | {
    "g": "G", "GB": "G", "gb": "G", "gi": "Gi", "GiB": "Gi", "t": "T", "TB": "T", "ti": "Ti", "TiB": "Ti", "b": "", "B": ""
}


class Decoded(Record):
    """What decoding gives: the object, the faults that forbid it, and the unknown fields that only deserve a word.

    `hidden` are unknown fields that the server does not get to, because a value of the wrong type stops it.
    """

    object: dict[str, Any]
    faults: list[Fault]
    warnings: list[Fault]
    hidden: tuple[Fault, ...] = ()


@lru_cache(maxsize=1)
def types() -> Types:
    """The records of all supported kinds: 20 KB, read in half a millisecond."""
    import json
    from os.path import dirname, join

    with open(join(dirname(__file__), "types.json"), "rb") as file:
        found: Types = json.load(file)
    return found


def check(document: Document, kind: Kind, mode: str = "strict") -> list[Fault]:
    """The faults of a document against its kind's types."""
    return decode(document, kind, mode).faults


def decode(document: Document, kind: Kind, mode: str = "strict") -> Decoded:
    """The object that a document means; `mode` says what an unknown field is: an error, a warning, or nothing."""
    decoder = _Decoder(document)
    value = decoder.record(document.value, kind.schema, None)
    unknown = [] if mode == "ignore" else decoder.unknown_faults(kind)
    if decoder.faults:
        return Decoded(value, decoder.faults, [], tuple(unknown) if mode == "strict" else ())
    if mode == "strict":
        return Decoded(value, decoder.faults + unknown, [])
    return Decoded(value, decoder.faults, unknown)


class _Decoder:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.types = types()
        self.faults: list[Fault] = []
        self.unknown: list[tuple[_Chain, dict[str, str]]] = []

    def record(self, value: dict[str, Any], name: str, path: _Chain) -> dict[str, Any]:
        """The known, non-null fields of a record, each decoded."""
        fields = self.types[name]
        result: dict[str, Any] = {}
        for key, item in value.items():
            kind = fields.get(key)
            if kind is None:
                self.unknown.append(((path, key), fields))
            elif item is None:
                continue
            elif kind == "s" and type(item) is str:
                result[key] = item
            else:
                result[key] = self.value(item, kind, (path, key))
        return result

    def value(self, value: Any, kind: str, path: _Chain) -> Any:
        """A value that is not null, decoded as `kind`."""
        letter = kind[0]
        if letter == "@":
            if type(value) is dict:
                return self.record(value, kind[1:], path)
        elif letter == "[":
            if type(value) is list:
                return self._list(value, kind[1:], path)
        elif letter == "{":
            if type(value) is dict:
                return self._map(value, kind[1:], path)
        elif letter == "s":
            if type(value) is str:
                return value
        elif letter == "i" or letter == "l":
            if type(value) is int:
                limit = _INT32 if letter == "i" else _INT64
                if -limit <= value < limit:
                    return value
                return self._fault(path, f"{value} does not fit into {_SIZES[letter]}", "FieldValueInvalid")
        elif letter == "b":
            if type(value) is bool:
                return value
        elif letter == "x":
            if type(value) is str or type(value) is int and -_INT32 <= value < _INT32:
                return value
        elif letter == "q":
            return self._quantity(value, path)
        elif letter == "y":
            if type(value) is str:
                return self._base64(value, path)
        elif letter == "t":
            if type(value) is str:
                return self._time(value, path)
        elif letter == "f":
            if type(value) is int or type(value) is float:
                return value
        else:
            return value
        return self._mismatch(value, kind, path)

    def _list(self, value: list[Any], kind: str, path: _Chain) -> list[Any]:
        if kind == "s" and all(type(item) is str for item in value):
            return value
        return [self._item(item, kind, (path, number)) for number, item in enumerate(value)]

    def _item(self, item: Any, kind: str, path: _Chain) -> Any:
        """An item of a list; one that is null or faulty counts as its type's zero, so that the others keep their numbers."""
        found = self.value(item, kind, path) if item is not None else None
        return _zero(kind) if found is None else found

    def _map(self, value: dict[str, Any], kind: str, path: _Chain) -> dict[str, Any]:
        if kind == "s" and all(type(item) is str for item in value.values()):
            return value
        return {key: self.value(item, kind, (path, key)) if item is not None else _zero(kind) for key, item in value.items()}

    def _quantity(self, value: Any, path: _Chain) -> Any:
        from kubeplay.errors import InvalidInput
        from kubeplay.kube import quantity
        from kubeplay.kube.scalars import number_text

        if type(value) is str:
            text = value.strip()
        elif type(value) is int or type(value) is float:
            text = number_text(value)
        else:
            return self._mismatch(value, "q", path)
        if not text.isdecimal() or len(text) > 15:
            try:
                quantity.parse(text)
            except InvalidInput as error:
                return self._fault(path, f"{_show(value)} is no quantity: {error.message}", "FieldValueInvalid", _quantity_hint(text))
        return text

    def _base64(self, value: str, path: _Chain) -> Any:
        from base64 import b64decode
        from binascii import Error

        text = value.replace("\n", "").replace("\r", "")
        try:
            # Python's strict decoder still takes padding in the middle of the text.
            if "=" not in text.rstrip("=") and len(text) % 4 == 0:
                b64decode(text, validate=True)
                return value
        except (Error, ValueError):
            pass
        secret = self.document.value.get("kind") == "Secret"
        hint = f"plain text goes into `{'stringData' if secret else 'data'}`"
        return self._fault(path, "illegal base64 data (standard alphabet, with padding)", "FieldValueInvalid", hint)

    def _time(self, value: str, path: _Chain) -> Any:
        if _valid_time(value):
            return value
        return self._fault(path, f"{_show(value)} is no time as 2006-01-02T15:04:05Z", "FieldValueInvalid")

    def _mismatch(self, value: Any, kind: str, path: _Chain) -> Any:
        if kind in ("i", "l") and type(value) is float and value.is_integer():
            return self._fault(path, f"{value:.0f} does not fit into {_SIZES[kind]}", "FieldValueInvalid")
        message = f"must be {_wanted(kind)}, this is {self._seen(value, path)}"
        return self._fault(path, message, "FieldValueTypeInvalid", _type_hint(value, kind))

    def _seen(self, value: Any, path: _Chain) -> str:
        """What stands there; of a Secret's own values only what kind of thing it is."""
        steps = _steps(path)
        hidden = self.document.value.get("kind") == "Secret" and bool(steps) and steps[0] in ("data", "stringData")
        found = _found(value)
        return " ".join(found.split(" ", 2)[:2]) if hidden else found

    def _fault(self, path: _Chain, message: str, reason: str, hint: str = "") -> None:
        self.faults.append(self._at(_steps(path), message, reason, hint))

    def _at(self, steps: Path, message: str, reason: str, hint: str) -> Fault:
        line, column = self.document.positions.at(steps)
        return Fault(path_text(steps), reason, message, hint, self.document.source, line, column, self.document.index)

    def unknown_faults(self, kind: Kind) -> list[Fault]:
        """A fault for each field that the kind does not have."""
        found = []
        for path, fields in self.unknown:
            steps = _steps(path)
            hint = self._nearest(str(steps[-1]), fields, kind)
            fault = self._at(steps, "", "FieldValueUnknown", hint)
            # A zero-width space in a name must be seen, so it is written as an escape.
            name = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in fault.path)
            found.append(fault._replace(path=name, message=f'unknown field "{name}"'))
        return found

    def _nearest(self, name: str, fields: dict[str, str], kind: Kind) -> str:
        from difflib import get_close_matches

        lower = name.lower().strip("\u200b\ufeff \u00a0")
        same = [field for field in fields if field.lower() == lower]
        longer = [field for field in fields if len(lower) >= 4 and field.lower().startswith(lower)]
        close = same or longer or get_close_matches(name, list(fields), 1, 0.75)
        if close:
            return f"did you mean `{close[0]}`?"
        homes = [where for where in _homes(self.types, kind.schema, name) if where]
        return f"`{name}` belongs to `{homes[0]}`" if homes else ""


def _steps(path: _Chain) -> Path:
    steps: list[str | int] = []
    while path is not None:
        path, step = path
        steps.append(step)
    return tuple(reversed(steps))


def _homes(types: Types, root: str, name: str) -> list[str]:
    """Where in a kind a field of that name lives, nearest to the top first."""
    found: list[str] = []
    seen = {root}
    level = [("", root)]
    while level and not found:
        following = []
        for prefix, record in level:
            for field, kind in types[record].items():
                where = f"{prefix}.{field}" if prefix else field
                if field == name:
                    found.append(where)
                inner = kind.lstrip("[{")
                if inner[0] == "@" and inner[1:] not in seen and field != "status":
                    seen.add(inner[1:])
                    following.append((where + ("[]" if kind[0] == "[" else ""), inner[1:]))
        level = following
    return found


def _zero(kind: str) -> Any:
    """What null means inside of a list or map."""
    return {"s": "", "y": "", "q": "0", "i": 0, "l": 0, "b": False, "x": 0, "[": [], "{": {}, "@": {}}.get(kind[0])


def _wanted(kind: str) -> str:
    if kind[0] == "[":
        return "a list"
    if kind[0] == "{":
        return "a mapping"
    if kind[0] == "@":
        return f"a mapping ({kind[1:]})"
    return "a quantity as 500m or 1.5Gi" if kind == "q" else _WORDS.get(kind, "something else")


def _found(value: Any) -> str:
    if value is True or value is False:
        return f"the boolean {str(value).lower()}"
    if isinstance(value, (int, float)):
        from kubeplay.kube.scalars import number_text

        return f"the number {number_text(value)}"
    if isinstance(value, str):
        return f"the string {_show(value)}"
    return "a list" if isinstance(value, list) else "a mapping"


def _show(value: Any) -> str:
    text = value if isinstance(value, str) else _found(value)
    shown = text if len(text) <= 60 else text[:57] + "..."
    return f'"{shown}"' if isinstance(value, str) else shown


def _type_hint(value: Any, kind: str) -> str:
    if kind[0] in "sy" and isinstance(value, (bool, int, float)):
        return "put it into quotes (y, yes, on, no, off and numbers are not strings in YAML)"
    if isinstance(value, str) and kind in ("i", "l", "b", "f") and value:
        return "remove the quotes" if value.lstrip("-").isdecimal() or value.lower() in ("true", "false") else ""
    if kind[0] == "[" and not isinstance(value, list):
        return "start each item with `- `"
    return ""


def _quantity_hint(text: str) -> str:
    number = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    suffix = text[len(number) :].strip()
    if suffix in _SUFFIXES and number:
        return f"did you mean `{number.strip()}{_SUFFIXES[suffix]}`?"
    return "a number with one of n u m k M G T P E Ki Mi Gi Ti Pi Ei"


def _valid_time(text: str) -> bool:
    found = re.match(_TIME, text)
    if found is None:
        return False
    year, month, day, hour, minute, second, zone_hour, zone_minute = (int(group or 0) for group in found.groups())
    if not (1 <= month <= 12 and hour < 24 and minute < 60 and second < 60 and zone_hour <= 24 and zone_minute < 60):
        return False
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 1 <= day <= (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]
