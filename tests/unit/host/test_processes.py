"""Starting, knowing and ending processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kubeplay.engine.host import processes
from kubeplay.engine.host.processes import Process
from kubeplay.errors import CommandFailed, MissingPrerequisite, Timeout


def test_output_input_and_status() -> None:
    result = processes.run(["/bin/sh", "-c", "cat; echo err >&2; exit 3"], stdin=b"x" * 300_000, check=False)
    assert (result.status, len(result.stdout), result.stderr) == (3, 300_000, b"err\n")


def test_failure_carries_what_was_said() -> None:
    with pytest.raises(CommandFailed, match="exit status 2: why") as caught:
        processes.run(["/bin/sh", "-c", "echo why >&2; exit 2"])
    assert caught.value.status == 2


def test_a_program_that_hangs_is_killed() -> None:
    with pytest.raises(Timeout):
        processes.run(["/bin/sh", "-c", "exec sleep 100"], seconds=0.2)


def test_output_is_bounded() -> None:
    result = processes.run(["/bin/sh", "-c", "head -c 3000000 /dev/zero"])
    assert len(result.stdout) == processes.OUTPUT_LIMIT


def test_nothing_of_the_caller_is_inherited(tmp_path: Path) -> None:
    """Variables, descriptors, directory, session, signal mask and ignored signals."""
    program = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from kubeplay.engine.host import processes
fd = os.open("/", os.O_RDONLY); os.set_inheritable(fd, True)
signal.signal(signal.SIGHUP, signal.SIG_IGN); signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
script = "pwd; env; ls /proc/$$/fd; grep -E 'Sig(Blk|Ign)' /proc/self/status; cut -d' ' -f1,6 /proc/$$/stat"
r = processes.run(["/bin/sh", "-c", script])
os.write(1, r.stdout); assert os.getcwd() == {str(tmp_path)!r}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env={"SECRET": "x"}, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "/" and "SECRET" not in done.stdout
    assert [line for line in lines if line.isdigit()] == ["0", "1", "2"]
    internal = 3 << 31  # signals 32 and 33 are libc's own: it lets nobody reset them
    signals = [line for line in lines if line.startswith("Sig")]
    assert len(signals) == 2 and all(int(line.split()[1], 16) & ~internal == 0 for line in signals), signals
    assert lines[-1].split()[0] == lines[-1].split()[1]


def test_descriptors_go_where_they_should_even_crosswise(tmp_path: Path) -> None:
    files = [open(tmp_path / name, "w+") for name in "ab"]  # noqa: SIM115
    low = [f.fileno() for f in files]
    script = f"echo a >/proc/self/fd/{low[1]}; echo b >/proc/self/fd/{low[0]}"
    pid = processes.spawn(["/bin/sh", "-c", script], fds={low[0]: low[1], low[1]: low[0]})
    assert processes.wait(pid) == 0
    assert [(tmp_path / n).read_text() for n in "ab"] == ["a\n", "b\n"]
    for file in files:
        file.close()


def test_threads_start_children_side_by_side() -> None:
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(processes.run(["/bin/true"]).status)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [0] * 8


def test_a_process_is_more_than_its_number() -> None:
    child = subprocess.Popen(["sleep", "100"])
    found = processes.identify(child.pid)
    assert found is not None and processes.alive(found)
    impostor = Process(found.pid, found.start + 1)
    assert not processes.alive(impostor) and not processes.send(impostor, signal.SIGKILL) and processes.await_end(impostor, 0)
    assert not processes.await_end(found, 0.01)
    assert processes.send(found, signal.SIGKILL)
    assert processes.await_end(found, 5)
    assert processes.identify(child.pid) is None  # a zombie counts as ended
    child.wait()


def test_names_with_blanks_and_parentheses(tmp_path: Path) -> None:
    path = tmp_path / "a) S (b"
    path.symlink_to("/bin/sleep")
    child = subprocess.Popen([str(path), "100"])
    assert processes.stat(child.pid)[1] == os.getpid()
    child.kill()
    child.wait()


def test_missing_program_names_the_package() -> None:
    processes._programs.pop("conmon", None)
    with pytest.raises(MissingPrerequisite, match="nonsense-program is not installed") as caught:
        processes.program("nonsense-program")
    assert "apt-get install nonsense-program" in caught.value.hint
    with pytest.raises(MissingPrerequisite):
        processes.spawn(["/no/such/program"])
