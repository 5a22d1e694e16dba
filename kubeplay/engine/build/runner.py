"""RUN: the step's program in a container of our OCI runtime, with the confinement that a pod's container has by default.

No conmon: the builder waits for `runtime run` itself and passes on what the step writes. Its standard input is empty.
"""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubeplay.engine.build import placeholders, places
from kubeplay.engine.build.mounts import check_nested
from kubeplay.engine.build.workspace import group_of, kill_without_group
from kubeplay.engine.host import processes
from kubeplay.engine.host.credentials import spawned
from kubeplay.engine.host.paths import ensure_directory
from kubeplay.engine.oci import dev, facts, spec, user
from kubeplay.engine.oci.runtime import keyring
from kubeplay.errors import BuildError, ContainerError
from kubeplay.plan.container import ContainerPlan, Resolved
from kubeplay.plan.security import Security
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.build.model import Run
    from kubeplay.engine.build.mounts import Mounts, Point
    from kubeplay.engine.build.network import Network
    from kubeplay.engine.build.workspace import Workspace

_FORBIDDEN = ("/dev/", "/proc/", "/sys/")  # what is mounted there belongs to the confinement (CVE-2025-31133)
_LOG_LIMIT = 1 << 16  # bytes of the runtime's own log that are read
Output = Callable[[int, bytes], None]  # (1 or 2, bytes) of a step


class Limits(Record):
    """Flags of the command line for all RUN steps: `shm` and `memory` are bytes, `ulimits` are (name, soft, hard); 0 = not set."""

    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    shm: int = 64 << 20
    ulimits: tuple[tuple[str, int, int], ...] = ()
    memory: int = 0
    cpu_shares: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0
    cpuset: str = ""
    mems: str = ""


class Runner:
    """Runs the RUN steps of one build."""

    def __init__(self, workspace: Workspace, network: Network, limits: Limits, output: Output) -> None:
        self._workspace = workspace
        self._engine = workspace.engine
        self._network = network
        self._limits = limits
        self._output = output

    def run(self, name: str, rootfs: str, step: Run, mounts: Mounts) -> list[str]:
        """Run a step in the root file system; `name` is its directory in the workspace.

        Returns the directories that were touched but are as they were (placeholders.prune). Raises BuildError, whose exit code is the
        step's own when its program failed.
        """
        ensure_directory(f"{self._workspace.volatile}/ran")
        root = places.open_root(rootfs)
        made = placeholders.Placeholders(root)
        try:
            with mounts.opened(step, root):
                points = self._prepare(root, rootfs, step, made, mounts)
                made.seal()
                self._execute(name, rootfs, step, points, mounts)
        finally:
            same = made.remove()
            os.close(root)
        return same

    def _prepare(self, root: int, rootfs: str, step: Run, made: placeholders.Placeholders, mounts: Mounts) -> list[dict[str, Any]]:
        """The mounts of the step in the runtime's form; makes the working directory and all mount points."""
        os.close(places.made(root, step.workdir)[0])
        joined = self._network.join(step.network)
        found = []
        for path in ("/proc", "/dev", "/sys"):
            made.ensure(path, directory=True)
        for source, path in ((joined.hosts, "/etc/hosts"), (joined.resolv_conf, "/etc/resolv.conf")):
            found.append(_bind(source, made.ensure(path, directory=False), "rw"))
        above: list[tuple[str, Point]] = []
        for one in mounts.points:
            where = self._where(one, step, made)
            check_nested(where, above)
            above.append((where, one))
            found.append({**one.spec, "destination": where})
        return found

    def _where(self, one: Point, step: Run, made: placeholders.Placeholders) -> str:
        """Where a mount goes. A heredoc's script lies in /dev, which is not the image's."""
        if step.script is not None and one.target == step.argv[0]:
            return one.target
        where = made.ensure(one.target, directory=one.directory)
        if where == "/" or (where + "/").startswith(_FORBIDDEN):
            raise BuildError(f"RUN --mount: {one.target} cannot be mounted at")
        return where

    def _execute(self, name: str, rootfs: str, step: Run, points: list[dict[str, Any]], mounts: Mounts) -> None:
        bundle = self._workspace.paths.bundle(name)
        ensure_directory(f"{bundle}/mounts")
        dev.make(f"{bundle}/mounts/dev")
        container = f"{self._workspace.id}-{name}"
        with open(f"{bundle}/config.json", "w", encoding="utf-8", opener=_private) as file:
            file.write(json.dumps(self._spec(container, bundle, rootfs, step, points, mounts)))
        log = f"{bundle}/log"
        argv = self._engine.runtime.argv("--log", log, "--log-format", "json", "run", *keyring(), "--bundle", bundle, container)
        try:
            status = self._converse(argv, container, bundle)
        finally:
            os.unlink(f"{bundle}/config.json")
            from kubeplay.engine.host.syscalls import umount

            umount(f"{bundle}/mounts/dev")
        if status:
            said = _said(log)
            if said:
                raise BuildError(f"while running runtime: {said}")
            error = BuildError(f"while running runtime: exit status {status}")
            error.exit_code = status if 0 < status < 256 else 125
            raise error

    def _spec(
        self, container: str, bundle: str, rootfs: str, step: Run, points: list[dict[str, Any]], mounts: Mounts
    ) -> dict[str, Any]:
        limits, joined = self._limits, self._network.join(step.network)
        security = Security(cap_add=limits.cap_add, cap_drop=limits.cap_drop)
        try:
            identity = user.resolve(security, step.user, user.read_accounts(rootfs))
        except ContainerError as error:
            raise BuildError(error.message) from error
        plan = ContainerPlan("build", "", working_dir=step.workdir, security=security, cpuset=limits.cpuset, mems=limits.mems)
        env = [*step.env, *(f"{key}={value}" for key, value in step.proxy), *mounts.env]
        namespaces = [spec.Namespace(kind) for kind in ("mount", "pid", "ipc")]
        if self._engine.cgroups.unified:
            namespaces.append(spec.Namespace("cgroup"))
        inputs = spec.SpecInputs(
            plan=plan, resolved=Resolved(tuple(_pair(entry) for entry in env), step.argv), image=spec.ImageDefaults(), identity=identity,
            hostname=joined.hostname, rootfs=rootfs,
            cgroups_path=self._engine.cgroups.runtime_path(f"{group_of(self._engine, self._workspace.id)}/{container}"),
            namespaces=(*namespaces, *joined.namespaces), host=facts.host_facts(self._engine.cgroups), dev=f"{bundle}/mounts/dev",
            compat=facts.has_32_bit(rootfs),
        )  # fmt: skip
        try:
            config = spec.build(inputs)
        except ContainerError as error:
            raise BuildError(error.message) from error
        shm = ["nosuid", "noexec", "nodev", "mode=1777", f"size={limits.shm}"]
        config["mounts"].append({"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": shm})
        config["mounts"] += points
        _limit(config, limits)
        return config

    def _converse(self, argv: list[str], container: str, bundle: str) -> int:
        """Run to the end, passing output on; the exit status. Kills everything of the step when it is left by an exception."""
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(2)]
        pid = -1
        try:
            try:
                pid = spawned(lambda: processes.spawn(argv, fds={1: pipes[0][1], 2: pipes[1][1]}))
            finally:
                for _, child in pipes:
                    os.close(child)
            self._pass_on({pipes[0][0]: 1, pipes[1][0]: 2})
            status = processes.wait(pid)
            pid = -1
            return status if status >= 0 else 128 - status
        finally:
            for ours, _ in pipes:
                os.close(ours)
            if pid > 0:
                self._kill(pid, container, bundle)

    def _pass_on(self, streams: dict[int, int]) -> None:
        poll = select.poll()
        for fd in streams:
            poll.register(fd, select.POLLIN)
        left = len(streams)
        while left:
            for fd, _ in poll.poll():
                data = os.read(fd, 65536)
                if data:
                    self._output(streams[fd], data)
                else:
                    poll.unregister(fd)
                    left -= 1

    def _kill(self, pid: int, container: str, bundle: str) -> None:
        os.kill(pid, signal.SIGTERM)
        self._engine.cgroups.kill(f"{group_of(self._engine, self._workspace.id)}/{container}")
        os.kill(pid, signal.SIGKILL)
        processes.wait(pid)
        self._engine.cgroups.kill(f"{group_of(self._engine, self._workspace.id)}/{container}")
        kill_without_group(self._engine, bundle)


def _limit(config: dict[str, Any], limits: Limits) -> None:
    resources = config["linux"].get("resources", {})  # where there is no cgroup for us it limits nothing
    if limits.memory:
        resources["memory"] = {"limit": limits.memory}
    for key, value in (("shares", limits.cpu_shares), ("quota", limits.cpu_quota), ("period", limits.cpu_period)):
        if value:
            resources.setdefault("cpu", {})[key] = value
    named = {f"RLIMIT_{name.upper()}": (soft, hard) for name, soft, hard in limits.ulimits}
    kept = [limit for limit in config["process"]["rlimits"] if limit["type"] not in named]
    config["process"]["rlimits"] = [*kept, *({"type": name, "soft": soft, "hard": hard} for name, (soft, hard) in named.items())]


def _bind(source: str, path: str, mode: str) -> dict[str, Any]:
    return {"destination": path, "type": "bind", "source": source, "options": ["bind", "rprivate", "nosuid", "nodev", mode]}


def _pair(entry: str) -> tuple[str, str]:
    name, _, value = entry.partition("=")
    return name, value


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)  # it holds the environment, and so secrets


def _said(log: str) -> str:
    """What the runtime itself complained of."""
    try:
        with open(log, "rb") as file:
            lines = file.read(_LOG_LIMIT).decode(errors="replace").splitlines()
    except OSError:
        return ""
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("level") in ("error", "fatal"):
            found.append(str(entry.get("msg", "")))
    return "; ".join(found)
