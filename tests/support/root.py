"""A kubeplay root of its own for tests with real containers: play, look, take down, and prove that nothing is left.

`root` is a fixture a conftest imports; images are loaded once a worker. `command` runs a play in a process of its own, which tests kill.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeplay import supervisor
from kubeplay.config import Settings
from kubeplay.engine.engine import Engine
from kubeplay.engine.host import runroot
from kubeplay.engine.store.runtime import ContainerRow
from kubeplay.kube import check
from kubeplay.kube.admission import Known
from kubeplay.kube.identity import identify
from kubeplay.plan.stack import ObjectKey, Stack
from kubeplay.play import stack as stacks
from kubeplay.play.compile.options import CompileOptions
from kubeplay.play.down import DownResult, down
from kubeplay.play.progress import ProgressEvent
from kubeplay.play.up import UpOptions, UpResult, up
from tests.support import seen

REPOSITORY = Path(__file__).resolve().parents[2]
TABLES = ("pods", "sandboxes", "containers", "backoffs", "objects", "leases", "volumes")
KEPT_POOLS = ("servicerange",)  # the root's own, for as long as it lives


class Root:
    """One root; `engine` is this process's door to it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.settings = Settings(root=str(directory / "root"), runroot=str(directory / "run"))
        self.engine = Engine(self.settings)
        self.events: list[ProgressEvent] = []

    # doing
    def stack(self, text: str, **options: Any) -> Stack:
        # Service addresses are judged by this root's range: another root of the machine may have the usual one
        known = Known(service_range=str(self.engine.net.expected_service_range()))
        return stacks.build(check.read(text.encode(), "test.yaml", known=known), CompileOptions(**options))

    def play(self, text: str, start: bool = True, **options: Any) -> UpResult:
        """Play a manifest in this process, as the command does: supervisor installed before, ensured after."""
        self.events.clear()
        supervisor.install(self.engine)
        try:
            return up(self.engine, self.stack(text, start=start), UpOptions(**options), self.events.append)
        finally:
            supervisor.ensure(self.engine)

    def down(self, text: str, **options: Any) -> DownResult:
        result = down(self.engine, stacks.keys(identify([("test.yaml", text.encode())]).found), **options)
        supervisor.ensure(self.engine)
        return result

    def command(self, what: str, text: str, *words: str, wait: bool = True, **env: str) -> subprocess.Popen[str]:
        """`play` or `down` in a process of its own (tests/support/run_play.py)."""
        file = self.directory / f"{time.monotonic_ns()}.yaml"
        file.write_text(text)
        argv = [sys.executable, "-m", "tests.support.run_play", str(self.directory), what, str(file), *words]
        process = subprocess.Popen(
            argv, cwd=REPOSITORY, env={**os.environ, **env}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        if wait:
            process.stdout_text, process.stderr_text = process.communicate(timeout=300)  # type: ignore[attr-defined]
        return process

    # looking
    def status(self, name: str, namespace: str = "default") -> dict[str, Any]:
        found = self.engine.store.objects.find(ObjectKey("Pod", namespace, name))
        return json.loads(found.status) if found and found.status else {}

    def container(self, pod: str, name: str = "main") -> dict[str, Any]:
        status = self.status(pod)
        both = status.get("initContainerStatuses", []) + status.get("containerStatuses", [])
        return next(c for c in both if c["name"] == name)

    def uid(self, name: str, namespace: str = "default") -> str:
        row = self.engine.store.runtime.find_pod(namespace, name)
        assert row is not None, f"no pod {name}"
        return row.uid

    def rows(self, pod: str) -> list[ContainerRow]:
        return self.engine.store.runtime.containers(self.uid(pod))

    def log(self, pod: str, container: str = "main", attempt: int = 0) -> str:
        """A container's output, CRI prefixes removed."""
        path = Path(self.engine.paths.pod_logs("default", pod, self.uid(pod))) / container / f"{attempt}.log"
        found = b""
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
            parts = line.split(b" ", 3)
            found += parts[3] if parts[2] == b"F" else parts[3].removesuffix(b"\n")
        return found.decode(errors="replace")

    def wait(self, what: Callable[[], Any], seconds: float = 100) -> Any:
        """Until `what()` is true; its value."""
        deadline = time.monotonic() + seconds
        while True:
            found = what()
            if found or time.monotonic() > deadline:
                assert found, "it did not come about in time"
                return found
            time.sleep(0.02)

    def supervisors(self) -> list[int]:
        return _processes(lambda words: "kubeplay.supervisor" in words and f"runroot={self.settings.runroot}" in words)

    def parents(self) -> list[int]:
        return _processes(lambda words: any(w.endswith("supervisor-loop") for w in words), cwd=self.settings.runroot)

    def monitors(self) -> list[int]:
        return _processes(lambda words: words[0].endswith("conmon") and f"{self.settings.runroot}/exits" in words)

    # the end
    def leaks(self) -> list[str]:
        """Everything of pods that is still on the machine or in the store."""
        found = [f"{table}: {row[:4]}" for table in TABLES for row in self.engine.store.rows(f"SELECT * FROM {table}")
                 if not (table == "leases" and row[0] in KEPT_POOLS)]  # fmt: skip
        found += [f"mount {point}" for point in runroot.mounts_below(str(self.directory)) if point != self.settings.runroot]
        for name in ("sandboxes", "containers", "exits", "volumes"):
            found += [f"{name}/{entry}" for entry in _list(f"{self.settings.runroot}/{name}")]
        for name in ("containers", "pods", "logs", "volumes"):
            found += [f"root/{name}/{entry}" for entry in _list(f"{self.settings.root}/{name}")]
        found += [f"conmon {pid}" for pid in self.monitors()]
        found += [f"lock {name}" for name in _list(f"{self.settings.runroot}/locks") if len(name) >= 36]
        found += [line for line in seen.links() if self.settings.bridge in line]
        found += [line for line in seen.nft_tables() if self.settings.nft_table in line]
        for hierarchy in Path("/sys/fs/cgroup").glob(f"*/{self.settings.cgroup_parent}"):
            for above, names, _ in os.walk(hierarchy / "kubepods"):  # others may be removing them
                found += [f"cgroup {above}/{name}" for name in names if name.startswith("pod")]
        return found

    def clear(self) -> None:
        """Remove every object and pod, whatever a test left."""
        names = [obj.key for obj in self.engine.store.objects.list()]
        names += [ObjectKey("Volume", v.namespace, v.name) for v in self.engine.store.resources.volumes()]
        down(self.engine, names, force=True, timeout=0)

    def destroy(self) -> None:
        try:
            self.clear()
            self.engine.net.reset()
        finally:
            for pid in [*self.parents(), *self.supervisors(), *self.monitors()]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.engine.close()
            runroot.release(self.engine.paths)
            self.engine.cgroups.kill(f"/{self.settings.cgroup_parent}")
            self.engine.cgroups.remove(f"/{self.settings.cgroup_parent}")


def _list(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []


def _processes(fits: Callable[[list[str]], bool], cwd: str = "") -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().decode(errors="replace").split("\0")
            if fits(words) and (not cwd or os.readlink(f"/proc/{name}/cwd") == cwd):
                found.append(int(name))
        except OSError:
            continue
    return found


@pytest.fixture(scope="session")
def shared_root(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Root]:
    made = Root(tmp_path_factory.mktemp("kp"))
    for path in image_archives.values():
        made.engine.images.load(str(path))
    yield made
    made.destroy()


@pytest.fixture
def root(shared_root: Root) -> Iterator[Root]:
    """An empty root with the record's images; the test must leave it so that `clear` empties it."""
    yield shared_root
    shared_root.clear()

