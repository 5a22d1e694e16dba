"""The main process of a service: what it tells systemd, what it sleeps on, and with what status it ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kubeplay.play import ended, serving


@pytest.mark.parametrize(
    ("codes", "none", "any_", "all_"),
    [
        ((), 0, 0, 0),
        ((0, 0), 0, 0, 0),
        ((0, 3), 0, 3, 0),
        ((7, 3), 0, 7, 7),
        ((143,), 0, 143, 143),
        ((-1,), 0, 1, 1),
    ],
)
def test_the_exit_status(codes: tuple[int, ...], none: int, any_: int, all_: int) -> None:
    assert [ended.status(codes, way) for way in (ended.NONE, ended.ANY, ended.ALL)] == [none, any_, all_]


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    name = f"kubeplay-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name}" if abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if abstract else name)
        serving.notify("READY=1\nMAINPID=7")
        assert systemd.recv(100) == b"READY=1\nMAINPID=7"


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/at/all"])
def test_nobody_to_tell_is_no_failure(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    serving.notify("READY=1")


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-IS", "-c", "import signal; signal.pause()"])


def test_it_sleeps_until_a_process_ends() -> None:
    first, second = sleeper(), sleeper()
    try:
        processes = [[one.pid, serving.started(one.pid)] for one in (first, second)]
        threading.Timer(0.1, second.kill).start()
        assert serving._wait(processes, 1000) is True
        assert first.poll() is None
    finally:
        for one in (first, second):
            one.kill()
            one.wait()


@pytest.mark.parametrize("start", [1, 0])
def test_a_process_that_is_another_s_by_now_is_not_waited_for(start: int) -> None:
    assert serving._wait([[os.getpid(), start]], 0.01) is False


def test_nothing_runs() -> None:
    assert serving._wait([], 0.01) is False


def test_when_a_process_began() -> None:
    assert serving.started(os.getpid()) > 0
    gone = subprocess.Popen([sys.executable, "-IS", "-c", ""])
    gone.wait()
    assert serving.started(gone.pid) == 0


def test_the_process_needs_next_to_nothing() -> None:
    """What it imports is what each service of a machine costs for as long as it runs."""
    code = "import kubeplay.play.serving; print(*sorted(one for one in sys.modules if one.startswith('kubeplay') or one == 'typing'))"
    root = str(Path(serving.__file__).resolve().parents[2])
    done = subprocess.run([sys.executable, "-IS", "-c", f"import sys; sys.path[:0] = [{root!r}]; {code}"], capture_output=True, text=True)
    assert done.stdout.split() == ["kubeplay", "kubeplay.play", "kubeplay.play.serving"], done.stderr
