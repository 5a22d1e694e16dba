"""The OCI runtime: which one works here, its command lines, and the little we know of its state directory.

The only module that names a runtime. crun is smaller and faster but Debian's 1.8 refuses hosts with cgroup version 1 and 2 side by
side, so the choice is made by running a real container once per boot and program version; the answer is kept.
"""

from __future__ import annotations

import errno
import json
import os
import select
from typing import Any

from kubeplay.engine.host import processes
from kubeplay.engine.host.machine import boot_id, machine
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.host.trace import trace
from kubeplay.engine.oci.cgroup import ROOT, Cgroups, Hierarchy, discover
from kubeplay.engine.oci.mounts import locked
from kubeplay.errors import CommandFailed, MissingPrerequisite, RuntimeFailed
from kubeplay.record import Record

CANDIDATES = ("crun", "runc")
_FIFO = "exec.fifo"
_START_SECONDS = 30.0  # between create and start the runtime's init waits: more than a moment means it is stuck


class Choice(Record):
    """The runtime in use; `fifo` = its init waits on exec.fifo to be read (see `Runtime.start`)."""

    path: str
    name: str
    version: str
    fifo: bool


class Runtime:
    """The chosen runtime with its state under runroot/runtime."""

    def __init__(self, choice: Choice, paths: Paths) -> None:
        self.choice = choice
        self.root = f"{paths.runroot}/runtime"
        self._rro: bool | None = None

    def argv(self, *arguments: str) -> list[str]:
        """A full command line."""
        return [self.choice.path, "--root", self.root, *arguments]

    def recursive_read_only(self) -> bool:
        """Whether `rro` mounts are made: the runtime says so itself; asked once a process, when a pod wants to know."""
        if self._rro is None:
            major, minor = os.uname().release.split(".")[:2]
            new = (int(major), int(minor.split("-")[0])) >= (5, 12)  # mount_setattr(2)
            self._rro = new and b'"rro"' in processes.run(self.argv("features"), check=False).stdout
        return self._rro

    def start(self, container_id: str) -> None:
        """Let a created container run its program. Raises RuntimeFailed.

        runc's init waits until somebody reads its exec.fifo; `runc start` does only that, in 9 ms of process start. We read the FIFO
        ourselves, with the same end states: fifo removed = running. crun's protocol differs and its start is cheap.
        """
        if not self.choice.fifo:
            processes.run(self.argv("start", container_id), failure=RuntimeFailed)
            return
        path = f"{self.root}/{container_id}/{_FIFO}"
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise RuntimeFailed(self.argv("start"), 1, f"container {container_id[:12]} is not in the state created") from None
        try:
            self._read_fifo(fd, container_id)
        finally:
            os.close(fd)
        os.unlink(path)

    def _read_fifo(self, fd: int, container_id: str) -> None:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if not poll.poll(_START_SECONDS * 1000) or not os.read(fd, 1):
            raise RuntimeFailed(self.argv("start"), 1, f"container {container_id[:12]}: the runtime's init has died or hangs")

    def forget(self, container_id: str) -> None:
        """Remove the state of a container whose processes are gone: what `delete` does beyond killing and cgroups."""
        remove_tree(f"{self.root}/{container_id}")

    def known(self) -> list[str]:
        """Ids with a state directory."""
        try:
            return os.listdir(self.root)
        except FileNotFoundError:
            return []


def keyring() -> tuple[str, ...]:
    """What `create` and `run` are told: a session keyring for each container would use up an ordinary user's quota of keys."""
    return ("--no-new-keyring",) if machine().user_namespace else ()


def remove_tree(path: str) -> None:
    """Remove a small directory of our own; a missing one is fine. Symbolic links are removed, never followed; mounts are left.

    Raises OSError for one that has a mount in it: it is not empty.
    """
    try:
        here = os.lstat(path).st_dev
        with os.scandir(path) as entries:
            for entry in list(entries):
                if entry.is_dir(follow_symlinks=False):
                    if os.lstat(entry.path).st_dev == here:
                        remove_tree(entry.path)
                else:
                    _unlink(entry.path)
        os.rmdir(path)
    except FileNotFoundError:
        return


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


class Host(Record):
    """What `probe` found and keeps in root/host.json until the machine or the programs change."""

    choice: Choice
    hierarchies: tuple[Hierarchy, ...]


def host(paths: Paths, parent: str, wanted: str = "") -> Host:
    """The runtime to use and the cgroup hierarchies; `wanted` is --runtime (a path, a name or "" = probe).

    Raises MissingPrerequisite when no runtime works here.
    """
    key = _key(wanted)
    kept = _read(f"{paths.root}/host.json", key)
    if kept is not None:
        return kept
    hierarchies = discover()
    if not hierarchies and not machine().user_namespace:
        raise MissingPrerequisite("no cgroup file system is mounted below /sys/fs/cgroup", hint="mount -t cgroup2 cgroup2 /sys/fs/cgroup")
    with trace("probe the runtime"):
        found = Host(_choose(paths, cgroups_of(paths, parent, hierarchies), wanted), hierarchies)
    _keep(f"{paths.root}/host.json", key, found)
    return found


def cgroups_of(paths: Paths, parent: str, hierarchies: tuple[Hierarchy, ...]) -> Cgroups:
    """The groups we may use: all of the machine's, in a user namespace the part that was delegated to us."""
    if not machine().user_namespace:
        return Cgroups(parent, hierarchies)
    from kubeplay.engine.oci import delegation

    return delegation.cgroups(paths, parent)


def _key(wanted: str) -> str:
    names = (wanted,) if wanted else CANDIDATES
    stamps = []
    for name in names:
        path = _find(name)
        if path:
            info = os.stat(path)
            stamps.append(f"{path}:{info.st_mtime_ns}:{info.st_size}")
    kind = "v2" if os.path.exists(f"{ROOT}/cgroup.controllers") else "v1"  # crun works with the one, not with both
    return "|".join((boot_id(), kind, wanted, *stamps))


def _find(name: str) -> str:
    try:
        return processes.program(name)
    except MissingPrerequisite:
        return ""


def _choose(paths: Paths, cgroups: Cgroups, wanted: str) -> Choice:
    refusals = []
    for name in (wanted,) if wanted else CANDIDATES:
        path = _find(name)
        if not path:
            refusals.append(f"{name}: not installed")
            continue
        problem = _try(path, paths, cgroups)
        if not problem:
            return _describe(path)
        refusals.append(f"{name}: {problem}")
    raise MissingPrerequisite("no OCI runtime works on this machine: " + "; ".join(refusals), hint="apt-get install runc")


def _describe(path: str) -> Choice:
    words = processes.run([path, "--version"]).stdout.decode(errors="replace").split()
    name = words[0] if words else os.path.basename(path)
    version = words[2] if len(words) > 2 else ""
    return Choice(path, name, version, name == "runc" and version.startswith("1."))


def _try(path: str, paths: Paths, cgroups: Cgroups) -> str:
    """Run `true` of the host in a container of this runtime: "" when that worked, else what it said."""
    container_id = f"probe{os.urandom(6).hex()}"  # not the form of an id, so that no garbage collection takes it away
    bundle = f"{paths.runroot}/{container_id}"
    group = f"/{cgroups.parent}/{container_id}"
    os.makedirs(f"{bundle}/rootfs", mode=0o700)
    try:
        with open(f"{bundle}/config.json", "w", encoding="utf-8") as file:
            json.dump(_probe_spec(cgroups.runtime_path(group)), file)
        argv = [path, "--root", f"{paths.runroot}/runtime", "run", *keyring(), "--bundle", bundle, container_id]
        result = processes.run(argv, check=False, seconds=20.0)
        return "" if result.status == 0 else result.stderr.decode(errors="replace").strip()[-300:] or f"exit status {result.status}"
    except CommandFailed as error:
        return error.stderr
    finally:
        cgroups.kill(group)
        cgroups.remove(group)
        cgroups.prune()
        remove_tree(f"{paths.runroot}/runtime/{container_id}")
        remove_tree(bundle)


def _probe_spec(group: str) -> dict[str, Any]:
    mounts: list[dict[str, Any]] = [
        {"destination": d, "type": "bind", "source": d, "options": ["rbind", "ro", *locked(d)]} for d in host_directories()
    ]
    mounts.append({"destination": "/proc", "type": "proc", "source": "proc"})
    mounts.append({"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]})
    return {
        "ociVersion": "1.0.2",
        "process": {"args": ["/bin/true"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["PATH=/usr/bin:/bin"]},
        "root": {"path": "rootfs"},
        "mounts": mounts,
        "linux": {
            **({"cgroupsPath": group} if group else {}),
            "namespaces": [{"type": t} for t in ("pid", "mount", "ipc", "uts", "network")],
        },
    }


def host_directories() -> list[str]:
    """The host directories that hold its programs and libraries."""
    return [d for d in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32") if os.path.isdir(d)]


def _read(path: str, key: str) -> Host | None:
    try:
        with open(path, encoding="utf-8") as file:
            data = json.loads(file.read())
        if data["key"] != key:
            return None
        return Host(Choice(*data["choice"]), tuple(Hierarchy(m, v, tuple(c), *more) for m, v, c, *more in data["hierarchies"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(path: str, key: str, found: Host) -> None:
    text = json.dumps({"key": key, "choice": found.choice, "hierarchies": found.hierarchies}, sort_keys=True)
    temporary = f"{path}.{os.getpid()}-{os.urandom(4).hex()}"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(temporary, path)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EROFS):
            raise


def said(stderr: str) -> str:
    """What a runtime complains of: of runc's log lines (`time=".." level=error msg=".."`) the messages alone, as a kubelet shows them."""
    found = []
    for line in stderr.splitlines():
        head, mark, rest = line.partition(' msg="')
        if mark and head.startswith('time="') and head.endswith(("level=error", "level=fatal")):
            try:
                found.append(str(json.loads(f'"{rest.rstrip()}')))
            except ValueError:  # an escape of Go's that JSON has not
                found.append(rest.rstrip().removesuffix('"'))
    return "; ".join(found) or stderr.strip()
