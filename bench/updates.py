"""How soon a changed ConfigMap is in the files of running pods: from the start of `play kube --update` until every container sees it.

Podman has nothing to compare with (no in-place update); the figure to reach is a second (issue 'Pods behave as on a kubelet').
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any

from bench.peers import Peer, kubeplay

TARGET = 1000.0  # ms
PODS = (1, 20, 100)
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: live}\ndata: {key: %s}\n"
POD = """---
apiVersion: v1
kind: Pod
metadata: {name: live%d}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: c, configMap: {name: live}}]
  containers: [{name: main, image: "busybox:1", command: [sleep, "100000"], volumeMounts: [{name: c, mountPath: /c}]}]
"""


def measure(work: str, rounds: int, chosen: Callable[[str], bool]) -> list[dict[str, object]]:
    """Every chosen case, printed as it is done."""
    peer = kubeplay(work)
    cases = [(f"update seen by {count} pod{'s' * (count > 1)}", count) for count in PODS]
    return [_case(title, count, peer, work, rounds) for title, count in cases if chosen(title)]


def _case(title: str, count: int, peer: Peer, work: str, rounds: int) -> dict[str, object]:
    whole, change = f"{work}/updates.yaml", f"{work}/update.yaml"
    _write(whole, CONFIG % "first" + "".join(POD % number for number in range(count)))
    peer.run("play", "kube", whole)
    try:
        files = [f"/proc/{pid}/root/c/key" for pid in _pids(peer)]
        assert len(files) == count, files
        samples = []
        for number in range(rounds + 1):  # the first does not count
            _write(change, CONFIG % f"value-{number}")
            seconds = _seen(peer, change, files, f"value-{number}")
            samples += [seconds * 1000] if number else []
    finally:
        peer.run("kube", "down", whole)
    middle = statistics.median(samples)
    row: dict[str, Any] = {"case": title, "kubeplay": middle, "unit": "ms", "target": TARGET, "samples": {"kubeplay": samples}}
    verdict = "ok" if max(samples) <= TARGET else "MISSED"
    print(f"{title:32} kubeplay {middle:8.1f} ms  worst {max(samples):8.1f} ms  target {TARGET:.0f} ms  {verdict}", flush=True)
    return row


def _pids(peer: Peer) -> list[int]:
    names = peer.run("ps", "-q").output.split()
    found = json.loads(peer.run("inspect", "--type", "container", *names).output) if names else []
    return [one["State"]["Pid"] for one in found if one["Name"].startswith("live")]


def _seen(peer: Peer, path: str, files: list[str], wanted: str) -> float:
    """Seconds until all files say `wanted`."""
    start = time.perf_counter()
    process = subprocess.Popen([*peer.argv, "play", "kube", "-q", "--update", path], env=peer.env, stdout=subprocess.DEVNULL)
    left = list(files)
    while left:
        left = [file for file in left if _read(file) != wanted]
        seconds = time.perf_counter() - start
        if seconds > 60:
            raise RuntimeError(f"{len(left)} pods do not show {wanted}")
        time.sleep(0.002)
    if process.wait():
        raise RuntimeError(f"the update ended with {process.returncode}")
    return seconds


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()


def _write(path: str, text: str) -> None:
    with open(f"{path}.new", "w", encoding="ascii") as file:
        file.write(text)
    os.replace(f"{path}.new", path)
