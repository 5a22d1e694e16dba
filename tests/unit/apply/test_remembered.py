"""A plan that remembers says the same as one that reads everything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kubeplay.apply import planning, remembered
from kubeplay.apply.model import Planned
from kubeplay.plan.stack import ObjectKey
from kubeplay.play.read import check_all
from tests.support.stored import OPTIONS, Cluster, autoscaler, config, deployment

Json = dict[str, Any]


class Remembering:
    """Plans of texts, and which of them had to be read."""

    def __init__(self, directory: Path) -> None:
        self.cluster = Cluster(directory)
        self.memory = remembered.Memory(str(directory / "plans"), "p")
        self.read: list[int] = []

    def _read(self, texts: Sequence[tuple[str, bytes]]) -> Any:
        found = check_all(texts, "strict", "default")
        self.read.append(len(found))
        return found

    def plan(self, text: str) -> Planned | None:
        return remembered.plan(self.cluster.engine, [("f.yaml", text.encode())], self._read, OPTIONS, self.memory)

    def whole(self, text: str) -> Planned:
        return planning.plan(self.cluster.engine, check_all([("f.yaml", text.encode())], "strict", "default"), OPTIONS)


@pytest.fixture
def plans(tmp_path: Path) -> Iterator[Remembering]:
    made = Remembering(tmp_path)
    yield made
    made.cluster.store.close()


def objects(count: int = 60) -> list[Json]:
    made = [config({"a": str(at)}, name=f"c{at:02}") for at in range(count)]
    return [*made, {**deployment(replicas=1), "metadata": {"name": "d"}}]


def text_of(found: Sequence[Json]) -> str:
    return "---\n".join(json.dumps(one).replace("{", "{ ", 1) + "\n" for one in found).replace("{ ", "# a comment\n{ ", 1)


def said(planned: Planned | None) -> list[tuple[ObjectKey, str, Any]]:
    assert planned is not None
    return sorted((one.key, one.action, one.fields) for one in planned.changes)


def test_only_what_may_differ_is_read(plans: Remembering) -> None:
    found = objects()
    plans.cluster.apply(*found)
    assert said(plans.plan(text_of(found))) == said(plans.whole(text_of(found)))
    assert plans.plan(text_of(found)) and plans.read == [61, 0]
    found[7] = config({"a": "other"}, name="c07")
    del found[20]
    assert said(plans.plan(text_of(found))) == said(plans.whole(text_of(found)))
    assert plans.read == [61, 0, 1]


def test_what_others_change_is_seen(plans: Remembering) -> None:
    found = objects()
    plans.cluster.apply(*found)
    plans.plan(text_of(found))
    plans.cluster.edit("Deployment", "d", paused=True)
    key = ObjectKey("ConfigMap", "default", "c03")
    plans.cluster.store.objects.update(key, plans.cluster.store.objects.get(key).body.replace('"3"', '"9"'))
    made = plans.plan(text_of(found))
    assert said(made) == said(plans.whole(text_of(found))) and plans.read == [61, 2]
    assert made is not None and [one.key.name for one in made.changes if one.action == "update"] == ["c03"]


def test_what_goes_is_created_again(plans: Remembering) -> None:
    found = objects()
    plans.cluster.apply(*found)
    plans.plan(text_of(found))
    plans.cluster.store.objects.delete(ObjectKey("ConfigMap", "default", "c03"))
    assert said(plans.plan(text_of(found))) == said(plans.whole(text_of(found)))


def test_what_has_a_say_about_others_is_always_read(plans: Remembering) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}}
    found = [*objects(), autoscaler(), secret]
    plans.cluster.apply(*found)
    plans.plan(text_of(found))
    plans.plan(text_of(found))
    assert plans.read == [63, 2]


@pytest.mark.parametrize(
    "broken",
    [
        lambda found: text_of(found[:3]),  # few
        lambda found: text_of([*found, found[0]]),  # twice the same
        lambda found: text_of(found) + "---\nkind: ConfigMap\n",  # a fault
        lambda found: "\ufeff" + text_of(found),  # a byte order mark
    ],
)
def test_where_everything_has_to_be_read(plans: Remembering, broken: Any) -> None:
    found = objects()
    plans.cluster.apply(*found)
    plans.plan(text_of(found))
    assert plans.plan(broken(found)) is None


def test_a_memory_that_cannot_be_read_is_none(plans: Remembering) -> None:
    found = objects()
    plans.cluster.apply(*found)
    plans.plan(text_of(found))
    (path,) = Path(plans.memory.directory).iterdir()
    path.write_text('["a\\tb"]')
    assert said(plans.plan(text_of(found))) == said(plans.whole(text_of(found)))


def test_a_play_is_remembered(plans: Remembering) -> None:
    found = objects()
    plans.cluster.apply(*found)
    text = text_of(found)
    texts = [("f.yaml", text.encode())]
    remembered.keep(plans.cluster.engine, texts, check_all(texts, "strict", "default"), plans.memory)
    found[7] = config({"a": "other"}, name="c07")
    assert said(plans.plan(text_of(found))) == said(plans.whole(text_of(found)))
    assert plans.read == [1]
