"""Marks of pods whose files have to be written anew: none is lost, whatever happens meanwhile (VO5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubeplay.engine.store.db import Store
from kubeplay.engine.store.runtime import DELETE, RUN, PodRow
from kubeplay.errors import VolumeError
from kubeplay.plan import codec
from kubeplay.plan.pod import PodPlan, SandboxPlan
from kubeplay.plan.stack import ObjectKey
from kubeplay.plan.volumes import ObjectFiles, Volume
from kubeplay.reconcile import live
from kubeplay.reconcile.model import FILES
from kubeplay.reconcile.observe import Look, Observed

KEY = ObjectKey("ConfigMap", "default", "c")
PLAN = PodPlan("default", "p", SandboxPlan("p"), (), (Volume("v", ObjectFiles("ConfigMap", "c")),))


class FakeVolumes:
    """Notes what is written; `during` happens in the middle of it."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self.during: Any = None

    def write(self, uid: str, plan: PodPlan, files: dict[str, Any], users: Any) -> None:
        self.written.append(files)
        if self.during:
            self.during()


class FakeEngine:
    def __init__(self, store: Store) -> None:
        self.store, self.clock, self.volumes = store, store.clock, FakeVolumes()


@pytest.fixture
def engine(tmp_path: Path) -> Any:
    made = FakeEngine(Store(str(tmp_path / "state.db")))
    made.store.objects.create(KEY, '{"data": {"a": "1"}}')
    made.store.runtime.add_pod(PodRow("u", "default", "p", codec.dumps(PLAN), RUN, True, None, 0, False))
    return made


def refresh(engine: Any, **seen: Any) -> float | None:
    row = engine.store.runtime.pod("u")
    facts = {"sandbox": "s", "sandbox_ready": True, "desired": row.desired, **seen}
    observed = Observed("u", PLAN, backoffs=engine.store.runtime.backoffs("u"), **facts)
    return live.refresh(engine, Look(observed, row, None, {}, (), {}))


def test_vo5_a_mark_is_taken_away_when_the_files_are_written(engine: Any) -> None:
    assert refresh(engine) is None and engine.volumes.written == []
    assert live.mark(engine, [KEY]) == ["u"]
    assert refresh(engine) is None
    assert [files["v"]["a"].content for files in engine.volumes.written] == [b"1"]
    assert FILES not in engine.store.runtime.backoffs("u")


def test_vo5_a_change_while_files_are_written_is_not_lost(engine: Any) -> None:
    live.mark(engine, [KEY])
    engine.volumes.during = lambda: live.mark(engine, [KEY])
    due = refresh(engine)
    assert due is not None and due <= engine.clock.now()
    assert FILES in engine.store.runtime.backoffs("u")


@pytest.mark.parametrize("seen", [{"sandbox_ready": False}, {"void": True}, {"phase": "Failed"}, {"desired": DELETE}])
def test_vo5_nothing_is_written_for_a_pod_that_does_not_run(engine: Any, seen: dict[str, Any]) -> None:
    live.mark(engine, [KEY])
    assert refresh(engine, **seen) is None and engine.volumes.written == []


def test_vo5_what_cannot_be_written_is_told_and_not_tried_again(engine: Any) -> None:
    def fail() -> None:
        raise VolumeError("volume v: no")

    live.mark(engine, [KEY])
    engine.volumes.during = fail
    assert refresh(engine) is None
    assert [event.reason for event in engine.store.events.list()] == ["FailedMount"]


def test_vo5_a_pod_that_ends_is_not_marked(engine: Any) -> None:
    engine.store.runtime.set_pod("u", desired=DELETE)
    assert live.mark(engine, [KEY]) == []
