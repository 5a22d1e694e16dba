"""Queries that may ask for everything, and for one by its index."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubeplay.engine.store.db import Store
from kubeplay.engine.store.where import only


def test_empty_values_ask_for_everything() -> None:
    assert only(kind="", namespace="") == ("", ())
    assert only(kind="Pod", namespace="", owner_uid="u") == (" WHERE kind=? AND owner_uid=?", ("Pod", "u"))


@pytest.mark.parametrize(
    "sql, values",
    [
        (f"SELECT * FROM containers{only(pod_uid='u')[0]}", ("u",)),
        (f"SELECT * FROM sandboxes{only(pod_uid='u')[0]}", ("u",)),
        (f"SELECT * FROM objects{only(owner_uid='u')[0]}", ("u",)),
        (f"SELECT * FROM events{only(uid='u')[0]}", ("u",)),
        ("SELECT uid FROM pods WHERE wake_at IS NOT NULL AND wake_at<=?", (1.0,)),
        ("SELECT min(wake_at) FROM pods WHERE wake_at>?", (1.0,)),
        ("SELECT uid FROM pods WHERE desired IN (?,?)", ("stop", "delete")),
    ],
)
def test_what_is_asked_for_all_the_time_is_found_by_an_index(tmp_path: Path, sql: str, values: tuple[object, ...]) -> None:
    """A scan over all pods' plans, for each look at each pod, made a rollout of 200 pods grow by its square."""
    store = Store(str(tmp_path / "state.db"))
    steps = [row[3] for row in store.rows(f"EXPLAIN QUERY PLAN {sql}", *values)]
    store.close()
    assert steps and all(step.startswith("SEARCH") and "INDEX" in step for step in steps), steps
