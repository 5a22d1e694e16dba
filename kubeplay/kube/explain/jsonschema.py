"""JSON Schemas of the kinds (2020-12), for schemas/ and, with our words in them, for editors. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeplay.kube.explain import words
from kubeplay.kube.explain.lookup import required
from kubeplay.kube.kinds import Kind

Records = dict[str, dict[str, str]]
DRAFT = "https://json-schema.org/draft/2020-12/schema"
# The API server's own pattern of a quantity, and what each short type is in JSON Schema; null is an absent field everywhere.
_QUANTITY = r"^\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?\s*$"
_JSON: dict[str, dict[str, Any]] = {
    "s": {"type": ["string", "null"]},
    "i": {"type": ["integer", "null"], "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1},
    "l": {"type": ["integer", "null"], "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1},
    "b": {"type": ["boolean", "null"]},
    "f": {"type": ["number", "null"]},
    "q": {"type": ["string", "number", "null"], "pattern": _QUANTITY},
    "x": {"type": ["integer", "string", "null"], "format": "int-or-string"},
    "y": {"type": ["string", "null"], "format": "byte", "contentEncoding": "base64"},
    "t": {"type": ["string", "null"], "format": "date-time"},
    "o": {},
}


def of_type(kind: str) -> dict[str, Any]:
    """The JSON Schema of a short type."""
    if kind[0] == "[":
        return {"type": ["array", "null"], "items": of_type(kind[1:])}
    if kind[0] == "{":
        return {"type": ["object", "null"], "additionalProperties": of_type(kind[1:])}
    if kind[0] == "@":
        return {"$ref": f"#/$defs/{kind[1:]}"}
    return _JSON[kind]


def document(entry: Kind, records: Records, *, explained: bool = False) -> dict[str, Any]:
    """The schema of one kind with every record it reaches; `explained` with words, and with the fields that must be there."""
    reached = _reached([entry.schema], records, explained)
    top = _kind(entry, reached.pop(entry.schema))
    return {
        "$schema": DRAFT,
        "title": f"{entry.api_version} {entry.kind}",
        **top,
        "type": "object",
        "required": ["apiVersion", "kind"],
        "$defs": {name: reached[name] for name in sorted(reached)},
    }


def bundle(entries: Sequence[Kind], records: Records) -> dict[str, Any]:
    """One schema for files of any of these kinds: which one counts is told by apiVersion and kind, so that faults stay in their place."""
    reached = _reached([entry.schema for entry in entries], records, True)
    for entry in entries:
        reached[entry.schema] = {**_kind(entry, reached[entry.schema]), "type": "object"}
    return {
        "$schema": DRAFT,
        "title": "Kubernetes objects that kubeplay takes",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {
            "apiVersion": {"enum": sorted({entry.api_version for entry in entries}), "description": words.of("*", "apiVersion").text},
            "kind": {"enum": sorted({entry.kind for entry in entries}), "description": words.of("*", "kind").text},
        },
        "allOf": [
            {
                "if": {
                    "properties": {"apiVersion": {"const": entry.api_version}, "kind": {"const": entry.kind}},
                    "required": ["apiVersion", "kind"],
                },
                "then": {"$ref": f"#/$defs/{entry.schema}"},
            }
            for entry in entries
        ],
        "$defs": {name: reached[name] for name in sorted(reached)},
    }


def file_name(entry: Kind) -> str:
    """`deployment-apps-v1.json`, as tools that look schemas up by kind expect it (kubeconform, yaml-language-server)."""
    group = entry.group.partition(".")[0]
    return f"{entry.kind.lower()}-{group}-{entry.version}.json" if group else f"{entry.kind.lower()}-{entry.version}.json"


def _kind(entry: Kind, record: dict[str, Any]) -> dict[str, Any]:
    """A kind's record, which says its version and kind."""
    named = {"apiVersion": {"const": entry.api_version}, "kind": {"const": entry.kind}}
    return {**record, "properties": {**record["properties"], **named}}


def _reached(todo: list[str], records: Records, explained: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while todo:
        name = todo.pop()
        if name in found:
            continue
        fields = records[name]
        properties = {field: _field(name, field, kind, explained) for field, kind in fields.items()}
        found[name] = {"type": ["object", "null"], "additionalProperties": False, "properties": properties}
        if explained:
            found[name].update(_about(name))
        todo += [kind.lstrip("[{")[1:] for kind in fields.values() if kind.lstrip("[{")[0] == "@"]
    return found


def _about(name: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if text := words.of(name).text:
        made["description"] = text
    if must := [field for field in required().get(name, ()) if field not in ("apiVersion", "kind")]:
        made["required"] = must
    return made


def _field(record: str, field: str, kind: str, explained: bool) -> dict[str, Any]:
    made = of_type(kind)
    word = words.of(record, field) if explained else words.Word("")
    if not word.text:
        return made
    return {**made, "description": f"{word.text} (default: {word.default})" if word.default else word.text}
