"""The two programs under comparison, each with state of its own on a tmpfs, both with runc."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from typing import NamedTuple

CONTAINERS_CONF = """\
[containers]
default_ulimits = []
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
[network]
network_backend = "netavark"
"""


class Run(NamedTuple):
    """One timed command: wall seconds, the peak resident set of the program itself (kB), CPU seconds of it and what it waited for."""

    seconds: float
    peak: int
    output: str
    cpu: float = 0.0


class Peer:
    """A container program called by argv; `argv` holds its global options."""

    def __init__(self, name: str, argv: Sequence[str], env: dict[str, str] | None = None) -> None:
        self.name = name
        self.argv = tuple(argv)
        # Where the environment forbids writing bytecode, every start would compile the program anew.
        self.env = {**os.environ, **(env or {})}

    def run(self, *args: str, check: bool = True) -> Run:
        """Run and time one command."""
        start = time.perf_counter()
        process = subprocess.Popen([*self.argv, *args], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        if check and process.returncode:
            raise RuntimeError(f"{' '.join([*self.argv, *args])}: exit status {process.returncode}\n{output}")
        return Run(seconds, usage.ru_maxrss, output, usage.ru_utime + usage.ru_stime)


def kubeplay(work: str) -> Peer:
    """kubeplay of this checkout."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    argv = [f"{here}/.venv/bin/kubeplay", "--root", f"{work}/kubeplay/root", "--runroot", f"{work}/kubeplay/run", "--runtime", "runc"]
    return Peer("kubeplay", argv)


def podman(work: str) -> Peer:
    """Debian's podman; default_ulimits must be empty where CAP_SYS_RESOURCE is missing."""
    os.makedirs(work, exist_ok=True)
    config = f"{work}/containers.conf"
    with open(config, "w", encoding="ascii") as file:
        file.write(CONTAINERS_CONF)
    argv = ["podman", "--root", f"{work}/podman/root", "--runroot", f"{work}/podman/run"]
    return Peer("podman", argv, {"CONTAINERS_CONF": config})


def memory(marker: str) -> int:
    """PSS in kB of every process whose command line contains `marker` (a state directory)."""
    total = 0
    for pid in os.listdir("/proc"):
        if not pid.isdigit() or int(pid) == os.getpid():
            continue
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if marker.encode() not in file.read():
                    continue
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return total
