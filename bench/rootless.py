"""Rootless plays: an ordinary user's kubeplay against rootless podman and against kubeplay as root, in alternating runs on one tmpfs.

Podman is given its best (overlay, which is not its choice on a tmpfs; cgroupfs; no default ulimits) and its default network, the
only one in which pods reach one another as ours do. A fresh account each time, as the tests make them.
"""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bench import manifests
from bench.peers import CONTAINERS_CONF, Peer, Run, kubeplay

PODMAN, ROOT = 0.5, 1.35  # ratios to reach (issue 'Rootless'): to rootless podman, to our own plays as root
CASES = (
    ("rootless play, 1 container", manifests.pod("p", 1)),
    ("rootless play, 2 containers", manifests.pod("p", 2)),
    ("rootless play, 10 containers", manifests.pod("p", 10)),
    ("rootless play, 10 pods", manifests.pods(10)),
)


@contextmanager
def peers(work: str) -> Iterator[tuple[Peer, Peer, Peer]]:
    """(kubeplay as a fresh user, podman as the same user, kubeplay as root), each with the busybox image."""
    from tests.support.user import user

    with user() as one:
        place = f"{work}/rootless"
        os.makedirs(place, mode=0o755, exist_ok=True)
        for name in ("busybox.tar", "containers.conf"):
            if name == "containers.conf":
                with open(f"{place}/{name}", "w", encoding="ascii") as file:
                    file.write(CONTAINERS_CONF)
            else:
                shutil.copy(f"{work}/{name}", f"{place}/{name}")
            os.chmod(f"{place}/{name}", 0o644)
        os.chown(place, one.uid, one.gid)
        ours = one.argv(one.kubeplay, "--root", f"{place}/kubeplay", "--runtime", "runc")
        theirs = ["podman", "--storage-driver", "overlay", "--root", f"{place}/podman", "--runroot", f"{place}/podman-run"]
        found = (
            Peer("kubeplay", ours),
            Peer("podman", one.argv(*theirs, CONTAINERS_CONF=f"{place}/containers.conf")),
            Peer("as root", kubeplay(work).argv),
        )
        try:
            for peer in found[:2]:
                peer.run("load", "-i", f"{place}/busybox.tar")
            yield found
        finally:
            for peer in found[:2]:
                peer.run("system", "reset", "--force", check=False)


def measure(work: str, rounds: int, chosen: Callable[[str], bool]) -> list[dict[str, object]]:
    """Every chosen case, printed as it is done."""
    wanted = [case for case in CASES if chosen(case[0])]
    if not wanted:
        return []
    with peers(work) as found:
        return [_case(title, text, work, found, rounds) for title, text in wanted]


def _case(title: str, text: str, work: str, found: tuple[Peer, Peer, Peer], rounds: int) -> dict[str, object]:
    path = f"{work}/rootless/play.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o644)
    samples: dict[str, list[Run]] = {peer.name: [] for peer in found}
    for number in range(rounds + 1):  # the first does not count
        for peer in found if number % 2 else found[::-1]:
            done = peer.run("kube", "play", path)
            peer.run("kube", "down", path)
            if number:
                samples[peer.name].append(done)
    return _row(title, samples)


def _row(title: str, samples: dict[str, list[Run]]) -> dict[str, object]:
    seconds = {name: [one.seconds * 1000 for one in runs] for name, runs in samples.items()}
    cpu = {name: [one.cpu * 1000 for one in runs] for name, runs in samples.items()}
    ours, theirs, root = (statistics.median(seconds[name]) for name in ("kubeplay", "podman", "as root"))
    least = {name: min(values) for name, values in seconds.items()}
    row: dict[str, Any] = {"case": title, "kubeplay": ours, "podman": theirs, "as root": root, "unit": "ms"}
    row.update(samples=seconds, cpu_ms=cpu, ratio=ours / theirs, target=PODMAN, ratio_root=ours / root, target_root=ROOT)
    print(
        f"{title:32} kubeplay {ours:7.1f} ms  podman {theirs:7.1f} ms  ratio {ours / theirs:5.2f} (to reach {PODMAN})"
        f"  as root {root:7.1f} ms  ratio {ours / root:5.2f} (to reach {ROOT})"
        f"  best {least['kubeplay']:.0f}/{least['podman']:.0f}/{least['as root']:.0f}"
        f" = {least['kubeplay'] / least['podman']:.2f}, {least['kubeplay'] / least['as root']:.2f}"
        f"  cpu {min(cpu['kubeplay']):.0f}/{min(cpu['podman']):.0f}/{min(cpu['as root']):.0f}",
        flush=True,
    )
    return row
