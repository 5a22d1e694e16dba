"""exec in running containers: exit codes, identity, stdio, terminals, signals."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kubeplay.engine.store.runtime import ContainerRow
from kubeplay.errors import NotRunning
from kubeplay.plan.security import Security
from tests.support.engines import Bench, bench_fixture, shell, wait_for  # noqa: F401

pytestmark = pytest.mark.root
ROOT = Path(__file__).resolve().parents[2]

_PROGRAM = """
import json, sys
sys.path.insert(0, {root!r})
from kubeplay.config import Settings
from kubeplay.engine.engine import Engine
from kubeplay.engine import exec as execs
engine = Engine(Settings(*{settings!r}))
row = engine.store.runtime.container({id!r})
sys.exit(execs.run(engine, row, {argv!r}, **{more!r}))
"""


def command(bench: Bench, row: ContainerRow, argv: list[str], **more: object) -> list[str]:
    """A process that runs one exec, as the CLI does."""
    return [sys.executable, "-c", _PROGRAM.format(root=str(ROOT), settings=tuple(bench.settings), id=row.id, argv=argv, more=more)]


def run(bench: Bench, row: ContainerRow, *argv: str, stdin: str | None = None, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(bench, row, list(argv), **more), input=stdin, capture_output=True, text=True, timeout=300,
        **({} if stdin is not None else {"stdin": subprocess.DEVNULL}),
    )  # type: ignore[call-overload,no-any-return]  # fmt: skip


def test_exit_codes_are_the_commands_own_or_126_127(bench: Bench) -> None:
    row = bench.run(shell("sleep 100"))[0]
    assert run(bench, row, "true").returncode == 0
    assert run(bench, row, "sh", "-c", "exit 7").returncode == 7
    assert run(bench, row, "sh", "-c", "kill -9 $$").returncode == 137
    assert run(bench, row, "no-such-program").returncode == 127
    assert run(bench, row, "/etc/passwd").returncode == 126


def test_stdio_stays_apart_and_stdin_needs_asking(bench: Bench) -> None:
    row = bench.run(shell("sleep 100"))[0]
    done = run(bench, row, "sh", "-c", "cat; echo err >&2", stdin="in")
    assert (done.stdout, done.stderr) == ("", "err\n")
    program = command(bench, row, ["cat"], stdin=True)
    assert subprocess.run(program, input="through", capture_output=True, text=True, timeout=300).stdout == "through"


def test_user_environment_and_directory(bench: Bench) -> None:
    row = bench.run(shell("sleep 100", security=Security(cap_drop=("ALL",))))[0]
    done = run(
        bench,
        row,
        "sh",
        "-c",
        "id -un; id -gn; pwd; echo $A $HOME; grep CapBnd /proc/self/status",
        user="app",
        workdir="/tmp",
        env=[("A", "b")],
    )
    assert done.stdout.splitlines() == ["app", "app", "/tmp", "b /home/app", "CapBnd:\t0000000000000000"]
    assert run(bench, row, "id", "-u", user="77:88").stdout == "77\n"
    assert "unable to find user nobody-here" in run(bench, row, "id", user="nobody-here").stderr


def test_no_descriptor_of_ours_gets_in(bench: Bench, tmp_path: Path) -> None:
    row = bench.run(shell("sleep 100"))[0]
    with open(tmp_path / "x", "w") as file:
        os.set_inheritable(file.fileno(), True)
        done = subprocess.run(
            command(bench, row, ["ls", "/proc/self/fd"]),
            capture_output=True,
            text=True,
            pass_fds=(file.fileno(),),
            stdin=subprocess.DEVNULL,
        )
    assert done.stdout.split() == ["0", "1", "2", "3"]  # 3 is ls's own


def test_tty_without_a_terminal_gets_one(bench: Bench) -> None:
    row = bench.run(shell("sleep 100"))[0]
    done = run(bench, row, "sh", "-c", "tty; echo $TERM", tty=True)
    assert done.stdout.splitlines()[0].startswith("/dev/pts/") and done.stdout.splitlines()[1] == "xterm" and done.returncode == 0


def test_the_end_of_input_ends_a_command_with_a_tty(bench: Bench) -> None:
    """Told before the runtime has made the terminal raw, it would arrive as a NUL: cat would wait for ever."""
    row = bench.run(shell("sleep 100"))[0]
    for _ in range(3):
        done = subprocess.run(
            command(bench, row, ["cat"], tty=True, stdin=True), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
        )
        assert (done.stdout, done.returncode) == ("", 0)


def test_tty_on_a_terminal_is_interactive(bench: Bench) -> None:
    row = bench.run(shell("sleep 100"))[0]
    ours, theirs = pty.openpty()
    argv = command(bench, row, ["sh", "-c", "echo ready; read x; echo got:$x"], tty=True, stdin=True)
    child = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    for wanted in (b"ready", b"got:hello"):  # what is typed before the terminal is raw is thrown away (tcsetattr, TCSAFLUSH)
        while wanted not in said:
            said += os.read(ours, 1000)  # OSError when the command has ended
        os.write(ours, b"hello\n")
    assert child.wait(300) == 0
    os.close(ours)


def test_signals_are_passed_on(bench: Bench) -> None:
    row = bench.run(shell("sleep 100"))[0]
    script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    child = subprocess.Popen(command(bench, row, ["sh", "-c", script]), stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGTERM)
    assert child.wait(300) == 9
    child.stdout.close()


def test_detach_returns_and_leaves_nothing_in_the_bundle(bench: Bench) -> None:
    row = bench.run(shell("sleep 100"))[0]
    assert run(bench, row, "sh", "-c", "sleep 1; echo done >/tmp/done", detach=True).returncode == 0
    wait_for(lambda: "done" in bench.exec(row, "ls", "/tmp"), "the detached command")
    assert not [n for n in os.listdir(bench.engine.paths.bundle(row.id)) if n.startswith("exec-")]


def test_a_container_that_ended_says_so(bench: Bench) -> None:
    from kubeplay.engine import exec as execs

    row = bench.ended(bench.run(shell("true"))[0])
    with pytest.raises(NotRunning):
        execs.run(bench.engine, row, ["true"])
