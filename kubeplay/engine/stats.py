"""What a running container takes of the machine just now: from its cgroup, or from /proc where it has none.

Memory is the working set, as a kubelet counts it: what is used without the file cache that the kernel would give back first.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kubeplay.engine import container
from kubeplay.engine.host.machine import machine
from kubeplay.engine.store.runtime import ContainerRow
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.container import Facts
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.oci.cgroup import Cgroups

_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Sample(Record):
    """Totals since the container's start but for `memory` and `pids`; `cpu` in nanoseconds, the rest in bytes, `at` epoch seconds."""

    at: float
    cpu: int = 0
    memory: int = 0
    limit: int = 0
    net_in: int = 0
    net_out: int = 0
    block_in: int = 0
    block_out: int = 0
    pids: int = 0


def sample(engine: Engine, row: ContainerRow, at: float) -> Sample | None:
    """None when the container has ended meanwhile."""
    facts = container.read_facts(engine, row.id)
    if facts is None or not os.path.isdir(f"/proc/{row.pid}"):
        return None
    net_in, net_out = _network(row.pid)
    grouped = bool(facts.cgroup) and bool(engine.cgroups.hierarchies)
    found = _of_group(engine.cgroups, facts.cgroup, at) if grouped else _of_processes(engine, row, facts, at)
    return found._replace(net_in=net_in, net_out=net_out)


def _of_group(cgroups: Cgroups, path: str, at: float) -> Sample:
    if cgroups.control_file(path, "cpu.stat") and cgroups.unified:
        memory, limit = _v2_memory(cgroups, path)
        cpu = _keyed(_read(cgroups.control_file(path, "cpu.stat"))).get("usage_usec", 0) * 1000
        block = _v2_block(_read(cgroups.control_file(path, "io.stat")))
    else:
        memory, limit = _v1_memory(cgroups, path)
        cpu = _number(_read(cgroups.control_file(path, "cpuacct.usage", "cpuacct")))
        block = _v1_block(_read(cgroups.control_file(path, "blkio.throttle.io_service_bytes_recursive", "blkio")))
    return Sample(at, cpu, memory, limit, block_in=block[0], block_out=block[1], pids=_tasks(cgroups, path))


def _tasks(cgroups: Cgroups, path: str) -> int:
    """Threads count, as in the kernel's own number."""
    text = _read(cgroups.control_file(path, "pids.current", "" if cgroups.unified else "pids"))
    if text:
        return _number(text)
    return sum(_threads(pid) for pid in set(cgroups.pids(path)))


def _v1_memory(cgroups: Cgroups, path: str) -> tuple[int, int]:
    """The limit is the tightest of the group's and those above it, which the kernel works out."""
    used = _number(_read(cgroups.control_file(path, "memory.usage_in_bytes", "memory")))
    stat = _keyed(_read(cgroups.control_file(path, "memory.stat", "memory")))
    return max(0, used - stat.get("total_inactive_file", 0)), _bounded(stat.get("hierarchical_memory_limit", 0))


def _v2_memory(cgroups: Cgroups, path: str) -> tuple[int, int]:
    used = _number(_read(cgroups.control_file(path, "memory.current")))
    stat = _keyed(_read(cgroups.control_file(path, "memory.stat")))
    limits = [_number(_read(cgroups.control_file(group, "memory.max"))) for group in (path, os.path.dirname(path))]
    return max(0, used - stat.get("inactive_file", 0)), _bounded(min(filter(None, limits), default=0))


def _bounded(limit: int) -> int:
    whole = machine().memory
    return min(limit, whole) if limit else whole


def _v1_block(text: str) -> tuple[int, int]:
    """Lines `MAJOR:MINOR Read N` (Documentation/admin-guide/cgroup-v1/blkio-controller.rst)."""
    found = {"Read": 0, "Write": 0}
    for words in (line.split() for line in text.splitlines()):
        if len(words) == 3 and words[1] in found:
            found[words[1]] += int(words[2])
    return found["Read"], found["Write"]


def _v2_block(text: str) -> tuple[int, int]:
    """Lines `MAJOR:MINOR rbytes=N wbytes=N ...` (cgroup-v2.rst)."""
    found = {"rbytes": 0, "wbytes": 0}
    for word in text.split():
        key, _, value = word.partition("=")
        if key in found:
            found[key] += int(value)
    return found["rbytes"], found["wbytes"]


def _of_processes(engine: Engine, row: ContainerRow, facts: Facts, at: float) -> Sample:
    """A container without a group: the sum over its processes; what those that have ended took is not known."""
    from kubeplay.engine.oci import members

    cpu = memory = block_in = block_out = pids = 0
    for process in members.everyone(engine.paths.bundle(row.id), shared=facts.shared_pids):
        text = _read(f"/proc/{process.pid}/stat")
        fields = text[text.rindex(")") + 2 :].split() if ")" in text else []
        if not fields:
            continue
        cpu += (int(fields[11]) + int(fields[12])) * _TICK
        memory += int(fields[21]) * _PAGE
        pids += int(fields[17])
        io = _keyed(_read(f"/proc/{process.pid}/io").replace(":", ""))
        block_in, block_out = block_in + io.get("read_bytes", 0), block_out + io.get("write_bytes", 0)
    return Sample(at, cpu, memory, machine().memory, block_in=block_in, block_out=block_out, pids=pids)


def _threads(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return 0


def _network(pid: int) -> tuple[int, int]:
    """Bytes in and out of the container's network namespace, without its loopback; 0 where it is the host's (proc_pid_net(5))."""
    try:
        if os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            return 0, 0
    except OSError:
        return 0, 0
    received = sent = 0
    for line in _read(f"/proc/{pid}/net/dev").splitlines()[2:]:
        name, _, rest = line.partition(":")
        numbers = rest.split()
        if name.strip() != "lo" and len(numbers) > 8:
            received, sent = received + int(numbers[0]), sent + int(numbers[8])
    return received, sent


def _keyed(text: str) -> dict[str, int]:
    found = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if value.strip().isdigit():
            found[key] = int(value)
    return found


def _number(text: str) -> int:
    return int(text) if text.strip().isdigit() else 0


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
