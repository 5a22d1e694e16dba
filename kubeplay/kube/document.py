"""One document of a file: its value, and where in the file each part of it stands.

Positions are wanted for faults only, so they are not kept while reading: the text is kept instead, and read a second
time when somebody asks. A file without faults never pays for them.
"""

from __future__ import annotations

import re
from typing import Any

from kubeplay.record import Record

Path = tuple["str | int", ...]

_STEP = r"\[([^\]]*)\]|([^.\[\]]+)"


class Place:
    """A node's line and column, and the places of what it holds."""

    __slots__ = ("line", "column", "items")

    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column
        self.items: dict[str | int, Place] = {}


class _Text:
    """The text of a document; its places are worked out once, at the first question."""

    __slots__ = ("text", "line", "column", "root")

    def __init__(self, text: bytes, line: int, column: int) -> None:
        self.text = text
        self.line = line
        self.column = column
        self.root: Place | None = None

    def places(self) -> Place:
        if self.root is None:
            from kubeplay.kube.places import places

            self.root = places(self.text, self.line, self.column)
        return self.root


class Positions:
    """Line and column (from 1) of every key and item of a document."""

    __slots__ = ("_text", "_prefix")

    def __init__(self, text: bytes, line: int = 1, column: int = 1, *, prefix: Path = (), shared: _Text | None = None) -> None:
        self._text = shared if shared is not None else _Text(text, line, column)
        self._prefix = prefix

    def under(self, prefix: Path) -> Positions:
        """The positions of a part of this document, as seen from that part."""
        return Positions(b"", prefix=self._prefix + prefix, shared=self._text)

    def at(self, path: Path) -> tuple[int, int]:
        """Line and column of `path`, or of the nearest ancestor that exists."""
        place = self._text.places()
        for step in self._prefix + path:
            found = place.items.get(step)
            if found is None:
                break
            place = found
        return place.line, place.column


class Document(Record):
    """A document as read: `value` is not yet known to fit any kind."""

    source: str
    index: int  # type: ignore[assignment]
    value: dict[str, Any]
    positions: Positions


def parse_path(text: str, value: object = None) -> Path:
    """A field path in Kubernetes' text form as steps: `spec.containers[0].env` -> ("spec", "containers", 0, "env").

    With the value at hand, a key that itself has dots (`annotations.kubernetes.io/ingress.class`) is found too.
    """
    steps: list[str | int] = []
    place = value
    rest = text
    while rest:
        key, rest = _next(rest, place)
        steps.append(key)
        place = _inside(place, key)
    return tuple(steps)


def _next(text: str, place: object) -> tuple[str | int, str]:
    if text[0] == ".":
        text = text[1:]
    if isinstance(place, dict) and not text.startswith("["):
        whole = [key for key in place if key and text.startswith(key) and text[len(key) : len(key) + 1] in ("", ".", "[")]
        if whole:
            key = max(whole, key=len)
            return key, text[len(key) :]
    if text.startswith("[") and isinstance(place, dict):
        end = text.rfind("]")
        inner = text[1:end] if end > 0 else text[1:]
        if inner not in place:
            inner = text[1:].partition("]")[0]
        return inner, text[len(inner) + 2 :]
    found = re.match(_STEP, text)
    if found is None:
        return text, ""
    index, name = found.groups()
    if index is not None:
        return (int(index) if index.isdecimal() else index), text[found.end() :]
    return name, text[found.end() :]


def _inside(place: object, key: str | int) -> object:
    if isinstance(place, dict):
        return place.get(key)
    if isinstance(place, list) and isinstance(key, int) and key < len(place):
        return place[key]
    return None


def path_text(path: Path) -> str:
    """Steps as Kubernetes writes them: a map's key is not told from a field's name here."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
