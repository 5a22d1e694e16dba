"""The command's side of a forwarder: start it, find it, talk to it."""

from __future__ import annotations

import os
import sys
from _socket import AF_UNIX, SCM_RIGHTS, SO_RCVTIMEO, SO_SNDTIMEO, SOCK_CLOEXEC, SOCK_SEQPACKET, SOL_SOCKET, socket
from collections.abc import Mapping

from kubeplay.engine.host import credentials, processes
from kubeplay.engine.host.threads import in_thread
from kubeplay.engine.net.rootless import wire
from kubeplay.errors import KubeplayError, Timeout

_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from kubeplay.engine.net.rootless.forwarder import main; main(sys.argv[1:])"
_SECONDS = 10  # for an answer: it never waits for anything itself
_KILL_SECONDS = 5.0
_PACKAGE = os.path.abspath(__file__).rsplit("/kubeplay/", 1)[0]


class Forwarder:
    """The process `name` of a user's directory. Its record says which process it is, so that a reused number is not taken for it.

    Callers hold a lock over several calls: one command at a time starts, changes or ends it.
    """

    def __init__(self, directory: str, name: str, *words: str) -> None:
        self._directory = directory
        self._socket = f"{directory}/{name}.sock"
        self._record = f"{directory}/{name}.pid"
        self._words = words

    def process(self) -> processes.Process | None:
        """It, when it lives."""
        found = recorded(self._record)
        return found if found and processes.alive(found) else None

    def start(self) -> None:
        """Start it in the network namespace of this thread; requests wait in its socket until it is up."""
        self.end()
        listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC)
        try:
            forget(self._socket)
            listener.bind(self._socket)
            os.chmod(self._socket, 0o600)
            listener.listen(64)
            argv = [*self._unprivileged(), sys.executable, "-I", "-S", "-c", _BOOT, _PACKAGE, self._directory, *self._words]
            record(self._record, in_thread(lambda: _spawn(argv, listener.fileno())))
        finally:
            listener.close()

    def _unprivileged(self) -> list[str]:
        """It serves strangers: no capability but the one to speak with a client's address, and no way to get others."""
        kept = "-all" if "plain" in self._words else "-all,+net_raw"
        return [processes.program("setpriv"), "--no-new-privs", f"--inh-caps={kept}", f"--bounding-set={kept}", "--"]

    def talk(self) -> Talk:
        """A line to it. Raises OSError when it is not there."""
        return Talk(self._socket)

    def end(self) -> None:
        """Kill it, with every connection that goes through it."""
        found = self.process()
        if found:
            processes.send(found, 9)
            processes.await_end(found, _KILL_SECONDS)
        forget(self._socket)
        forget(self._record)


def _spawn(argv: list[str], control: int) -> int:
    credentials.shed()
    return processes.spawn(argv, fds={3: control})


class Talk:
    """Requests and answers; close it when done."""

    def __init__(self, path: str) -> None:
        self._socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC)
        limit = _SECONDS.to_bytes(8, sys.byteorder) + bytes(8)  # struct timeval
        self._socket.setsockopt(SOL_SOCKET, SO_RCVTIMEO, limit)
        self._socket.setsockopt(SOL_SOCKET, SO_SNDTIMEO, limit)
        try:
            self._socket.connect(path)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, verb: str, *words: str, sock: socket | None = None) -> bytes:
        """One request; `sock` is handed over. Raises ConnectionError when it has ended, Timeout, KubeplayError when it refuses."""
        extra = [(SOL_SOCKET, SCM_RIGHTS, sock.fileno().to_bytes(4, sys.byteorder))] if sock else []
        try:
            self._socket.sendmsg((wire.request(verb, *words),), extra)
            answer: bytes = self._socket.recv(wire.LIMIT)
        except BlockingIOError as error:
            raise Timeout("the port forwarder does not answer", hint="kill it: the next command starts it again") from error
        if not answer:
            raise ConnectionResetError("the port forwarder has ended")
        if not answer.startswith(b"ok"):
            raise KubeplayError(f"the port forwarder refuses {verb} {' '.join(words)}: {answer[3:].decode('ascii', 'replace')}")
        return answer

    def ports(self) -> Mapping[str, str]:
        """What it forwards: key -> target."""
        lines = self.ask("list").decode("ascii").split("\n")[1:]
        return dict(line.split(" ", 1) for line in lines)


def record(path: str, pid: int, *words: str) -> None:
    """Remember a process by number and start time, with words about it."""
    found = processes.identify(pid) or processes.Process(pid, 0)
    fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(fd, " ".join([str(found.pid), str(found.start), *words]).encode())
    finally:
        os.close(fd)
    os.rename(f"{path}.new", path)


def recorded(path: str) -> processes.Process | None:
    """The process of a record, whether it lives or not."""
    words = record_words(path)
    return processes.Process(int(words[0]), int(words[1])) if len(words) > 1 else None


def record_words(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().split(" ")
    except FileNotFoundError:
        return []


def forget(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
