"""RUN --mount: what a step sees beside its root file system. Nothing of it ends in a layer.

Sources are opened below the root they belong to (openat2, RESOLVE_IN_ROOT) and bound by descriptor, so that a link in an image or a
context cannot name a directory of the host (CVE-2024-1753, CVE-2024-9407). A cache's directory is named by the hash of its id, so that
no id leads out of root/build-cache (CVE-2024-9675).
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from kubeplay.engine.build import places
from kubeplay.engine.host import owners
from kubeplay.engine.host.paths import Paths, ensure_directory
from kubeplay.engine.host.syscalls import MS_BIND, MS_REC, RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, mount, openat2, umount
from kubeplay.engine.layers import overlay
from kubeplay.errors import BuildError
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.build.model import Mount, Origin, Run
    from kubeplay.engine.build.workspace import Workspace

CACHE_FORMAT = "v1"
_SECRET_LIMIT = 500 * 1024  # bytes, as docker's builder has it
_SSH_TARGET = "/run/buildkit/ssh_agent."
_FILE_LIMIT = 64 << 20  # bytes of a single file that is bound writable: it is copied


class Secret(Record):
    """--secret: the content is in the file or the environment variable `source`."""

    kind: str
    source: str


class Point(Record):
    """One mount: `target` as asked for, and the runtime's own form of it. `lock` is the open lock of a cache."""

    target: str
    directory: bool
    spec: dict[str, Any]
    lock: int = -1


def check_nested(where: str, above: Sequence[tuple[str, Point]]) -> None:
    """Whether the runtime, which sees the mounts `above` (where they are, and what) when it makes the one at `where`, ends up there.

    A link in an image or cache that is mounted could lead it to /proc or /dev, and what is mounted there belongs to the confinement
    (CVE-2025-31133, CVE-2019-19921). Raises BuildError.
    """
    for place, point in above:
        if not where.startswith(f"{place}/") or point.spec["type"] != "bind":
            continue
        if point.lock >= 0:  # nobody may put a link there after we have looked
            fcntl.flock(point.lock, fcntl.LOCK_EX)
        top = os.open(point.spec["source"], os.O_PATH | os.O_CLOEXEC)
        try:
            os.close(openat2(top, where[len(place) + 1 :], os.O_PATH, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise BuildError(f"RUN --mount: {where} lies behind a link or a file of what is mounted at {place}") from error
        finally:
            os.close(top)


class Mounts:
    """The mounts of one step. `origins` gives the open root of an Origin; `env` are variables that secrets and agents set."""

    def __init__(
        self, workspace: Workspace, name: str, origins: Callable[[Origin], int], secrets: Mapping[str, Secret],
        ssh: Mapping[str, tuple[str, ...]],
    ) -> None:  # fmt: skip
        self._workspace = workspace
        self._directory = f"{workspace.paths.bundle(name)}/binds"
        self._disk = f"{workspace.paths.container(name)}/binds"
        self._origins, self._secrets, self._ssh = origins, secrets, ssh
        self.points: list[Point] = []
        self.env: list[str] = []
        self._agents = 0

    @contextmanager
    def opened(self, step: Run, root: int) -> Iterator[None]:
        """Prepare the mounts of a step; everything is undone at the end."""
        with ExitStack() as stack:
            for number, one in enumerate(step.mounts):
                self._prepare(stack, number, one, step)
            if step.script is not None:
                self._script(stack, step)
            yield

    def _prepare(self, stack: ExitStack, number: int, one: Mount, step: Run) -> None:
        make = {"bind": self._bind, "cache": self._cache, "tmpfs": self._tmpfs, "secret": self._secret, "ssh": self._agent}.get(one.type)
        if make is None:
            raise BuildError(f"RUN --mount=type={one.type}: not known")
        try:
            make(stack, f"{number}", one)
        except OSError as error:
            raise BuildError(f"RUN --mount=type={one.type},target={one.target}: {error.strerror}") from error

    def _add(
        self, target: str, source: str, *, directory: bool, read_only: bool, options: tuple[str, ...] = (), lock: int = -1
    ) -> None:
        words = ["bind", "rprivate", "nodev", "ro" if read_only else "rw", *options]
        self.points.append(Point(target, directory, {"type": "bind", "source": source, "options": words}, lock))

    def _stage(self, stack: ExitStack, number: str, fd: int) -> tuple[str, bool]:
        """Bind what `fd` is open on to a place of ours; its path, and whether it is a directory."""
        path = f"{ensure_directory(self._directory)}/{number}"
        kind = os.fstat(fd).st_mode
        if stat.S_ISDIR(kind):
            os.mkdir(path, 0o700)
        elif stat.S_ISREG(kind) or stat.S_ISSOCK(kind):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        else:
            raise BuildError("neither a file nor a directory can be mounted there")
        mount(f"/proc/self/fd/{fd}", path, flags=MS_BIND | MS_REC)  # a user namespace may not look below what is mounted in it
        stack.callback(umount, path)
        return path, stat.S_ISDIR(kind)

    def _bind(self, stack: ExitStack, number: str, one: Mount) -> None:
        root = self._origins(one.origin)
        try:
            fd = places.find(root, one.source)
        except OSError as error:
            where = "the build context" if one.origin.kind == "context" else f"{one.origin.kind} {one.origin.value}"
            raise BuildError(f"RUN --mount=type=bind,source={one.source}: {error.strerror} in {where}") from error
        try:
            path, directory = self._stage(stack, number, fd)
        finally:
            os.close(fd)
        if one.readonly:
            self._add(one.target, path, directory=directory, read_only=True)
        else:
            self._add(one.target, self._scratch(stack, number, path, directory), directory=directory, read_only=False)

    def _scratch(self, stack: ExitStack, number: str, source: str, directory: bool) -> str:
        """A view of `source` that may be written to; what is written is thrown away."""
        disk = ensure_directory(f"{self._disk}/{number}")
        if not directory:
            return _copied(source, f"{disk}/file")
        target = f"{self._directory}/{number}w"
        os.mkdir(target, 0o755)
        overlay.scratch(source, disk, target, self._workspace.paths)
        stack.callback(umount, target)
        return target

    def _tmpfs(self, stack: ExitStack, number: str, one: Mount) -> None:
        options = ["nosuid", "nodev", f"mode={one.mode:o}", *([f"size={one.size}"] if one.size else [])]
        self.points.append(Point(one.target, True, {"type": "tmpfs", "source": "tmpfs", "options": options}))

    # caches
    def _cache(self, stack: ExitStack, number: str, one: Mount) -> None:
        from hashlib import sha256

        name = sha256(os.fsencode(one.id)).hexdigest()
        base = ensure_directory(cache_directory(self._workspace.engine.paths))
        lock = _lock(f"{base}/{name}.lock", one.sharing)
        if lock < 0:  # private, and another build has it
            path = ensure_directory(f"{self._disk}/cache{number}")
            self._fill(path, one)
        else:
            stack.callback(os.close, lock)
            path = f"{base}/{name}"
            if not os.path.isdir(path):
                temporary = f"{path}.{self._workspace.id}-{number}"
                os.mkdir(temporary, 0o700)
                self._fill(temporary, one)
                try:
                    os.rename(temporary, path)
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            staged, _ = self._stage(stack, number, fd)
        finally:
            os.close(fd)
        self._add(one.target, staged, directory=True, read_only=one.readonly, lock=lock)

    def _fill(self, path: str, one: Mount) -> None:
        """The first content of a cache, and its owner and mode."""
        if one.origin.kind != "none":
            from kubeplay.engine.build.sources import Tree
            from kubeplay.engine.build.transfer import Result, Target, Transfer

            out = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            transfer = Transfer(Tree(self._origins(one.origin), f"{one.origin.kind} {one.origin.value}"), Target(out, Result(None)))
            try:
                transfer.content(one.source, out)
            finally:
                transfer.close()
                os.close(out)
        owners.give(path, one.uid, one.gid, f"the cache {one.id}")
        os.chmod(path, one.mode)

    # secrets and agents
    def _secret(self, stack: ExitStack, number: str, one: Mount) -> None:
        secret = self._secrets.get(one.id)
        if secret is None:
            if one.required:
                hint = f"give it: --secret id={one.id},src=FILE"
                raise BuildError(f"RUN --mount=type=secret: the secret {one.id} is required", hint=hint)
            return
        data = content(one.id, secret)
        if one.env:
            try:
                self.env.append(f"{one.env}={data.decode()}")
            except UnicodeDecodeError:
                raise BuildError(f"the secret {one.id} is not text and cannot be the variable {one.env}") from None
        if not one.target:
            return
        path = f"{ensure_directory(self._directory)}/{number}"  # the runroot is a tmpfs
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, data)
            owners.give(fd, one.uid, one.gid, f"the secret {one.id}")
            os.fchmod(fd, one.mode)
        finally:
            os.close(fd)
        stack.callback(os.unlink, path)
        self._add(one.target, path, directory=False, read_only=True, options=("nosuid", "noexec"))

    def _agent(self, stack: ExitStack, number: str, one: Mount) -> None:
        from kubeplay.engine.build import agent

        target = one.target or f"{_SSH_TARGET}{self._agents}"
        self._agents += 1
        if one.id not in self._ssh:
            if one.required:
                raise BuildError(f"RUN --mount=type=ssh: the agent {one.id} is required", hint=f"give it: --ssh {one.id}")
            return
        directory = ensure_directory(f"{self._directory}/{number}ssh")
        path = agent.forwarded(stack, directory, self._ssh[one.id])
        owners.give(path, one.uid, one.gid, f"the agent {one.id}")
        os.chmod(path, one.mode)
        self._add(target, path, directory=False, read_only=False, options=("nosuid",))
        if not any(entry.startswith("SSH_AUTH_SOCK=") for entry in self.env):
            self.env.append(f"SSH_AUTH_SOCK={target}")

    def _script(self, stack: ExitStack, step: Run) -> None:
        """A heredoc that names its interpreter: a file that the step can run."""
        assert step.script is not None
        path = f"{ensure_directory(self._directory)}/script"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755)
        try:
            os.fchmod(fd, 0o755)
            os.write(fd, step.script.content.encode())
        finally:
            os.close(fd)
        stack.callback(os.unlink, path)
        self._add(step.argv[0], path, directory=False, read_only=True)


def content(name: str, secret: Secret) -> bytes:
    """What a secret holds. Raises BuildError, which never tells the content."""
    if secret.kind == "env":
        value = os.environb.get(os.fsencode(secret.source))
        if value is None:
            raise BuildError(f"the secret {name}: the environment variable {secret.source} is not set")
        return value
    try:
        with open(secret.source, "rb") as file:
            data = file.read(_SECRET_LIMIT + 1)
    except OSError as error:
        raise BuildError(f"the secret {name}: {secret.source}: {error.strerror}") from error
    if len(data) > _SECRET_LIMIT:
        raise BuildError(f"the secret {name}: {secret.source} is larger than {_SECRET_LIMIT} bytes")
    return data


def cache_directory(paths: Paths) -> str:
    """Where cache mounts lie; another format is another directory."""
    return f"{paths.root}/build-cache/{CACHE_FORMAT}"


def prune(paths: Paths) -> int:
    """Remove the cache mounts that no build uses just now; how many."""
    from kubeplay.engine.layers import tree

    base = cache_directory(paths)
    try:
        names = sorted(name for name in os.listdir(base) if not name.endswith(".lock"))
    except FileNotFoundError:
        return 0
    removed = 0
    for name in names:
        fd = _lock(f"{base}/{name.partition('.')[0]}.lock", "private")
        if fd >= 0:
            tree.remove(f"{base}/{name}")
            os.close(fd)
            removed += 1
    return removed


def _lock(path: str, sharing: str) -> int:
    """The lock of a cache: shared for `shared`, exclusive for the others; `private` does not wait, -1 when another has it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    how = {"shared": fcntl.LOCK_SH, "locked": fcntl.LOCK_EX}.get(sharing, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        fcntl.flock(fd, how)
    except BlockingIOError:
        os.close(fd)
        return -1
    return fd


def _copied(source: str, path: str) -> str:
    with open(source, "rb") as file, open(path, "xb") as out:
        status = os.fstat(file.fileno())
        if status.st_size > _FILE_LIMIT:
            raise BuildError(f"a file of {status.st_size} bytes cannot be mounted writable", hint="mount it read-only, or copy it")
        out.write(file.read(_FILE_LIMIT))
        os.fchown(out.fileno(), status.st_uid, status.st_gid)
        os.fchmod(out.fileno(), stat.S_IMODE(status.st_mode))
    return path
