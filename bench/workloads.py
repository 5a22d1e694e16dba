"""How fast many replicas come and roll: a Deployment whose containers end on TERM, from the start of `play --wait-ready` to its end.

Podman has nothing to compare with (it makes one replica); the figures to reach are 3 s and 10 s for 50 replicas, and a growth from 10 to
200 pods that is no worse than linear (issue 'Workloads and Services').
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from bench.peers import Peer, kubeplay

READY, ROLLED, MOST = 3000.0, 10000.0, 50  # ms
GROWTH = (10, 25, 50, 100, 200)
LINEAR = 1.15  # a pod of 200 may take so much of one of 10: what is noise here
TEXT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: many}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: many}}
  template:
    metadata: {labels: {app: many}}
    spec:
      containers:
      - {name: main, image: "busybox:1", command: [sh, -c, "trap 'exit 0' TERM; sleep 100000 & wait"], env: [{name: V, value: VERSION}]}
"""


def measure(work: str, rounds: int, chosen: Callable[[str], bool]) -> list[dict[str, object]]:
    """Every chosen case, printed as it is done."""
    peer, found = kubeplay(work), []
    if chosen("50 replicas"):
        runs = [_cycle(peer, work, MOST) for _ in range(min(rounds, 3))]
        found += [_row("50 replicas ready", [one[0] for one in runs], READY), _row("50 replicas rolled", [one[1] for one in runs], ROLLED)]
    if chosen("growth"):
        found += _growth(peer, work)
    return found


def _growth(peer: Peer, work: str) -> list[dict[str, object]]:
    """The same for more and more pods; what one of them costs must not grow."""
    times = {count: _cycle(peer, work, count) for count in GROWTH}
    steps = tuple(enumerate(("ready", "rolled")))
    rows = [_row(f"growth, {count} replicas {what}", [times[count][at]], 0) for count in GROWTH for at, what in steps]
    for at, what in steps:
        each = {count: times[count][at] / count for count in GROWTH}
        ratio = each[GROWTH[-1]] / each[GROWTH[0]]
        shown = ", ".join(f"{count}: {value:.0f}" for count, value in each.items())
        print(f"ms a pod {what}: {shown}; 200 to 10 {ratio:.2f} {'ok' if ratio <= LINEAR else 'MISSED'}", flush=True)
        rows.append({"case": f"growth {what}, a pod of 200 to one of 10", "kubeplay": ratio, "unit": "", "target": LINEAR, "samples": each})
    return rows


def _cycle(peer: Peer, work: str, count: int) -> tuple[float, float]:
    """Milliseconds until `count` replicas are ready, and until all of them are of another template."""
    first, second = (_written(work, count, version) for version in ("one", "two"))
    try:
        ready = peer.run("play", "kube", "-q", "--wait-ready", first).seconds
        rolled = peer.run("play", "kube", "-q", "--update", "--wait-ready", second).seconds
    finally:
        peer.run("kube", "down", "-t", "0", second)
    return ready * 1000, rolled * 1000


def _written(work: str, count: int, version: str) -> str:
    path = f"{work}/many-{version}.yaml"
    with open(path, "w", encoding="ascii") as file:
        file.write(TEXT.replace("REPLICAS", str(count)).replace("VERSION", version))
    return path


def _row(title: str, samples: list[float], target: float) -> dict[str, object]:
    middle = statistics.median(samples)
    row: dict[str, Any] = {"case": title, "kubeplay": middle, "unit": "ms", "target": target, "samples": {"kubeplay": samples}}
    verdict = "" if not target else f"target {target:.0f} ms  {'ok' if max(samples) <= target else 'MISSED'}"
    print(f"{title:32} kubeplay {middle:8.1f} ms  worst {max(samples):8.1f} ms  {verdict}", flush=True)
    return row
