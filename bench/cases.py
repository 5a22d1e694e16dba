"""What is measured. A case runs once per round for each peer and returns the figures of that round."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

from bench import manifests
from bench.peers import Peer, Run, memory


class Case(NamedTuple):
    """`run(peer, work) -> Run`; `target` is the ratio to reach (issue 'First slice'); `best` compares minima, not medians."""

    name: str
    run: Callable[[Peer, str], Run]
    target: float
    best: bool = False
    unit: str = "ms"
    rounds: int = 0


def _write(work: str, name: str, text: str) -> str:
    path = f"{work}/{name}.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def _play(text: str) -> Callable[[Peer, str], Run]:
    def run(peer: Peer, work: str) -> Run:
        path = _write(work, "play", text)
        done = peer.run("kube", "play", path)
        peer.run("kube", "down", path)
        return done

    return run


def _down(peer: Peer, work: str) -> Run:
    path = _write(work, "down", manifests.pod("p", 2))
    peer.run("kube", "play", path)
    return peer.run("kube", "down", path)


def _with(text: str, *command: str) -> Callable[[Peer, str], Run]:
    """Time `command` while the pods of `text` run; they are left running for the next round."""

    def run(peer: Peer, work: str) -> Run:
        name = f"standing{len(text)}"
        path = _write(work, name, text)
        marker = f"{work}/{peer.name}.{name}"
        if not os.path.exists(marker):
            peer.run("kube", "play", path)
            open(marker, "w").close()
        return peer.run(*command)

    return run


def _idle(peer: Peer, work: str) -> Run:
    path = _write(work, "idle", manifests.pods(10))
    peer.run("kube", "play", path)
    import time

    time.sleep(2.0)  # what only starts up is gone by then
    sample = Run(memory(f"{work}/{peer.name}/") / 10 / 1000, 0, "")  # the report multiplies by 1000: kB a pod
    peer.run("kube", "down", path)
    return sample


def _import(peer: Peer, work: str) -> Run:
    archive = f"{work}/big.tar"
    if not os.path.exists(archive):
        os.makedirs(f"{work}/big", exist_ok=True)
        for i in range(100):
            with open(f"{work}/big/file{i}", "wb") as file:
                file.write(os.urandom(2 << 20))
        subprocess.run(["tar", "-C", f"{work}/big", "-cf", archive, "."], check=True)
    done = peer.run("import", archive, "localhost/big:1")
    peer.run("rmi", "localhost/big:1")
    return done


def _version(peer: Peer, work: str) -> Run:
    if peer.name == "podman":  # the yardstick for this one is the bare interpreter
        bare = Peer("python", [sys.executable])
        return bare.run("-c", "pass")
    return Peer("kubeplay", peer.argv[:1]).run("--version")


def _dry(peer: Peer, work: str) -> Run:
    path = _write(work, "long", manifests.documents(1000))
    return peer.run("kube", "play", "--dry-run", path) if peer.name == "kubeplay" else Run(0.0, 0, "")


CASES = (
    Case("version (to python -c pass)", _version, 2.5),
    Case("play, 1 container", _play(manifests.pod("p", 1)), 0.55),
    Case("play, 2 containers", _play(manifests.pod("p", 2)), 0.55),
    Case("play, 5 containers", _play(manifests.pod("p", 5)), 0.4),
    Case("play, 10 containers", _play(manifests.pod("p", 10)), 0.3),
    Case("play, 10 pods", _play(manifests.pods(10)), 0.25),
    Case("down, 2 containers", _down, 0.7, best=True),
    Case("ps, 1 pod", _with(manifests.pod("one", 1), "ps"), 2.5),
    Case("exec true", _with(manifests.pod("one", 1), "exec", "one-c0", "true"), 0.7),
    Case("generate", _with(manifests.pod("one", 1), "generate", "kube", "one"), 2.5),
    Case("idle memory per pod, 10 pods", _idle, 0.6, unit="kB", rounds=3),
    Case("import, 200 MB", _import, 0.6, rounds=3),
    Case("dry run, 1,000 documents", _dry, 0.0, rounds=3),
)
# after the others: its pods stay
LAST = (Case("ps, 100 pods", _with(manifests.pods(100), "ps"), 1.0, rounds=5),)
