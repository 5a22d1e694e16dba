"""Events about objects, repeated ones counted (CS10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.engine.store.where import only
from kubeplay.plan.stack import ObjectKey
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.store.db import Store

NORMAL, WARNING = "Normal", "Warning"
INFINITE = 1e18  # seconds
KEEP = 10_000  # events kept; kube-apiserver forgets them after an hour (--event-ttl)


class Event(Record):
    """One event; `times` seen, `first` and `last` epoch seconds."""

    id: int
    key: ObjectKey
    uid: str
    type: str
    reason: str
    message: str
    times: int
    first: float
    last: float


class Events:
    """Table events."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, key: ObjectKey, uid: str, reason: str, message: str, type_: str = NORMAL, when: float | None = None) -> None:
        """Record an event of `when` (epoch seconds, None = now); one equal to an earlier one of the object counts up."""
        now = self._store.clock.now() if when is None else when
        with self._store.write() as db:
            same = db.execute("UPDATE events SET count=count+1, last=? WHERE uid=? AND reason=? AND message=?", (now, uid, reason, message))
            if same.rowcount:
                return
            cursor = db.execute(
                "INSERT INTO events (namespace, kind, name, uid, type, reason, message, count, first, last) VALUES (?,?,?,?,?,?,?,1,?,?)",
                (key.namespace, key.kind, key.name, uid, type_, reason, message, now, now),
            )
            if cursor.lastrowid and cursor.lastrowid % 500 == 0:
                db.execute("DELETE FROM events WHERE id < ?", (cursor.lastrowid - KEEP,))

    def list(self, namespace: str = "", uid: str = "", after: int = 0, again: float = INFINITE) -> list[Event]:
        """Events with an id greater than `after`, and older ones that were seen at `again` or later; oldest first."""
        where, values = only(namespace=namespace, uid=uid)
        rows = self._store.rows(
            "SELECT id, kind, namespace, name, uid, type, reason, message, count, first, last FROM events"
            f"{where}{' AND' if where else ' WHERE'} (id>? OR last>=?) ORDER BY id",
            *values, after, again,
        )  # fmt: skip
        return [Event(r[0], ObjectKey(r[1], r[2], r[3]), *r[4:]) for r in rows]
