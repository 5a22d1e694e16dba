"""The database: objects and their versions, leases, events, transactions, refusal of what it cannot read."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.engine.store.db import Store
from kubeplay.engine.store.locks import Lock
from kubeplay.engine.store.migrations import STEPS
from kubeplay.engine.store.runtime import RUN, RUNNING, ContainerRow, PodRow
from kubeplay.errors import AlreadyExists, Conflict, NotFound, StoreError
from kubeplay.plan.stack import ObjectKey

KEY = ObjectKey("ConfigMap", "default", "c")


class FakeClock:
    """Time that moves only when told."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(str(tmp_path / "root/state.db"), FakeClock())
    yield made
    made.close()


def test_private_files(store: Store) -> None:
    assert os.stat(store.path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(store.path)).st_mode & 0o777 == 0o700


def test_vl9_versions_grow_and_generation_follows_the_body(store: Store) -> None:
    first = store.objects.create(KEY, "{}")
    assert (first.generation, store.objects.get(KEY)) == (1, first)
    same = store.objects.update(KEY, "{}")
    assert same.resource_version == first.resource_version
    changed = store.objects.update(KEY, '{"data":{}}')
    assert changed.generation == 2 and changed.resource_version > first.resource_version
    store.objects.set_status(KEY, '{"phase":"x"}')
    again = store.objects.get(KEY)
    assert again.generation == 2 and again.resource_version > changed.resource_version


def test_vl8_conflicts_and_missing(store: Store) -> None:
    first = store.objects.create(KEY, "{}")
    with pytest.raises(AlreadyExists, match="ConfigMap default/c already exists"):
        store.objects.create(KEY, "{}")
    store.objects.update(KEY, '{"a":1}')
    with pytest.raises(Conflict):
        store.objects.update(KEY, "{}", expect_version=first.resource_version)
    with pytest.raises(NotFound, match="not found"):
        store.objects.get(KEY._replace(name="none"))


def test_te1_a_second_delete_only_shortens(store: Store) -> None:
    store.objects.create(KEY, "{}")
    store.objects.mark_deleted(KEY, 30)
    store.objects.mark_deleted(KEY, 60)
    assert store.objects.get(KEY).deleted == 1030.0
    store.objects.mark_deleted(KEY, 5)
    assert store.objects.get(KEY).deleted == 1005.0


def test_watch_log_holds_names_and_no_content(store: Store) -> None:
    store.objects.create(ObjectKey("Secret", "default", "s"), '{"data":"hidden"}')
    store.objects.delete(ObjectKey("Secret", "default", "s"))
    assert [change[1] for change in store.objects.changes(0)] == ["ADDED", "DELETED"]
    assert not [row for row in store.rows("SELECT * FROM watch") if "hidden" in str(row)]


def test_leases_have_one_holder(store: Store) -> None:
    assert store.leases.take("ip:n", "10.0.0.2", "a") and store.leases.take("ip:n", "10.0.0.2", "a")
    assert not store.leases.take("ip:n", "10.0.0.2", "b")
    store.leases.release("a")
    assert store.leases.take("ip:n", "10.0.0.2", "b")


def test_cs10_equal_events_are_counted(store: Store) -> None:
    for _ in range(3):
        store.events.add(KEY, "u", "BackOff", "again")
    store.events.add(KEY, "u", "Started", "once")
    assert [(e.reason, e.times) for e in store.events.list()] == [("BackOff", 3), ("Started", 1)]


def test_deleting_a_pod_row_takes_its_runtime_rows(store: Store) -> None:
    store.runtime.add_pod(PodRow("u", "default", "p", "{}", RUN, True, 5.0, 0, False))
    store.runtime.add_container(ContainerRow("c", "u", "s", "n", "app", 0, RUNNING, "b", 1, 2, "i", "id", 1.0))
    assert store.runtime.due(5.0) == ["u"] and store.runtime.next_wake() == 5.0
    store.runtime.delete_pod("u")
    assert not store.runtime.containers() and not store.runtime.pods() and store.runtime.next_wake() is None


def test_a_failing_transaction_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.write():
        store.objects.create(KEY, "{}")
        raise RuntimeError
    assert store.objects.find(KEY) is None


def test_threads_share_the_store(store: Store) -> None:
    def work(number: int) -> None:
        for i in range(20):
            store.objects.create(ObjectKey("ConfigMap", "default", f"{number}-{i}"), "{}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.objects.list("ConfigMap")) == 80


def test_a_newer_database_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    Store(str(path)).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version={len(STEPS) + 1}")
    db.close()
    with pytest.raises(StoreError, match="newer kubeplay"):
        Store(str(path))
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(STEPS) + 1
    db.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Store(str(path))


def test_locks_exclude_and_are_not_inherited(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    one, two = Lock(path), Lock(path)
    assert one.try_take() and not two.try_take()
    assert not os.get_inheritable(one._fd)
    one.release()
    with two:
        assert not one.try_take()


def test_a_removed_lock_file_is_made_anew(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    one, two = Lock(path), Lock(path)
    one.take()
    os.unlink(path)
    assert two.try_take()
