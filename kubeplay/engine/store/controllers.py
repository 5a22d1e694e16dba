"""What the controllers have seen of the watch log, and when each object is to be decided again (LR5: neither is lost with a process)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.plan.stack import ObjectKey

if TYPE_CHECKING:
    from kubeplay.engine.store.db import Store

_NONE = ObjectKey("", "", "")  # the row that holds the cursor
_FAR = 500  # changes that may be read again and again


class Controllers:
    """Table controllers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def cursor(self) -> int:
        """The resourceVersion up to which every change has been decided about; 0 before the first."""
        row = self._store.row("SELECT seen FROM controllers WHERE kind='' AND namespace='' AND name=''")
        return int(row[0]) if row else 0

    def set_cursor(self, version: int) -> None:
        if version != self.cursor():
            with self._store.write() as db:
                db.execute("INSERT OR REPLACE INTO controllers VALUES (?,?,?,?,NULL)", (*_NONE, version))

    def newest(self) -> int:
        row = self._store.row("SELECT max(resource_version) FROM watch")
        return int(row[0] or 0) if row else 0

    def oldest(self) -> int:
        """The first change that the log still has."""
        row = self._store.row("SELECT min(resource_version) FROM watch")
        return int(row[0] or 0) if row else 0

    def behind(self, controlled: Sequence[str], broad: Sequence[str]) -> bool:
        """Whether something changed that a controller has not looked at: of the kinds `controlled`, or owned by something.

        While an object of the kinds `broad` exists, every change counts.
        """
        cursor, newest = self.cursor(), self.newest()
        if broad and newest > cursor and self.any(broad):
            return True
        # what is owned may be left alone by its owner, so it counts though nothing controlled is there any more
        marks = ",".join("?" * len(controlled))
        sql = f"SELECT 1 FROM watch WHERE resource_version>? AND resource_version<=? AND (owner<>'' OR kind IN ({marks})) LIMIT 1"
        if self._store.row(sql, cursor, newest, *controlled) is not None:
            return True
        if newest > cursor + _FAR:  # nothing in between was of interest: the next question need not read it again
            self.set_cursor(newest)
        return False

    def any(self, kinds: Sequence[str]) -> bool:
        """Whether an object of one of the kinds exists."""
        marks = ",".join("?" * len(kinds))
        return self._store.row(f"SELECT 1 FROM objects WHERE kind IN ({marks}) LIMIT 1", *kinds) is not None

    # timers
    def timers(self) -> dict[ObjectKey, float]:
        rows = self._store.rows("SELECT kind, namespace, name, wake_at FROM controllers WHERE wake_at IS NOT NULL")
        return {ObjectKey(row[0], row[1], row[2]): row[3] for row in rows}

    def set_timer(self, key: ObjectKey, wake_at: float | None) -> None:
        """Decide again at `wake_at` (epoch seconds); None = only when something changes."""
        with self._store.write() as db:
            if wake_at is None:
                db.execute("DELETE FROM controllers WHERE kind=? AND namespace=? AND name=?", key)
            else:
                db.execute("INSERT OR REPLACE INTO controllers VALUES (?,?,?,0,?)", (*key, wake_at))
