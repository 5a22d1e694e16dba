"""The schemas are what the script makes of the models, and say the same as the official ones."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from kubeplay.kube import kinds, schema

ROOT = Path(__file__).resolve().parents[3]
KINDS = [kind for kind in kinds.table().values() if kind.schema]


def test_schemas_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, "schemas/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.schema)
def test_json_schema_is_one(kind: kinds.Kind) -> None:
    from jsonschema import Draft202012Validator

    document = json.loads((ROOT / "schemas" / f"{kind.schema.lower()}.json").read_text())
    Draft202012Validator.check_schema(document)
    validator = Draft202012Validator(document)
    assert not list(validator.iter_errors({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "a", "labels": None}}))
    assert list(validator.iter_errors({"apiVersion": kind.api_version, "kind": kind.kind, "nosuch": 1}))
    assert list(validator.iter_errors({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": 1}}))


def _official() -> dict[str, Any]:
    spec = find_spec("kubernetes_validate")
    assert spec is not None and spec.origin is not None
    path = Path(spec.origin).parent / "kubernetes-json-schema" / "v1.36.0-local-strict" / "_definitions.json"
    found: dict[str, Any] = json.loads(path.read_text())["$defs"]
    return found


def _named(path: str) -> str:
    """A record of the official schemas by the name that ours has (kube/models.py)."""
    name = path.rpartition(".")[2]
    if ".autoscaling.v2." in path:
        return f"V2{name}"
    return "DiscoveryEndpointPort" if path.endswith(".discovery.v1.EndpointPort") else name


def _short(entry: dict[str, Any]) -> str:
    """A property of the official schema as a short type; the models' `object` fields are compared loosely."""
    if "$ref" in entry:
        name = entry["$ref"].rpartition(".")[2]
        simple = {"Quantity": "q", "IntOrString": "x", "Time": "t", "MicroTime": "t", "FieldsV1": "o", "RawExtension": "o"}
        return simple.get(name, "@" + _named(entry["$ref"]))
    kind = entry.get("type")
    kind = next(name for name in kind if name != "null") if isinstance(kind, list) else kind
    if kind == "array":
        return "[" + _short(entry["items"])
    if kind == "object" and "additionalProperties" in entry:
        return "{" + _short(entry["additionalProperties"])
    formats = {"int64": "l", "byte": "y", "date-time": "t"}
    return formats.get(entry.get("format", ""), {"string": "s", "integer": "i", "boolean": "b", "number": "f", "object": "o"}[str(kind)])


def test_types_agree_with_the_official_schemas() -> None:
    official: dict[str, list[dict[str, Any]]] = {}
    for name, entry in _official().items():
        if re.search(r"\.v1\.|\.v2\.", name):
            official.setdefault(_named(name), []).append(entry.get("properties", {}))
    wrong = []
    for name, fields in schema.types().items():
        wanted = [{field: _short(entry) for field, entry in properties.items()} for properties in official[name]]
        if fields not in wanted:
            wrong.append((name, fields, wanted))
    assert not wrong


def test_reading_the_types_is_cheap() -> None:
    """The file is read on every play: it must stay small (size, not time, as a timed test lies)."""
    assert (ROOT / "kubeplay" / "kube" / "types.json").stat().st_size < 64 * 1024
