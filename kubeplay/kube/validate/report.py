"""Collecting faults in the API server's words (semantics VL8): one method for each of its reasons."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubeplay.errors import Fault

Object = dict[str, Any]

# Where Service addresses come from [SV2; --service-cluster-ip-range of the recorded server, and of our first root].
SERVICE_RANGE = "10.96.0.0/16"
NEGATIVE = "must be greater than or equal to 0"
NOT_POSITIVE = "must be greater than zero"


class Faults:
    """The faults of one object, in the order in which they were found, and what the rules need to know of the outside."""

    __slots__ = ("items", "service_range")

    def __init__(self, service_range: str = SERVICE_RANGE) -> None:
        self.items: list[Fault] = []
        self.service_range = service_range

    def __len__(self) -> int:
        return len(self.items)

    def required(self, path: str, detail: str = "", hint: str = "") -> None:
        """A field that must be there."""
        self._add(path, "FieldValueRequired", "Required value", detail, hint)

    def invalid(self, path: str, value: Any, detail: str, hint: str = "") -> None:
        """A value against the rule `detail`."""
        self._add(path, "FieldValueInvalid", f"Invalid value: {show(value)}", detail, hint)

    def each(self, path: str, value: Any, details: Iterable[str], hint: str = "") -> None:
        """A value against several rules (what names.* return)."""
        for detail in details:
            self.invalid(path, value, detail, hint)

    def unsupported(self, path: str, value: Any, supported: Iterable[str]) -> None:
        """A value outside a closed list; one that differs only in case gets a hint."""
        known = list(supported)
        close = next((word for word in known if isinstance(value, str) and word and word.lower() == value.lower()), "")
        listed = ", ".join(f'"{word}"' for word in known)
        hint = f'write "{close}": case matters' if close else ""
        self._add(path, "FieldValueNotSupported", f"Unsupported value: {show(value)}", f"supported values: {listed}", hint)

    def duplicate(self, path: str, value: Any, hint: str = "") -> None:
        """A value that must be unique."""
        self._add(path, "FieldValueDuplicate", f"Duplicate value: {show(value)}", "", hint)

    def forbidden(self, path: str, detail: str, hint: str = "") -> None:
        """A field that must not be there."""
        self._add(path, "FieldValueForbidden", "Forbidden", detail, hint)

    def not_found(self, path: str, value: Any, detail: str = "", hint: str = "") -> None:
        """A reference to something this object does not hold."""
        self._add(path, "FieldValueNotFound", f"Not found: {show(value)}", detail, hint)

    def too_long(self, path: str, limit: int, hint: str = "") -> None:
        """More bytes than allowed."""
        self._add(path, "FieldValueTooLong", "Too long", f"may not be more than {limit} bytes", hint)

    def too_many(self, path: str, count: int, limit: int) -> None:
        """More entries than allowed."""
        self._add(path, "FieldValueTooMany", f"Too many: {count}", f"must have at most {limit} items", "")

    def denied(self, path: str, message: str, hint: str = "") -> None:
        """What the server's admission refuses, before it validates."""
        self.items.append(Fault(path, "Forbidden", message, hint))

    def not_negative(self, path: str, value: Any) -> None:
        """A number that must not be below zero."""
        if isinstance(value, int) and value < 0:
            self.invalid(path, value, NEGATIVE)

    def one_of(self, path: str, value: Any, supported: Iterable[str]) -> None:
        """A word of a closed list; an empty one is required."""
        if not value:
            self.required(path)
        elif value not in supported:
            self.unsupported(path, value, supported)

    def _add(self, path: str, reason: str, start: str, detail: str, hint: str) -> None:
        self.items.append(Fault(path, reason, f"{start}: {detail}" if detail else start, hint))


def show(value: Any) -> str:
    """A value as the server prints it in a message: compact JSON."""
    import json

    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def key(path: str, name: str) -> str:
    """The path of a map's entry."""
    return f"{path}[{name}]"


def records(parent: Object | None, field: str) -> list[Object]:
    """The records of a list field; anything else counts as empty ones, as null does for the server."""
    return [item if isinstance(item, dict) else {} for item in (parent or {}).get(field) or ()]


def record(parent: Object | None, field: str) -> Object | None:
    """The record in a field, or None when it is absent."""
    value = (parent or {}).get(field)
    return value if isinstance(value, dict) else None
