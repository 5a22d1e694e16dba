"""A gibibyte through a published port: an ordinary user's kubeplay against rootless podman, in alternating runs.

The server is dd behind busybox's nc, which gives it the socket itself; the client reads or writes as fast as it can, over the
machine's own address, so what is measured is the way in: our forwarder (splice) against podman's rootlessport.
"""

from __future__ import annotations

import os
import socket
import statistics
import time
from collections.abc import Callable
from typing import Any

from bench.peers import Peer
from bench.rootless import peers

TARGET = 1.0  # issue 'Rootless': at least podman's throughput
BYTES = 1 << 30
PORTS = {"kubeplay": 41080, "podman": 41090}
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: stream}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: docker.io/library/busybox:1
    command: [sh, -c, "nc -ll -p 81 -e dd if=/dev/zero bs=1M count=1024 & exec nc -ll -p 82 -e dd of=/dev/null bs=1M"]
    ports: [{{containerPort: 81, hostPort: {down}}}, {{containerPort: 82, hostPort: {up}}}]
"""


def measure(work: str, rounds: int, chosen: Callable[[str], bool]) -> list[dict[str, object]]:
    """Both directions, printed as they are done."""
    wanted = [(title, run) for title, run in (("published port, 1 GiB out", _out), ("published port, 1 GiB in", _in)) if chosen(title)]
    if not wanted:
        return []
    with peers(work) as (ours, theirs, _):
        for peer in (ours, theirs):
            _play(work, peer)
        return [_case(title, run, rounds) for title, run in wanted]


def _play(work: str, peer: Peer) -> None:
    path = f"{work}/rootless/stream-{peer.name}.yaml"
    with open(path, "w", encoding="ascii") as file:
        file.write(POD.format(down=PORTS[peer.name], up=PORTS[peer.name] + 1))
    os.chmod(path, 0o644)
    peer.run("kube", "play", path)
    _out(PORTS[peer.name])  # the first connection does not count


def _case(title: str, run: Callable[[int], float], rounds: int) -> dict[str, object]:
    samples: dict[str, list[float]] = {name: [] for name in PORTS}
    for number in range(rounds):
        for name in sorted(PORTS, reverse=bool(number % 2)):
            samples[name].append(run(PORTS[name]) * 1000)
    ours, theirs = (statistics.median(samples[name]) for name in ("kubeplay", "podman"))
    row: dict[str, Any] = {"case": title, "kubeplay": ours, "podman": theirs, "unit": "ms", "samples": samples}
    row.update(ratio=ours / theirs, target=TARGET)
    speed = {name: BYTES * 8 / 1e6 / min(values) for name, values in samples.items()}
    print(
        f"{title:32} kubeplay {ours:7.1f} ms  podman {theirs:7.1f} ms  ratio {ours / theirs:5.2f} (to reach {TARGET})"
        f"  best {speed['kubeplay']:.1f}/{speed['podman']:.1f} Gbit/s",
        flush=True,
    )
    return row


def _connected(port: int) -> socket.socket:
    until = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection((socket.gethostbyname(socket.gethostname()), port), timeout=60)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _out(port: int) -> float:
    """Seconds to read what the pod sends."""
    buffer = bytearray(1 << 20)
    with _connected(port) as sock:
        start, left = time.perf_counter(), BYTES
        while got := sock.recv_into(buffer):
            left -= got
        assert left == 0, f"{left} bytes are missing"
        return time.perf_counter() - start


def _in(port: int) -> float:
    """Seconds until the pod has read everything: it ends then."""
    data = bytes(1 << 20)
    with _connected(port + 1) as sock:
        start = time.perf_counter()
        for _ in range(BYTES // len(data)):
            sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1):
            pass
        return time.perf_counter() - start
