"""What a person's `pod.spec.containers.livenessProbe` means: the kind, the way to the field, the record that it holds. Pure."""

from __future__ import annotations

import json
from difflib import get_close_matches
from functools import lru_cache
from os.path import dirname, join

from kubeplay.errors import InvalidInput, NotFound
from kubeplay.kube import kinds, schema
from kubeplay.kube.kinds import Kind
from kubeplay.record import Record

_SIMPLE = {"s": "string", "i": "integer", "l": "integer", "b": "boolean", "f": "number", "q": "Quantity", "x": "IntOrString", "y": "string",
           "t": "Time", "o": "Object"}  # fmt: skip


class Found(Record):
    """A field of a kind: `path` of names from the object, its short type, the record that has it ("" = the object itself)."""

    kind: Kind
    path: tuple[str, ...]
    type: str
    owner: str = ""

    @property
    def record(self) -> str:
        """The record that it holds, in a list or map too; "" where it is a plain value."""
        inner = self.type.lstrip("[{")
        return inner[1:] if inner[0] == "@" else ""


def find(text: str, api_version: str = "") -> Found:
    """The field that `KIND[.FIELD]...` means. Raises NotFound, InvalidInput."""
    word, *names = text.strip().strip(".").split(".")
    found = Found(_kind(word, api_version), (), "")
    found = found._replace(type=f"@{found.kind.schema}")
    for name in names:
        name = name.removesuffix("[]")
        fields = schema.types().get(found.record, {})
        if name not in fields:
            raise NotFound(f'field "{name}" does not exist', hint=_hint(name, found, fields))
        found = Found(found.kind, (*found.path, name), fields[name], found.record)
    return found


def _hint(name: str, found: Found, fields: dict[str, str]) -> str:
    where = ".".join((found.kind.singular, *found.path))
    if not fields:
        return f"{where} is a plain value"
    close = next((field for field in fields if field.lower() == name.lower()), "") or "".join(get_close_matches(name, fields, 1, 0.6))
    return f"did you mean {where}.{close}?" if close else f"{where} has {', '.join(sorted(fields))}"


def _kind(word: str, api_version: str) -> Kind:
    """The kind of that name; of several versions the one that is asked for, or the latest."""
    meant = kinds.named(word) if word else None
    if meant is None:
        raise NotFound(f'the server doesn\'t have a resource type "{word}"', hint="kubeplay api-resources --every lists them")
    same = [kind for kind in kinds.table().values() if kind.kind == meant.kind]
    chosen = [kind for kind in same if kind.api_version == api_version] if api_version else [kind for kind in same if kind.schema][-1:]
    if not chosen:
        if api_version:
            raise NotFound(f"{meant.kind} is not in {api_version}", hint=f"it is in {', '.join(kind.api_version for kind in same)}")
        raise InvalidInput(f"the fields of {meant.kind} are not known here", hint="kubeplay takes the kinds of `kubeplay api-resources`")
    if not chosen[0].schema:
        raise InvalidInput(f"the fields of {meant.kind} in {api_version} are not known here")
    return chosen[0]


def shown(kind: str) -> str:
    """A short type as kubectl writes it: []Container, map[string]string."""
    if kind[0] == "[":
        return f"[]{shown(kind[1:])}"
    if kind[0] == "{":
        return f"map[string]{shown(kind[1:])}"
    return kind[1:].removeprefix("V2") if kind[0] == "@" else _SIMPLE[kind]


@lru_cache(maxsize=1)
def required() -> dict[str, list[str]]:
    """Record -> the fields that it must have."""
    with open(join(dirname(__file__), "required.json"), "rb") as file:
        found: dict[str, list[str]] = json.load(file)
    return found
