"""Manifest lists that `manifest create` makes. Their names stand in image_names, so that a name is an image or a list, never both."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.store.db import Store


class ListRow(Record):
    """`id` sha256:HEX, the same however the list is edited; `body` the index's JSON; `sources` (member digest, where its image is)."""

    id: str
    body: str
    sources: tuple[tuple[str, str], ...]
    created: float


class Lists:
    """Table image_lists."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, row: ListRow) -> None:
        with self._store.write() as db:
            values = (row.id, row.body, json.dumps(dict(row.sources)), row.created)
            db.execute("INSERT OR REPLACE INTO image_lists VALUES (?,?,?,?)", values)

    def get(self, list_id: str) -> ListRow | None:
        row = self._store.row("SELECT id, body, sources, created FROM image_lists WHERE id=?", list_id)
        return _list(row) if row else None

    def named(self, name: str) -> ListRow | None:
        row = self._store.row("SELECT image_id FROM image_names WHERE name=?", name)
        return self.get(row[0]) if row else None

    def all(self) -> list[ListRow]:
        """Newest first."""
        return [_list(row) for row in self._store.rows("SELECT id, body, sources, created FROM image_lists ORDER BY created DESC, id")]

    def names_history(self, image_id: str) -> tuple[str, ...]:
        """Every name that an image or list has or had, the newest first."""
        rows = self._store.rows("SELECT name FROM image_name_history WHERE image_id=? ORDER BY number DESC", image_id)
        return tuple(row[0] for row in rows)

    def all_names_history(self) -> dict[str, list[str]]:
        """As names_history, of every image at once."""
        found: dict[str, list[str]] = {}
        for image_id, name in self._store.rows("SELECT image_id, name FROM image_name_history ORDER BY number DESC"):
            found.setdefault(image_id, []).append(name)
        return found

    def delete(self, list_id: str) -> None:
        with self._store.write() as db:
            db.execute("DELETE FROM image_names WHERE image_id=?", (list_id,))
            db.execute("DELETE FROM image_lists WHERE id=?", (list_id,))


def _list(row: Any) -> ListRow:
    return ListRow(row[0], row[1], tuple(sorted(json.loads(row[2]).items())), row[3])
