"""Following and rotating the log of a container that writes."""

from __future__ import annotations

import os
import threading
import time

import pytest

from kubeplay.engine import logs
from kubeplay.plan.pod import LogPlan
from tests.support.engines import Bench, bench_fixture, shell, wait_for  # noqa: F401

pytestmark = pytest.mark.root


def test_follow_ends_with_the_container_and_misses_nothing(bench: Bench) -> None:
    row = bench.run(shell("for i in 1 2 3 4 5; do echo $i; sleep 0.1; done; printf end"))[0]
    found: list[bytes] = []
    logs.read(bench.engine, [row], follow=True, sink=lambda e, name, begins: found.append(e.text))
    assert found == [b"1", b"2", b"3", b"4", b"5", b"end"]


def test_cs12_rotation_loses_no_line_and_keeps_so_many_files(bench: Bench) -> None:
    row = bench.run(shell("i=0; while [ $i -lt 4000 ]; do echo $i; i=$((i+1)); [ $((i % 20)) = 0 ] && sleep 0.01; done; sleep 0.3"))[0]
    found: list[int] = []
    reader = threading.Thread(
        target=lambda: logs.read(bench.engine, [row], follow=True, sink=lambda e, name, begins: found.append(int(e.text)))
    )
    reader.start()
    turned = 0
    while len(found) < 3000:
        turned += logs.rotate(bench.engine, row, LogPlan(max_size=2000, max_files=1000))
        time.sleep(0.05)
    reader.join(30)
    stored = [int(t) for t in bench.log(row).split()]
    assert turned > 5 and stored == list(range(4000)), [n for n, v in enumerate(stored) if n != v][:3]
    assert found == stored, [n for n, v in enumerate(found) if n != v][:3]


def test_cs12_old_files_go(bench: Bench) -> None:
    row = bench.run(shell("while :; do echo x; sleep 0.01; done"))[0]
    for _ in range(4):
        wait_for(lambda: os.path.getsize(row.log_path) > 100, "output")
        assert logs.rotate(bench.engine, row, LogPlan(max_size=50, max_files=3))
    assert len(logs.files(row.log_path)) == 3
    assert not logs.rotate(bench.engine, row, LogPlan(max_size=10_000_000))


def test_log_driver_none_writes_nothing(bench: Bench) -> None:
    row = bench.ended(bench.run(shell("echo x"), log=LogPlan(driver="none"))[0])
    assert row.log_path == "" and bench.log(row) == ""
