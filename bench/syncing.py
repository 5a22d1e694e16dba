"""How soon a saved file runs: from its rename into the directory that `sync --watch` follows until the running container's files say so.

Podman has nothing to compare with; the figure to reach is half a second (issue 'Files as the source of truth'). Once with two objects,
once with a hundred beside them.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any

from bench.peers import Peer, kubeplay
from bench.updates import CONFIG, POD, _pids, _read, _write

TARGET = 500.0  # ms
OTHERS = (0, 100)  # ConfigMaps beside, a file each
PATIENCE = 60.0  # seconds


def measure(work: str, rounds: int, chosen: Callable[[str], bool]) -> list[dict[str, object]]:
    """Every chosen case, printed as it is done."""
    peer = kubeplay(work)
    cases = [(f"sync sees a file, {count + 2} objects", count) for count in OTHERS]
    return [_case(title, count, peer, work, rounds) for title, count in cases if chosen(title)]


def _case(title: str, count: int, peer: Peer, work: str, rounds: int) -> dict[str, object]:
    directory = f"{work}/sync{count}"
    os.makedirs(directory)
    _write(f"{directory}/live.yaml", CONFIG % "first")
    _write(f"{directory}/pod.yaml", POD % 0)
    for number in range(count):
        _write(f"{directory}/other{number}.yaml", CONFIG.replace("live", f"other{number}") % "x")
    argv = [*peer.argv, "sync", directory, "--watch", "-q"]
    process = subprocess.Popen(argv, env=peer.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        file = f"/proc/{_until(lambda: next(iter(_pids(peer)), 0))}/root/c/key"
        _until(lambda: _read(file) == "first")
        samples = []
        for number in range(rounds + 1):  # the first does not count
            time.sleep(1.2)  # what the last change left to do, drift looked for among it, is over
            seconds = _seen(directory, file, f"value-{number}")
            samples += [seconds * 1000] if number else []
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        peer.run("kube", "down", directory)
    middle = statistics.median(samples)
    row: dict[str, Any] = {"case": title, "kubeplay": middle, "unit": "ms", "target": TARGET, "samples": {"kubeplay": samples}}
    verdict = "ok" if max(samples) <= TARGET else "MISSED"
    print(f"{title:32} kubeplay {middle:8.1f} ms  worst {max(samples):8.1f} ms  target {TARGET:.0f} ms  {verdict}", flush=True)
    return row


def _seen(directory: str, file: str, value: str) -> float:
    """Seconds from the moment that an editor has saved until the container sees it."""
    _write(f"{directory}/.live.yaml.new", CONFIG % value)
    start = time.perf_counter()
    os.rename(f"{directory}/.live.yaml.new", f"{directory}/live.yaml")
    _until(lambda: _read(file) == value)
    return time.perf_counter() - start


def _until(what: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    while not (found := what()):
        if time.perf_counter() - start > PATIENCE:
            raise RuntimeError(f"nothing after {PATIENCE:.0f} s")
        time.sleep(0.002)
    return found
