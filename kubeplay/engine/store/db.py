"""Open the database, migrate it, run short transactions.

One connection per process, guarded by a lock: our transactions take well under a millisecond, and none is
ever held across a call to the runtime or the kernel.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kubeplay.clock import Clock, RealClock
from kubeplay.engine.store import migrations, reserve
from kubeplay.engine.store.builds import BuildRows
from kubeplay.engine.store.controllers import Controllers
from kubeplay.engine.store.events import Events
from kubeplay.engine.store.images import ImageRows
from kubeplay.engine.store.leases import Leases
from kubeplay.engine.store.lists import Lists
from kubeplay.engine.store.objects import Objects
from kubeplay.engine.store.probes import Probes
from kubeplay.engine.store.resources import Resources
from kubeplay.engine.store.runtime import RuntimeRows
from kubeplay.errors import Exhausted, StoreError

BUSY_SECONDS = 30.0  # another process's transaction is short; waiting longer means something is wrong


class Store:
    """The database of one root; its tables are reached through the attributes, one class per area.

    `path` is the file's path, made with mode 0600 in a 0700 directory. Raises StoreError for a database newer than this program
    or a damaged one.
    """

    def __init__(self, path: str, clock: Clock | None = None) -> None:
        self.path = path
        self.clock = clock or RealClock()
        self._lock = threading.RLock()
        self._db = _open(path)
        self.objects = Objects(self)
        self.runtime = RuntimeRows(self)
        self.leases = Leases(self)
        self.images = ImageRows(self)
        self.builds = BuildRows(self)
        self.lists = Lists(self)
        self.resources = Resources(self)
        self.events = Events(self)
        self.probes = Probes(self)
        self.controllers = Controllers(self)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One BEGIN IMMEDIATE transaction; nested calls join the outer one."""
        with self._lock:
            if self._db.in_transaction:
                yield self._db
                return
            reserve.release(self.path)
            with _translated(self.path):
                self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.rollback()
                raise
            with _translated(self.path):
                self._db.commit()

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """The rows of one query."""
        with self._lock, _translated(self.path):
            return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> Any | None:
        """The first row of one query, or None."""
        with self._lock, _translated(self.path):
            return self._db.execute(sql, values).fetchone()

    def close(self) -> None:
        with self._lock:
            self._db.close()


def _open(path: str) -> sqlite3.Connection:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    if not os.path.exists(path):
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    reserve.release(path)
    reserve.keep(path)
    with _translated(path):
        db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(migrations.STEPS):
            db.close()
            raise StoreError(
                f"{path} was written by a newer kubeplay (schema {version}, this one knows {len(migrations.STEPS)})",
                hint="use the newer kubeplay, or another --root; running containers are not affected",
            )
        if version < len(migrations.STEPS):
            db.execute("PRAGMA journal_mode=WAL")
            _migrate(db)
        db.execute("PRAGMA synchronous=NORMAL")
        return db


def _migrate(db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        for number, step in enumerate(migrations.STEPS[version:], start=version + 1):
            for statement in _statements(step):
                db.execute(statement)
            db.execute(f"PRAGMA user_version={number}")
        db.commit()
    except BaseException:
        db.rollback()
        raise


def _statements(step: str) -> Iterator[str]:
    """A step's statements; a trigger's own semicolons do not end it."""
    text = ""
    for piece in step.split(";"):
        text += piece + ";"
        if sqlite3.complete_statement(text):
            if text.strip(" \n;"):
                yield text
            text = ""


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "full" in str(error) or ("I/O" in str(error) and reserve.is_full(path)):
            raise Exhausted(f"{path}: no space left on the disk", hint="free some space and try again") from error
        raise StoreError(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path}: {error}", hint="the file is not a kubeplay database, or it is damaged") from error
