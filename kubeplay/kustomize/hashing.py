"""The suffix of a generated ConfigMap or Secret: ten letters that its content decides, exactly kustomize's.

sha256 over JSON as Go writes it, ten hexadecimal digits, those that could spell a word replaced (kubectl's hash of `create configmap
--append-hash` is the same).
"""

from __future__ import annotations

import json
from typing import Any

from kubeplay.kustomize.model import Tree

_LETTERS = str.maketrans({"0": "g", "1": "h", "3": "k", "a": "m", "e": "t"})
# Go's encoder writes these so that its output can stand in a script of a page.
_GO = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def suffix(value: Tree) -> str:
    """The suffix for an object's content; kustomize means to encode the name with it, and finds an empty one (v5.5.0)."""
    kind, encoded = value.get("kind"), dict[str, Any](value)
    if kind == "ConfigMap":
        encoded = {"kind": kind, "name": "", "data": value.get("data", ""), **_present(value, "binaryData")}
    elif kind == "Secret":
        encoded = {"kind": kind, "type": value.get("type", ""), "name": "", "data": value.get("data", ""), **_present(value, "stringData")}
    try:  # without OpenSSL, whose loading takes longer than most builds
        from _sha256 import sha256  # type: ignore[import-not-found,unused-ignore]
    except ImportError:  # another Python
        from hashlib import sha256
    digest: str = sha256(_json(encoded).encode()).hexdigest()
    return digest[:10].translate(_LETTERS)


def _present(value: Tree, key: str) -> Tree:
    return {key: value[key]} if isinstance(value.get(key), dict) else {}


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).translate(_GO)
