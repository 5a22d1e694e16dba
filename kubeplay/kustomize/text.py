"""Resources as text, byte for byte as `kubectl kustomize` prints them: by libyaml's emitter, of which kubectl's is a translation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from kubeplay.kube.scalars import resolve
from kubeplay.kustomize.model import Tree

_TEXT = "tag:yaml.org,2002:str"
# Line ends to YAML 1.1, which any form but the double-quoted one would make into others.
_BREAKS = re.compile("[\x85\u2028\u2029]")


@lru_cache(maxsize=1)
def _dumper() -> Any:
    import yaml

    class Dumper(yaml.CSafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

        def represent_text(self, data: str) -> Any:
            return self.represent_scalar(_TEXT, data, style=_style(data))

        def represent_plain(self, data: Any) -> Any:
            from kubeplay.kube.scalars import number_text

            words = {None: "null", True: "true", False: "false"}
            return self.represent_scalar(_TEXT, words[data] if data is None or isinstance(data, bool) else number_text(data))

    Dumper.yaml_implicit_resolvers = {}  # every scalar is a text to the emitter, and `_style` says which ones need quotes
    Dumper.add_representer(str, Dumper.represent_text)
    for plain in (int, float, bool, type(None)):
        Dumper.add_representer(plain, Dumper.represent_plain)
    return Dumper


def _style(data: str) -> str | None:
    """Quotes where a plain text would be read as something else, a block for several lines; else libyaml's choice.

    kubectl leaves `<<` and `=` plain, which other readers take for a merge and a default.
    """
    if _BREAKS.search(data):
        return '"'
    if "\n" in data:
        return "|"
    if not data or data in ("<<", "=") or not isinstance(resolve(data), str) or _sexagesimal(data) or _dated(data):
        return '"'
    return None


def _sexagesimal(data: str) -> bool:
    """`12:30`, which YAML 1.1 takes for 750."""
    parts = data.lstrip("+-").replace("_", "").split(":")
    return len(parts) > 1 and all(part.isdecimal() and part.isascii() for part in parts[:-1]) and parts[-1].partition(".")[0].isdecimal()


def _dated(data: str) -> bool:
    from kubeplay.kube import scalars

    return data[0].isdecimal() and re.match(scalars._TIMESTAMP, data) is not None


def one(value: Tree) -> str:
    """One object as a document."""
    import yaml

    found: str = yaml.dump(value, Dumper=_dumper(), default_flow_style=False, allow_unicode=True, width=80, sort_keys=True)
    return found.removesuffix("...\n")  # libyaml ends a document so whose last text ends in empty lines; kubectl does not


def documents(values: Iterable[Tree]) -> str:
    """Several, with `---` between them."""
    return "---\n".join(map(one, values))
