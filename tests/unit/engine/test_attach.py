"""Joining a container: the keys that leave it, and the socket in both directions."""

from __future__ import annotations

import os
import socket
import threading
from typing import NamedTuple

import pytest

from kubeplay.engine import attach
from kubeplay.errors import InvalidInput, NotRunning


@pytest.mark.parametrize(("text", "wanted"), [("ctrl-p,ctrl-q", (16, 17)), ("a,ctrl-@", (97, 0)), ("ctrl-[", (27,)), ("", ())])
def test_keys(text: str, wanted: tuple[int, ...]) -> None:
    assert attach.keys(text) == wanted


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "ab", "ctrl-p,,ctrl-q", "é"])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(InvalidInput):
        attach.keys(text)


@pytest.mark.parametrize(("pieces", "passed", "left"), [
    ([b"ab\x10\x11c"], b"ab", True), ([b"\x10", b"\x11"], b"", True), ([b"\x10", b"x"], b"\x10x", False),
    ([b"\x10\x10\x11"], b"\x10", True), ([b"\x10", b""], b"\x10", False), ([b"\x11\x10"], b"\x11", False),
])  # fmt: skip
def test_typed_keys_leave_only_when_all_are_typed(pieces: list[bytes], passed: bytes, left: bool) -> None:
    typed, found, done = attach._Typed((16, 17)), b"", False
    for piece in pieces:
        data, done = typed.add(piece)
        found += data
    assert (found, done) == (passed, left)


class Paths(NamedTuple):
    """Where bundles are."""

    directory: str

    def bundle(self, container_id: str) -> str:
        return f"{self.directory}/{container_id}"


class Engine(NamedTuple):
    paths: Paths


class Row(NamedTuple):
    id: str = "c"
    name: str = "c"


def test_output_and_input_go_both_ways_however_long_the_path(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = f"{tmp_path}/{'d' * 90}/c"
    os.makedirs(bundle)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    fd = os.open(bundle, os.O_PATH)
    server.bind(f"/proc/self/fd/{fd}/attach")
    server.listen(1)
    got: list[bytes] = []

    def conmon() -> None:
        peer, _ = server.accept()
        with peer:
            while data := peer.recv(1 << 16):
                got.append(data)
            for number in range(2000):
                peer.send(bytes((2 + number % 2,)) + b"x" * 1000)

    thread = threading.Thread(target=conmon)
    thread.start()
    stdin, out, err = os.pipe(), os.memfd_create("out"), os.memfd_create("err")
    saved = os.dup(0)
    try:
        os.dup2(stdin[0], 0)
        os.write(stdin[1], b"hello")
        os.close(stdin[1])
        engine = Engine(Paths(os.path.dirname(bundle)))
        with attach.Attachment(engine, Row()) as attachment:  # type: ignore[arg-type]
            assert attachment.pump(True, (), out, err)
    finally:
        os.dup2(saved, 0)
        for one in (saved, stdin[0], fd):
            os.close(one)
        thread.join()
        server.close()
    assert b"".join(got) == b"hello"
    assert (os.fstat(out).st_size, os.fstat(err).st_size) == (1_000_000, 1_000_000)
    os.close(out)
    os.close(err)


def test_nothing_listens(tmp_path: object) -> None:
    with pytest.raises(NotRunning):
        attach.Attachment(Engine(Paths(str(tmp_path))), Row())  # type: ignore[arg-type]
    attach.resize(str(tmp_path), 80, 25)
