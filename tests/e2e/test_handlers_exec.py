"""exec as probes and hooks do it (PR5, PR6): real containers, one of a name at a time, nothing left of what ran out of time."""

from __future__ import annotations

import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kubeplay.engine.store.runtime import ContainerRow
from kubeplay.reconcile.handlers import exec as execs
from tests.support.engines import Bench, bench_fixture, shell, wait_for  # noqa: F401

pytestmark = pytest.mark.root
ROOT = Path(__file__).resolve().parents[2]
SECONDS = 100.0


def ask(bench: Bench, row: ContainerRow, *command: str, seconds: float = SECONDS, name: str = "test") -> execs.Answer:
    return execs.run(bench.engine, row, command, seconds, f"{name}{abs(hash(command))}")


def processes(bench: Bench, row: ContainerRow, text: str) -> bool:
    return text in ask(bench, row, "ps").text.replace("exec-", "")


def test_pr6_exit_codes_and_output(bench: Bench) -> None:
    row = bench.run(shell("sleep 1000"))[0]
    assert ask(bench, row, "true") == execs.Answer(True)
    failed = ask(bench, row, "sh", "-c", "echo to-err >&2; echo to-out; exit 3")
    assert failed == execs.Answer(False, "to-out\nto-err\n")  # record 135: what goes to stdout comes first
    assert ask(bench, row, "sh", "-c", "head -c 20000 /dev/zero | tr '\\0' z; exit 1").text == "z" * 10240
    missing = ask(bench, row, "no-such-program")
    assert not missing.ok and missing.errored and "no-such-program" in missing.text and "not found" in missing.text


def test_pr6_what_runs_out_of_time_is_killed_with_its_children(bench: Bench) -> None:
    row = bench.run(shell("sleep 1000"))[0]
    late = ask(bench, row, "sh", "-c", "sleep 4321; true", seconds=1)
    assert late == execs.Answer(False, 'command timed out: "sh -c sleep 4321; true" timed out after 1s')
    wait_for(lambda: not processes(bench, row, "sleep 4321"), "the command and its child to be gone")
    background = ask(bench, row, "sh", "-c", "sleep 4321 & echo done", seconds=1)
    assert background.text.endswith("timed out after 1s")  # as with containerd, which waits for the output's end
    wait_for(lambda: not processes(bench, row, "sleep 4321"), "what it left to be gone")


def test_a_probe_that_outlived_its_supervisor_ends_before_the_next(bench: Bench) -> None:
    row = bench.run(shell("sleep 1000"))[0]
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from kubeplay.config import Settings\n"
        "from kubeplay.engine.engine import Engine\n"
        "from kubeplay.reconcile.handlers import exec as execs\n"
        f"engine = Engine(Settings(*{tuple(bench.settings)!r}))\n"
        f"steps = execs.asking(engine, engine.store.runtime.container({row.id!r}), ['sleep', '5432'], 100, 'liveness')\n"
        "next(steps); print('runs', flush=True)\n"
        "sys.stdin.read()\n"
    )
    first = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert first.stdout is not None and first.stdin is not None
    assert select.select((first.stdout,), (), (), SECONDS)[0] and first.stdout.readline() == b"runs\n"
    first.send_signal(signal.SIGKILL)
    first.wait()
    first.stdin.close()
    first.stdout.close()
    wait_for(lambda: processes(bench, row, "sleep 5432"), "the command to run on")
    assert execs.run(bench.engine, row, ("sleep", "5432"), 1, "liveness").text.startswith("command timed out")
    wait_for(lambda: not processes(bench, row, "sleep 5432"), "both commands to be gone")
