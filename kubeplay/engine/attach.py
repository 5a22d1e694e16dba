"""Our stdio joined to a container's, through the socket its conmon listens on (conmon(8), --full-attach).

A packet from conmon begins with the stream it belongs to; what we send goes to the container's standard input. The end of the
socket is the end of the container's output. Nothing is lost when the socket is joined before the container is started.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kubeplay.errors import InvalidInput, NotRunning

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.store.runtime import ContainerRow

STDERR = 3  # conmon's number for it; 2 is standard output, and a terminal's only stream
DETACH_KEYS = "ctrl-p,ctrl-q"  # podman's and docker's
_PACKET = 1 << 16  # conmon sends at most 32 KiB and a byte
_INPUT = 8192  # bytes of input in one packet: what conmon reads at once


class Attachment:
    """A joined container; made before it is started, `pump` runs until its output ends."""

    def __init__(self, engine: Engine, row: ContainerRow) -> None:
        self.bundle = engine.paths.bundle(row.id)
        self.socket = _connected(self.bundle, row.name)

    def __enter__(self) -> Attachment:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def resize(self, columns: int, rows: int) -> None:
        """Tell the container's terminal its size."""
        resize(self.bundle, columns, rows)

    def pump(self, stdin: bool, keys: Sequence[int] = (), out: int = 1, err: int = 2) -> bool:
        """Copy until the container's output ends: True; False when `keys` were typed. `stdin`: pass ours on."""
        typed = _Typed(keys)
        pending = b""
        reading, ended = stdin, not stdin
        self.socket.setblocking(False)
        while True:
            if not reading and not ended and not pending:
                self.socket.shutdown(socket.SHUT_WR)
                ended = True
            poll = select.poll()
            poll.register(self.socket, select.POLLIN | (select.POLLOUT if pending else 0))
            if reading and len(pending) < _INPUT:
                poll.register(0, select.POLLIN)
            for fd, events in poll.poll():
                if fd == 0:
                    data = os.read(0, _INPUT)
                    reading = bool(data)
                    data, left = typed.add(data)
                    if left:
                        return False
                    pending += data
                else:
                    if events & select.POLLOUT:
                        pending = self._send(pending)
                    if events & ~select.POLLOUT and not self._receive(out, err):
                        return True

    def _send(self, data: bytes) -> bytes:
        """Pass on what the socket takes; the rest."""
        try:
            return data[self.socket.send(data[:_INPUT]) :]
        except BlockingIOError:
            return data
        except OSError:  # it has ended: nobody reads its input any more
            return b""

    def _receive(self, out: int, err: int) -> bool:
        try:
            packet = self.socket.recv(_PACKET)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not packet:
            return False
        data, fd = memoryview(packet)[1:], err if packet[0] == STDERR else out
        while data:
            data = data[os.write(fd, data) :]
        return True


def _connected(bundle: str, name: str) -> socket.socket:
    """Through the bundle's descriptor: the path of a socket must not be longer than 108 bytes. Raises NotRunning."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        fd = os.open(bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            made.connect(f"/proc/self/fd/{fd}/attach")
        finally:
            os.close(fd)
    except OSError as error:
        made.close()
        raise NotRunning(f"container {name} is not running: nothing to attach to") from error
    return made


def resize(bundle: str, columns: int, rows: int) -> None:
    """Tell a container's terminal its size, through conmon's control pipe; nothing happens when conmon is gone."""
    try:
        fd = os.open(f"{bundle}/ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(fd, f"1 {rows} {columns}\n".encode())
    except OSError:
        pass
    finally:
        os.close(fd)


def keys(text: str) -> tuple[int, ...]:
    """The bytes of `ctrl-p,ctrl-q`, `a,ctrl-@`; "" = none. Raises InvalidInput."""
    found = []
    for word in text.split(",") if text else ():
        bare = word.removeprefix("ctrl-")
        if len(bare) != 1 or not bare.isascii() or (bare != word and not "@" <= bare.upper() <= "_"):
            raise InvalidInput(f"--detach-keys {text!r}: {word!r} is no key", hint="letters and ctrl-LETTER, with commas: ctrl-p,ctrl-q")
        found.append(ord(bare.upper()) & 0x1F if bare != word else ord(bare))
    return tuple(found)


class _Typed:
    """What was typed, with the keys that detach held back until it is clear whether they are all typed."""

    def __init__(self, wanted: Sequence[int]) -> None:
        self.wanted = bytes(wanted)
        self.held = b""

    def add(self, data: bytes) -> tuple[bytes, bool]:
        """(what goes to the container, whether to detach)."""
        if not self.wanted:
            return data, False
        passed = b""
        for byte in data:
            self.held += bytes((byte,))
            while self.held and not self.wanted.startswith(self.held):
                passed, self.held = passed + self.held[:1], self.held[1:]
            if self.held == self.wanted:
                return passed, True
        if not data:
            passed, self.held = passed + self.held, b""
        return passed, False


@contextmanager
def raw_terminal(attachment: Attachment) -> Iterator[None]:
    """Our terminal raw, and its size the container's, as long as we are joined; nothing when standard input is no terminal."""
    import signal
    import termios
    import tty

    if not os.isatty(0):
        yield
        return

    def follow(*_: object) -> None:
        size = os.get_terminal_size(0)
        attachment.resize(size.columns, size.lines)

    before = termios.tcgetattr(0)
    handler = signal.signal(signal.SIGWINCH, follow)
    try:
        tty.setraw(0, termios.TCSADRAIN)  # what was typed ahead is for the container
        follow()
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, handler)
