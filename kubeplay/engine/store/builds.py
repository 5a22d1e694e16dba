"""The build cache: which layer a step of a build made, and which image a whole build came to.

A row keeps its layer from being collected. It belongs to the image that was last built with it and goes with that image;
rows of builds that came to no image (`image_id` "") wait for the next attempt, and go when images are pruned or none is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubeplay.engine.store.db import Store


class StepRow(Record):
    """`key` and `prefix` (the key without its inputs) are hex digests; `layer` a diff id, "" when the step changed no file.

    `created` is RFC 3339, as in the history entry; `summary` what the history says of copied files.
    """

    key: str
    prefix: str
    layer: str
    created: str
    summary: str = ""
    image_id: str = ""


class BuildRows:
    """Table build_steps."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, row: StepRow) -> None:
        with self._store.write() as db:
            db.execute("INSERT OR REPLACE INTO build_steps VALUES (?,?,?,?,?,?)", row)

    def get(self, key: str) -> StepRow | None:
        row = self._store.row("SELECT key, prefix, layer, created, summary, image_id FROM build_steps WHERE key=?", key)
        return StepRow(*row) if row else None

    def begins(self, prefix: str) -> bool:
        """Whether any row has this prefix: if not, there is no need to read the inputs before the step is done."""
        return self._store.row("SELECT 1 FROM build_steps WHERE prefix=? LIMIT 1", prefix) is not None

    def own(self, keys: Sequence[str], image_id: str) -> None:
        """Say that the rows were used for this image."""
        with self._store.write() as db:
            db.executemany("UPDATE build_steps SET image_id=? WHERE key=?", [(image_id, key) for key in keys])

    def layers(self) -> set[str]:
        """The layers that rows need."""
        return {row[0] for row in self._store.rows("SELECT DISTINCT layer FROM build_steps WHERE layer <> ''")}

    def forget(self, *, unowned: bool = False) -> int:
        """Remove rows of images that are gone, with `unowned` also those of builds that failed; how many went."""
        with self._store.write() as db:
            none = db.execute("SELECT 1 FROM images LIMIT 1").fetchone() is None
            where = "image_id NOT IN (SELECT id FROM images)" + ("" if unowned or none else " AND image_id <> ''")
            return int(db.execute(f"DELETE FROM build_steps WHERE {where}").rowcount)
