"""make bench: kubeplay against Debian's podman, in alternating runs on one tmpfs; prints ratios, writes JSON.

usage: bench/run.py [--rounds N] [--only REGEX] [--parts PART,PART] [--ext4] [--work DIR]; the parts are those of PARTS
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from bench import dns, files, images, kustomize, probes, restart, rootless, services, syncing, throughput, updates, workloads
from bench.cases import CASES, LAST, Case
from bench.peers import Peer, kubeplay, podman

WORK = "/tmp/kubeplay-bench"
PARTS = "play,rootless,throughput,updates,restart,probes,workloads,dns,services,images,files,kustomize,sync"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="")
    parser.add_argument("--parts", default=PARTS, type=lambda text: text.split(","))
    parser.add_argument("--ext4", action="store_true")
    parser.add_argument("--work", default=WORK, help="a directory of this run's own; what is there is removed")
    options = parser.parse_args()
    work = options.work
    _clean(work)
    os.makedirs(work)
    _mount(work, options.ext4)
    peers = kubeplay(work), podman(work)
    try:
        _images(work, peers)
        results = []
        if "play" in options.parts:
            results += _all(CASES, peers, options)
        if "rootless" in options.parts:
            results += rootless.measure(work, options.rounds, lambda name: bool(re.search(options.only, name)))
        if "throughput" in options.parts:
            results += throughput.measure(work, options.rounds, lambda name: bool(re.search(options.only, name)))
        if "updates" in options.parts:
            results += updates.measure(work, options.rounds, lambda name: bool(re.search(options.only, name)))
        if "sync" in options.parts:
            results += syncing.measure(work, options.rounds, lambda name: bool(re.search(options.only, name)))
        if "restart" in options.parts:
            results += restart.measure(work, options.rounds, lambda name: bool(re.search(options.only, name)))
        if "probes" in options.parts:
            results += probes.measure(work, options.rounds, lambda name: bool(re.search(options.only, name)))
        if "dns" in options.parts:
            results += dns.measure(work, options.rounds, lambda name: bool(re.search(options.only, name)))
        if "services" in options.parts:
            results += services.measure(work, options.rounds, lambda name: bool(re.search(options.only, name)))
        if "files" in options.parts:
            results += files.measure(work, options.rounds, lambda name: bool(re.search(options.only, name)))
        if "kustomize" in options.parts:
            results += kustomize.measure(work, options.rounds, lambda name: bool(re.search(options.only, name)))
        if "workloads" in options.parts:
            results += workloads.measure(work, options.rounds, lambda name: bool(re.search(options.only, name)))
        if "images" in options.parts:
            with images.prepared(work) as cases:
                results += _all(cases, peers, options)
        if "play" in options.parts:
            results += _all(LAST, peers, options)
    finally:
        for peer in peers:
            peer.run("system", "reset", "--force", check=False)
        _clean(work)
    _report(results)


def _all(cases: Sequence[Case], peers: tuple[Peer, Peer], options: argparse.Namespace) -> list[dict[str, object]]:
    chosen = [case for case in cases if re.search(options.only, case.name)]
    return [_measure(case, options.work, peers, min(case.rounds or options.rounds, options.rounds)) for case in chosen]


def _mount(work: str, ext4: bool) -> None:
    """A tmpfs, or an ext4 in a file: the root disk of a virtual machine is slow and varies."""
    if not ext4:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8g", "kubeplay-bench", work], check=True)
        return
    subprocess.run(["truncate", "-s", "12G", _disk(work)], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", _disk(work)], check=True)
    subprocess.run(["mount", "-o", "loop", _disk(work), work], check=True)


def _disk(work: str) -> str:
    return f"{work}.ext4"


def _images(work: str, peers: tuple[Peer, Peer]) -> None:
    from tests.support.images import write_all

    archive = write_all(Path(work))["busybox"]
    for peer in peers:
        peer.run("load", "-i", str(archive))


def _measure(case: Case, work: str, peers: tuple[Peer, Peer], rounds: int) -> dict[str, object]:
    """Alternate the peers `rounds` times, after one round that does not count."""
    samples: dict[str, list[float]] = {peer.name: [] for peer in peers}
    cpu: dict[str, list[float]] = {peer.name: [] for peer in peers}
    peak: dict[str, int] = {peer.name: 0 for peer in peers}
    for number in range(rounds + 1):
        for peer in peers if number % 2 else peers[::-1]:
            done = case.run(peer, work)
            if number:
                samples[peer.name].append(done.seconds * 1000)
                cpu[peer.name].append(done.cpu * 1000)
                peak[peer.name] = max(peak[peer.name], done.peak)
    middle = min if case.best else statistics.median
    ours, theirs = middle(samples["kubeplay"]), middle(samples["podman"])
    ratio = ours / theirs if theirs else 0.0
    row: dict[str, object] = {"case": case.name, "kubeplay": ours, "podman": theirs, "unit": case.unit}
    row.update(ratio=ratio, target=case.target, samples=samples, cpu_ms=cpu, peak_kb=peak)
    _print(row)
    return row


def _print(row: dict[str, object]) -> None:
    ours, theirs, ratio, target = (float(str(row[k])) for k in ("kubeplay", "podman", "ratio", "target"))
    verdict = "" if not target else "ok" if ratio <= target else "MISSED"
    unit = row["unit"]
    figures = f"kubeplay {ours:8.1f} {unit}  peer {theirs:8.1f} {unit}  ratio {ratio:5.2f}  target {target:4.2f}"
    print(f"{row['case']:32} {figures}  {verdict:6}  {_least(row)}", flush=True)


def _least(row: dict[str, Any]) -> str:
    """Minima of time and of CPU: on a machine that others use, the figures to compare."""
    parts = []
    for title, key in (("best", "samples"), ("cpu", "cpu_ms")):
        ours, theirs = min(row[key]["kubeplay"]), min(row[key]["podman"])
        parts.append(f"{title} {ours:.0f}/{theirs:.0f} = {ours / theirs if theirs else 0:.2f}")
    return "  ".join(parts)


def _report(results: list[dict[str, object]]) -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    os.makedirs(f"{here}/results", exist_ok=True)
    path = f"{here}/results/{time.strftime('%Y%m%dT%H%M%S')}.json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"machine": os.uname().release, "results": results}, file, indent=1)
    print(f"written to {path}")


def _clean(work: str) -> None:
    for _ in range(3):
        subprocess.run(["umount", "-R", "-l", work], check=False, stderr=subprocess.DEVNULL)
    shutil.rmtree(work, ignore_errors=True)
    Path(_disk(work)).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
