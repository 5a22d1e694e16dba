"""Images by id (the config's digest) and the names that point at them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.store.db import Store


class ImageRow(Record):
    """`id` is sha256:HEX of the config blob; `config` its JSON text; `layers` diff ids, base first; `size` bytes."""

    id: str
    config: str
    layers: tuple[str, ...]
    size: int
    manifest_digest: str
    created: float


_COLUMNS = "id, config, layers, size, manifest_digest, created"


class ImageRows:
    """Tables images and image_names. Names are normalised references: docker.io/library/busybox:1."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, row: ImageRow) -> None:
        """Store an image; one that is there already stays."""
        with self._store.write() as db:
            db.execute("INSERT OR IGNORE INTO images VALUES (?,?,?,?,?,?)", (row.id, row.config, json.dumps(row.layers), *row[3:]))

    def get(self, image_id: str) -> ImageRow | None:
        row = self._store.row(f"SELECT {_COLUMNS} FROM images WHERE id=?", image_id)
        return _image(row) if row else None

    def named(self, name: str) -> ImageRow | None:
        row = self._store.row("SELECT image_id FROM image_names WHERE name=?", name)
        return self.get(row[0]) if row else None

    def names(self, image_id: str = "") -> list[tuple[str, str]]:
        """(name, image id) pairs, by name."""
        rows = self._store.rows("SELECT name, image_id FROM image_names WHERE ?='' OR image_id=? ORDER BY name", image_id, image_id)
        return [(row[0], row[1]) for row in rows]

    def tag(self, name: str, image_id: str) -> None:
        with self._store.write() as db:
            db.execute("INSERT OR REPLACE INTO image_names VALUES (?,?)", (name, image_id))

    def untag(self, name: str) -> None:
        with self._store.write() as db:
            db.execute("DELETE FROM image_names WHERE name=?", (name,))

    def delete(self, image_id: str) -> None:
        with self._store.write() as db:
            db.execute("DELETE FROM image_names WHERE image_id=?", (image_id,))
            db.execute("DELETE FROM images WHERE id=?", (image_id,))

    def list(self) -> list[ImageRow]:
        return [_image(row) for row in self._store.rows(f"SELECT {_COLUMNS} FROM images ORDER BY created DESC, id")]


def _image(row: Any) -> ImageRow:
    return ImageRow(row[0], row[1], tuple(json.loads(row[2])), row[3], row[4], row[5])
