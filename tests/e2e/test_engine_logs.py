"""Following and rotating the log of a container that writes."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from kubeplay.engine import logfiles, logs
from kubeplay.plan.pod import LogPlan
from tests.support.engines import Bench, bench_fixture, shell, wait_for  # noqa: F401

pytestmark = pytest.mark.root


def test_follow_ends_with_the_container_and_misses_nothing(bench: Bench) -> None:
    row = bench.run(shell("for i in 1 2 3 4 5; do echo $i; sleep 0.1; done; printf end"))[0]
    found: list[bytes] = []
    logs.read(bench.engine, [row], follow=True, sink=lambda e, name, begins: found.append(e.text))
    assert found == [b"1", b"2", b"3", b"4", b"5", b"end"]


def test_cs12_rotation_loses_no_line_and_keeps_so_many_files(bench: Bench) -> None:
    script = "i=0; while [ ! -e /enough ]; do echo $i; i=$((i+1)); [ $((i % 20)) = 0 ] && sleep 0.01; done"
    row = bench.run(shell(script))[0]
    found: list[int] = []
    reader = threading.Thread(
        target=lambda: logs.read(bench.engine, [row], follow=True, sink=lambda e, name, begins: found.append(int(e.text)))
    )
    reader.start()
    turned = 0
    while len(found) < 3000 or turned < 6:
        turned += logs.rotate(bench.engine, row, LogPlan(max_size=2000, max_files=1000))
        time.sleep(0.05)
    bench.exec(row, "touch", "/enough")
    reader.join()
    stored = [int(t) for t in bench.log(row).split()]
    assert stored == list(range(len(stored))), [n for n, v in enumerate(stored) if n != v][:3]
    assert found == stored, [n for n, v in enumerate(found) if n != v][:3]


def test_cs12_old_files_go(bench: Bench) -> None:
    row = bench.run(shell("while :; do echo x; sleep 0.01; done"))[0]
    for _ in range(4):
        wait_for(lambda: os.path.exists(row.log_path) and os.path.getsize(row.log_path) > 100, "output")
        assert logs.rotate(bench.engine, row, LogPlan(max_size=50, max_files=3))
    assert len(logs.files(row.log_path)) == 3
    assert not logs.rotate(bench.engine, row, LogPlan(max_size=10_000_000))


def test_log_driver_none_writes_nothing(bench: Bench) -> None:
    row = bench.ended(bench.run(shell("echo x"), log=LogPlan(driver="none"))[0])
    assert row.log_path == "" and bench.log(row) == ""


def _lines(count: int) -> str:
    return f"i=0; while [ $i -lt {count} ]; do echo $i; i=$((i+1)); done; exec sleep 1000"


def test_cs12_nothing_is_lost_that_a_kubelet_would_keep_while_nobody_looks(bench: Bench) -> None:
    """No process of ours: conmon goes on with the next file at half the size of all, and the two before keep their second names."""
    plan = LogPlan(max_size=10_000, max_files=5)
    row = bench.run(shell(_lines(1450)), log=plan)[0]  # 71 KB of log: more than a kubelet keeps, less than three halves
    wait_for(lambda: b" 1449\n" in Path(row.log_path).read_bytes(), "output")
    assert len(logs.files(row.log_path)) == 3, "conmon has gone on twice"
    assert [int(text) for text in bench.log(row).split()] == list(range(1450))
    assert logs.rotate(bench.engine, row, plan), "the next command finds it full and has it as it should be"
    assert [int(text) for text in bench.log(row).split()] == list(range(1450)) and len(logs.files(row.log_path)) == 4


def test_cs12_what_nobody_looks_at_stays_bounded(bench: Bench) -> None:
    row = bench.run(shell(_lines(20_000)), log=LogPlan(max_size=10_000, max_files=4))[0]
    wait_for(lambda: b" 19999\n" in Path(row.log_path).read_bytes(), "output")
    sizes = [os.path.getsize(file) for file in logs.files(row.log_path)]
    assert len(sizes) == 3 and max(sizes) <= 20_000
    numbers = [int(text) for text in bench.log(row).split()]
    assert numbers == sorted(numbers) and numbers[-1] == 19999


def test_a_log_without_rotation_is_one_file(bench: Bench) -> None:
    row = bench.run(shell(_lines(10)), log=LogPlan(max_size=0))[0]
    assert os.listdir(os.path.dirname(row.log_path)) == ["0.log"]


def test_only_a_log_that_grows_fast_is_watched(tmp_path: Path) -> None:
    path, now = str(tmp_path / "0.log"), time.time()
    logfiles.create(path)
    assert not logfiles.grows(path, now), "nothing has been rotated yet"
    (old,) = [file for file in tmp_path.iterdir() if file.samefile(path) and file.name != "0.log"]
    os.rename(f"{path}.tmp", path)  # as conmon does
    logfiles.prepare(path)
    assert logs.files(path) == [str(old), path]
    assert logfiles.grows(path, now + 3000) and not logfiles.grows(path, now + 4000), "for an hour after it was full"
    os.utime(old, (now + 8000, now + 8000))
    assert not logfiles.grows(path, now + 8001), "it took two hours to fill"
