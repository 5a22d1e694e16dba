"""The forwarder as a process of its own: real sockets on both sides, requests as commands make them."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubeplay.engine.host import processes
from kubeplay.engine.net.rootless.control import Forwarder
from kubeplay.errors import KubeplayError

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM


class Ports:
    """A forwarder, the pods it leads to, and the host ports given to it."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # without root nobody can drop what he does not have: the program itself is what is tested here
        monkeypatch.setattr(Forwarder, "_unprivileged", lambda self: [])
        self.forwarder = Forwarder(str(directory), "forwarder", "plain")
        self.forwarder.start()
        self.open: list[socket.socket] = []

    def bound(self, kind: int = TCP) -> socket.socket:
        made = socket.socket(socket.AF_INET, kind)
        made.bind(("127.0.0.1", 0))
        if kind == TCP:
            made.listen(256)
        self.open.append(made)
        return made

    def forward(self, target: int, kind: int = TCP) -> tuple[str, int]:
        """Hand over a port that leads to `target`: its key and number."""
        given = self.bound(kind)
        number = given.getsockname()[1]
        key = f"127.0.0.1/{'TCP' if kind == TCP else 'UDP'}/{number}"
        with self.forwarder.talk() as talk:
            talk.ask("add", key, f"127.0.0.1:{target}", sock=given)
        given.close()
        return key, number

    def serve(self, work: Callable[[socket.socket], object]) -> int:
        """A pod: each connection is worked at in a thread; its port."""
        listener = self.bound()

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=_closing, args=(client, work), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return int(listener.getsockname()[1])

    def client(self, port: int) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", port), timeout=100)
        self.open.append(made)
        return made

    @property
    def pid(self) -> int:
        process = self.forwarder.process()
        assert process
        return process.pid

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def close(self) -> None:
        for sock in self.open:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        found = self.forwarder.process()
        self.forwarder.end()
        if found:
            processes.wait(found.pid)


def _closing(sock: socket.socket, work: Callable[[socket.socket], object]) -> None:
    with sock:
        try:
            work(sock)
        except OSError:
            pass


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ports]:
    made = Ports(tmp_path, monkeypatch)
    try:
        yield made
    finally:
        made.close()


def everything(sock: socket.socket) -> bytes:
    data = bytearray()
    while piece := sock.recv(1 << 16):
        data += piece
    return bytes(data)


def echo(sock: socket.socket) -> None:
    while piece := sock.recv(1 << 16):
        sock.sendall(piece)


def wait(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 100
    while not what():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.01)


def test_bytes_come_through_unchanged_both_ways(ports: Ports) -> None:
    _, port = ports.forward(ports.serve(echo))
    data = os.urandom(8 << 20)
    client = ports.client(port)
    sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
    sender.start()
    assert everything(client) == data
    sender.join()


def test_half_close_reaches_the_pod_and_its_answer_comes_after_it(ports: Ports) -> None:
    _, port = ports.forward(ports.serve(lambda sock: sock.sendall(b"all: %d" % len(everything(sock)))))
    client = ports.client(port)
    client.sendall(b"x" * 100_000)
    client.shutdown(socket.SHUT_WR)
    assert everything(client) == b"all: 100000"


def test_a_pod_that_closes_first_ends_the_connection_for_the_client(ports: Ports) -> None:
    _, port = ports.forward(ports.serve(lambda sock: sock.sendall(b"bye")))
    before = ports.descriptors()
    for _ in range(20):
        client = ports.client(port)
        assert everything(client) == b"bye"
        client.close()
    wait(lambda: ports.descriptors() <= before + 2)  # one spare pipe


def test_a_slow_reader_holds_the_sender_back(ports: Ports) -> None:
    go = threading.Event()

    def slow(sock: socket.socket) -> None:
        go.wait(600)
        sock.sendall(b"%d" % len(everything(sock)))

    _, port = ports.forward(ports.serve(slow))
    client = ports.client(port)
    client.settimeout(0.5)
    sent = 0
    with pytest.raises(TimeoutError):
        while True:
            sent += client.send(b"y" * (1 << 20))
    assert 0 < sent < 64 << 20, "buffers of three sockets and a pipe, not memory without end"
    go.set()
    client.settimeout(100)
    client.shutdown(socket.SHUT_WR)
    assert int(everything(client)) == sent


def test_a_refused_connection_is_reset(ports: Ports) -> None:
    dead = socket.socket()
    dead.bind(("127.0.0.1", 0))
    _, port = ports.forward(dead.getsockname()[1])
    dead.close()
    with pytest.raises(ConnectionResetError):
        everything(ports.client(port))


def test_many_connections_at_once_and_idle_ones_cost_two_descriptors(ports: Ports) -> None:
    _, port = ports.forward(ports.serve(echo))
    before = ports.descriptors()
    clients = [ports.client(port) for _ in range(300)]
    for number, client in enumerate(clients):
        client.sendall(b"%d" % number)
    for number, client in enumerate(clients):
        assert client.recv(100) == b"%d" % number
    assert ports.descriptors() <= before + 2 * len(clients) + 2 * 8, "no pipe for a connection that is idle"
    for client in clients:
        client.close()
    wait(lambda: ports.descriptors() <= before + 2 * 8)


def test_other_ports_come_and_go_without_touching_an_open_connection(ports: Ports) -> None:
    pod = ports.serve(echo)
    first, port = ports.forward(pod)
    client = ports.client(port)
    client.sendall(b"one")
    assert client.recv(10) == b"one"
    second, other = ports.forward(pod)
    third = ports.client(other)
    third.sendall(b"x")
    assert third.recv(10) == b"x"
    with ports.forwarder.talk() as talk:
        assert set(talk.ports()) == {first, second}
        talk.ask("del", second)
        assert set(talk.ports()) == {first}
    with pytest.raises(ConnectionResetError):
        third.recv(10)
    with pytest.raises(ConnectionRefusedError):
        ports.client(other)
    client.sendall(b"two")
    assert client.recv(10) == b"two"


def test_another_target_takes_new_connections_and_cuts_the_old(ports: Ports) -> None:
    key, port = ports.forward(ports.serve(echo))
    client = ports.client(port)
    client.sendall(b"x")
    assert client.recv(10) == b"x"
    new = ports.serve(lambda sock: sock.sendall(b"new"))
    with ports.forwarder.talk() as talk:
        talk.ask("set", key, f"127.0.0.1:{new}")
        assert talk.ports()[key] == f"127.0.0.1:{new}"
    with pytest.raises(ConnectionResetError):
        client.recv(10)
    assert everything(ports.client(port)) == b"new"


def test_udp_each_client_has_its_own_flow_and_its_answers(ports: Ports) -> None:
    pod = ports.bound(UDP)
    _, port = ports.forward(pod.getsockname()[1], UDP)
    clients = [ports.bound(UDP) for _ in range(3)]
    for number, client in enumerate(clients):
        client.settimeout(100)
        client.connect(("127.0.0.1", port))
        client.send(b"%d" % number)
    pod.settimeout(100)
    seen = {}
    for _ in clients:
        data, source = pod.recvfrom(100)
        seen[data] = source
    assert len(set(seen.values())) == 3
    for data, source in seen.items():
        pod.sendto(b"for " + data, source)
    assert [client.recv(100) for client in clients] == [b"for 0", b"for 1", b"for 2"]
    clients[0].send(b"again")
    assert pod.recvfrom(100) == (b"again", seen[b"0"])


def test_udp_large_and_empty_datagrams(ports: Ports) -> None:
    pod = ports.bound(UDP)
    pod.settimeout(100)
    _, port = ports.forward(pod.getsockname()[1], UDP)
    client = ports.bound(UDP)
    client.connect(("127.0.0.1", port))
    for data in (b"z" * 65507, b"", b"end"):
        client.send(data)
        assert pod.recv(1 << 16) == data


def test_a_listening_udp_port_without_a_pod_survives_refusals(ports: Ports) -> None:
    pod = ports.bound(UDP)
    number = pod.getsockname()[1]
    pod.close()
    _, port = ports.forward(number, UDP)
    client = ports.bound(UDP)
    client.connect(("127.0.0.1", port))
    for _ in range(3):
        client.send(b"x")
        time.sleep(0.02)
    again = socket.socket(socket.AF_INET, UDP)
    again.bind(("127.0.0.1", number))
    ports.open.append(again)
    again.settimeout(100)
    client.send(b"now")
    while (data := again.recv(10)) == b"x":
        pass
    assert data == b"now"


@pytest.mark.parametrize("words", [("add", "127.0.0.1/TCP/1", "127.0.0.1:2"), ("add", "x", "y"), ("add",), ("set", "no/TCP/1", "1.2.3.4:5"),
                                   ("del", "127.0.0.1/TCP/1"), ("nonsense",), ("add", "127.0.0.1/SCTP/5", "127.0.0.1:5")])  # fmt: skip
def test_requests_that_make_no_sense_are_refused_and_change_nothing(ports: Ports, words: tuple[str, ...]) -> None:
    key, port = ports.forward(ports.serve(echo))
    before = ports.descriptors()
    with ports.forwarder.talk() as talk:
        with pytest.raises(KubeplayError, match="refuses"):
            talk.ask(*words)
        assert set(talk.ports()) == {key}
    wait(lambda: ports.descriptors() <= before)


def test_it_ends_when_it_has_no_ports_and_nobody_talks_to_it(ports: Ports) -> None:
    key, _ = ports.forward(ports.serve(echo))
    pid = ports.pid
    with ports.forwarder.talk() as talk:
        talk.ask("del", key)
        assert talk.ports() == {}
    assert processes.wait(pid) == 0
    assert ports.forwarder.process() is None


def test_a_killed_one_is_known_to_be_dead_and_its_socket_refuses(ports: Ports) -> None:
    pid = ports.pid
    os.kill(pid, signal.SIGKILL)
    assert processes.wait(pid) == -signal.SIGKILL
    assert ports.forwarder.process() is None
    with pytest.raises(ConnectionRefusedError):
        ports.forwarder.talk()


def test_its_memory_is_small(ports: Ports) -> None:
    ports.forward(ports.serve(echo))
    lines = Path(f"/proc/{ports.pid}/status").read_text().splitlines()
    private = next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
    assert private < 6000, f"{private} kB of its own"
    imported = {"typing", "re", "json", "collections.abc", "selectors", "enum", "subprocess"}
    script = "import sys; before = set(sys.modules); import kubeplay.engine.net.rootless.forwarder; print(*(set(sys.modules) - before))"
    out = processes.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {os.getcwd()!r}); {script}"]).stdout.decode()
    assert not imported & set(out.split())
