"""Write kubeplay/kube/merge/keys.json: how a strategic merge patch treats each field, from the API's own description.

    python schemas/generate_merge.py          write
    python schemas/generate_merge.py --check  only say whether it is up to date

The API says it in its OpenAPI document as `x-kubernetes-patch-strategy` and `x-kubernetes-patch-merge-key`; that document comes
with the `kubernetes-validate` package (a development dependency). A line is a record of types.json with its fields, each as
STRATEGY[:KEY]: `merge:name` for a list of records told apart by their name, `merge` for a list of texts, `merge,retainKeys:name`,
`retainKeys` and `replace` as a patch has them. What is not there is replaced as a whole where it is a list, merged where it is a map.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

VERSION = "v1.36.0-local-strict"
HERE = Path(__file__).resolve().parent
KUBE = HERE.parent / "kubeplay" / "kube"
KEYS = KUBE / "merge" / "keys.json"
# A record of one name in several groups: ours says which (kubeplay/kube/models.py).
_OF_GROUP = {"autoscaling.v2": "V2{}", "discovery.v1": "{}"}
_SAME = {"discovery.v1.EndpointPort": "DiscoveryEndpointPort"}


def official() -> dict[str, Any]:
    """The records of the API's description by their full names."""
    spec = find_spec("kubernetes_validate")
    assert spec is not None and spec.origin is not None, "pip install kubernetes-validate"
    path = Path(spec.origin).parent / "kubernetes-json-schema" / VERSION / "_definitions.json"
    found: dict[str, Any] = json.loads(path.read_text())["$defs"]
    return found


def strategies() -> dict[str, dict[str, str]]:
    """Record -> field -> STRATEGY[:KEY], for every record that we know."""
    known = json.loads((KUBE / "types.json").read_text())
    found: dict[str, dict[str, str]] = {}
    for path, record in official().items():
        group, _, name = path.rpartition(".")
        group = ".".join(group.rsplit(".", 2)[-2:])
        ours = _SAME.get(f"{group}.{name}") or _OF_GROUP.get(group, "{}").format(name)
        fields = {field: _strategy(entry) for field, entry in record.get("properties", {}).items() if _strategy(entry)}
        unknown = set(fields) - set(known.get(ours, ()))
        if not fields or ours not in known or unknown:
            continue
        assert found.setdefault(ours, fields) == fields, f"two records are called {ours}"
    return {name: dict(sorted(found[name].items())) for name in sorted(found)}


def _strategy(entry: dict[str, Any]) -> str:
    strategy, key = entry.get("x-kubernetes-patch-strategy", ""), entry.get("x-kubernetes-patch-merge-key", "")
    return f"{strategy}:{key}" if key else strategy


def render() -> str:
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(fields, separators=(',', ':'))}" for name, fields in strategies().items())
    return "{\n" + lines + "\n}\n"


def main() -> int:
    text = render()
    if KEYS.exists() and KEYS.read_text() == text:
        return 0
    if "--check" in sys.argv:
        print(f"stale: {KEYS}")
        return 1
    KEYS.write_text(text)
    print(f"wrote {KEYS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
