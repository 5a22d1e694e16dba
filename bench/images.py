"""What is measured of images: pull, load, save, push, build, list, remove; against podman, and buildah for builds.

`prepared(work)` makes the images in a process of its own (a child's peak memory begins with its parent's), starts a registry on
loopback and gives the cases. Images: 200 MB in six layers, half of it random; 50,000 files of 2 kB in one layer; 200 small ones.
"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.cases import Case
from bench.peers import Peer, Run

LAYERS, LAYER_MB = 6, 34
FILES, FILE_BYTES = 50_000, 2048
MANY = 200
BASE = "docker.io/library/busybox:1"  # run.py has loaded it
PLAIN = ("--tls-verify=false",)
STEPS = "".join(f"RUN echo {n} > /step{n}\n" for n in range(7))
CONTAINERFILE = f"FROM {BASE}\nENV A=b\nCOPY data /data\n{STEPS}CMD [\"sh\"]\n"  # ten steps after FROM


class Bench:
    """The archives and two registries on loopback: one has the images, one is empty."""

    def __init__(self, work: str, address: str, empty: str) -> None:
        self.work, self.address, self.empty = work, address, empty
        self.pushed = 0

    def archive(self, name: str) -> str:
        return f"{self.work}/archives/{name}.tar"

    def remote(self, name: str) -> str:
        return f"{self.address}/bench/{name}:1"

    # cases
    def pull(self, name: str) -> Callable[[Peer, str], Run]:
        def run(peer: Peer, work: str) -> Run:
            done = peer.run("pull", "-q", *PLAIN, self.remote(name))
            peer.run("rmi", self.remote(name))
            return done

        return run

    def load(self, name: str) -> Callable[[Peer, str], Run]:
        def run(peer: Peer, work: str) -> Run:
            done = peer.run("load", "-q", "-i", self.archive(name))
            peer.run("rmi", f"localhost/{name}:1")
            return done

        return run

    def save(self, form: str) -> Callable[[Peer, str], Run]:
        def run(peer: Peer, work: str) -> Run:
            self._there(peer)
            target = f"{work}/saved.{peer.name}"
            done = peer.run("save", "-q", "--format", form, "-o", target, "localhost/big:1")
            os.unlink(target)
            return done

        return run

    def push(self, peer: Peer, work: str) -> Run:
        """A layer that was never packed, to a registry that has nothing of it."""
        self._there(peer)
        shutil.rmtree(f"{self.work}/empty-hub/storage/docker", ignore_errors=True)
        self.pushed += 1
        return peer.run("push", "-q", *PLAIN, "localhost/big:1", f"{self.empty}/pushed/n{self.pushed}:1")

    def rmi(self, peer: Peer, work: str) -> Run:
        peer.run("load", "-q", "-i", self.archive("big"))
        return peer.run("rmi", "localhost/big:1")

    def images(self, peer: Peer, work: str) -> Run:
        marker = f"{work}/{peer.name}.many"
        if not os.path.exists(marker):
            peer.run("load", "-q", "-i", self.archive("many"))
            open(marker, "w").close()
        return peer.run("images")

    def build(self, builder: str, cached: bool) -> Callable[[Peer, str], Run]:
        def run(peer: Peer, work: str) -> Run:
            chosen = _buildah(peer) if peer.name == "podman" and builder == "buildah" else peer
            argv = ["build", "-q", "--layers", *([] if cached else ["--no-cache"]), "-t", "localhost/built:1", f"{self.work}/context"]
            if cached:
                chosen.run(*argv)
            return chosen.run(*argv)

        return run

    def _there(self, peer: Peer) -> None:
        """See that the image is in the peer's store."""
        if subprocess.run([*peer.argv, "image", "exists", "localhost/big:1"], env=peer.env, check=False).returncode:
            peer.run("load", "-q", "-i", self.archive("big"))


def _buildah(podman: Peer) -> Peer:
    """buildah over podman's store."""
    return Peer("podman", ["buildah", *podman.argv[1:]], podman.env)


def _peak(run: Callable[[Peer, str], Run]) -> Callable[[Peer, str], Run]:
    """The peak resident set in kB in place of the time: the report multiplies by 1000."""

    def peak(peer: Peer, work: str) -> Run:
        done = run(peer, work)
        return Run(done.peak / 1000, done.peak, done.output, done.cpu)

    return peak


def cases(bench: Bench) -> tuple[Case, ...]:
    pull, small = bench.pull("big"), bench.pull("files")
    return (
        Case("pull, 200 MB in 6 layers", pull, 0.5, rounds=3),
        Case("pull, 50,000 files", small, 0.5, rounds=3),
        Case("pull, peak memory", _peak(pull), 1.0, unit="kB", rounds=2),
        Case("load, 200 MB in 6 layers", bench.load("big"), 0.5, rounds=3),
        Case("load, 50,000 files", bench.load("files"), 0.5, rounds=3),
        Case("save, docker-archive", bench.save("docker-archive"), 0.8, rounds=3),
        Case("save, oci-archive", bench.save("oci-archive"), 0.8, rounds=3),
        Case("push, 200 MB in 6 layers", bench.push, 0.8, rounds=3),
        Case("push, peak memory", _peak(bench.push), 1.0, unit="kB", rounds=2),
        Case("build, 10 steps (to podman)", bench.build("podman", cached=False), 0.6, rounds=5),
        Case("build, 10 steps (to buildah)", bench.build("buildah", cached=False), 0.6, rounds=5),
        Case("build, cached (to podman)", bench.build("podman", cached=True), 0.6, rounds=5),
        Case("build, cached (to buildah)", bench.build("buildah", cached=True), 0.6, rounds=5),
        Case("rmi, 200 MB", bench.rmi, 1.0, rounds=3),
        Case("images, 200 of them", bench.images, 1.0, rounds=2),
    )


@contextmanager
def prepared(work: str) -> Iterator[tuple[Case, ...]]:
    """The cases, with a registry that has the images and one that is empty."""
    from tests.support.registry import registry

    subprocess.run([sys.executable, "-m", "bench.images", f"{work}/archives"], check=True, cwd=Path(__file__).resolve().parents[1])
    os.makedirs(f"{work}/context")
    Path(f"{work}/context/Containerfile").write_text(CONTAINERFILE)
    Path(f"{work}/context/data").write_bytes(b"data" * 1000)
    with registry(Path(f"{work}/hub")) as hub, registry(Path(f"{work}/empty-hub")) as empty:
        bench = Bench(work, hub.address, empty.address)
        for name in ("big", "files"):
            target = f"docker://{bench.remote(name)}"
            subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"docker-archive:{bench.archive(name)}", target], check=True)
        yield cases(bench)


# making the images, in a process of its own
def make(where: Path) -> None:
    """Write big.tar, files.tar and many.tar, each as `docker save` would."""
    where.mkdir(parents=True)
    chance = random.Random(20261122)
    _archive(where / "big.tar", ["localhost/big:1"], [_large(chance, number) for number in range(LAYERS)])
    _archive(where / "files.tar", ["localhost/files:1"], [_files(chance)])
    base = _tar([("etc/one", b"1")])
    _archive(where / "many.tar", [f"localhost/many/n{number}:1" for number in range(MANY)], [base])


def _large(chance: random.Random, number: int) -> bytes:
    """Files of 1 MB, half of each random, half text: it packs to a little more than half, as programs do."""
    text = b"".join(b"%d some words that repeat themselves\n" % n for n in range(20_000))[: 1 << 19]
    return _tar([(f"layer{number}/file{n}", chance.randbytes(1 << 19) + text) for n in range(LAYER_MB)])


def _files(chance: random.Random) -> bytes:
    return _tar([(f"d{n % 500}/f{n}", chance.randbytes(FILE_BYTES // 2) + b"a" * (FILE_BYTES // 2)) for n in range(FILES)])


def _tar(files: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _archive(path: Path, names: list[str], layers: list[bytes]) -> None:
    """One image for each name, all of the same layers, told apart by a label."""
    from hashlib import sha256

    diff_ids = ["sha256:" + sha256(layer).hexdigest() for layer in layers]
    entries, blobs = [], {f"{n}/layer.tar": layer for n, layer in enumerate(layers)}
    for name in names:
        config = {"architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z", "config": {"Labels": {"n": name}},
                  "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": [{"created_by": "bench"} for _ in layers]}  # fmt: skip
        data = json.dumps(config).encode()
        blobs[f"{sha256(data).hexdigest()}.json"] = data
        layer_names = [f"{n}/layer.tar" for n in range(len(layers))]
        entries.append({"Config": f"{sha256(data).hexdigest()}.json", "RepoTags": [name], "Layers": layer_names})
    blobs["manifest.json"] = json.dumps(entries).encode()
    path.write_bytes(_tar(list(blobs.items())))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
