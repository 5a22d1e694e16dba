"""Standing still by signals: real processes, no container."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.engine.host import processes
from kubeplay.engine.host.processes import Process
from kubeplay.engine.oci.stopped import is_stopped, stopped


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[tuple[Process, Path]]:
    """A process that writes all the time."""
    file = tmp_path / "count"
    child = subprocess.Popen(["sh", "-c", f"while :; do echo x >> {file}; sleep 0.001; done"])
    while not file.exists():
        time.sleep(0.001)
    found = processes.identify(child.pid)
    assert found is not None
    yield found, file
    child.kill()
    child.wait()


def goes_on(file: Path) -> bool:
    before, deadline = file.stat().st_size, time.monotonic() + 100
    while file.stat().st_size == before and time.monotonic() < deadline:
        time.sleep(0.005)
    return file.stat().st_size > before


def test_it_stands_still_and_goes_on(writer: tuple[Process, Path]) -> None:
    process, file = writer
    with stopped(lambda: [process]):
        assert is_stopped(process)
        size = file.stat().st_size
        time.sleep(0.05)
        assert file.stat().st_size == size
    assert goes_on(file)


def test_it_goes_on_when_who_stopped_it_is_killed(writer: tuple[Process, Path]) -> None:
    process, file = writer
    child = os.fork()
    if child == 0:
        with stopped(lambda: [process]):
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert goes_on(file)


def test_what_stood_still_before_is_left_so(writer: tuple[Process, Path]) -> None:
    process, _ = writer
    os.kill(process.pid, signal.SIGSTOP)
    while not is_stopped(process):
        time.sleep(0.001)
    with stopped(lambda: [process]):
        pass
    assert is_stopped(process)


def test_an_ended_process_is_no_reason_to_wait() -> None:
    with stopped(lambda: [Process(2**22 + 1, 1)]):
        pass
