"""Rules of a runner of one machine: its address and size, what survives, and the one clock."""

from __future__ import annotations

import ast
import socket
from pathlib import Path

import pytest

from kubeplay.engine.host.machine import machine
from kubeplay.engine.store.db import Store
from kubeplay.engine.store.runtime import RUN, ContainerRow, PodRow
from kubeplay.plan.stack import ObjectKey
from kubeplay.reconcile import observe

SOURCES = Path(observe.__file__).parents[1]
DECIDING = ("kube", "plan", "play", "generate", "reconcile", "supervisor")
# now() of the wall clock; an interval's monotonic clock is no time of day
WALL = {("time", "time"), ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}


def test_lr2_the_host_ip_is_an_address_of_this_machine() -> None:
    assert observe._route_address() in ("", "127.0.0.1") or _binds(observe._route_address())


def _binds(address: str) -> bool:
    with socket.socket() as probe:
        probe.bind((address, 0))
    return True


def test_lr2_the_nodes_memory_is_that_of_the_kernel() -> None:
    words = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:")).split()
    assert machine().memory == int(words[1]) * 1024


def test_lr5_what_is_wanted_survives_those_who_wanted_it(tmp_path: Path) -> None:
    key = ObjectKey("Pod", "default", "p")
    store = Store(str(tmp_path / "root/state.db"))
    uid = store.objects.create(key, '{"kind":"Pod"}').uid
    with store.write():
        store.runtime.add_pod(PodRow(uid, "default", "p", "{}", RUN, True, None, 0, False))
    store.runtime.add_container(ContainerRow("c" * 64, uid, "s" * 64, "main", "app", 3, "exited", "boot", 0, 0, "i", "sha256:1", 1.0))
    store.close()
    again = Store(str(tmp_path / "root/state.db"))
    found = again.objects.find(key)
    assert found is not None and found.uid == uid and again.runtime.pod(uid).desired == RUN
    assert [row.attempt for row in again.runtime.containers(uid)] == [3]
    again.close()


@pytest.mark.parametrize("room", DECIDING)
def test_lr6_nobody_who_decides_has_a_clock_of_their_own(room: str) -> None:
    for path in (SOURCES / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in WALL, f"{path}:{node.lineno}"
