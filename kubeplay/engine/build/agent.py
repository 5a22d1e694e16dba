"""RUN --mount=type=ssh: an SSH agent's socket for a step.

The caller's own agent is reached through a socket that is bound into the step; keys given as files are loaded into an agent of our
own, which lives as long as the step.
"""

from __future__ import annotations

import os
import signal
import stat
from contextlib import ExitStack

from kubeplay.engine.host import processes
from kubeplay.errors import BuildError

_POLL_SECONDS = 10.0


def forwarded(stack: ExitStack, directory: str, sources: tuple[str, ...]) -> str:
    """The path of a socket for the step. `sources` are sockets or key files; none means $SSH_AUTH_SOCK."""
    paths = sources or (os.environ.get("SSH_AUTH_SOCK", ""),)
    if not paths[0]:
        raise BuildError("--ssh: SSH_AUTH_SOCK is not set", hint="start an agent, or name a key: --ssh default=KEYFILE")
    kinds = [_kind(path) for path in paths]
    if kinds == ["socket"]:
        return _relay(stack, directory, paths[0])
    if "socket" in kinds:
        raise BuildError("--ssh: either one socket or key files")
    return _own(stack, directory, paths)


def _kind(path: str) -> str:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise BuildError(f"--ssh: {path}: {error.strerror}") from error
    return "socket" if stat.S_ISSOCK(mode) else "key"


def _own(stack: ExitStack, directory: str, keys: tuple[str, ...]) -> str:
    path = f"{directory}/agent"
    pid = processes.spawn([processes.program("ssh-agent"), "-D", "-a", path])
    stack.callback(_end, pid)
    env = {**processes.CLEAN_ENV, "SSH_AUTH_SOCK": path, "HOME": directory}
    _await(path, pid)
    for key in keys:
        found = processes.run([processes.program("ssh-add"), "-q", os.path.abspath(key)], env=env, check=False)
        if found.status:
            raise BuildError(f"--ssh: {key}: {found.stderr.decode(errors='replace').strip()}")
    return path


def _await(path: str, pid: int) -> None:
    """The agent makes its socket at once; a try that comes before it is repeated."""
    import time

    deadline = time.monotonic() + _POLL_SECONDS
    while not os.path.exists(path):
        if time.monotonic() > deadline or processes.identify(pid) is None:
            raise BuildError("--ssh: ssh-agent did not start")
        time.sleep(0.002)


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    processes.wait(pid)


def _relay(stack: ExitStack, directory: str, source: str) -> str:
    """A socket of our own that passes bytes on to the caller's agent: modes and owners are set on ours, never on theirs."""
    import socket
    import threading

    path = f"{directory}/agent"
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            server.bind(f"/proc/self/fd/{fd}/agent")  # a socket's address has room for 107 characters only
        finally:
            os.close(fd)
        server.listen(8)
    except BaseException:
        server.close()
        raise
    threads: list[threading.Thread] = []
    thread = threading.Thread(target=_serve, args=(server, source, threads), daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        server.close()
        for one in threads:
            one.join(1.0)

    stack.callback(stop)
    return path


def _serve(server: object, source: str, threads: list[object]) -> None:
    import socket
    import threading

    assert isinstance(server, socket.socket)
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        one = threading.Thread(target=_pass_on, args=(client, source), daemon=True)
        threads.append(one)
        one.start()


def _pass_on(client: object, source: str) -> None:
    import select
    import socket

    assert isinstance(client, socket.socket)
    with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        try:
            other.connect(source)
            while True:
                ready, _, _ = select.select([client, other], [], [])
                for one in ready:
                    data = one.recv(65536)
                    if not data:
                        return
                    (other if one is client else client).sendall(data)
        except OSError:
            return
