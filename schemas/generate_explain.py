"""Write kubeplay/kube/explain/required.json: the fields that a record must have, from the API's own description.

    python schemas/generate_explain.py          write
    python schemas/generate_explain.py --check  only say whether it is up to date

The description comes with the `kubernetes-validate` package (generate_merge.py); a record that we do not know is left out.
"""

from __future__ import annotations

import json
import sys

from generate_merge import _OF_GROUP, _SAME, KUBE, official

REQUIRED = KUBE / "explain" / "required.json"


def required() -> dict[str, list[str]]:
    """Record -> required fields, for every record that we know."""
    known = json.loads((KUBE / "types.json").read_text())
    found: dict[str, list[str]] = {}
    for path, record in official().items():
        group, _, name = path.rpartition(".")
        group = ".".join(group.rsplit(".", 2)[-2:])
        ours = _SAME.get(f"{group}.{name}") or _OF_GROUP.get(group, "{}").format(name)
        # the strict form asks for apiVersion and kind of every kind, which the API's own does not
        fields = sorted(
            field for field in record.get("required", ()) if field not in ("apiVersion", "kind") or not known.get(ours, {}).get("metadata")
        )
        if fields and ours in known and set(record["properties"]) == set(known[ours]):
            assert found.setdefault(ours, fields) == fields, f"two records are called {ours}"
    return {name: found[name] for name in sorted(found)}


def main() -> int:
    text = "{\n" + ",\n".join(f" {json.dumps(name)}: {json.dumps(fields)}" for name, fields in required().items()) + "\n}\n"
    if REQUIRED.exists() and REQUIRED.read_text() == text:
        return 0
    if "--check" in sys.argv:
        print(f"stale: {REQUIRED}")
        return 1
    REQUIRED.write_text(text)
    print(f"wrote {REQUIRED}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
