"""kill -9 at every step of making and removing a pod: what the next process finds can be cleared without trace."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kubeplay.engine.engine import Engine
from kubeplay.engine.store.runtime import EXITED, RUNNING
from tests.support.engines import IMAGE, Bench, bench_fixture, leftovers, shell  # noqa: F401

pytestmark = pytest.mark.root
ROOT = Path(__file__).resolve().parents[2]

_PROGRAM = """
import sys
sys.path.insert(0, {root!r})
from kubeplay.config import Settings
from kubeplay.engine.engine import Engine
from kubeplay.engine.store.runtime import RUN, PodRow
from kubeplay.plan import codec
from kubeplay.plan.container import ContainerPlan, Resolved
from kubeplay.plan.pod import Attachment, PodPlan, SandboxPlan
engine = Engine(Settings(*{settings!r}))
container = ContainerPlan("c", {image!r}, command=("sleep", "100"))
plan = PodPlan("default", "p", SandboxPlan("p", share_pid=True, attachments=(Attachment(""),)), (container,))
uid = "c0ffee00-1111-2222-3333-444455556666"
engine.store.runtime.add_pod(PodRow(uid, "default", "p", codec.dumps(plan), RUN, True, None, 0, False))
sandbox = engine.create_sandbox(uid, plan)
row = engine.start_container(engine.create_container(uid, sandbox, plan, container, Resolved(command=container.command), 0))
row = engine.stop_container(row, 0.1)
engine.remove_container(row)
engine.remove_sandbox(sandbox)
engine.remove_pod_files(uid, "default", "p")
"""


def points() -> list[str]:
    """Every fault point of a pod's life in the engine, from its source; those of commit have tests of their own."""
    found: list[str] = []
    for path in sorted((ROOT / "kubeplay/engine").glob("*.py")) + [ROOT / "kubeplay/engine/oci/conmon.py"]:
        found += re.findall(r'faults\.point\("([^"]+)"\)', path.read_text())
    return sorted({point for point in found if not point.startswith("commit:")})


def test_there_are_points_at_every_step() -> None:
    assert len(points()) > 20


@pytest.mark.parametrize("point", points())
def test_kill_9_at(bench: Bench, point: str) -> None:
    program = _PROGRAM.format(root=str(ROOT), settings=tuple(bench.settings), image=IMAGE)
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "KUBEPLAY_FAULT": point}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == -9, (point, done)
    engine = Engine(bench.settings)
    uids = [p.uid for p in engine.store.runtime.pods()]
    assert len(uids) == 1
    engine.refresh(uids[0])
    for row in engine.store.runtime.containers(uids[0]):
        assert row.state in ("created", RUNNING, EXITED)
        engine.remove_container(engine.stop_container(row, 0))
    for sandbox in engine.store.runtime.sandboxes(uids[0]):
        engine.remove_sandbox(sandbox)
    engine.remove_pod_files(uids[0], "default", "p")
    engine.store.runtime.delete_pod(uids[0])
    engine.net.teardown_if_idle()
    assert engine.collect() == [] and leftovers(engine) == []
    assert engine.store.leases.held(holder=uids[0]) == []
    engine.close()
