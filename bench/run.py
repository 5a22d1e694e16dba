"""make bench: kubeplay against Debian's podman, in alternating runs on one tmpfs; prints ratios, writes JSON.

usage: bench/run.py [--rounds N] [--only TEXT] [--parts play,images] [--ext4]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from bench import images
from bench.cases import CASES, LAST, Case
from bench.peers import Peer, kubeplay, podman

WORK, DISK = "/tmp/kubeplay-bench", "/tmp/kubeplay-bench.ext4"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="")
    parser.add_argument("--parts", default="play,images", type=lambda text: text.split(","))
    parser.add_argument("--ext4", action="store_true")
    options = parser.parse_args()
    _clean()
    os.makedirs(WORK)
    _mount(options.ext4)
    peers = kubeplay(WORK), podman(WORK)
    try:
        _images(peers)
        results = []
        if "play" in options.parts:
            results += _all(CASES, peers, options)
        if "images" in options.parts:
            with images.prepared(WORK) as cases:
                results += _all(cases, peers, options)
        if "play" in options.parts:
            results += _all(LAST, peers, options)
    finally:
        for peer in peers:
            peer.run("system", "reset", "--force", check=False)
        _clean()
    _report(results)


def _all(cases: Sequence[Case], peers: tuple[Peer, Peer], options: argparse.Namespace) -> list[dict[str, object]]:
    chosen = [case for case in cases if options.only in case.name]
    return [_measure(case, peers, min(case.rounds or options.rounds, options.rounds)) for case in chosen]


def _mount(ext4: bool) -> None:
    """A tmpfs, or an ext4 in a file: the root disk of a virtual machine is slow and varies."""
    if not ext4:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8g", "kubeplay-bench", WORK], check=True)
        return
    subprocess.run(["truncate", "-s", "12G", DISK], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", DISK], check=True)
    subprocess.run(["mount", "-o", "loop", DISK, WORK], check=True)


def _images(peers: tuple[Peer, Peer]) -> None:
    from tests.support.images import write_all

    archive = write_all(Path(WORK))["busybox"]
    for peer in peers:
        peer.run("load", "-i", str(archive))


def _measure(case: Case, peers: tuple[Peer, Peer], rounds: int) -> dict[str, object]:
    """Alternate the peers `rounds` times, after one round that does not count."""
    samples: dict[str, list[float]] = {peer.name: [] for peer in peers}
    peak: dict[str, int] = {peer.name: 0 for peer in peers}
    for number in range(rounds + 1):
        for peer in peers if number % 2 else peers[::-1]:
            done = case.run(peer, WORK)
            if number:
                samples[peer.name].append(done.seconds * 1000)
                peak[peer.name] = max(peak[peer.name], done.peak)
    middle = min if case.best else statistics.median
    ours, theirs = middle(samples["kubeplay"]), middle(samples["podman"])
    ratio = ours / theirs if theirs else 0.0
    row: dict[str, object] = {"case": case.name, "kubeplay": ours, "podman": theirs, "unit": case.unit}
    row.update(ratio=ratio, target=case.target, samples=samples, peak_kb=peak)
    _print(row)
    return row


def _print(row: dict[str, object]) -> None:
    ours, theirs, ratio, target = (float(str(row[k])) for k in ("kubeplay", "podman", "ratio", "target"))
    verdict = "" if not target else "ok" if ratio <= target else "MISSED"
    unit = row["unit"]
    figures = f"kubeplay {ours:8.1f} {unit}  peer {theirs:8.1f} {unit}  ratio {ratio:5.2f}  target {target:4.2f}"
    print(f"{row['case']:32} {figures}  {verdict}", flush=True)


def _report(results: list[dict[str, object]]) -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    os.makedirs(f"{here}/results", exist_ok=True)
    path = f"{here}/results/{time.strftime('%Y%m%dT%H%M%S')}.json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"machine": os.uname().release, "results": results}, file, indent=1)
    print(f"written to {path}")


def _clean() -> None:
    for _ in range(3):
        subprocess.run(["umount", "-R", "-l", WORK], check=False, stderr=subprocess.DEVNULL)
    shutil.rmtree(WORK, ignore_errors=True)
    Path(DISK).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
