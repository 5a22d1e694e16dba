"""From a container's end to its restarted program, at the first restart (no back-off): the kill, and the next instance's first deed.

With nothing else due there is no process of kubeplay, so the supervisor is started first; beside a pod in its back-off it is there.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import time
from collections.abc import Callable
from typing import Any

from bench.peers import Peer, kubeplay, podman

TARGET = 150.0  # ms, median (issue 'Pods behave as on a kubelet')
POD = """apiVersion: v1
kind: Pod
metadata: {name: restarted}
spec:
  restartPolicy: Always
  terminationGracePeriodSeconds: 0
  volumes: [{name: note, hostPath: {path: NOTE}}]
  containers:
  - name: main
    image: docker.io/library/busybox:1
    command: [sh, -c, "echo >> /n/starts; exec sleep 100000"]
    volumeMounts: [{name: note, mountPath: /n}]
"""
BUSY = """---
apiVersion: v1
kind: Pod
metadata: {name: busy}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "docker.io/library/busybox:1", command: [sh, -c, "exit 1"]}]
"""


def measure(work: str, rounds: int, chosen: Callable[[str], bool]) -> list[dict[str, object]]:
    """Every chosen case, printed as it is done; podman beside it, for which there is no figure to reach."""
    ours, theirs = kubeplay(work), podman(work)
    cases = [
        ("restart of an ended container", ours, POD),
        ("restart, supervisor at work", ours, POD + BUSY),
        ("restart by podman", theirs, POD),
    ]
    return [_case(title, peer, text, work, rounds) for title, peer, text in cases if chosen(title)]


def _case(title: str, peer: Peer, text: str, work: str, rounds: int) -> dict[str, object]:
    note, path = f"{work}/note", f"{work}/restart.yaml"
    with open(path, "w", encoding="ascii") as file:
        file.write(text.replace("NOTE", note))
    samples = []
    for number in range(rounds + 1):  # the first does not count
        os.mkdir(note)
        peer.run("kube", "play", path, check=text is POD)
        _await(f"{note}/starts", 1)
        time.sleep(0.5)  # the play has settled, and a supervisor that nothing is due for has gone
        seconds = _restarted(_pid(peer), f"{note}/starts")
        samples += [seconds * 1000] if number else []
        peer.run("kube", "down", path, check=False)
        shutil.rmtree(note)
    middle = statistics.median(samples)
    row: dict[str, Any] = {"case": title, peer.name: middle, "unit": "ms", "target": TARGET, "samples": {peer.name: samples}}
    verdict = "" if peer.name != "kubeplay" else "ok" if middle <= TARGET else "MISSED"
    figures = f"{middle:8.1f} ms  best {min(samples):6.1f} ms  worst {max(samples):8.1f} ms  target {TARGET:.0f} ms"
    print(f"{title:32} {peer.name} {figures}  {verdict}", flush=True)
    return row


def _pid(peer: Peer) -> int:
    found = json.loads(peer.run("inspect", "--type", "container", "restarted-main").output)
    return int(found[0]["State"]["Pid"])


def _restarted(pid: int, path: str) -> float:
    start = time.perf_counter()
    os.kill(pid, signal.SIGKILL)
    _await(path, 2)
    return time.perf_counter() - start


def _await(path: str, lines: int) -> None:
    deadline = time.monotonic() + 60
    while not os.path.exists(path) or os.path.getsize(path) < lines:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{path} does not get {lines} lines")
        time.sleep(0.001)
