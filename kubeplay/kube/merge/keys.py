"""How a patch treats each field: what schemas/generate_merge.py has taken from the API's own description."""

from __future__ import annotations

from functools import cache, lru_cache

from kubeplay.kube import kinds
from kubeplay.record import Record

OPAQUE = ""  # the record of what has no fields of its own: maps of the author's keys, and kinds that we do not know


class Field(Record):
    """A field of a record: `of` is the record of its value, or of its items where it is a list (OPAQUE where they have none).

    `merges`: a list whose items are merged, by `key` where they are records; `retains`: only the keys that a file names stay beside
    each other (`$retainKeys`); `replaces`: a map that is taken as a whole.
    """

    of: str = OPAQUE
    merges: bool = False
    key: str = ""
    retains: bool = False
    replaces: bool = False


_PLAIN = Field()


def record_of(api_version: str, kind: str) -> str:
    """The record of an object's kind; OPAQUE for one that we know no fields of, whose lists are replaced and maps merged."""
    found = kinds.find(api_version, kind)
    return found.schema if found is not None else OPAQUE


def field(record: str, name: str) -> Field:
    """What is to be known of a record's field."""
    return _fields(record).get(name, _PLAIN) if record else _PLAIN


@cache
def _fields(record: str) -> dict[str, Field]:
    from kubeplay.kube.schema import types

    said = _table().get(record, {})
    return {name: _field(kind, said.get(name, "")) for name, kind in types().get(record, {}).items()}


def _field(kind: str, said: str) -> Field:
    inner = kind.lstrip("[{")
    strategy, _, key = said.partition(":")
    words = strategy.split(",") if strategy else []
    of = inner[1:] if inner[0] == "@" and not kind.startswith("{") else OPAQUE
    return Field(of, "merge" in words, key, "retainKeys" in words, "replace" in words)


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, str]]:
    import json
    from os.path import dirname, join

    with open(join(dirname(__file__), "keys.json"), "rb") as file:
        found: dict[str, dict[str, str]] = json.load(file)
    return found
