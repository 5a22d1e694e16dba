"""Whose objects a sync may take for its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubeplay.apply import prune
from kubeplay.cli import quick, sync
from kubeplay.cli.app import App
from kubeplay.engine.store.applied import Applied
from kubeplay.engine.store.db import Store
from kubeplay.errors import Conflict
from kubeplay.plan.stack import ObjectKey
from kubeplay.sync.ground import refuse_another
from kubeplay.sync.model import Spec

KEY = ObjectKey("ConfigMap", "default", "a")


def _applied(store: Store, source: str) -> int:
    """A stack `shop` with one object, as `kube apply -f SOURCE` leaves it."""
    applied = Applied(store)
    number = applied.of_source("default", source, "shop").id
    applied.put(store.objects.create(KEY, '{"apiVersion":"v1","kind":"ConfigMap"}').uid, number, "{}")
    return number


def test_a_stack_of_other_files_is_not_taken_by_its_name(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "state.db"))
    number = _applied(store, "/x/shop.yaml")
    engine: Any = type("Engine", (), {"store": store})
    assert Applied(store).named("default", "shop").id == number and prune.gone(engine, number, "", []) == [KEY]  # what would go
    with pytest.raises(Conflict, match="was applied from /x/shop.yaml"):
        refuse_another(store, Spec("shop", "git", "https://host/shop.git", "https://host/shop.git", "default", prune=True))
    refuse_another(store, Spec("shop", "git", "https://host/shop.git", "https://host/shop.git", "team", prune=True))
    refuse_another(store, Spec("other", "git", "https://host/shop.git", "https://host/shop.git", "default", prune=True))
    store.close()


def test_the_same_directory_goes_on(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "state.db"))
    _applied(store, str(tmp_path / "shop"))
    refuse_another(store, Spec("shop", "directory", str(tmp_path / "shop"), "shop", "default", prune=True))
    store.close()


def test_a_name_that_was_given_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*words: str) -> None:
        parsed = quick.parse(["--root", str(tmp_path / "root"), "--runroot", str(tmp_path / "run"), "sync", str(tmp_path), *words])
        assert parsed is not None
        values = dict(parsed[1])
        app = App(parsed[2])
        monkeypatch.setattr(App, "engine", type("Engine", (), {"store": None}))
        sync._run(app, sync._spec(app, values.pop("words")[0], values), values)

    def refuse(store: object, spec: Spec) -> None:
        raise Conflict("asked")

    monkeypatch.setattr("kubeplay.sync.ground.refuse_another", refuse)
    with pytest.raises(Conflict, match="asked"):
        asked("--prune")
    for words in ((), ("--prune", "--name", "shop")):
        with pytest.raises(AttributeError):  # the double has nothing more
            asked(*words)
