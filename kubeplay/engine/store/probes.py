"""Results of probes: one row for each probe of a container instance, from before it runs until the instance is forgotten (RB9, LR5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.store.db import Store


class ProbeRow(Record):
    """The result that counts for one probe (`kind`) of one instance: `result` success, failure or unknown; `since` when it became so."""

    container_id: str
    kind: str
    result: str
    since: float
    message: str = ""


class Probed(Record):
    """One probe of a running instance, with what decides on when it is asked."""

    container_id: str
    kind: str
    result: str
    since: float
    pod_uid: str
    name: str
    started: float
    desired: str
    admitted: float


# An instance that still goes through its postStart hook does not run yet (LH1), as far as probes go.
_RUNNING = (
    " FROM probes p JOIN containers c ON c.id=p.container_id WHERE c.state='running' AND c.started IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM backoffs b WHERE b.pod_uid=c.pod_uid AND b.key='hook:'||c.name)"
)
_DUE = f"SELECT 1{_RUNNING} AND NOT (p.kind='startup' AND p.result='success') LIMIT 1"
_ALL = (
    "SELECT p.container_id, p.kind, p.result, p.since, c.pod_uid, c.name, c.started, q.desired, coalesce(o.created, c.started)"
    + _RUNNING.replace(" WHERE ", " JOIN pods q ON q.uid=c.pod_uid LEFT JOIN objects o ON o.uid=c.pod_uid WHERE ")
)


class Probes:
    """Table probes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, container_id: str, results: Sequence[tuple[str, str]]) -> None:
        """Remember that this instance has these probes (kind, first result)."""
        now = self._store.clock.now()
        with self._store.write() as db:
            rows = [(container_id, kind, result, now) for kind, result in results]
            db.executemany("INSERT OR REPLACE INTO probes VALUES (?,?,?,?,'')", rows)

    def set(self, container_id: str, kind: str, result: str, message: str) -> bool:
        """The result is another one now; False when the instance is no longer known."""
        with self._store.write() as db:
            sql = "UPDATE probes SET result=?, since=?, message=? WHERE container_id=? AND kind=?"
            return bool(db.execute(sql, (result, self._store.clock.now(), message, container_id, kind)).rowcount)

    def of(self, container_id: str) -> dict[str, ProbeRow]:
        """By kind."""
        rows = self._store.rows("SELECT container_id, kind, result, since, message FROM probes WHERE container_id=?", container_id)
        return {row[1]: ProbeRow(*row) for row in rows}

    def running(self) -> list[Probed]:
        """The probes of every instance that runs."""
        return [Probed(*row) for row in self._store.rows(_ALL)]

    def due(self) -> bool:
        """Whether any probe will be asked again."""
        return self._store.row(_DUE) is not None
