"""The way out of the user's network namespace: pasta, or slirp4netns where it is missing or too old, behind a tap device.

It has an address nobody else uses, not the host's own as pasta would give it: so pods reach what the host serves to the world, as
they do as root. The host's loopback is not to be had unless asked for (`host_loopback`).
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Sequence
from typing import TypeVar

from kubeplay.engine.host import credentials, processes, syscalls
from kubeplay.engine.host.runroot import mounts_below
from kubeplay.engine.host.threads import in_thread
from kubeplay.engine.net import rtnl
from kubeplay.engine.net.netlink import Netlink
from kubeplay.engine.net.rootless import control
from kubeplay.engine.net.rootless.place import Place
from kubeplay.errors import Forbidden, InvalidInput, MissingPrerequisite, SandboxError
from kubeplay.record import Record

T = TypeVar("T")
PASTA, SLIRP, NONE = "pasta", "slirp4netns", "none"
DEVICE = "tap0"
# RFC 3927 link-local addresses, which no route of a host leads to; the numbers in it are slirp4netns's, which cannot be chosen
PREFIX, ADDRESS, HOST, DNS = "169.254.77.0/24", "169.254.77.100", "169.254.77.2", "169.254.77.3"
MTU = 65520  # both helpers end TCP themselves, so that large packets cost nothing on the way (slirp4netns(1), passt(1))
_PASTA_DATE = 20240220  # of the one podman 5 came to rely on (Ubuntu 24.04, Fedora 40); measured faulty: that of 2023-03-09
_TUN = "/dev/net/tun"
_SECONDS = 10.0  # pasta needs 30 ms
_KILL_SECONDS = 5.0


class Choice(Record):
    """`helper` PASTA, SLIRP or NONE, and why that one."""

    helper: str
    reason: str


def choose(wanted: str = "") -> Choice:
    """What this machine gives, seen from the host's network. Raises InvalidInput, MissingPrerequisite and Forbidden with the remedy."""
    if wanted not in ("", PASTA, SLIRP, NONE):
        raise InvalidInput(f"KUBEPLAY_NETWORK_HELPER={wanted}: not known", hint="pasta, slirp4netns or none")
    if wanted == NONE:
        return Choice(NONE, "it was asked for")
    if not _has_route():
        return Choice(NONE, "this machine has no IPv4 default route")
    if wanted:
        processes.program(wanted)
        _check_tun()
        return Choice(wanted, "it was asked for")
    pasta, slirp = _installed(PASTA), _installed(SLIRP)
    if not (pasta or slirp):
        what = "neither pasta nor slirp4netns is installed: pods of an ordinary user have no way to the network"
        raise MissingPrerequisite(what, hint="apt-get install slirp4netns")
    _check_tun()
    if not pasta:
        return Choice(SLIRP, "pasta is not installed")
    said = processes.run([processes.program(PASTA), "--version"], check=False, seconds=_SECONDS).stdout.decode(errors="replace")
    return best(said.split("\n")[0].strip(), slirp)


def best(version: str, slirp: bool) -> Choice:
    """Between a pasta that calls itself `version` and, where that is installed, slirp4netns."""
    if date(version) >= _PASTA_DATE:
        return Choice(PASTA, f"it is installed ({version})")
    why = f"{version or 'this pasta'} is older than that of {_PASTA_DATE}: connections that are refused or half closed hang in it"
    return Choice(SLIRP, why) if slirp else Choice(PASTA, f"slirp4netns is not installed, although {why}")


def date(version: str) -> int:
    """The date in `pasta 0.0~git20240220.1e6f92b-1` or `pasta 2024_02_20.1e6f92b` as a number; 0 without one (Debian 12's of 2023)."""
    for word in version.replace("_", "").replace("~git", " ").replace(".", " ").replace("-", " ").split():
        if len(word) == 8 and word.isascii() and word.isdigit() and word.startswith("20"):
            return int(word)
    return 0


def _installed(name: str) -> bool:
    try:
        return bool(processes.program(name))
    except MissingPrerequisite:
        return False


def _has_route() -> bool:
    with Netlink() as netlink:
        return any(not route.destination.length for route in rtnl.routes(netlink))


def _check_tun() -> None:
    try:
        os.close(os.open(_TUN, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        raise MissingPrerequisite(f"{_TUN} is not there: pods have no way to the network", hint="as root: modprobe tun") from None
    except OSError as error:
        raise Forbidden(
            f"{_TUN} cannot be opened ({error.strerror}): pods have no way to the network",
            hint="as root: chmod 0666 /dev/net/tun (which is what udev does)",
        ) from error


def pasta_argv(program: str, pin: str, host_loopback: bool) -> tuple[str, ...]:
    """No port is forwarded in either direction, and without `host_loopback` no address means the host's loopback."""
    return (
        program, "--config-net", "--quiet", "-4", "-I", DEVICE, "-m", str(MTU), "-a", ADDRESS, "-n", "24", "-g", HOST,
        "-t", "none", "-u", "none", "-T", "none", "-U", "none", *(() if host_loopback else ("--no-map-gw",)), "--netns", pin,
    )  # fmt: skip


def slirp_argv(program: str, pin: str, ready: int, host_loopback: bool) -> tuple[str, ...]:
    """`ready` is the descriptor it writes to when the device is up."""
    return (
        program, "--configure", f"--mtu={MTU}", f"--cidr={PREFIX}", *(() if host_loopback else ("--disable-host-loopback",)),
        "--enable-sandbox", "--enable-seccomp", f"--ready-fd={ready}", "--netns-type=path", pin, DEVICE,
    )  # fmt: skip


class WayOut:
    """The helper of one user's namespace. Its methods run in the host's network namespace."""

    def __init__(self, place: Place, wanted: str = "", host_loopback: bool = False) -> None:
        self._place = place
        self._pin = place.pin
        self._wanted = wanted
        self._host_loopback = host_loopback
        self._record = f"{place.directory}/way-out"

    def current(self) -> Choice | None:
        """The helper that runs now, and why it was chosen; NONE where none is needed; None when one is missing."""
        words = control.record_words(self._record)
        if len(words) < 4:
            return None
        choice = Choice(words[2], " ".join(words[3:]))
        if choice.helper == NONE:
            return None if self._wanted != NONE and _has_route() else choice
        found = control.recorded(self._record)
        return choice if found and processes.alive(found) else None

    def ensure(self) -> Choice:
        """See that it runs. Raises MissingPrerequisite, Forbidden, SandboxError with the helper's own words."""
        found = self.current()
        if found:
            return found
        with self._place.alone("way-out"):
            found = self.current()
            if found:
                return found
            self.end()
            choice = self.choose()
            if choice.helper == PASTA:
                choice = self._pasta(choice)
            elif choice.helper == SLIRP:
                self._slirp(choice)
            else:
                control.record(self._record, 0, choice.helper, choice.reason)
            return choice

    def choose(self) -> Choice:
        """Which one it would be. Raises what `choose` raises."""
        return choose(self._wanted)

    def end(self) -> None:
        """Kill it, also one whose record a crash prevented: its words name the namespace."""
        for process in _find(self._pin):
            processes.send(process, 9)
            processes.await_end(process, _KILL_SECONDS)
        control.forget(self._record)

    def _pasta(self, choice: Choice) -> Choice:
        """It goes into the background when the device is up. Where it fails and slirp4netns is there, that is taken.

        No pid file: Debian's AppArmor profile lets it write none in $XDG_RUNTIME_DIR.
        """
        argv = pasta_argv(processes.program(PASTA), self._pin, self._host_loopback)
        result = self._apart(lambda: processes.run(argv, check=False, seconds=_SECONDS))
        found = _find(self._pin) if result.status == 0 else ()
        if found:
            control.record(self._record, found[0].pid, PASTA, choice.reason)
            return choice
        said = _words(result.stderr)
        if self._wanted or not _installed(SLIRP):
            raise SandboxError(f"pasta cannot connect the pods to the network: {said}", hint="apt-get install slirp4netns")
        choice = Choice(SLIRP, f"pasta failed: {said}")
        self._slirp(choice)
        return choice

    def _apart(self, start: Callable[[], T]) -> T:
        """Start a helper from a mount namespace of its own, in which nothing is shared and none of our mounts is left.

        slirp4netns 1.2 unmounts what it does not need without making it private before: that would unmount the pods' namespaces and
        root file systems for us too. And it keeps all of /run, where a mount it holds is never free.
        """

        def work() -> T:
            syscalls.unshare(syscalls.CLONE_NEWNS)
            syscalls.mount("", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
            for point in mounts_below(os.path.dirname(self._place.directory)):
                if point not in (self._pin, os.path.dirname(self._place.directory)):
                    syscalls.umount(point)
            credentials.shed()
            return start()

        return in_thread(work)

    def _slirp(self, choice: Choice) -> None:
        ready, ready_child = os.pipe2(os.O_CLOEXEC)
        error, error_child = os.pipe2(os.O_CLOEXEC)
        try:
            argv = slirp_argv(processes.program(SLIRP), self._pin, 3, self._host_loopback)
            pid = self._apart(lambda: processes.spawn(argv, fds={2: error_child, 3: ready_child}))
            control.record(self._record, pid, SLIRP, choice.reason)
        finally:
            os.close(ready_child)
            os.close(error_child)
        try:
            if not _until_ready(ready):
                os.kill(pid, 9)
                processes.wait(pid)
                os.set_blocking(error, False)
                raise SandboxError(f"slirp4netns cannot connect the pods to the network: {_words(_rest(error))}")
        finally:
            os.close(ready)
            os.close(error)


def _until_ready(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(_SECONDS * 1000)) and bool(os.read(fd, 1))


def _rest(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return b""


def _words(stderr: bytes) -> str:
    """What a helper said, without its complaint about a missing syslog."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines()]
    return "; ".join(line for line in lines if line and "syslog" not in line)[-500:] or "it says nothing"


def _find(pin: str) -> Sequence[processes.Process]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
        except OSError:
            continue
        if pin in words and os.path.basename(words[0]) in (PASTA, SLIRP):
            process = processes.identify(int(name))
            found += [process] if process else []
    return found
