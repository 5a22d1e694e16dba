"""What is done to the pods: one thing at a time, drawn by a seeded generator, so that a run can be told to do the same again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos import stack
from tests.support.kubeplay import Machine, processes

MOST_KILLS = 3  # of one container: the back-off after the third is 20 s (RB1), which the end of a run waits for


class Monkey:
    """Kills and commands. `names` are the pods; `version` the ConfigMap's last one that was asked for."""

    def __init__(self, machine: Machine, names: list[str], notes: Path, seed: int) -> None:
        self.machine, self.names, self.notes = machine, names, notes
        self.draw = random.Random(seed)
        self.version = 0
        self.kills: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        self.running: list[subprocess.Popen[str]] = []

    def text(self, version: int | None = None) -> str:
        return stack.manifest(self.names, self.notes, self.machine.tag, self.version if version is None else version)

    def run(self, seconds: float) -> None:
        """Until the time is over; every command that still runs is then waited for."""
        deeds: list[tuple[Callable[[], None], int]] = [
            (self.kill_container, 4), (self.kill_monitor, 3), (self.kill_supervisor, 4), (self.kill_shell, 1), (self.change, 3),
            (self.command_cut_short, 4), (self.stop_and_start, 2),
        ]  # fmt: skip
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            deed = self.draw.choices([deed for deed, _ in deeds], [weight for _, weight in deeds])[0]
            deed()
            self.counts[deed.__name__] = self.counts.get(deed.__name__, 0) + 1
            time.sleep(self.draw.uniform(0.05, 0.6))
        for process in self.running:
            process.communicate(timeout=100)

    # what is killed
    def _containers(self) -> list[tuple[str, int]]:
        """Pods' first processes that have noted their start, by the mark in their command line."""
        found = []
        for pid, words in processes():
            mark = next((word for word in words.replace(";", " ").split() if word.startswith(f"chaos-{self.machine.tag}-")), "")
            if mark and " sh -c echo" in f" {words}" and self.kills.get(mark, 0) < MOST_KILLS and self._noted(pid, mark):
                found.append((mark, pid))
        return sorted(found)

    def _noted(self, pid: int, mark: str) -> bool:
        """Its start is noted once it sleeps: it has a child then."""
        try:
            return bool(Path(f"/proc/{pid}/task/{pid}/children").read_text().strip())
        except OSError:
            return False

    def _victim(self) -> int:
        found = self._containers()
        if not found:
            return 0
        mark, pid = self.draw.choice(found)
        self.kills[mark] = self.kills.get(mark, 0) + 1
        return pid

    def kill_container(self) -> None:
        _kill(self._victim())

    def kill_monitor(self) -> None:
        pid = self._victim()
        try:
            parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]) if pid else 0
            if parent and Path(f"/proc/{parent}/comm").read_text().strip() == "conmon":
                _kill(parent)
        except OSError:
            pass

    def kill_supervisor(self) -> None:
        for pid in self._ours("kubeplay.supervisor"):
            _kill(pid)

    def kill_shell(self) -> None:
        for pid in self._ours("supervisor-loop"):
            _kill(pid)

    def _ours(self, word: str) -> list[int]:
        return [pid for pid, words in processes() if word in words and str(self.machine.directory) in words]

    # what a person does
    def change(self) -> None:
        self.version += 1
        self.machine.play(self.text(), "--update", status=None, timeout=100)

    def command_cut_short(self) -> None:
        """A command that is killed somewhere on its way."""
        name = self.draw.choice(self.names)
        file = self.machine.written(self.text())
        argv = self.draw.choice([
            ["play", "kube", "-q", "--update", file], ["pod", "restart", name], ["stop", name], ["start", name], ["pod", "ps"],
            ["rm", "-f", name], ["play", "kube", "-q", "--replace", file],
        ])  # fmt: skip
        process = self.machine.start(*argv)
        time.sleep(self.draw.uniform(0, 1))
        _kill(process.pid)
        process.communicate(timeout=100)

    def stop_and_start(self) -> None:
        name = self.draw.choice(self.names)
        self.machine("stop", name, status=None, timeout=100)
        self.machine("start", name, status=None, timeout=100)


def _kill(pid: int) -> None:
    if pid > 0:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
