"""Applying files to a store: what becomes of each object, what goes, which revisions there are. Without pods: those are in tests/e2e."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as given_
from hypothesis import strategies as st

from kubeplay.apply import applyset, history, rollback, run
from kubeplay.config import Settings
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.store.applied import DEPLOYED, FAILED, SUPERSEDED, Applied
from kubeplay.engine.store.db import Store
from kubeplay.errors import Conflict, InvalidInput, NotFound
from kubeplay.kube import check
from kubeplay.plan.stack import ObjectKey, Origin
from kubeplay.play import given, stack, up

Json = dict[str, Any]
ORIGIN = Origin("default", source="/x/app.yaml", wish="app")
SET = applyset.named("cm/web", "default")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Any]:
    store = Store(str(tmp_path / "state.db"))
    settings = Settings(root=str(tmp_path / "root"), runroot=str(tmp_path / "run"))
    (tmp_path / "run/locks").mkdir(parents=True)
    net = SimpleNamespace(set_services=lambda routes: None, teardown_if_idle=lambda: True)
    yield SimpleNamespace(store=store, clock=store.clock, settings=settings, paths=Paths(settings), net=net, node_name="n",
                          unenforced=lambda pods: "")  # fmt: skip
    store.close()


def config(name: str, labels: Json | None = None, immutable: bool = False, **data: str) -> Json:
    found: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    if labels:
        found["metadata"]["labels"] = labels
    return {**found, "immutable": True} if immutable else found


def manifests(*objects: Json) -> Any:
    if not objects:
        return []
    return check.read(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}).encode(), "app.yaml")


def apply(engine: Any, *objects: Json, **options: Any) -> dict[str, str]:
    made = run.apply(engine, manifests(*objects), run.ApplyOptions(**{"origin": ORIGIN, **options}))
    return {key.name: word for key, word in made.changes}


def play(engine: Any, *objects: Json) -> None:
    found = manifests(*objects)
    made = stack.build(found)
    up.up(engine, made, up.UpOptions(origin=ORIGIN, given=given.given(found, made.objects)))


def body(engine: Any, name: str, kind: str = "ConfigMap") -> Json:
    found: Json = json.loads(engine.store.objects.get(ObjectKey(kind, "default", name)).body)
    return found


def there(engine: Any) -> list[str]:
    return [one.key.name for one in engine.store.objects.list()]


def revisions(engine: Any) -> list[tuple[int, str, str]]:
    found = history.find(engine.store, "default", "app")
    return [(row.number, row.status, row.changes) for row in Applied(engine.store).revisions(found.id)]


def test_each_object_is_told_of_in_kubectls_words(engine: Any) -> None:
    assert apply(engine, config("a", x="1"), config("b", x="1")) == {"a": "created", "b": "created"}
    assert apply(engine, config("a", x="2"), config("b", x="1")) == {"a": "configured", "b": "unchanged"}
    assert apply(engine, config("a", x="2"), config("b", x="1")) == {"a": "unchanged", "b": "unchanged"}
    assert revisions(engine) == [(1, SUPERSEDED, "2 created"), (2, DEPLOYED, "1 configured")]


def test_vl6_what_may_not_change_is_made_anew(engine: Any) -> None:
    apply(engine, config("a", immutable=True, x="1"))
    uid = engine.store.objects.get(ObjectKey("ConfigMap", "default", "a")).uid
    assert apply(engine, config("a", immutable=True, x="2")) == {"a": "replaced"}
    assert engine.store.objects.get(ObjectKey("ConfigMap", "default", "a")).uid != uid and body(engine, "a")["data"] == {"x": "2"}


def test_data_is_never_thrown_away_for_a_change(engine: Any) -> None:
    def volume(name: str) -> Json:
        return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "c"}, "provisioner": name}

    apply(engine, volume("a/b"))
    with pytest.raises(Conflict, match="provisioner"):
        apply(engine, volume("c/d"))


def test_what_the_files_have_no_more_goes_when_it_is_asked_for(engine: Any) -> None:
    apply(engine, config("a"), config("b"))
    assert apply(engine, config("a")) == {"a": "unchanged"} and there(engine) == ["a", "b"]
    assert apply(engine, config("a"), prune=True) == {"a": "unchanged", "b": "pruned"} and there(engine) == ["a"]


def test_what_a_plain_play_brought_is_known(engine: Any) -> None:
    play(engine, config("a", x="1"), config("b"))
    assert apply(engine, config("a", x="2"), prune=True) == {"a": "configured", "b": "pruned"}
    assert revisions(engine) == [(1, SUPERSEDED, history.PLAYED), (2, DEPLOYED, "1 configured, 1 pruned")]


def test_other_stacks_and_owned_objects_are_not_pruned(engine: Any) -> None:
    apply(engine, config("theirs"), origin=ORIGIN._replace(source="/y/app.yaml"))
    apply(engine, config("a"), config("b"))
    owner = engine.store.objects.get(ObjectKey("ConfigMap", "default", "a")).uid
    engine.store.objects.set_owner(ObjectKey("ConfigMap", "default", "b"), owner, json.dumps(body(engine, "b")))
    assert apply(engine, config("a"), prune=True) == {"a": "unchanged"}
    assert there(engine) == ["a", "b", "theirs"]


def test_nothing_is_pruned_where_nobody_knows_what_was_there(engine: Any) -> None:
    with pytest.raises(InvalidInput, match="none can be pruned"):
        apply(engine, config("a"), origin=Origin("default"), prune=True)


def test_without_files_everything_of_the_stack_goes(engine: Any) -> None:
    apply(engine, config("a"), config("b"))
    assert apply(engine, prune=True) == {"a": "pruned", "b": "pruned"} and there(engine) == []


# by applyset
def test_kep_3659_members_and_parent(engine: Any) -> None:
    options: Json = {"origin": Origin("default", "web"), "applyset": SET, "prune": True}
    assert apply(engine, config("a"), config("b"), **options) == {"a": "created", "b": "created"}
    assert body(engine, "a")["metadata"]["labels"] == {applyset.PART_OF: SET.id}
    parent = body(engine, "web")["metadata"]
    assert parent["labels"] == {applyset.ID: SET.id} and parent["annotations"][applyset.KINDS] == "ConfigMap"
    engine.store.objects.create(ObjectKey("Role", "default", "by-hand"), json.dumps(
        {"apiVersion": "v1", "kind": "Role", "metadata": {"name": "by-hand", "labels": {applyset.PART_OF: SET.id}}}))  # fmt: skip
    assert apply(engine, config("a"), **options) == {"a": "unchanged", "b": "pruned", "by-hand": "pruned"}
    assert there(engine) == ["a", "web"]


def test_a_sets_label_is_no_difference_to_a_plain_play(engine: Any) -> None:
    apply(engine, config("a", {"x": "z"}), config("b"), origin=Origin("default", "web"), applyset=SET)
    play(engine, config("a", {"x": "z"}), config("b"))
    assert applyset.label_of(body(engine, "a")) == applyset.label_of(body(engine, "b")) == SET.id
    with pytest.raises(Conflict, match="exist and differ"):
        play(engine, config("a"))


def test_an_object_is_of_one_set(engine: Any) -> None:
    apply(engine, config("a"), origin=Origin("default", "web"), applyset=SET)
    other = applyset.named("cm/other", "default")
    with pytest.raises(Conflict, match="already part of another ApplySet"):
        apply(engine, config("a"), origin=Origin("default", "other"), applyset=other)


def test_a_parent_is_not_in_the_files(engine: Any) -> None:
    with pytest.raises(InvalidInput, match="is in the files"):
        apply(engine, config("web"), origin=Origin("default", "web"), applyset=applyset.named("cm/web", "default"))


def test_a_stack_that_gets_a_name_keeps_its_history(engine: Any) -> None:
    apply(engine, config("a", x="1"), config("b"))
    apply(engine, config("a", x="2"), origin=ORIGIN._replace(name="web"), prune=True)
    (found,) = Applied(engine.store).stacks()
    assert found.name == "web" and len(Applied(engine.store).revisions(found.id)) == 2 and there(engine) == ["a"]


# history
def test_rolling_back_brings_back_and_takes_away(engine: Any) -> None:
    apply(engine, config("a", x="1"), config("b"))
    apply(engine, config("a", x="2"), config("c"), prune=True)
    assert back(engine) == {"a": "configured", "b": "created", "c": "pruned"}
    assert body(engine, "a")["data"] == {"x": "1"} and there(engine) == ["a", "b"]
    assert back(engine, 2) == {"a": "configured", "c": "created", "b": "pruned"}
    assert [row[0] for row in revisions(engine)] == [1, 2, 3, 4]
    assert back(engine, 4) == {"a": "unchanged", "c": "unchanged"} and len(revisions(engine)) == 4


def back(engine: Any, number: int = 0) -> dict[str, str]:
    found = history.find(engine.store, "default", "app")
    wanted = history.chosen(Applied(engine.store), found, number)
    made = rollback.rollback(engine, found, wanted, run.ApplyOptions())
    return {key.name: word for key, word in made.changes}


def test_what_stays_unpruned_stays_in_a_rollback(engine: Any) -> None:
    apply(engine, config("old"))
    apply(engine, config("a", x="1"))
    apply(engine, config("a", x="2"))
    assert back(engine) == {"a": "configured"} and there(engine) == ["a", "old"]


def test_rolling_back_a_set_keeps_its_label(engine: Any) -> None:
    options: Json = {"origin": Origin("default", "app"), "applyset": applyset.named("cm/app", "default")}
    apply(engine, config("a"), config("b"), **options)
    apply(engine, config("a"), prune=True, **options)
    assert back(engine) == {"a": "unchanged", "b": "created"}
    assert applyset.label_of(body(engine, "b")) == options["applyset"].id


def test_there_is_nothing_before_the_first(engine: Any) -> None:
    with pytest.raises(NotFound, match="stack 'app' not found"):
        back(engine)
    apply(engine, config("a"))
    with pytest.raises(NotFound, match="no earlier revision"):
        back(engine)
    with pytest.raises(NotFound, match="revision 7"):
        back(engine, 7)


def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is stored, and then it does not become ready."""
    from kubeplay.errors import Timeout

    real = up.up

    def broken(engine: Any, *given: Any) -> Any:
        monkeypatch.setattr(run, "up", real)
        real(engine, *given)
        raise Timeout("it did not become ready")

    monkeypatch.setattr(run, "up", broken)


def test_a_failure_brings_the_old_state_back(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(engine, config("a", x="1"), config("b", immutable=True, x="1"))
    before = [body(engine, name) for name in ("a", "b")]
    failing(monkeypatch)
    with pytest.raises(Exception, match="did not become ready") as caught:
        apply(engine, config("a", x="2"), config("b", immutable=True, x="2"), config("new"), rollback_on_failure=True)
    assert "rolled back" in caught.value.__notes__[0]
    assert [body(engine, name) for name in ("a", "b")] == before and there(engine) == ["a", "b"]
    assert revisions(engine)[-1][1:] == (FAILED, history.ROLLED_BACK)
    assert apply(engine, config("a", x="2"), config("b", immutable=True, x="1")) == {"a": "configured", "b": "unchanged"}
    assert [row[1] for row in revisions(engine)] == [SUPERSEDED, FAILED, DEPLOYED]


def test_a_failure_is_left_where_nobody_asked_and_a_rollback_mends_it(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(engine, config("a", x="1"))
    failing(monkeypatch)
    with pytest.raises(Exception, match="did not become ready"):
        apply(engine, config("a", x="2"), config("new"))
    assert body(engine, "a")["data"] == {"x": "2"} and revisions(engine)[-1][1:] == (FAILED, "")
    assert back(engine) == {"a": "configured", "new": "pruned"}
    assert body(engine, "a")["data"] == {"x": "1"}


def test_removing_a_stack_forgets_its_history(engine: Any) -> None:
    from kubeplay.play.down import down

    apply(engine, config("a"), origin=Origin("default", "web"), applyset=SET)
    assert there(engine) == ["a", "web"]
    down(engine, [ObjectKey("ConfigMap", "default", "a")])
    assert Applied(engine.store).stacks() == [] and there(engine) == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given_(st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from("123"), min_size=1), min_size=2, max_size=5), st.data())
def test_what_was_applied_is_there_and_every_revision_comes_back(engine: Any, states: list[dict[str, str]], data: st.DataObject) -> None:
    for one in engine.store.objects.list():  # of an example that was given up
        engine.store.objects.delete(one.key)
    source = Origin("default", source=os.urandom(8).hex(), wish="some")
    for state in states:
        apply(engine, *[config(name, x=value) for name, value in state.items()], origin=source, prune=True)
        assert now(engine) == state
    table = Applied(engine.store)
    found = table.find_source("default", source.source)
    assert found is not None
    row = data.draw(st.sampled_from(table.revisions(found.id)))
    wanted = {body["metadata"]["name"]: body["data"]["x"] for body in map(json.loads, table.objects(found.id, row.number))}
    rollback.rollback(engine, found, row, run.ApplyOptions())
    assert now(engine) == wanted
    apply(engine, origin=source, prune=True)
    assert now(engine) == {} and Applied(engine.store).stacks() == []


def now(engine: Any) -> dict[str, str]:
    return {one.key.name: json.loads(one.body)["data"]["x"] for one in engine.store.objects.list()}
