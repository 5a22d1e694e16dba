"""Leases: one holder per (pool, key). Pools: ip:NETWORK, hostport, nodeport, clusterip, ..."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.engine.store.where import only
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.store.db import Store


class Lease(Record):
    pool: str
    key: str
    holder: str
    value: str = ""


NODE = "node"  # the pool of what bound pods have been promised of this machine (LR1)


class Leases:
    """Table leases. A holder is a pod uid, `svc:NS/NAME`, `network:NAME`, `command:PID` ..."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, pool: str, key: str, holder: str, value: str = "") -> bool:
        """True when `holder` has it now (also when it had it before); False when someone else does."""
        with self._store.write() as db:
            db.execute("INSERT OR IGNORE INTO leases VALUES (?,?,?,?)", (pool, key, holder, value))
            row = db.execute("SELECT holder FROM leases WHERE pool=? AND key=?", (pool, key)).fetchone()
            return bool(row[0] == holder)

    def held(self, pool: str = "", holder: str = "") -> list[Lease]:
        where, values = only(pool=pool, holder=holder)
        rows = self._store.rows(f"SELECT pool, key, holder, value FROM leases{where} ORDER BY pool, key", *values)
        return [Lease(*row) for row in rows]

    def drop(self, pool: str) -> None:
        """Take a whole pool from everybody."""
        with self._store.write() as db:
            db.execute("DELETE FROM leases WHERE pool=?", (pool,))

    def release(self, holder: str, pool: str = "", key: str = "") -> None:
        with self._store.write() as db:
            db.execute(
                "DELETE FROM leases WHERE holder=? AND (?='' OR pool=?) AND (?='' OR key=?)", (holder, pool, pool, key, key)
            )
