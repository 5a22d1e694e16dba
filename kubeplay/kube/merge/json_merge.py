"""JSON merge patches (RFC 7386), for objects whose fields nobody knows: maps are merged, all else is replaced. Pure."""

from __future__ import annotations

from typing import Any

from kubeplay.kube.merge.difference import same

Json = dict[str, Any]


def apply(body: Any, patch: Any) -> Any:
    """The body after the patch; a null takes a field away."""
    if not isinstance(patch, dict):
        return patch
    made = dict(body) if isinstance(body, dict) else {}
    for name, item in patch.items():
        if item is None:
            made.pop(name, None)
        else:
            made[name] = apply(made.get(name), item)
    return made


def three_way(last: Json | None, modified: Json, live: Json) -> Json:
    """The patch for `live`: what the file says, and what it said last time and says no more, as null."""
    last = last or {}
    made: Json = {name: None for name in last if name not in modified}
    for name, item in modified.items():
        old = live.get(name)
        if isinstance(item, dict) and isinstance(old, dict):
            before = last.get(name)
            inner = three_way(before if isinstance(before, dict) else None, item, old)
            if inner:
                made[name] = inner
        elif not same(item, old) or (name not in live and item is not None):
            made[name] = item
    return made
