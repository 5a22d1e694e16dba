"""What was applied: each object's last text from a file, the stacks that files make, and their revisions.

A text goes with its object (a trigger sees to it), a stack's revisions with its last object (`collect`): nothing of a Secret stays
behind. Revisions hold whole objects, Secrets too, compressed; the database is 0600.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.plan.stack import ObjectKey
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.store.db import Store

KEEP = 10  # revisions of a stack: helm's --history-max, and a Deployment's revisionHistoryLimit (DE1)
DEPLOYED, SUPERSEDED, FAILED = "deployed", "superseded", "failed"  # helm's words
_REVISION = "stack, number, time, status, changes, cause, message"


class StackRow(Record):
    """A stack by its number in the database; `source` names the files it came from, "" where a name was given."""

    id: int
    namespace: str
    name: str
    source: str


class RevisionRow(Record):
    """One applied state of a stack; `time` epoch seconds, `changes` and `message` for people."""

    stack: int
    number: int
    time: float
    status: str
    changes: str
    cause: str
    message: str


class Applied:
    """Tables applied, stacks and revisions."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # objects
    def put(self, uid: str, stack: int, given: str) -> None:
        """Remember an object's text and stack; with 0 it stays of the stack that it is of, none if it is of none."""
        with self._store.write() as db:
            db.execute(
                "INSERT INTO applied VALUES (?,?,?) ON CONFLICT (uid) DO UPDATE SET given=excluded.given,"
                " stack=CASE excluded.stack WHEN 0 THEN stack ELSE excluded.stack END"
                " WHERE (stack, given)<>(excluded.stack, excluded.given)",
                (uid, stack, given),
            )

    def given(self, uid: str) -> str:
        """The last applied text, "" where the object was not made from a file."""
        row = self._store.row("SELECT given FROM applied WHERE uid=?", uid)
        return str(row[0]) if row else ""

    def states(self) -> list[tuple[ObjectKey, str, str]]:
        """Every stored object that nobody owns: its body, and its last applied text or ""."""
        sql = "SELECT kind, namespace, name, body, coalesce(given, '') FROM objects LEFT JOIN applied USING (uid) WHERE owner_uid=''"
        return [(ObjectKey(row[0], row[1], row[2]), row[3], row[4]) for row in self._store.rows(sql)]

    def stack_of(self, uid: str) -> int:
        """The stack an object belongs to, 0 = none."""
        row = self._store.row("SELECT stack FROM applied WHERE uid=?", uid)
        return int(row[0]) if row else 0

    def members(self, stack: int) -> list[ObjectKey]:
        """The stored objects of a stack, by kind, namespace and name."""
        sql = "SELECT kind, namespace, name FROM objects JOIN applied USING (uid) WHERE stack=? ORDER BY kind, namespace, name"
        return [ObjectKey(*row) for row in self._store.rows(sql, stack)]

    def givens(self, stack: int) -> list[str]:
        """The last applied texts of a stack's stored objects, in the same order."""
        sql = "SELECT given FROM objects JOIN applied USING (uid) WHERE stack=? ORDER BY kind, namespace, name"
        return [row[0] for row in self._store.rows(sql, stack)]

    # stacks
    def stacks(self) -> list[StackRow]:
        """Every stack, by namespace and name."""
        return [StackRow(*row) for row in self._store.rows("SELECT id, namespace, name, source FROM stacks ORDER BY namespace, name")]

    def stack(self, namespace: str, name: str) -> StackRow | None:
        row = self._store.row("SELECT id, namespace, name, source FROM stacks WHERE namespace=? AND name=?", namespace, name)
        return StackRow(*row) if row else None

    def named(self, namespace: str, name: str, source: str = "") -> StackRow:
        """The stack of a name that somebody gave. Where there is none, the one of the source gets that name, else it is made."""
        with self._store.write() as db:
            found = self.stack(namespace, name)
            if found is not None:
                return found
            old = self.find_source(namespace, source) if source else None
            if old is None:
                return self._make(namespace, name, source)
            db.execute("UPDATE stacks SET name=? WHERE id=?", (name, old.id))
            return old._replace(name=name)

    def of_source(self, namespace: str, source: str, wish: str) -> StackRow:
        """The stack that came from a source; a new one is called `wish`, or `wish-2` and so on where that is another's."""
        with self._store.write():
            found = self.find_source(namespace, source)
            if found is not None:
                return found
            name, number = wish, 1
            while self.stack(namespace, name) is not None:
                number += 1
                name = f"{wish}-{number}"
            return self._make(namespace, name, source)

    def find_source(self, namespace: str, source: str) -> StackRow | None:
        sql = "SELECT id, namespace, name, source FROM stacks WHERE namespace=? AND source=?"
        row = self._store.row(sql, namespace, source)
        return StackRow(*row) if row else None

    def _make(self, namespace: str, name: str, source: str) -> StackRow:
        with self._store.write() as db:
            cursor = db.execute("INSERT INTO stacks (namespace, name, source) VALUES (?,?,?)", (namespace, name, source))
        return StackRow(int(cursor.lastrowid or 0), namespace, name, source)

    # revisions
    def revisions(self, stack: int) -> list[RevisionRow]:
        """The kept revisions of a stack, the oldest first."""
        return [RevisionRow(*row) for row in self._store.rows(f"SELECT {_REVISION} FROM revisions WHERE stack=? ORDER BY number", stack)]

    def objects(self, stack: int, number: int) -> list[str]:
        """The texts of a revision's objects; [] for one that is not kept."""
        import json
        import zlib

        row = self._store.row("SELECT objects FROM revisions WHERE stack=? AND number=?", stack, number)
        return [str(one) for one in json.loads(zlib.decompress(row[0]))] if row else []

    def record(self, stack: int, status: str, changes: str, cause: str, texts: Sequence[str], message: str = "") -> RevisionRow:
        """Add the next revision. A deployed one supersedes the others; the oldest beyond KEEP go, never the deployed one."""
        import json
        import zlib

        blob = zlib.compress(json.dumps(list(texts), ensure_ascii=False).encode("utf-8", "surrogatepass"))
        now = self._store.clock.now()
        with self._store.write() as db:
            row = self._store.row("SELECT max(number) FROM revisions WHERE stack=?", stack)
            number = int(row[0] or 0) + 1 if row else 1
            if status == DEPLOYED:
                db.execute("UPDATE revisions SET status=? WHERE stack=? AND status=?", (SUPERSEDED, stack, DEPLOYED))
            db.execute(
                f"INSERT INTO revisions ({_REVISION}, objects) VALUES (?,?,?,?,?,?,?,?)",
                (stack, number, now, status, changes, cause, message, blob),
            )
            kept = "SELECT number FROM revisions WHERE stack=? ORDER BY status=? DESC, number DESC LIMIT ?"
            db.execute(f"DELETE FROM revisions WHERE stack=? AND number NOT IN ({kept})", (stack, stack, DEPLOYED, KEEP))
        return RevisionRow(stack, number, now, status, changes, cause, message)

    def collect(self) -> list[StackRow]:
        """Forget the stacks that have no object any more, their revisions with them."""
        empty = [one for one in self.stacks() if not self._has_members(one.id)]
        if empty:
            with self._store.write() as db:
                for one in empty:
                    db.execute("DELETE FROM revisions WHERE stack=?", (one.id,))
                    db.execute("DELETE FROM stacks WHERE id=?", (one.id,))
        return empty

    def _has_members(self, stack: int) -> bool:
        return self._store.row("SELECT 1 FROM applied WHERE stack=? LIMIT 1", stack) is not None
