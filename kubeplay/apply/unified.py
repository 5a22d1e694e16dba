"""A change as the difference of two YAML texts: both without defaults, a Secret's values hidden. Pure."""

from __future__ import annotations

import json
from typing import Any

from kubeplay.apply.model import Change
from kubeplay.record import Record

Json = dict[str, Any]
_MOST_LINES = 20_000  # of both texts; difflib's time grows with their product, and a ConfigMap may hold a megabyte


class Pair(Record):
    """What is stored and what would be, as YAML, "" where there is nothing; `name` as kubectl calls the file."""

    name: str
    live: str
    merged: str


def pair(change: Change, secrets: bool = False) -> Pair:
    """Both sides of a change; with `secrets` a Secret's values are shown."""
    old, new = (json.loads(text) if text else None for text in (change.live, change.merged))
    if change.key.kind == "Secret" and not secrets:
        old, new = _masked(old, new)
    name = ".".join([change.api_version.replace("/", "."), change.key.kind, change.key.namespace, change.key.name])
    return Pair(name, _yaml(old), _yaml(new))


def _yaml(obj: Json | None) -> str:
    from kubeplay.generate import order
    from kubeplay.generate.prune import prune
    from kubeplay.kube import kinds, write

    if obj is None:
        return ""
    kind = kinds.find(obj["apiVersion"], obj["kind"])
    small = prune(obj, kind) if kind is not None else obj
    return write.document(order.keys(small))


def _masked(old: Json | None, new: Json | None) -> tuple[Json | None, Json | None]:
    """Values as kubectl hides them: those that differ are told as such."""
    before, after = ((one or {}).get("data") or {} for one in (old, new))
    differ = {name for name in before if name in after and before[name] != after[name]}

    def hidden(obj: Json | None, word: str) -> Json | None:
        if obj is None or not obj.get("data"):
            return obj
        return {**obj, "data": {name: f"*** ({word})" if name in differ else "***" for name in obj["data"]}}

    return hidden(old, "before"), hidden(new, "after")


def text(both: Pair) -> str:
    """The unified difference, as `diff -u -N` of two files would have it; "" where they are equal."""
    from difflib import unified_diff

    if both.live == both.merged:
        return ""
    old, new = both.live.splitlines(keepends=True), both.merged.splitlines(keepends=True)
    live, merged = f"LIVE/{both.name}", f"MERGED/{both.name}"
    if len(old) + len(new) > _MOST_LINES:
        lines = [f"--- {live}\n", f"+++ {merged}\n", f"@@ -1,{len(old)} +1,{len(new)} @@\n"]
        lines += [f"-{line}" for line in old] + [f"+{line}" for line in new]
    else:
        lines = list(unified_diff(old, new, live, merged))
    return f"diff -u -N {live} {merged}\n" + "".join(lines)
