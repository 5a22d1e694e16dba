"""Plans of a large stack: 1,000 objects in a file, one of them changed, against `kubectl label --local -f` of the same file.

The figures to reach are those of the issue 'Files as the source of truth': 1.0 s, and 1.0 of kubectl. kubectl reads the file and prints a
line for each object; a plan also compares each with what is stored. `first`: nothing is remembered of earlier plans (apply/remembered.py).
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable

from bench import kubectl, manifests
from bench.peers import Peer, kubeplay

OBJECTS, SECONDS, RATIO = 1000, 1.0, 1.0
AGAIN, FIRST = "plan, 1,000 objects, 1 changed", "plan, the same, the first time"


def measure(work: str, rounds: int, chosen: Callable[[str], bool]) -> list[dict[str, object]]:
    """Both cases, alternating with kubectl where there is one, after a round that does not count."""
    titles = [title for title in (AGAIN, FIRST) if chosen(title)]
    if not titles:
        return []
    path, ours, peer = f"{work}/files.yaml", kubeplay(f"{work}/files"), kubectl.find()
    text = manifests.documents(OBJECTS).replace("replicas: 2", "replicas: 0")
    _write(path, text)
    ours.run("kube", "play", "--quiet", path)
    try:
        return [_case(title, work, path, text, ours, peer, rounds) for title in titles]
    finally:
        ours.run("system", "reset", "--force", check=False)


def _case(title: str, work: str, path: str, text: str, ours: Peer, peer: Peer | None, rounds: int) -> dict[str, object]:
    samples: dict[str, list[float]] = {"kubeplay": [], "peer": []}
    for number in range(rounds + 1):
        # another change each time, so that no plan has seen the document before
        _write(path, text.replace("value 498,", f"changed {'first' if title == FIRST else 'again'} {number},"))
        if title == FIRST:
            shutil.rmtree(f"{work}/files/kubeplay/root/cache/plans", ignore_errors=True)
        done = ours.run("kube", "plan", path)
        assert "1 to update" in done.output and f"{OBJECTS - 1} unchanged" in done.output, done.output[-500:]
        theirs = peer.run("label", "--local", "-f", path, "bench=1") if peer is not None else None
        if number:
            samples["kubeplay"].append(done.seconds * 1000)
            samples["peer"] += [theirs.seconds * 1000] if theirs is not None else []
    return _row(title, samples, peer)


def _row(title: str, samples: dict[str, list[float]], peer: Peer | None) -> dict[str, object]:
    ours = statistics.median(samples["kubeplay"])
    row: dict[str, object] = {"case": title, "kubeplay": ours, "unit": "ms", "target": SECONDS * 1000, "samples": samples}
    text = f"{title:32} kubeplay {ours:8.1f} ms  target {SECONDS * 1000:.0f} ms  {'ok' if ours <= SECONDS * 1000 else 'MISSED'}"
    if peer is not None:
        theirs = statistics.median(samples["peer"])
        row |= {"peer": theirs, "peer_name": peer.name, "ratio": ours / theirs}
        verdict = "" if title == FIRST else f"  target {RATIO}  {'ok' if ours <= RATIO * theirs else 'MISSED'}"
        text += f"  {peer.name} {theirs:8.1f} ms  ratio {ours / theirs:5.2f}{verdict}"
    print(text if peer is not None else f"{text}  (no kubectl)", flush=True)
    return row


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
