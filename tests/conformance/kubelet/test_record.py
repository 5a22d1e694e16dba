"""Every recorded kubelet case of pods, played for real and compared (DESIGN 'Two oracles')."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kubeplay.config import Settings
from kubeplay.engine.engine import Engine
from tests.conformance.kubelet import compare
from tests.conformance.kubelet.departures import DELETES, DEPARTURES, IGNORED_LOGS, LATER
from tests.support import images
from tests.support.kubeplay import PROGRAM

pytestmark = [pytest.mark.root, pytest.mark.slow]
CASES = sorted(path.name for path in compare.RECORD.iterdir() if path.is_dir() and path.name not in DELETES)  # those: test_deletions.py
WORKERS = 8  # machines side by side: a case mostly waits
USUAL = "10.96."  # where the record's Service addresses begin
LOOKS = 30  # at least so often, as in these seconds here: a slower machine looks more slowly, too


class Kubeplay:
    """The installed program with a state of its own."""

    def __init__(self, work: Path, archives: Iterable[Path]) -> None:
        self.work = work
        self.argv = [str(PROGRAM), "--root", str(work / "root"), "--runroot", str(work / "run")]
        for archive in archives:
            loaded = self.run("image", "load", "-i", str(archive))
            assert loaded.returncode == 0, loaded.stderr

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.argv, *args], capture_output=True, encoding="utf-8", errors="replace", timeout=300)

    def services(self) -> str:
        """The first two bytes of its Service addresses, as `10.96.`: of the machines side by side only one has the usual range."""
        engine = Engine(Settings(root=str(self.work / "root"), runroot=str(self.work / "run")))
        try:
            return ".".join(str(engine.net.service_range()).split(".")[:2]) + "."
        finally:
            engine.store.close()

    def reset(self) -> None:
        done = self.run("system", "reset", "--force")
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, BaseException | None]:
    """What came of every case that was asked for: they are played side by side, the longest first, each machine one at a time."""
    mine = [item for item in request.session.items if item.path == request.path and isinstance(item, pytest.Function)]
    cases = {item.callspec.params["case"] for item in mine} - set(LATER)
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for case in sorted(cases, key=lambda c: -_seconds(c)):
        waiting.put(case)
    archives = list(images.write_all(tmp_path_factory.mktemp("images")).values())
    results: dict[str, BaseException | None] = {}

    def work(directory: Path) -> None:
        machine = Kubeplay(directory, archives)
        try:
            while True:
                try:
                    case = waiting.get_nowait()
                except queue.Empty:
                    return
                results[case] = _play(machine, case)
        finally:
            machine.reset()

    with ThreadPoolExecutor(WORKERS) as pool:
        made = [pool.submit(work, tmp_path_factory.mktemp("record")) for _ in range(min(WORKERS, waiting.qsize()))]
    for one in made:
        one.result()
    return results


def _seconds(case: str) -> float:
    return float(json.loads((compare.RECORD / case / "result.json").read_text())["secs"])


def _play(kubeplay: Kubeplay, case: str) -> BaseException | None:
    manifest, services = _manifest(kubeplay, case)
    try:
        played = kubeplay.run("play", "kube", "--keep-on-failure", manifest)
        _compare(kubeplay, case, played.stderr, services)
        return None
    except (AssertionError, subprocess.SubprocessError, ValueError, KeyError) as error:
        return error
    finally:
        down = kubeplay.run("kube", "down", "--force", manifest)
        assert down.returncode == 0, down.stderr


def _manifest(kubeplay: Kubeplay, case: str) -> tuple[str, str]:
    """The case's file, and where Service addresses begin in it: one that asks for an address asks for one that this machine has."""
    path = compare.RECORD / case / "manifest.yaml"
    text = path.read_text()
    if f"clusterIP: {USUAL}" not in text:
        return str(path), USUAL
    services = kubeplay.services()
    placed = kubeplay.work / f"{case}.yaml"
    placed.write_text(text.replace(f"clusterIP: {USUAL}", f"clusterIP: {services}"))
    return str(placed), services


@pytest.mark.parametrize("case", CASES)
def test_case(played: dict[str, BaseException | None], case: str) -> None:
    if case in LATER:
        pytest.skip(f"needs {LATER[case]}")
    error = played[case]
    if error is not None:
        raise error


def _compare(kubeplay: Kubeplay, case: str, errors: str, services: str) -> None:
    result = json.loads((compare.RECORD / case / "result.json").read_text())
    limit = _seconds(case)
    names = _names(kubeplay, list(result["pods"]), limit)
    wanted = {names[name]: pod for name, pod in compare.expected(case, limit).items()}
    allowed = DEPARTURES.get(case, {})
    found: list[str] = []
    seen: dict[str, None] = {}
    start, looks = time.monotonic(), 0
    while time.monotonic() - start < limit + 1 or looks < LOOKS:
        looks += 1
        found = [d for d in _differences(kubeplay, wanted) if not any(text in d for text in allowed)]
        if not found:
            break
        seen[f"{found}"] = None
        time.sleep(0.3)
    assert not found, (list(seen), errors)
    if case not in IGNORED_LOGS:
        _compare_logs(kubeplay, case, result, {**names, USUAL: services})


def _names(kubeplay: Kubeplay, theirs: list[str], limit: float) -> dict[str, str]:
    """What the record's pods are called here, once all are there: those of controllers have drawn suffixes, and a Job's come later."""
    ours, deadline = _pods(kubeplay), time.monotonic() + limit
    while len(ours) < len(theirs) and time.monotonic() < deadline:
        time.sleep(0.3)
        ours = _pods(kubeplay)
    same = set(ours) >= set(theirs)
    return {name: name if same else mine for name, mine in zip(sorted(theirs), sorted(theirs) if same else ours, strict=True)}


def _pods(kubeplay: Kubeplay) -> list[str]:
    return sorted(kubeplay.run("pod", "ps", "--format", "{{.Name}}", "--noheading").stdout.split())


def _differences(kubeplay: Kubeplay, wanted: dict[str, Any]) -> list[str]:
    listed = kubeplay.run("pod", "inspect", *wanted)
    if listed.returncode:
        return [listed.stderr]
    pods = json.loads(listed.stdout)
    ours = {pod["metadata"]["name"]: compare.digest(pod["status"]) for pod in (pods if isinstance(pods, list) else [pods])}
    return [f"{name}: {text}" for name, theirs in wanted.items() for text in compare.differences(ours[name], theirs)]


def _compare_logs(kubeplay: Kubeplay, case: str, result: dict[str, Any], names: dict[str, str]) -> None:
    """The output of each container's last instance, and of the one before it."""
    for pod, status in result["pods"].items():
        for container in status["init"] + status["containers"]:
            count = container["restartCount"]
            for attempt, flags in ((count, ()), (count - 1, ("--previous",))):
                path = compare.RECORD / case / "logs" / f"{container['name']}__{attempt}.txt"
                if path.exists():
                    _compare_log(kubeplay, case, path, names, (names[pod], "-c", container["name"], *flags))


def _compare_log(kubeplay: Kubeplay, case: str, path: Path, names: dict[str, str], words: tuple[str, ...]) -> None:
    drawn = {mine: name for name, mine in names.items() if mine != name}
    ordered = compare.in_order(case)
    theirs = compare.normalised(path.read_text(encoding="utf-8", errors="replace"), "node1", {}, ordered=ordered)
    for look in range(LOOKS):
        logs = kubeplay.run("logs", *words)
        ours = compare.normalised(logs.stdout + logs.stderr, os.uname().nodename, drawn, ordered=ordered)
        if ours == theirs:
            break
        time.sleep(0.1 * look)  # it runs, but has not said everything yet
    assert ours == theirs, words
