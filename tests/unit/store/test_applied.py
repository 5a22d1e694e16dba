"""What was applied: texts that go with their objects, stacks by name and by source, revisions that are superseded and pruned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.engine.store.applied import DEPLOYED, FAILED, KEEP, SUPERSEDED, Applied
from kubeplay.engine.store.db import Store
from kubeplay.plan.stack import ObjectKey

KEY = ObjectKey("ConfigMap", "default", "c")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(str(tmp_path / "state.db"))
    yield found
    found.close()


def test_a_text_goes_with_its_object(store: Store) -> None:
    applied = Applied(store)
    uid = store.objects.create(KEY, "{}").uid
    assert applied.given(uid) == "" and applied.stack_of(uid) == 0
    applied.put(uid, 3, "one")
    applied.put(uid, 3, "two")
    assert applied.given(uid) == "two" and applied.members(3) == [KEY] and applied.givens(3) == ["two"]
    applied.put(uid, 0, "from standard input")
    assert applied.stack_of(uid) == 3 and applied.given(uid) == "from standard input"
    store.objects.delete(KEY)
    assert applied.given(uid) == "" and applied.members(3) == []


def test_a_source_keeps_its_name_and_another_of_that_name_gets_a_number(store: Store) -> None:
    applied = Applied(store)
    first = applied.of_source("default", "/a/app.yaml", "app")
    second = applied.of_source("default", "/b/app.yaml", "app")
    assert (first.name, second.name) == ("app", "app-2")
    assert applied.of_source("default", "/b/app.yaml", "other") == second
    assert applied.of_source("elsewhere", "/b/app.yaml", "app").name == "app"
    assert applied.named("default", "app") == first and applied.named("default", "new").source == ""
    assert [one.name for one in applied.stacks()] == ["app", "app-2", "new", "app"]


def test_the_newest_deployed_revision_supersedes_and_stays(store: Store) -> None:
    applied = Applied(store)
    stack = applied.named("default", "app").id
    applied.record(stack, DEPLOYED, "1 created", "", ["a", "ü"])
    applied.record(stack, DEPLOYED, "1 configured", "because", ["b"])
    for _ in range(KEEP + 3):
        applied.record(stack, FAILED, "", "", [], "it broke")
    found = applied.revisions(stack)
    assert len(found) == KEEP and found[0].number == 2 and found[0].status == DEPLOYED and found[-1].number == KEEP + 5
    assert applied.objects(stack, 2) == ["b"] and applied.objects(stack, 1) == []


def test_superseded(store: Store) -> None:
    applied = Applied(store)
    stack = applied.named("default", "app").id
    for text in ("a", "b"):
        applied.record(stack, DEPLOYED, "", "", [text])
    assert [one.status for one in applied.revisions(stack)] == [SUPERSEDED, DEPLOYED]


def test_a_stack_without_objects_is_forgotten_with_its_revisions(store: Store) -> None:
    applied = Applied(store)
    kept, gone = applied.named("default", "kept"), applied.named("default", "gone")
    applied.put(store.objects.create(KEY, "{}").uid, kept.id, "x")
    applied.record(gone.id, DEPLOYED, "", "", ["a secret"])
    assert applied.collect() == [gone] and applied.stacks() == [kept] and applied.revisions(gone.id) == []
    assert applied.collect() == []


def test_a_name_that_somebody_gives_is_the_sources_from_then_on(store: Store) -> None:
    applied = Applied(store)
    first = applied.of_source("default", "/a/app.yaml", "app")
    assert applied.named("default", "web", "/a/app.yaml") == first._replace(name="web")
    assert applied.of_source("default", "/a/app.yaml", "app").name == "web"
    assert applied.named("default", "other", "/b").id != first.id
