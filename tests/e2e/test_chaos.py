"""A short run of `make chaos`: what is killed comes back, is counted right, and leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import run, stack, verdict

pytestmark = [pytest.mark.root, pytest.mark.slow]


def test_killed_at_random_and_as_it_should_be_afterwards(tmp_path: Path, image_archives: dict[str, Path]) -> None:
    said: list[str] = []
    assert run.run(tmp_path / "m", image_archives, pods=5, seconds=8, seed=7, say=said.append) == [], said


def test_the_verdict_sees_probes_that_meet(tmp_path: Path) -> None:
    note = tmp_path / "probed1"
    note.mkdir()
    (note / "doubles").write_text("liveness 7 9\n")
    assert verdict.doubles(tmp_path) == ["probed1: probes at once: ['liveness 7 9']"]
    assert [stack.containers(name) for name in stack.pods(5)] == [["main"], ["main"], ["main"], ["main", "other"], ["main"]]
