"""Ordinary users for tests: accounts with subordinate ids, a closed home, and a copy of this checkout that they can run.

`user()` makes `kp-test-PID-N` and takes it away with all its processes and files; what a killed run left is taken away by the next one.
An account belongs to whoever holds the lock of its name, which the kernel frees when that process dies.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from tests.support import clone

PREFIX = "kp-test-"
LOCKS = Path("/run/kubeplay-tests")
DEVICES = ("/dev/net/tun", "/dev/fuse", "/dev/ptmx")  # udev: 0666 (50-udev-default.rules); not so on a machine without udev
_numbers = itertools.count(1)


class User(NamedTuple):
    """An account; its commands see what a login gives them and nothing of ours."""

    name: str
    uid: int
    gid: int
    home: Path
    network: str = ""  # the network namespace that stands for the host's; "" = this machine's

    @property
    def checkout(self) -> Path:
        return self.home / "kubeplay"

    @property
    def python(self) -> str:
        return str(self.checkout / ".venv/bin/python")

    @property
    def kubeplay(self) -> str:
        return str(self.checkout / ".venv/bin/kubeplay")

    @property
    def runtime(self) -> str:
        """What logind would give it as $XDG_RUNTIME_DIR."""
        return f"/run/user/{self.uid}"

    def argv(self, *words: str, runtime: bool = True, groups: Sequence[int] = (), **env: str) -> list[str]:
        """A command line that root runs for the user; `runtime` False: without $XDG_RUNTIME_DIR, as after `su`."""
        env = {"TMPDIR": f"{self.home}/tmp", **({"XDG_RUNTIME_DIR": self.runtime} if runtime else {}), **env}
        return [
            *(("nsenter", f"--net=/run/netns/{self.network}") if self.network else ()),
            *("setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--inh-caps=-all", "--reset-env"),
            f"--groups={','.join(map(str, groups))}" if groups else "--init-groups",
            *("env", "-C", str(self.home), *(f"{name}={value}" for name, value in env.items())),
            *words,
        ]

    def run(self, *words: str, status: int | None = 0, timeout: float = 300, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; `status` is what is expected, None = anything."""
        done = subprocess.run(self.argv(*words, **more), capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        assert status is None or done.returncode == status, (words, done)
        return done

    def pytest(self, way: str, report: str, *more: str) -> int:
        """Run the tests of one way (tests/support/as_user.py) to their end; their junit file goes to `report`. Returns pytest's status."""
        words = [self.python, "-m", "pytest", "-q", "-m", "root", f"--junitxml={self.home}/report.xml", f"--basetemp={self.home}/t", *more]
        if way == "library":
            words = [self.kubeplay, "unshare", *words]
        argv = self.argv("env", "-C", str(self.checkout), *words, runtime=way == "commands", KUBEPLAY_TESTS_AS=way)
        status = subprocess.run(argv, stdin=subprocess.DEVNULL).returncode
        if report and os.path.exists(f"{self.home}/report.xml"):
            shutil.move(f"{self.home}/report.xml", report)
        self.end()
        return status

    def end(self) -> None:
        """Kill everything of the user's, as the end of its last session does."""
        deadline = time.monotonic() + 100
        while left := self.processes():
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            assert time.monotonic() < deadline, f"processes of {self.name} do not die: {left}"
            time.sleep(0.05)

    def processes(self) -> list[int]:
        """Everything that runs with its id or one of its subordinate ids."""
        ranges = [(self.uid, 1), *_ranges(self.name)]
        return [pid for pid, uid in _owners() if any(first <= uid < first + count for first, count in ranges)]


@contextmanager
def user(own_network: bool = False, checkout: bool = True) -> Iterator[User]:
    """A fresh account for as long as the block runs; `own_network`: what it takes for the host's network is one of its own."""
    sweep()
    name = f"{PREFIX}{os.getpid()}-{next(_numbers)}"
    with _locked(name) as lock, devices():
        try:
            made = _added(name)
            if own_network:
                made = made._replace(network=_uplinked(name))
            if checkout:
                clone.copy(made.checkout, made.uid, made.gid)
                made.run(f"{made.checkout}/tools/launcher.sh")
                made.run(made.python, "-m", "compileall", "-q", str(made.checkout / "kubeplay"))
                made.run(made.python, "-m", "kubeplay.cli.preload")
            yield made
        finally:
            remove(name)
            Path(lock.name).unlink(missing_ok=True)


def sweep() -> None:
    """Take away the accounts of runs that were killed."""
    for entry in pwd.getpwall():
        if entry.pw_name.startswith(PREFIX):
            with _locked(entry.pw_name, wait=False) as lock:
                if lock is not None:
                    remove(entry.pw_name)
                    Path(lock.name).unlink(missing_ok=True)


def remove(name: str) -> None:
    """An account with everything that is its own: processes, home, mounts (they die with the processes), files in /tmp and /run."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return
    subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)  # its pasta ends with it
    account = User(name, entry.pw_uid, entry.pw_gid, Path(entry.pw_dir))
    account.end()
    for place in ("/tmp", "/run/user", "/dev/shm", "/var/tmp"):
        for found in os.scandir(place) if os.path.isdir(place) else ():
            if found.stat(follow_symlinks=False).st_uid == account.uid:
                subprocess.run(["rm", "-rf", "--one-file-system", found.path], check=True)
    _accounts("userdel", "--remove", name)


@contextmanager
def devices() -> Iterator[None]:
    """The devices open as udev has them; the last to leave puts back what the first found, also when some before were killed."""
    LOCKS.mkdir(mode=0o755, exist_ok=True)
    with open(LOCKS / "devices.users", "a", encoding="utf-8") as users:
        with _found() as (_, before):
            fcntl.flock(users, fcntl.LOCK_SH)
            for path in before:
                os.chmod(path, 0o666)
        try:
            yield
        finally:
            with _found() as (file, before):
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    pass  # others still use them (a `return` here would swallow what went wrong in the block)
                else:
                    for path, mode in before.items():
                        os.chmod(path, mode)
                    _rewrite(file, {})


@contextmanager
def _found() -> Iterator[tuple[IO[str], dict[str, int]]]:
    """The modes that the first user of the devices found; one process at a time."""
    with open(LOCKS / "devices.found", "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        before = json.loads(file.read() or "{}") or {path: stat.S_IMODE(os.stat(path).st_mode) for path in DEVICES if os.path.exists(path)}
        _rewrite(file, before)
        yield file, before


def _rewrite(file: IO[str], value: dict[str, int]) -> None:
    file.truncate(0)
    file.write(json.dumps(value))
    file.flush()


@contextmanager
def _locked(name: str, wait: bool = True) -> Iterator[Any]:
    """The lock of an account; None when another process has it."""
    LOCKS.mkdir(mode=0o755, exist_ok=True)
    with open(LOCKS / name, "a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield None
            return
        yield file


def _added(name: str) -> User:
    _accounts("useradd", "--create-home", "--key", "HOME_MODE=0700", "--shell", "/bin/sh", name)
    entry = pwd.getpwnam(name)
    made = User(name, entry.pw_uid, entry.pw_gid, Path(entry.pw_dir))
    assert _ranges(name), f"useradd gave {name} no line in /etc/subuid"
    os.makedirs("/run/user", mode=0o755, exist_ok=True)
    for path in (Path(made.runtime), made.home / "tmp"):
        path.mkdir(mode=0o700)
        os.chown(path, made.uid, made.gid)
    return made


def _accounts(*words: str) -> None:
    """One at a time: they give up at once when another has /etc/passwd."""
    with open(LOCKS / "accounts", "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        subprocess.run(words, check=True, capture_output=True)


def _uplinked(name: str) -> str:
    """A network as a machine has it: lo, and an uplink with this machine's addresses that root's pasta carries."""
    subprocess.run(["ip", "netns", "add", name], check=True)
    subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
    options = ["--netns-only", "--runas", "0", "--config-net", "--quiet", "--no-map-gw"]
    ports = [word for option in ("-t", "-u", "-T", "-U") for word in (option, "none")]
    subprocess.run(["pasta", *options, *ports, "--netns", f"/run/netns/{name}"], check=True, stdin=subprocess.DEVNULL)
    return name


def _ranges(name: str) -> list[tuple[int, int]]:
    """First id and count of each line of the account's in /etc/subuid."""
    lines = [line.split(":") for line in Path("/etc/subuid").read_text().splitlines() if line.startswith(f"{name}:")]
    return [(int(first), int(count)) for _, first, count in lines]


def _owners() -> Iterator[tuple[int, int]]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                lines = Path(f"/proc/{name}/status").read_text().splitlines()
            except OSError:
                continue
            found = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
            if found["State"][0] != "Z":
                yield int(name), int(found["Uid"][0])
