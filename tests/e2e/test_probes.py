"""Who asks the probes: the supervisor alone, for as long as there is something to ask, and on from where a killed one was (PR4, RB9)."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.support.root import Root

pytestmark = pytest.mark.root

# says when it is run while another one runs, and when it has been through
ALONE = 'T=0.31; ps | grep -q "sleep $T[2]3" && echo twice >> /v/said; sleep ${T}23; echo ran >> /v/said'


def pod(name: str, probes: str, volume: Path, policy: str = "Always") -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: {policy}
  terminationGracePeriodSeconds: 0
  volumes: [{{name: v, hostPath: {{path: {volume}}}}}]
  containers:
  - name: main
    image: busybox:1
    command: [sleep, "1000"]
    volumeMounts: [{{name: v, mountPath: /v}}]
{probes}
"""


def ready(root: Root, name: str) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in root.status(name).get("conditions", []))


def gone(root: Root) -> bool:
    return not root.supervisors() and not root.parents()


def test_it_is_there_for_as_long_as_something_is_probed(root: Root, tmp_path: Path) -> None:
    text = pod("probed", "    readinessProbe: {exec: {command: [test, -e, /v/ok]}, periodSeconds: 1, timeoutSeconds: 20}", tmp_path)
    (tmp_path / "ok").touch()
    root.play(text, wait_ready=True)
    assert ready(root, "probed") and root.supervisors()
    root.down(text)
    root.wait(lambda: gone(root))
    assert root.engine.store.rows("SELECT * FROM probes") == []


def test_a_startup_probe_that_has_succeeded_needs_nobody(root: Root, tmp_path: Path) -> None:
    probe = '    startupProbe: {exec: {command: ["true"]}, periodSeconds: 1, timeoutSeconds: 20}'
    root.play(pod("begun", probe, tmp_path), wait_ready=True)
    root.wait(lambda: gone(root))
    assert root.container("begun")["started"] is True and ready(root, "begun")


def test_rb9_killed_again_and_again_no_probe_runs_twice_at_once_and_ready_stays(root: Root, tmp_path: Path) -> None:
    probe = f"exec: {{command: [sh, -c, {json.dumps(ALONE)}]}}, periodSeconds: 1, timeoutSeconds: 20"
    root.play(pod("probed", f"    readinessProbe: {{{probe}}}", tmp_path), wait_ready=True)
    said, row = tmp_path / "said", root.rows("probed")[0]
    for _ in range(4):
        before = said.read_text().count("ran")
        pid = root.wait(lambda: root.supervisors())[0]
        # while a probe is under way: its directory's lock is held
        root.wait(lambda: _asking(root, row.id))
        os.kill(pid, signal.SIGKILL)
        root.wait(lambda pid=pid: [p for p in root.supervisors() if p != pid])  # type: ignore[misc]
        root.wait(lambda before=before: said.read_text().count("ran") > before)  # type: ignore[misc]
        assert ready(root, "probed")
    assert "twice" not in said.read_text()
    assert root.container("probed")["restartCount"] == 0


def _asking(root: Root, container_id: str) -> bool:
    words = f"{root.engine.paths.bundle(container_id)}/exec-readiness/process.json"
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if words.encode() in Path(f"/proc/{name}/cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False


def test_pr4_a_killed_supervisor_still_kills_what_has_failed(root: Root, tmp_path: Path) -> None:
    """The result is in the store before anything follows from it."""
    probe = "    livenessProbe: {exec: {command: [test, '!', -e, /v/bad]}, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 20}"
    root.play(pod("live", probe, tmp_path), wait_ready=True)
    first = root.rows("live")[0].id
    (tmp_path / "bad").touch()
    root.wait(lambda: root.engine.store.probes.of(first).get("liveness", None) is None
              or root.engine.store.probes.of(first)["liveness"].result == "failure" or root.rows("live")[-1].id != first)  # fmt: skip
    for pid in root.supervisors():
        os.kill(pid, signal.SIGKILL)
    (tmp_path / "bad").unlink()
    root.wait(lambda: root.container("live")["restartCount"] >= 1 and "running" in root.container("live")["state"])
