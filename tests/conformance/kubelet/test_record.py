"""Every recorded kubelet case whose fields this slice has, played for real and compared (DESIGN 'Two oracles')."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.kubelet import compare
from tests.conformance.kubelet.departures import DELETES, DEPARTURES, IGNORED_LOGS, LATER
from tests.support import images

pytestmark = [pytest.mark.root, pytest.mark.slow]
CASES = sorted(path.name for path in compare.RECORD.iterdir() if path.is_dir())
LONGEST = 14.0  # seconds a case is watched; the record says what was true at that moment


class Kubeplay:
    """The installed program with a state of its own."""

    def __init__(self, work: Path) -> None:
        self.argv = [".venv/bin/kubeplay", "--root", str(work / "root"), "--runroot", str(work / "run")]

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.argv, *args], capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def kubeplay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubeplay]:
    made = Kubeplay(tmp_path_factory.mktemp("record"))
    for archive in images.write_all(tmp_path_factory.mktemp("images")).values():
        loaded = made.run("image", "load", "-i", str(archive))
        assert loaded.returncode == 0, loaded.stderr
    yield made
    done = made.run("system", "reset", "--force")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("case", CASES)
def test_case(kubeplay: Kubeplay, case: str) -> None:
    if case in LATER:
        pytest.skip(f"needs {LATER[case]}")
    if case in DELETES:
        pytest.skip("the case deletes the pod: tests/e2e covers termination")
    manifest = str(compare.RECORD / case / "manifest.yaml")
    start = time.monotonic()
    played = kubeplay.run("play", "kube", "--keep-on-failure", manifest)
    try:
        _compare(kubeplay, case, start, played.stderr)
    finally:
        down = kubeplay.run("kube", "down", "--force", manifest)
        assert down.returncode == 0, down.stderr


def _compare(kubeplay: Kubeplay, case: str, start: float, errors: str) -> None:
    result = json.loads((compare.RECORD / case / "result.json").read_text())
    limit = min(float(result["secs"]), LONGEST)
    wanted = compare.expected(case, limit)
    allowed = DEPARTURES.get(case, {})
    found: list[str] = []
    while time.monotonic() - start < limit + 1:
        found = [d for d in _differences(kubeplay, wanted) if not any(text in d for text in allowed)]
        if not found and _settled(wanted):
            break
        time.sleep(0.3)
    assert not found, (found, errors)
    if case not in IGNORED_LOGS:
        _compare_logs(kubeplay, case, result)


def _settled(wanted: dict[str, Any]) -> bool:
    """Whether the expected state is one that stays, so that there is no need to wait for the recorded moment."""
    return all(pod["phase"] in ("Succeeded", "Failed") or "Waiting" not in str(pod) for pod in wanted.values())


def _differences(kubeplay: Kubeplay, wanted: dict[str, Any]) -> list[str]:
    listed = kubeplay.run("pod", "inspect", *wanted)
    if listed.returncode:
        return [listed.stderr]
    ours = {pod["metadata"]["name"]: compare.digest(pod["status"]) for pod in json.loads(listed.stdout)}
    return [f"{name}: {text}" for name, theirs in wanted.items() for text in compare.differences(ours[name], theirs)]


def _compare_logs(kubeplay: Kubeplay, case: str, result: dict[str, Any]) -> None:
    for pod, status in result["pods"].items():
        for container in status["init"] + status["containers"]:
            path = compare.RECORD / case / "logs" / f"{container['name']}__0.txt"
            if not path.exists() or container["restartCount"]:
                continue
            logs = kubeplay.run("logs", pod, "-c", container["name"])
            node = os.uname().nodename
            assert compare.normalised(logs.stdout, node, {}) == compare.normalised(path.read_text(), "node1", {})
