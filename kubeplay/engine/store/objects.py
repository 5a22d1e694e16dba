"""Stored Kubernetes objects: opaque JSON bodies with the metadata a server sets (VL9).

The store knows no Kubernetes rule; it keeps identity, resourceVersion, generation and the watch log.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kubeplay.engine.store.where import only
from kubeplay.errors import AlreadyExists, Conflict, NotFound
from kubeplay.plan.stack import ObjectKey
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.store.db import Store


class StoredObject(Record):
    """One object; times are epoch seconds; `status` "" = none yet; `deleted` is the deletionTimestamp."""

    key: ObjectKey
    uid: str
    resource_version: int
    generation: int
    created: float
    deleted: float | None
    grace_seconds: int | None
    owner_uid: str
    body: str
    status: str


def new_uid() -> str:
    """A random UUID (RFC 9562, version 4). The uuid module costs 10 ms of import: it brings in `platform`."""
    raw = int.from_bytes(os.urandom(16), "big")
    raw = raw & ~(0xF000 << 64) & ~(0xC000 << 48) | 4 << 76 | 2 << 62
    text = f"{raw:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_COLUMNS = "kind, namespace, name, uid, resource_version, generation, created, deleted, grace_seconds, owner_uid, body, status"


class Objects:
    """The objects table and its watch log."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, key: ObjectKey, body: str, *, owner_uid: str = "", uid: str = "") -> StoredObject:
        """Store a new object. Raises AlreadyExists."""
        uid = uid or new_uid()
        now = self._store.clock.now()
        with self._store.write() as db:
            if self.find(key) is not None:
                raise AlreadyExists(f"{key} already exists")
            version = self._log(db, "ADDED", key, uid, owner_uid)
            db.execute(
                f"INSERT INTO objects ({_COLUMNS}) VALUES (?,?,?,?,?,1,?,NULL,NULL,?,?,'')",
                (*key, uid, version, now, owner_uid, body),
            )
        return StoredObject(key, uid, version, 1, now, None, None, owner_uid, body, "")

    def find(self, key: ObjectKey) -> StoredObject | None:
        """The object, or None."""
        row = self._store.row(f"SELECT {_COLUMNS} FROM objects WHERE kind=? AND namespace=? AND name=?", *key)
        return _object(row) if row else None

    def get(self, key: ObjectKey) -> StoredObject:
        """The object. Raises NotFound."""
        found = self.find(key)
        if found is None:
            raise NotFound(f"{key} not found")
        return found

    def by_uid(self, uid: str) -> StoredObject | None:
        row = self._store.row(f"SELECT {_COLUMNS} FROM objects WHERE uid=?", uid)
        return _object(row) if row else None

    def update(self, key: ObjectKey, body: str, *, expect_version: int | None = None, spec: bool = True) -> StoredObject:
        """Replace the body; generation grows when it differs, unless only its metadata does (`spec` False, VL9).

        Raises NotFound, Conflict on a stale `expect_version`.
        """
        with self._store.write() as db:
            old = self.get(key)
            if expect_version is not None and old.resource_version != expect_version:
                raise Conflict(f"{key} was changed by someone else")
            if old.body == body:
                return old
            version = self._log(db, "MODIFIED", key, old.uid, old.owner_uid)
            db.execute(
                "UPDATE objects SET body=?, resource_version=?, generation=generation+? WHERE uid=?", (body, version, int(spec), old.uid)
            )
        return old._replace(body=body, resource_version=version, generation=old.generation + spec)

    def rename(self, key: ObjectKey, name: str, body: str) -> StoredObject:
        """Give an object another name and the body that says it; its events go with it. Raises NotFound, AlreadyExists."""
        new = key._replace(name=name)
        with self._store.write() as db:
            old = self.get(key)
            if self.find(new) is not None:
                raise AlreadyExists(f"{new} already exists")
            self._log(db, "DELETED", key, old.uid, old.owner_uid)
            version = self._log(db, "ADDED", new, old.uid, old.owner_uid)
            db.execute(
                "UPDATE objects SET name=?, body=?, resource_version=?, generation=generation+1 WHERE uid=?", (name, body, version, old.uid)
            )
            db.execute("UPDATE events SET name=? WHERE uid=?", (name, old.uid))
        return old._replace(key=new, body=body, resource_version=version, generation=old.generation + 1)

    def set_owner(self, key: ObjectKey, owner_uid: str, body: str) -> None:
        """Give an object another controller ("" = none) and the body that says so; the change is both owners' business. Raises NotFound."""
        with self._store.write() as db:
            old = self.get(key)
            if old.owner_uid:
                self._log(db, "MODIFIED", key, old.uid, old.owner_uid)
            version = self._log(db, "MODIFIED", key, old.uid, owner_uid)
            db.execute("UPDATE objects SET owner_uid=?, body=?, resource_version=? WHERE uid=?", (owner_uid, body, version, old.uid))

    def set_status(self, key: ObjectKey, status: str) -> None:
        """Store the status text; no write when it is equal or the object is gone."""
        with self._store.write() as db:
            old = self.find(key)
            if old is None or old.status == status:
                return
            version = self._log(db, "MODIFIED", key, old.uid, old.owner_uid)
            db.execute("UPDATE objects SET status=?, resource_version=? WHERE uid=?", (status, version, old.uid))

    def mark_deleted(self, key: ObjectKey, grace_seconds: int) -> None:
        """Set deletionTimestamp = now + grace (TE1); a second call may only shorten."""
        with self._store.write() as db:
            old = self.get(key)
            due = self._store.clock.now() + grace_seconds
            if old.deleted is not None and old.deleted <= due:
                return
            version = self._log(db, "MODIFIED", key, old.uid, old.owner_uid)
            db.execute(
                "UPDATE objects SET deleted=?, grace_seconds=?, resource_version=? WHERE uid=?", (due, grace_seconds, version, old.uid)
            )

    def delete(self, key: ObjectKey) -> bool:
        """Remove the object; False when there was none."""
        with self._store.write() as db:
            old = self.find(key)
            if old is None:
                return False
            self._log(db, "DELETED", key, old.uid, old.owner_uid)
            db.execute("DELETE FROM objects WHERE uid=?", (old.uid,))
            db.execute("DELETE FROM backoffs WHERE pod_uid=?", (old.uid,))
            db.execute("DELETE FROM controllers WHERE kind=? AND namespace=? AND name=?", key)
        return True

    def changes(self, since: int) -> list[tuple[int, str, ObjectKey, str]]:
        """(resourceVersion, type, key, uid) of everything after `since`."""
        rows = self._store.rows(
            "SELECT resource_version, type, kind, namespace, name, uid FROM watch WHERE resource_version>? ORDER BY resource_version", since
        )
        return [(r[0], r[1], ObjectKey(r[2], r[3], r[4]), r[5]) for r in rows]

    def _log(self, db: Any, type_: str, key: ObjectKey, uid: str, owner_uid: str) -> int:
        cursor = db.execute(
            "INSERT INTO watch (type, kind, namespace, name, uid, time, owner) VALUES (?,?,?,?,?,?,?)",
            (type_, *key, uid, self._store.clock.now(), owner_uid),
        )
        version: int = cursor.lastrowid
        if version % 1000 == 0:  # the log serves watchers that were away for a moment, not history
            db.execute("DELETE FROM watch WHERE resource_version < ?", (version - 10_000,))
        return version

    def list(self, kind: str = "", namespace: str = "", owner_uid: str = "") -> list[StoredObject]:
        """Objects in order of kind, namespace, name; empty arguments match all."""
        where, values = only(kind=kind, namespace=namespace, owner_uid=owner_uid)
        rows = self._store.rows(f"SELECT {_COLUMNS} FROM objects{where} ORDER BY kind, namespace, name", *values)
        return [_object(row) for row in rows]


def _object(row: Any) -> StoredObject:
    return StoredObject(ObjectKey(row[0], row[1], row[2]), *row[3:])
