"""The script that conmon calls: quick, quiet, and it finds out who has to know."""

from __future__ import annotations

import fcntl
import os
import subprocess
import threading
from pathlib import Path

import pytest

from kubeplay.config import Settings
from kubeplay.engine.host import on_exit
from kubeplay.engine.host.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(Settings(root=str(tmp_path / "root"), runroot=str(tmp_path / "it's here")))
    os.makedirs(f"{made.runroot}/locks")
    os.mkfifo(made.wake)
    Path(made.lock("uid")).touch()
    Path(f"{made.runroot}/{on_exit.COMMAND}").write_text("echo started $1 > started\n")
    on_exit.install(made)
    return made


def call(paths: Paths, uid: str = "uid") -> None:
    done = subprocess.run(["/bin/sh", paths.on_exit, uid, "cid"], capture_output=True, timeout=300, env={"PATH": "/usr/bin:/bin"})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def dirty(paths: Paths) -> bool:
    return os.path.exists(paths.lock("uid") + ".dirty")


def test_nobody_there_starts_the_supervisor(paths: Paths) -> None:
    call(paths)
    assert Path(f"{paths.runroot}/started").read_text() == "started uid\n" and dirty(paths)


def test_nothing_to_watch_starts_nothing(paths: Paths) -> None:
    os.unlink(f"{paths.runroot}/{on_exit.COMMAND}")
    call(paths)
    assert dirty(paths)


def test_the_holder_of_the_pod_needs_only_the_note(paths: Paths) -> None:
    with open(paths.lock("uid"), "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        call(paths)
    assert dirty(paths) and not os.path.exists(f"{paths.runroot}/started")


def test_a_running_supervisor_is_woken_with_the_uid(paths: Paths) -> None:
    fifo = os.open(paths.wake, os.O_RDONLY | os.O_NONBLOCK)
    with open(paths.lock(on_exit.SUPERVISOR), "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        call(paths)
        call(paths)
    assert os.read(fifo, 100) == b"uid\nuid\n" and not os.path.exists(f"{paths.runroot}/started")
    os.close(fifo)


def test_a_supervisor_that_does_not_read_blocks_nobody(paths: Paths) -> None:
    with open(paths.lock(on_exit.SUPERVISOR), "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        threads = [threading.Thread(target=call, args=(paths,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert dirty(paths)


@pytest.mark.parametrize("uid", ["../x", "a/b", ".", "", "gone"])
def test_strange_and_gone_pods_leave_no_note(paths: Paths, uid: str) -> None:
    call(paths, uid)
    assert not [n for n in os.listdir(f"{paths.runroot}/locks") if n.endswith(".dirty")]


def test_a_runroot_that_is_gone_is_no_error(paths: Paths, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_text(Path(paths.on_exit).read_text())
    os.rename(paths.runroot, tmp_path / "away")
    done = subprocess.run(["/bin/sh", str(copy), "uid", "cid"], capture_output=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, b"")


def test_command_of_ours_when_no_file_says_how(paths: Paths) -> None:
    os.unlink(f"{paths.runroot}/{on_exit.COMMAND}")
    on_exit.install(paths, ["touch", f"{paths.runroot}/by argument"])
    call(paths)
    assert os.path.exists(f"{paths.runroot}/by argument")
