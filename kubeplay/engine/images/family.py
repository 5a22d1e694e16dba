"""Which image was made from which. Pure.

An image is another one's parent when its layers and its history are the beginning of the other's. Nothing is stored about it:
layers are shared by content, so a parent may go without its children noticing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kubeplay.engine.store.images import ImageRow


def parent(row: ImageRow, rows: Sequence[ImageRow]) -> ImageRow | None:
    """The nearest ancestor among `rows`."""
    own = history(row)
    found = [one for one in rows if _is_ancestor(one, history(one), row, own)]
    return max(found, key=lambda one: (len(history(one)), one.id), default=None)


def children(row: ImageRow, rows: Sequence[ImageRow]) -> list[ImageRow]:
    """Every image made from `row`, directly or not."""
    own = history(row)
    return [one for one in rows if _is_ancestor(row, own, one, history(one))]


def history(row: ImageRow) -> list[dict[str, Any]]:
    """The configuration's history; what is not as it should be is left out."""
    value = json.loads(row.config).get("history")
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _is_ancestor(old: ImageRow, old_history: list[dict[str, Any]], new: ImageRow, new_history: list[dict[str, Any]]) -> bool:
    count = len(old_history)
    if old.id == new.id or old.layers != new.layers[: len(old.layers)] or count >= len(new_history):
        return False
    return bool(old_history == new_history[:count]) and bool(old.layers or old_history)
