"""The installed program over a root of its own, and what it did to the machine as seen from outside.

`playing` is the body of a module's fixture: load the images, play one manifest, hand out the machine, reset it, and fail when
anything at all is left. Tests look with `sh` (inside a container), `proc` and `cgroup` (from the host), `pod` and `container` (status).
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.support import seen
from tests.support.cli import Kubeplay, Said

T = TypeVar("T")
PROGRAM = Path(sys.executable).with_name("kubeplay")


class Machine(Kubeplay):
    """`kubeplay` as `make play` installs it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.env.pop("PYTHONPYCACHEPREFIX", None)  # the checkout's own compiled files: a fresh prefix costs every root 2 s
        self.tag = f"{zlib.crc32(str(self.root).encode()):08x}"

    def argv(self, *argv: str) -> list[str]:
        return [str(PROGRAM), *argv]

    # doing
    def load(self, archives: Iterable[Path]) -> None:
        for archive in archives:
            self("image", "load", "-q", "-i", str(archive))

    def play(self, text: str, *flags: str, status: int | None = 0, timeout: float = 300) -> Said:
        return self("play", "kube", "-q", *flags, self.written(text), status=status, timeout=timeout)

    def down(self, text: str, *flags: str) -> Said:
        """Away with it at once; a test of the way down gives its own `-t`."""
        return self("kube", "down", "-q", *(flags or ("-t", "0")), self.written(text))

    def written(self, text: str) -> str:
        """The file a manifest is in."""
        return self.file(f"{zlib.crc32(text.encode()):08x}.yaml", text)

    # inside
    def sh(self, pod: str, script: str, container: str = "main", *flags: str, status: int | None = 0) -> str:
        """What a shell in the container prints, without the last line end."""
        said = self("exec", *flags, "-c", container, pod, "sh", "-c", script, status=status)
        return said.out.removesuffix("\n")

    def log(self, pod: str, container: str = "main", *flags: str) -> str:
        return self("logs", *flags, "-c", container, pod).out

    def logged(self, pod: str, container: str = "main", last: str = "done") -> list[str]:
        """The lines of a container's log before the line `last`, once that is there."""
        lines = self.wait(lambda: [*self.log(pod, container).splitlines(), ""] if last in self.log(pod, container).splitlines() else [])
        return lines[: lines.index(last)]

    # status
    def pod(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self("pod", "inspect", name, "--format", "json").json
        return found[0] if isinstance(found, list) else found

    def status(self, pod: str, container: str = "main") -> dict[str, Any]:
        """A container's status, as a cluster would show it."""
        status = self.pod(pod)["status"]
        both: list[dict[str, Any]] = status.get("initContainerStatuses", []) + status.get("containerStatuses", [])
        return next(one for one in both if one["name"] == container)

    def ended(self, pod: str, container: str = "main", seconds: float = 100) -> dict[str, Any]:
        """How the container ended, once it has."""
        return self.wait(lambda: self.status(pod, container)["state"].get("terminated"), seconds) or {}

    def ip(self, pod: str) -> str:
        return str(self.pod(pod)["status"]["podIP"])

    # from the host
    def pid(self, pod: str, container: str = "main") -> int:
        """The container's first process as the host numbers it, once it runs its program: `start` returns a moment before."""
        pid = int(self.inspect(pod, container)["State"]["Pid"])
        return self.wait(lambda: pid if b"runc" not in Path(f"/proc/{pid}/cmdline").read_bytes() else 0)

    def inspect(self, pod: str, container: str = "main") -> dict[str, Any]:
        found: dict[str, Any] = self("inspect", "--type", "container", f"{pod}-{container}").json[0]
        return found

    def wait(self, what: Callable[[], T], seconds: float = 100) -> T:
        """Until `what()` is true; its value."""
        deadline = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < deadline, "it did not come about in time"
            time.sleep(0.1)
        return found

    # the end
    def traces(self) -> list[str]:
        """Everything of this root that is still on the machine."""
        where = str(self.directory)
        found = [f"mount {line}" for line in seen.mounts() if where in line]
        group = f" group {int(self.tag, 16) >> 4 | 1 << 29} "  # as engine/net marks its devices
        found += [f"device {line}" for line in seen.links() if f"kp{self.tag}" in line or group in line]
        found += [f"nft {line}" for line in seen.nft_tables() if self.tag in line]
        for top in ("/sys/fs/cgroup", *(f"/sys/fs/cgroup/{name}" for name in os.listdir("/sys/fs/cgroup"))):
            if os.path.isdir(f"{top}/kubeplay-{self.tag}"):
                found.append(f"cgroup {top}/kubeplay-{self.tag}")
        found += [f"process {pid} {words}" for pid, words in processes() if where in words]
        found += [f"file {path}" for path in (self.root, self.runroot) if path.exists()]
        if os.path.exists(f"/run/kubeplay-claims/kp{self.tag}"):
            found.append("claimed ports")
        return found


def processes() -> list[tuple[int, str]]:
    """Every process of the machine but this one, with its command line and working directory."""
    mine = os.getpid()
    return [one for one in seen.seen(lambda: list(_processes(os.getpid()))) if one[0] != mine]


def _processes(looker: int) -> Iterator[tuple[int, str]]:
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != looker:
            try:
                words = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                yield int(name), f"{words} {os.readlink(f'/proc/{name}/cwd')}"
            except OSError:
                continue


def kill(pid: int, seconds: float = 100) -> None:
    """Kill a process, and wait until it has ended (somebody else may still have to reap it)."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        assert poll.poll(seconds * 1000), f"process {pid} does not die"
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)


def link(path: str) -> str:
    """Where a link of /proc leads; "" when its process or descriptor has gone."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def status_of(pid: int | str) -> dict[str, str]:
    """/proc/PID/status; its ids as the containers' user namespace numbers them. Nothing of a process that has gone."""
    try:
        lines = seen.seen(lambda: Path(f"/proc/{pid}/status").read_text().splitlines())
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def cgroup_of(pid: int, controller: str) -> Path:
    """The directory of a process's group: of that controller on v1, of the one tree on v2."""
    groups = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    for _, names, path in groups:
        if controller in names.split(","):
            mounts = (line.split(" ") for line in Path("/proc/mounts").read_text().splitlines())
            top = next(m[1] for m in mounts if m[2] == "cgroup" and controller in m[3].split(","))
            return Path(f"{top}{path}")
    return Path("/sys/fs/cgroup" + next(path for _, names, path in groups if not names))


@contextmanager
def playing(
    directory: Path, archives: Mapping[str, Path], text: str = "", *flags: str, images: Iterable[str] = ("busybox",), status: int | None = 0
) -> Iterator[Machine]:
    """A machine on which `text` runs; at the end everything of it is gone, which is part of every test that uses it.

    `status` is what the play must end with; None for one whose containers may fail while it is still at work.
    """
    kp = Machine(directory)
    try:
        kp.load(archives[name] for name in images)
        if text:
            kp.play(text, *flags, status=status)
        yield kp
    finally:
        said = kp("system", "reset", "--force", status=None)
        left = kp.traces()
        assert said.status == 0 and not left, (said, left)
