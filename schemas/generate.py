"""Write the schemas: one JSON Schema per kind here, and all types in short form for the decoder.

    python schemas/generate.py          write
    python schemas/generate.py --check  only say whether they are up to date

The fields come from the models of the `kubernetes` package; what those do not know (a quantity is a string to them, an int
has no size) is in overlay.json. Types in short form: s string, i int32, l int64, b bool, f float, q quantity, x int or
string, y base64, t time, o anything; `[` before a type is a list, `{` a map of strings to it, `@Name` a record.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from kubeplay.kube import kinds, models  # noqa: E402
from kubeplay.kube.explain.jsonschema import document  # noqa: E402

TYPES = HERE.parent / "kubeplay" / "kube" / "types.json"
_SIMPLE = {"str": "s", "int": "i", "bool": "b", "float": "f", "datetime": "t", "object": "o"}
_LIST = re.compile(r"list\[(.*)\]$")
_MAP = re.compile(r"dict[\[(]str, (.*)[\])]$")


def short(text: str, todo: list[str]) -> str:
    """A type of the package in short form; models met on the way go to `todo`."""
    if text in _SIMPLE:
        return _SIMPLE[text]
    found = _LIST.match(text)
    if found:
        return "[" + short(found.group(1), todo)
    found = _MAP.match(text)
    if found:
        return "{" + short(found.group(1), todo)
    todo.append(text)
    return "@" + models.short_name(text)


def overlay() -> dict[str, str]:
    """`Model.field` -> short type."""
    entries = json.loads((HERE / "overlay.json").read_text())["types"]
    return {path: kind for kind, paths in entries.items() for path in paths}


def types() -> dict[str, dict[str, str]]:
    """Every record that the supported kinds reach."""
    fixed = overlay()
    todo = [models.model_name(kind) for kind in kinds.table().values() if kind.schema]
    found: dict[str, dict[str, str]] = {}
    models_of: dict[str, str] = {}
    while todo:
        model = todo.pop()
        name = models.short_name(model)
        if name in found:
            assert models_of[name] == model, f"two models are called {name}"
            continue
        models_of[name] = model
        found[name] = {}
        for field in models.fields(model):
            kind = short(field.type, todo)
            found[name][field.name] = fixed.pop(f"{name}.{field.name}", kind)
    assert not fixed, f"overlay.json names fields that no model has: {sorted(fixed)}"
    return {name: found[name] for name in sorted(found)}


def render() -> dict[Path, str]:
    """Every generated file and its text."""
    records = types()
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(fields, separators=(',', ':'))}" for name, fields in records.items())
    files = {TYPES: "{\n" + lines + "\n}\n"}
    for entry in kinds.table().values():
        if entry.schema:
            files[HERE / f"{entry.schema.lower()}.json"] = json.dumps(document(entry, records), indent=1) + "\n"
    return files


def main() -> int:
    stale = [path for path, text in render().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"stale: {path}")
        return 1 if stale else 0
    for path in stale:
        path.write_text(render()[path])
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
