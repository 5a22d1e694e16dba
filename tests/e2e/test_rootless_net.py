"""An ordinary user's network as seen from the machine: the way out, what stays shut, published ports, what a kill costs.

The user's "host" is a network namespace with an uplink of its own and a wire to another machine (`far`), so nothing here meets the
machine that runs the tests.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest

from tests.support.images import write_all
from tests.support.kubeplay import kill
from tests.support.net import inside, listening
from tests.support.user import User, user

T = TypeVar("T")
pytestmark = pytest.mark.root

POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME, labels: {app: NAME}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: docker.io/library/busybox:1
    command: [sh, -c, "mkdir /www; echo NAME > /www/index.html; nc -ll -p 81 -e cat & exec httpd -f -vv -p 80 -h /www"]
    ports: PORTS
"""


def pod(name: str, *ports: str) -> str:
    return POD.replace("NAME", name).replace("PORTS", f"[{', '.join(ports)}]")


class Lab(NamedTuple):
    """The user, its host's network namespace, and another machine."""

    user: User
    host: str
    far: str
    host_ip: str = "198.51.100.1"
    far_ip: str = "198.51.100.2"

    def play(self, text: str, status: int = 0, **env: str) -> str:
        path = self.user.home / "played.yaml"
        path.write_text(text)
        os.chmod(path, 0o644)
        done = self.user.run(self.user.kubeplay, "play", "kube", "-q", str(path), status=status, **env)
        return done.stdout + done.stderr

    def sh(self, name: str, script: str) -> str:
        return self.user.run(self.user.kubeplay, "exec", name, "sh", "-c", script, status=None).stdout

    def mounts(self) -> list[str]:
        """What is mounted where the user's pods are."""
        lines = self.user.run(self.user.kubeplay, "unshare", "cat", "/proc/self/mountinfo").stdout.splitlines()
        return [line for line in lines if "/kubeplay/" in line.split()[4]]

    def down(self) -> None:
        self.user.run(self.user.kubeplay, "pod", "rm", "-fa", "-t", "0", status=None)

    def file(self, name: str) -> Path:
        return Path(f"{self.user.runtime}/kubeplay-user/{name}")

    def number(self, name: str) -> int:
        """The process that a record of the user's names."""
        return int(self.file(name).read_text().split()[0])

    def running(self, *names: str) -> list[str]:
        """Which of these programs the user runs."""
        found = []
        for pid in self.user.processes():
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            found += [name for name in names if name in words]
        return found


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with user(own_network=True) as made:
        far = f"{made.name}-far"
        for words in (
            f"netns add {far}",
            f"link add wire0 netns {made.network} type veth peer name wire1 netns {far}",
            f"-n {made.network} addr add 198.51.100.1/30 dev wire0",
            f"-n {made.network} link set wire0 up",
            f"-n {far} addr add 198.51.100.2/30 dev wire1",
            f"-n {far} link set wire1 up",
            f"-n {far} link set lo up",
        ):
            subprocess.run(["ip", *words.split()], check=True)
        archive = made.home / "busybox.tar"
        archive.write_bytes(write_all(tmp_path_factory.mktemp("images"))["busybox"].read_bytes())
        os.chmod(archive, 0o644)
        made.run(made.kubeplay, "image", "load", "-q", "-i", str(archive))
        try:
            yield Lab(made, f"/run/netns/{made.network}", f"/run/netns/{far}")
        finally:
            made.end()
            subprocess.run(["ip", "netns", "delete", far], check=True)


@pytest.fixture
def lab(machine: Lab) -> Iterator[Lab]:
    yield machine
    machine.down()
    assert not machine.running("pasta", "slirp4netns", "net.rootless.forwarder"), "the last pod takes the network with it"


def get(where: str, address: str, port: int) -> str:
    """The page of a pod, asked for in network namespace `where`."""

    def work() -> str:
        with socket.create_connection((address, port), timeout=60) as sock:
            sock.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
            data = b""
            while piece := sock.recv(4096):
                data += piece
            return data.decode().partition("\r\n\r\n")[2].strip()

    return until(lambda: inside(where, work), OSError)


def until(work: Callable[[], T], error: type[Exception] = AssertionError) -> T:
    """What `work` returns once it raises no more: a server in a pod needs a moment."""
    end = time.monotonic() + 100
    while True:
        try:
            return work()
        except error:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


@contextmanager
def serving(where: str, address: str, port: int, answer: bytes) -> Iterator[list[str]]:
    """A server in `where`; hands out the list of its clients' addresses."""
    listener = inside(where, lambda: listening(address, port))
    clients: list[str] = []

    def serve() -> None:
        while True:
            try:
                sock, client = listener.accept()
            except OSError:
                return
            clients.append(client[0])
            with sock:
                sock.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield clients
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


HELPERS = ["pasta", "slirp4netns"]


@pytest.mark.parametrize("helper", HELPERS)
def test_pods_reach_other_machines_with_the_hosts_address_and_never_its_loopback(lab: Lab, helper: str) -> None:
    lab.play(pod("out"), KUBEPLAY_NETWORK_HELPER=helper)
    assert lab.running(*HELPERS) == [helper]
    with serving(lab.far, "0.0.0.0", 7000, b"far\n") as clients, serving(lab.host, "127.0.0.1", 7001, b"loopback\n") as local:
        assert lab.sh("out", f"sleep 1 | nc -w 60 {lab.far_ip} 7000") == "far\n"
        assert clients == [lab.host_ip]
        for address in ("127.0.0.1", lab.host_ip, "169.254.77.2", "169.254.77.3", "169.254.77.100", "10.244.0.1"):
            assert "loopback" not in lab.sh("out", f"nc -w 1 {address} 7001 </dev/null")
        assert local == []
    with serving(lab.host, lab.host_ip, 7002, b"host\n"):
        assert lab.sh("out", f"sleep 1 | nc -w 60 {lab.host_ip} 7002") == "host\n", "what the host serves to the world"


@pytest.mark.parametrize("helper", HELPERS)
def test_the_hosts_loopback_is_there_when_asked_for(lab: Lab, helper: str) -> None:
    lab.play(pod("out"), KUBEPLAY_NETWORK_HELPER=helper, KUBEPLAY_HOST_LOOPBACK="true")
    with serving(lab.host, "127.0.0.1", 7003, b"loopback\n"):
        assert lab.sh("out", "sleep 1 | nc -w 60 169.254.77.2 7003") == "loopback\n"


def test_a_published_port_shows_the_pod_its_client_and_answers_on_every_address(lab: Lab) -> None:
    """LR4: through the forwarder."""
    lab.play(pod("web", "{containerPort: 80, hostPort: 8080}"))
    assert get(lab.host, "127.0.0.1", 8080) == "web"
    assert get(lab.host, lab.host_ip, 8080) == "web"
    assert get(lab.far, lab.host_ip, 8080) == "web"
    log = lab.user.run(lab.user.kubeplay, "logs", "web")
    assert f"{lab.far_ip}]:" in log.stdout + log.stderr, "the client's own address"
    assert f"{lab.host_ip}]:" in log.stdout + log.stderr
    assert lab.user.run(lab.user.kubeplay, "port", "web").stdout.strip() == "80/tcp -> 0.0.0.0:8080"


def test_host_ip_is_honoured(lab: Lab) -> None:
    lab.play(pod("a", "{containerPort: 80, hostPort: 8081, hostIP: 127.0.0.1}"))
    lab.play(pod("b", f"{{containerPort: 80, hostPort: 8081, hostIP: {lab.host_ip}}}"))
    assert get(lab.host, "127.0.0.1", 8081) == "a"
    assert get(lab.far, lab.host_ip, 8081) == "b"
    lab.user.run(lab.user.kubeplay, "pod", "rm", "-f", "-t", "0", "b")
    with pytest.raises(ConnectionRefusedError):
        inside(lab.far, lambda: socket.create_connection((lab.host_ip, 8081), 60))
    said = lab.play(pod("c", "{containerPort: 80, hostPort: 8082, hostIP: 203.0.113.77}"), status=125)
    assert "hostIP 203.0.113.77 is not an address of this machine" in said


def test_what_cannot_be_published_is_said_at_once(lab: Lab) -> None:
    """LR4: ports below the kernel's limit among them."""
    said = lab.play(pod("low", "{containerPort: 80, hostPort: 80}"), status=125)
    assert "port 80 is kept for root: this machine gives its users the ports from 1024 on" in said
    assert "net.ipv4.ip_unprivileged_port_start=80" in said
    with serving(lab.host, "0.0.0.0", 8083, b"program"):
        said = lab.play(pod("busy", "{containerPort: 80, hostPort: 8083}"), status=125)
        assert "port 8083 is already in use by a program on this machine (tcp)" in said
    said = lab.play(pod("sctp", "{containerPort: 80, hostPort: 8084, protocol: SCTP}"), status=125)
    assert "host ports of an ordinary user are TCP or UDP" in said


def test_a_second_stack_leaves_an_open_connection_alone(lab: Lab) -> None:
    lab.play(pod("first", "{containerPort: 80, hostPort: 8085}", "{containerPort: 81, hostPort: 8086}"))
    get(lab.far, lab.host_ip, 8085)

    def echoed() -> socket.socket:
        """A connection that has answered: the forwarder takes it before the pod's server listens, and breaks it off then."""
        made = inside(lab.far, lambda: socket.create_connection((lab.host_ip, 8086), 60))
        try:
            made.sendall(b"one")
            if made.recv(10) == b"one":
                return made
            raise ConnectionResetError("no answer")
        except OSError:
            made.close()
            raise

    with until(echoed, OSError) as sock:
        lab.play(pod("second", "{containerPort: 80, hostPort: 8087}"))
        assert get(lab.far, lab.host_ip, 8087) == "second"
        lab.user.run(lab.user.kubeplay, "pod", "rm", "-f", "-t", "0", "second")
        sock.sendall(b"two")
        assert sock.recv(10) == b"two"


def test_a_replaced_pod_keeps_its_port(lab: Lab) -> None:
    lab.play(pod("web", "{containerPort: 80, hostPort: 8088}"))
    assert get(lab.host, "127.0.0.1", 8088) == "web"
    again = pod("web", "{containerPort: 80, hostPort: 8088, hostIP: 127.0.0.1}").replace("echo web", "echo new")
    (lab.user.home / "again.yaml").write_text(again)
    os.chmod(lab.user.home / "again.yaml", 0o644)
    lab.user.run(lab.user.kubeplay, "play", "kube", "-q", "--replace", str(lab.user.home / "again.yaml"))
    assert until(lambda: got("new", get(lab.host, "127.0.0.1", 8088)))
    with pytest.raises(ConnectionRefusedError):
        inside(lab.far, lambda: socket.create_connection((lab.host_ip, 8088), 60))


def got(wanted: str, said: str) -> str:
    assert said == wanted
    return said


def test_what_was_killed_is_back_with_the_next_command(lab: Lab) -> None:
    lab.play(pod("web", "{containerPort: 80, hostPort: 8089}"))
    assert get(lab.host, "127.0.0.1", 8089) == "web"
    for name in ("forwarder.pid", "way-out"):
        kill(lab.number(name))
    with pytest.raises(OSError):
        inside(lab.host, lambda: socket.create_connection(("127.0.0.1", 8089), 2))
    lab.user.run(lab.user.kubeplay, "pod", "ps")
    assert get(lab.host, "127.0.0.1", 8089) == "web"
    with serving(lab.far, "0.0.0.0", 7004, b"far\n"):
        assert lab.sh("web", f"nc -w 60 {lab.far_ip} 7004 </dev/null") == "far\n"


@pytest.mark.parametrize("helper", HELPERS)
def test_a_helper_that_starts_beside_running_pods_takes_nothing_from_them(lab: Lab, helper: str) -> None:
    """slirp4netns unmounts what it does not need, and would do so for everybody that shares mounts with it."""
    lab.play(pod("web"), KUBEPLAY_NETWORK_HELPER=helper)
    before = lab.mounts()
    kill(lab.number("way-out"))
    lab.user.run(lab.user.kubeplay, "pod", "ps", KUBEPLAY_NETWORK_HELPER=helper)
    assert lab.running(*HELPERS) == [helper]
    assert lab.mounts() == before
    kept = Path(f"/proc/{lab.number('way-out')}/mountinfo").read_text()
    assert "/kubeplay/sandboxes" not in kept and "/kubeplay/containers" not in kept, "a mount it holds would never be free"


def test_a_port_taken_while_the_forwarder_was_dead_is_told(lab: Lab) -> None:
    lab.play(pod("web", "{containerPort: 80, hostPort: 8090}"))
    get(lab.host, "127.0.0.1", 8090)
    kill(lab.number("forwarder.pid"))
    with serving(lab.host, "0.0.0.0", 8090, b"thief"):
        lab.user.run(lab.user.kubeplay, "pod", "ps")
        events = lab.user.run(lab.user.kubeplay, "events", "--stream=false").stdout
        assert "port 8090 is already in use by a program on this machine" in events


def test_after_everything_was_killed_the_next_play_starts_clean(lab: Lab) -> None:
    lab.play(pod("web", "{containerPort: 80, hostPort: 8091}"))
    lab.user.end()  # as the end of a session: holder, conmon, pasta, forwarder
    lab.down()
    lab.play(pod("again", "{containerPort: 80, hostPort: 8091}"))
    assert get(lab.host, "127.0.0.1", 8091) == "again"
    assert len(lab.running("pasta", "slirp4netns")) == 1


def test_a_closed_tun_device_is_told_with_its_remedy(lab: Lab) -> None:
    hidden = f"mount -t tmpfs tmpfs /dev/net && mknod -m 600 /dev/net/tun c 10 200 && exec {' '.join(lab.user.argv('sh', '-c', 'true'))}"
    assert subprocess.run(["unshare", "-m", "sh", "-c", hidden], check=False).returncode == 0
    lab.user.end()  # the holder has seen the open one
    path = lab.user.home / "played.yaml"
    path.write_text(pod("out"))
    argv = lab.user.argv(lab.user.kubeplay, "play", "kube", "-q", str(path))
    script = 'mount -t tmpfs tmpfs /dev/net && mknod -m 600 /dev/net/tun c 10 200 && exec "$@"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 125
    assert "/dev/net/tun cannot be opened (Permission denied)" in done.stderr and "chmod 0666 /dev/net/tun" in done.stderr
    lab.user.end()


def test_without_an_uplink_pods_talk_to_each_other_and_are_published(lab: Lab) -> None:
    routes = inside(lab.host, lambda: subprocess.run(["ip", "route", "show", "default"], capture_output=True, text=True, check=True)).stdout
    inside(lab.host, lambda: subprocess.run(["ip", "route", "del", "default"], check=True))
    try:
        lab.play(pod("web", "{containerPort: 80, hostPort: 8092}") + "---" + pod("client"))
        assert not lab.running(*HELPERS)
        assert get(lab.far, lab.host_ip, 8092) == "web"
        ip = lab.user.run(lab.user.kubeplay, "pod", "inspect", "web", "--format", "{{.status.podIP}}").stdout.strip()
        assert lab.sh("client", f"wget -q -O - http://{ip}/").strip() == "web"
    finally:
        inside(lab.host, lambda: subprocess.run(["ip", "route", "add", *routes.split()], check=True))
    lab.play(pod("later"))
    assert len(lab.running(*HELPERS)) == 1, "the uplink is there now"


RESOLVER = """
import socket
sock = socket.socket(type=socket.SOCK_DGRAM)
sock.bind(("127.0.0.53", 53))
while True:
    asked, client = sock.recvfrom(600)
    end = asked.index(b"\\0", 12) + 5
    answer = asked[:2] + b"\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0" + asked[12:end]
    answer += b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4" + bytes([203, 0, 113, 99])
    sock.sendto(answer, client)
"""


@pytest.mark.parametrize("helper", [*HELPERS, "none"])
def test_names_are_known_where_the_host_asks_a_resolver_on_its_loopback(lab: Lab, helper: str, tmp_path: Path) -> None:
    lab.user.end()  # the holder's mounts are made anew, with the other resolv.conf
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.53\n")
    os.chmod(resolv, 0o644)
    path = lab.user.home / "played.yaml"
    path.write_text(pod("web"))
    server = inside(lab.host, lambda: subprocess.Popen(["python3", "-c", RESOLVER]))
    try:
        argv = lab.user.argv(lab.user.kubeplay, "play", "kube", "-q", str(path), KUBEPLAY_NETWORK_HELPER=helper)
        script = f'mount --bind {resolv} /etc/resolv.conf && exec "$@"'
        subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", *argv], check=True, capture_output=True)
        assert "203.0.113.99" in until(lambda: found(lab.sh("web", "nslookup name.example.")))
    finally:
        server.kill()
        server.wait()
        lab.down()
        lab.user.end()


def found(text: str) -> str:
    assert "203.0.113.99" in text, text
    return text


def test_the_forwarder_can_do_nothing_but_its_work(lab: Lab) -> None:
    path = lab.user.home / "played.yaml"
    path.write_text(pod("web", "{containerPort: 80, hostPort: 8093}"))
    subprocess.run(lab.user.argv(lab.user.kubeplay, "play", "kube", "-q", str(path), groups=(4,)), check=True, capture_output=True)
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{lab.number('forwarder.pid')}/status").read_text().splitlines())
    assert int(lines["CapBnd"], 16) == int(lines["CapEff"], 16) == 1 << 13, "CAP_NET_RAW, for its clients' addresses"
    assert lines["NoNewPrivs"].strip() == "1"
    helper = dict(line.split(":", 1) for line in Path(f"/proc/{lab.number('way-out')}/status").read_text().splitlines())
    assert "4" not in lines["Groups"].split() + helper["Groups"].split(), "no group of the caller's"
    for name in ("forwarder.sock", "forwarder.pid", "way-out", "forwards", "claims"):
        assert os.stat(lab.file(name)).st_uid == lab.user.uid
    assert os.stat(lab.file("forwarder.sock")).st_mode & 0o777 == 0o600
    assert os.stat(lab.file("").parent).st_mode & 0o777 == 0o700


def test_a_stranger_gets_no_answer_from_the_forwarder(lab: Lab) -> None:
    lab.play(pod("web", "{containerPort: 80, hostPort: 8094}"))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # root, who may come as far as the socket
    with sock:
        sock.settimeout(5)
        sock.connect(str(lab.file("forwarder.sock")))
        try:
            sock.send(b"list")
            assert sock.recv(1000) == b""
        except ConnectionError:
            pass
    assert get(lab.host, "127.0.0.1", 8094) == "web"


def test_two_roots_of_one_user_share_the_namespace_and_leave_each_other_alone(lab: Lab) -> None:
    other = [f"--root={lab.user.home}/other", f"--runroot={lab.user.home}/other-run"]
    lab.user.run(lab.user.kubeplay, *other, "image", "load", "-q", "-i", str(lab.user.home / "busybox.tar"))
    lab.play(pod("one", "{containerPort: 80, hostPort: 8095}"))
    path = lab.user.home / "two.yaml"
    for port, status in ((8095, 125), (8096, 0)):
        path.write_text(pod("two", f"{{containerPort: 80, hostPort: {port}}}"))
        said = lab.user.run(lab.user.kubeplay, *other, "play", "kube", "-q", str(path), status=status)
        assert status == 0 or "in use by another kubeplay root" in said.stderr
    assert [get(lab.host, "127.0.0.1", port) for port in (8095, 8096)] == ["one", "two"]
    lab.down()
    assert get(lab.host, "127.0.0.1", 8096) == "two"
    lab.user.run(lab.user.kubeplay, *other, "system", "reset", "-f")


def test_host_network_is_the_real_hosts(lab: Lab) -> None:
    text = pod("host").replace("spec:\n", "spec:\n  hostNetwork: true\n").replace("-p 80 -h", "-p 8097 -h").replace("-p 81", "-p 8098")
    lab.play(text)
    assert get(lab.far, lab.host_ip, 8097) == "host"
    links = inside(lab.host, lambda: socket.if_nameindex())
    assert set(lab.sh("host", "ls /proc/sys/net/ipv4/conf").split()) >= {name for _, name in links}
