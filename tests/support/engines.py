"""An engine on a root of its own with a busybox image, for tests of rooms above the kernel: real runtime, real namespaces.

At the end everything must be gone: mounts, cgroups, processes, files. That is part of every test that uses the fixture.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeplay.config import Settings
from kubeplay.engine.engine import Engine
from kubeplay.engine.store.runtime import EXITED, RUN, ContainerRow, PodRow, SandboxRow
from kubeplay.plan import codec
from kubeplay.plan.container import ContainerPlan, Resolved
from kubeplay.plan.pod import PodPlan, SandboxPlan

IMAGE = "localhost/bb:1"


def busybox_tar(directory: Path) -> Path:
    """A root file system of busybox-static with a few accounts."""
    tree, tar = directory / "bb", directory / "bb.tar"
    (tree / "bin").mkdir(parents=True)
    for name in ("etc", "tmp", "proc", "sys", "dev", "root"):
        (tree / name).mkdir()
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\napp:x:1234:2345:app:/home/app:/bin/sh\n")
    (tree / "etc/group").write_text("root:x:0:\napp:x:2345:\nextra:x:3456:app\n")
    busybox = subprocess.run(["sh", "-c", "command -v busybox"], capture_output=True, text=True, check=True).stdout.strip()
    (tree / "bin/busybox").write_bytes(Path(busybox).read_bytes())
    (tree / "bin/busybox").chmod(0o755)
    for applet in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if applet != "busybox":
            (tree / "bin" / applet).symlink_to("busybox")
    subprocess.run(["tar", "-C", str(tree), "--owner=0", "--group=0", "-cf", str(tar), "."], check=True)
    return tar


class Bench:
    """An engine and short ways to make pods on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.settings = Settings(root=str(directory / "root"), runroot=str(directory / "run"))
        self.engine = Engine(self.settings)
        self.engine.images.import_tar(str(busybox_tar(directory)), IMAGE, ["ENV PATH=/bin"])
        self.pods: list[str] = []

    def pod(self, *containers: ContainerPlan, name: str = "p", **more: Any) -> tuple[PodPlan, SandboxRow]:
        """A stored pod and its sandbox, without a network unless `sandbox` says so."""
        sandbox = more.pop("sandbox", SandboxPlan(name))
        plan = PodPlan("default", name, sandbox, containers, **more)
        if self.engine.store.runtime.find_pod("default", name):
            plan = plan._replace(name=f"{name}{len(self.pods)}")
        uid = f"{os.urandom(4).hex()}-1111-2222-3333-{os.urandom(6).hex()}"
        self.engine.store.runtime.add_pod(PodRow(uid, "default", plan.name, codec.dumps(plan), RUN, True, None, 0, False))
        self.pods.append(uid)
        return plan, self.engine.create_sandbox(uid, plan)

    def create(
        self, plan: PodPlan, sandbox: SandboxRow, name: str = "", attempt: int = 0, resolved: Resolved | None = None
    ) -> ContainerRow:
        container = next(c for c in plan.containers if not name or c.name == name)
        given = resolved or Resolved(command=container.command, args=container.args)
        return self.engine.create_container(sandbox.pod_uid, sandbox, plan, container, given, attempt)

    def run(self, *containers: ContainerPlan, **more: Any) -> list[ContainerRow]:
        """A pod with these containers, all started side by side."""
        plan, sandbox = self.pod(*containers, **more)
        found: dict[str, ContainerRow] = {}

        def one(name: str) -> None:
            found[name] = self.engine.start_container(self.create(plan, sandbox, name))

        threads = [threading.Thread(target=one, args=(c.name,)) for c in containers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [found[c.name] for c in containers]

    def ended(self, row: ContainerRow, seconds: float = 100.0) -> ContainerRow:
        """The row once its container has ended."""
        return wait_for(lambda: self._if_ended(row), f"{row.name} to end", seconds)

    def _if_ended(self, row: ContainerRow) -> ContainerRow | None:
        self.engine.refresh(row.pod_uid)
        found = self.engine.store.runtime.container(row.id)
        return found if found is not None and found.state == EXITED else None

    def output(self, *command: str, **more: Any) -> str:
        """What a container that runs `command` writes, its exit code must be 0."""
        container = shell(*command) if len(command) == 1 else ContainerPlan("c", IMAGE, command=command)
        row = self.ended(self.run(container._replace(**more))[0])
        assert row.exit_code == 0, (row, self.log(row))
        return self.log(row)

    def log(self, row: ContainerRow) -> str:
        from kubeplay.engine import logs

        lines: list[bytes] = []
        logs.read(self.engine, [row], sink=lambda entry, name, begins: lines.append(entry.text + (b"\n" if entry.full else b"")))
        return b"".join(lines).decode()

    def exec(self, row: ContainerRow, *argv: str) -> str:
        from kubeplay.engine import exec as execs

        result = execs.capture(self.engine, row, argv, 100.0)
        assert result.status == 0, result
        return result.stdout.decode()

    def close(self) -> None:
        """Remove everything, then hold that nothing is left."""
        self.engine.close()
        engine = Engine(self.settings)
        for row in engine.store.runtime.containers():
            engine.remove_container(row)
        for sandbox in engine.store.runtime.sandboxes():
            engine.remove_sandbox(sandbox)
        for pod in engine.store.runtime.pods():
            engine.remove_pod_files(pod.uid, pod.namespace, pod.name)
            engine.store.runtime.delete_pod(pod.uid)
        engine.collect()
        engine.net.teardown_if_idle()
        left = leftovers(engine)
        engine.close()
        subprocess.run(["umount", "-l", self.settings.runroot], check=True)
        assert not left, left


def leftovers(engine: Engine) -> list[str]:
    """Everything of this root that is still in the kernel."""
    found = engine.leftovers()
    runroot = engine.paths.runroot
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"{runroot}/" in line]
    found += [str(p) for h in engine.cgroups.hierarchies for p in [Path(h.mount, engine.settings.cgroup_parent)] if p.exists()]
    for pid in (name for name in os.listdir("/proc") if name.isdigit()):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.path.basename(words[0]) == b"conmon" and runroot.encode() + b"/exits" in words:
            found.append(f"conmon {pid}")
    return found


def shell(script: str, name: str = "c", **more: Any) -> ContainerPlan:
    return ContainerPlan(name, IMAGE, command=("sh", "-c", script), **more)


def wait_for(check: Callable[[], Any], what: str, seconds: float = 100.0) -> Any:
    """What `check` returns once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)
    return found


@pytest.fixture(name="bench")
def bench_fixture(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    try:
        yield made
    finally:
        made.close()


def needs_cgroups(engine: Engine) -> None:
    """Skip, with the machine's reason, a test of what only control groups can do."""
    if not engine.cgroups.hierarchies:
        pytest.skip(f"as an ordinary user: {engine.cgroups.why}")


def processes_of(bench: Bench, row: ContainerRow) -> list[int]:
    """Every process of a running container, by its group or without one."""
    from kubeplay.engine import container
    from kubeplay.engine.oci import members

    facts = container.read_facts(bench.engine, row.id)
    assert facts is not None
    if facts.cgroup:
        return bench.engine.cgroups.pids(facts.cgroup)
    return [found.pid for found in members.everyone(bench.engine.paths.bundle(row.id), shared=facts.shared_pids)]
