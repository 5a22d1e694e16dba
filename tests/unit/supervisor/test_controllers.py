"""The controllers' frame: the mirror, who is decided about when, what is kept for the next supervisor. The kind is a toy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from kubeplay.engine.store.db import Store
from kubeplay.errors import Conflict
from kubeplay.plan.stack import ObjectKey
from kubeplay.supervisor import controllers
from kubeplay.supervisor.controllers.manager import FAILED_SECONDS, Manager
from kubeplay.supervisor.controllers.mirror import Mirror
from kubeplay.supervisor.controllers.model import Adopt, Create, Decision, Status, Thing, Update, World

OWN = ObjectKey("ReplicaSet", "default", "toy")
CHILD = "ControllerRevision"


def _body(kind: str, name: str, **spec: Any) -> str:
    return json.dumps({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec})


class Toy(ModuleType):
    """As many children as spec.replicas; `wake_at` and `fault` as the test says."""

    KIND = "ReplicaSet"
    wake_at: float | None = None
    asked: list[str]

    def decide(self, world: World, own: Thing, now: float) -> Decision:
        self.asked.append(own.key.name)
        children = world.owned(own.uid, CHILD)
        status = {"replicas": len(children), "failed": world.failed(own.uid)}
        missing = own.body["spec"]["replicas"] - len(children)
        body = {"apiVersion": "apps/v1", "kind": CHILD, "metadata": {"generateName": "toy-", "namespace": "default"}}
        made = [Create(body, own.uid)] * max(0, missing)
        shown = [] if own.status == status else [Status(own.key, status)]
        return Decision((*made, *shown), self.wake_at)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    made = Toy("toy")
    made.asked = []
    monkeypatch.setattr(controllers, "CONTROLLERS", {"ReplicaSet": "toy"})
    monkeypatch.setattr("kubeplay.supervisor.controllers.manager.CONTROLLERS", {"ReplicaSet": "toy"})
    monkeypatch.setattr("kubeplay.supervisor.controllers.manager.controller", lambda kind: made)
    return made


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SimpleNamespace]:
    store = Store(str(tmp_path / "db" / "state.db"))
    yield SimpleNamespace(store=store, clock=store.clock)
    store.close()


def _children(engine: SimpleNamespace) -> int:
    return len(engine.store.objects.list(CHILD))


def test_it_decides_until_nothing_is_left_to_do(engine: SimpleNamespace, toy: Toy) -> None:
    engine.store.objects.create(OWN, _body("ReplicaSet", "toy", replicas=3))
    assert controllers.due(engine)
    manager = Manager(engine)
    manager.turn(0)
    assert _children(engine) == 3
    assert json.loads(engine.store.objects.get(OWN).status)["replicas"] == 3
    assert not controllers.due(engine)
    asked = len(toy.asked)
    manager.turn(0)
    assert len(toy.asked) == asked, "nothing has changed"


def test_a_child_that_goes_is_its_owners_business(engine: SimpleNamespace, toy: Toy) -> None:
    engine.store.objects.create(OWN, _body("ReplicaSet", "toy", replicas=2))
    manager = Manager(engine)
    manager.turn(0)
    engine.store.objects.delete(engine.store.objects.list(CHILD)[0].key)
    assert controllers.due(engine)
    manager.turn(0)
    assert _children(engine) == 2


def test_the_next_supervisor_decides_about_what_a_killed_one_had_begun(engine: SimpleNamespace, toy: Toy) -> None:
    engine.store.objects.create(OWN, _body("ReplicaSet", "toy", replicas=1))
    Manager(engine).mirror.refresh()  # and killed
    assert controllers.due(engine)
    Manager(engine).turn(0)
    assert _children(engine) == 1


def test_a_timer_outlives_its_process(engine: SimpleNamespace, toy: Toy) -> None:
    engine.store.objects.create(OWN, _body("ReplicaSet", "toy", replicas=0))
    toy.wake_at = engine.clock.now() + 1000
    Manager(engine).turn(0)
    assert controllers.due(engine), "the supervisor stays for a time to come"
    assert Manager(engine).next_wake() == toy.wake_at
    engine.store.objects.delete(OWN)
    assert not engine.store.controllers.timers()


def test_a_failed_create_is_shown_told_and_tried_again_later(
    engine: SimpleNamespace, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = engine.store.objects.create(OWN, _body("ReplicaSet", "toy", replicas=1))

    def refuse(*_: Any) -> None:
        raise_quota()

    monkeypatch.setattr("kubeplay.supervisor.controllers.act.Actor._create", refuse)
    manager = Manager(engine)
    manager.turn(0)
    assert json.loads(engine.store.objects.get(OWN).status)["failed"] == "exceeded quota"
    assert [event.reason for event in engine.store.events.list(uid=own.uid)] == ["FailedCreate"]
    first = manager.next_wake()
    assert first is not None and first > engine.clock.now()
    monkeypatch.undo()
    monkeypatch.setattr("kubeplay.supervisor.controllers.manager.CONTROLLERS", {"ReplicaSet": "toy"})
    monkeypatch.setattr("kubeplay.supervisor.controllers.manager.controller", lambda kind: toy)
    manager.turn(first)
    assert _children(engine) == 1 and manager.next_wake() is None
    assert json.loads(engine.store.objects.get(OWN).status)["failed"] == ""


def raise_quota() -> None:
    from kubeplay.errors import InvalidInput

    raise InvalidInput("exceeded quota")


def test_what_somebody_else_changed_is_not_overwritten(engine: SimpleNamespace, toy: Toy) -> None:
    from kubeplay.supervisor.controllers.act import Actor

    engine.store.objects.create(OWN, _body("ReplicaSet", "toy", replicas=1))
    mirror = Mirror(engine.store)
    mirror.refresh()
    own = mirror.list("ReplicaSet")[0]
    engine.store.objects.update(OWN, _body("ReplicaSet", "toy", replicas=5))
    with pytest.raises(Conflict):
        Actor(engine, mirror)._do(own, Update(OWN, json.loads(_body("ReplicaSet", "toy", replicas=2))))  # type: ignore[arg-type]
    assert Actor(engine, mirror).carry_out(own, Decision((Update(OWN, {**own.body, "spec": {"replicas": 2}}),))) == ""  # type: ignore[arg-type]
    assert json.loads(engine.store.objects.get(OWN).body)["spec"]["replicas"] == 5


def test_te6_dependants_follow_their_owner_and_foreground_waits_for_them(engine: SimpleNamespace, toy: Toy) -> None:
    engine.store.objects.create(OWN, _body("ReplicaSet", "toy", replicas=2))
    manager = Manager(engine)
    manager.turn(0)
    engine.store.objects.mark_deleted(OWN, 0)  # as a killed `down` leaves it
    assert controllers.due(engine)
    manager.turn(0)
    assert engine.store.objects.find(OWN) is None and _children(engine) == 0
    engine.store.objects.create(OWN, _body("ReplicaSet", "toy", replicas=2))
    manager.turn(0)
    engine.store.objects.delete(OWN)
    manager.turn(0)
    assert _children(engine) == 0


def test_a_log_that_was_cut_means_a_whole_look(engine: SimpleNamespace, toy: Toy) -> None:
    engine.store.objects.create(OWN, _body("ReplicaSet", "toy", replicas=1))
    manager = Manager(engine)
    manager.turn(0)
    engine.store.objects.delete(engine.store.objects.list(CHILD)[0].key)
    with engine.store.write() as db:
        db.execute("DELETE FROM watch WHERE resource_version < (SELECT max(resource_version) FROM watch)")
        db.execute("UPDATE watch SET resource_version = resource_version + 20000")
    manager.turn(0)
    assert _children(engine) == 1


def test_plain_pods_need_no_controllers(engine: SimpleNamespace) -> None:
    for number in range(600):
        engine.store.objects.create(ObjectKey("ConfigMap", "default", f"c{number}"), "{}")
    assert not controllers.due(engine)
    assert engine.store.controllers.cursor() == engine.store.controllers.newest(), "what is of no interest is read once"
    assert FAILED_SECONDS > 0


def test_te6_who_is_going_adopts_nothing_again(engine: SimpleNamespace, toy: Toy) -> None:
    """It has decided by what it saw before: `delete --cascade=orphan` came in between."""
    from kubeplay.play.deletion import orphan
    from kubeplay.supervisor.controllers.act import Actor

    owner = engine.store.objects.create(OWN, _body("ReplicaSet", "toy", replicas=1))
    left = ObjectKey("ConfigMap", "default", "left")
    child = engine.store.objects.create(left, _body("ConfigMap", "left"), owner_uid=owner.uid)
    mirror = Mirror(engine.store)
    mirror.refresh()
    own = mirror.list("ReplicaSet")[0]
    orphan(engine, OWN)  # type: ignore[arg-type]
    actor = Actor(engine, mirror)  # type: ignore[arg-type]
    assert actor.carry_out(own, Decision((Adopt(left, child.uid, owner.uid),))) == ""
    assert engine.store.objects.get(left).owner_uid == ""
    engine.store.objects.delete(OWN)
    actor.carry_out(own, Decision((Adopt(left, child.uid, owner.uid),)))
    assert engine.store.objects.get(left).owner_uid == ""
