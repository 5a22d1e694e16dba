"""What people reach into a pod with: port-forward, debug, attach, exec on a terminal that changes its size."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import socket
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.kubeplay import Machine, playing

pytestmark = [pytest.mark.root, pytest.mark.slow]

MANIFEST = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: front, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, 'mkdir -p /www && echo page > /www/index.html && exec httpd -f -p 127.0.0.1:8080 -h /www']
    ports: [{name: http, containerPort: 8080}]
  - name: echo
    image: busybox:1
    stdin: true
    command: [sh, -c, 'while read -r line; do echo "got $line"; done']
    livenessProbe: {exec: {command: [sh, -c, 'echo well']}, initialDelaySeconds: 3600, timeoutSeconds: 100}
    readinessProbe: {exec: {command: [sh, -c, 'echo sick; exit 4']}, periodSeconds: 3600, timeoutSeconds: 100}
    startupProbe: {tcpSocket: {port: 9}, periodSeconds: 3600, timeoutSeconds: 100}
  - {name: term, image: busybox:1, stdin: true, tty: true, command: [sh]}
"""


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("reach"), image_archives, MANIFEST) as machine:
        machine.wait(lambda: machine.sh("web", "wget -qO- http://127.0.0.1:8080/", "main", status=None) == "page")
        yield machine


# port-forward
@contextmanager
def forwarded(kp: Machine, *words: str) -> Iterator[list[int]]:
    """The ports of this machine that port-forward says it listens on, on 127.0.0.1."""
    running = kp.start("port-forward", *words)
    ports: list[int] = []
    try:
        assert running.stdout is not None
        while len(ports) < len(words) - 1:
            line = running.stdout.readline()
            assert line.startswith("Forwarding from "), (line, running.poll())
            if "127.0.0.1:" in line:
                ports.append(int(line.split(" -> ")[0].rpartition(":")[2]))
        yield ports
    finally:
        running.kill()
        running.communicate()


def page(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port)) as made:
        found = b""
        try:
            made.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while data := made.recv(65536):
                found += data
        except (ConnectionResetError, BrokenPipeError):
            pass
    return found


def test_port_forward_reaches_what_listens_on_the_pods_localhost_only(kp: Machine) -> None:
    with forwarded(kp, "web", ":8080", ":http") as ports:
        assert [page(port).endswith(b"page\n") for port in ports] == [True, True]
        assert page(ports[0]).startswith(b"HTTP/1.")
    with forwarded(kp, "svc/web", ":front") as (port,):
        assert page(port).endswith(b"page\n")


def test_port_forward_says_what_cannot_be_reached(kp: Machine) -> None:
    running = kp.start("port-forward", "web", ":9")
    try:
        assert running.stdout is not None and running.stderr is not None
        port = int(running.stdout.readline().split(" -> ")[0].rpartition(":")[2])
        assert page(port) == b""
        assert "cannot connect to port 9 inside the pod: Connection refused" in running.stderr.readline()
    finally:
        running.kill()
        running.communicate()
    assert "no TCP port named 'absent'" in kp("port-forward", "web", ":absent", status=125).err
    assert "has no port 81" in kp("port-forward", "svc/web", "81", status=125).err
    assert "is not [LOCAL:]REMOTE" in kp("port-forward", "web", "70000", status=125).err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "already in use" in kp("port-forward", "web", f"{taken.getsockname()[1]}:8080", status=125).err


# debug
def test_debug_looks_at_the_targets_processes_and_is_shown_as_ephemeral(kp: Machine) -> None:
    script = "tr '\\0' ' ' </proc/1/cmdline; exit 3"
    name = f"look-{time.monotonic_ns()}"  # this test may get a second try
    said = kp("debug", "web", "--image", "busybox:1", "-c", name, "--target", "main", "-i", "--", "sh", stdin=script, status=3)
    assert said.out.startswith("httpd -f -p 127.0.0.1:8080")
    status = kp.pod("web")["status"]
    (one,) = [one for one in status["ephemeralContainerStatuses"] if one["name"] == name]
    assert one["state"]["terminated"]["exitCode"] == 3 and one["restartCount"] == 0
    assert status["phase"] == "Running" and name not in [c["name"] for c in status["containerStatuses"]]
    assert "targetContainerName: main" in kp("get", "pod", "web", "-o", "yaml").out
    assert f"  {name}:\n" in kp("describe", "pod", "web").out
    assert "httpd" in kp("logs", "web", "-c", name).out
    # the file has not changed by it, and what is generated is what a cluster creates
    kp("play", "kube", "--update", "-q", kp.written(MANIFEST))
    assert kp("play", "kube", kp.written(MANIFEST)).lines[0] == "Nothing has changed."
    assert "ephemeral" not in kp("generate", "kube", "web").out
    kp("play", "kube", "--update", "-q", kp.written(MANIFEST.replace("labels: {app: web}", "labels: {app: web, seen: by}")))
    assert name in kp("get", "pod", "web", "-o", "jsonpath={.status.ephemeralContainerStatuses[*].name} {.metadata.labels.seen}").out


def test_debug_by_itself_runs_on_and_shares_the_network(kp: Machine) -> None:
    said = kp("debug", "web", "--image", "busybox:1", "--", "sh", "-c", "wget -qO- http://127.0.0.1:8080/; exec sleep 100000")
    name = said.out.strip()
    assert name.startswith("debugger-") and f"Defaulting debug container name to {name}." in said.err
    kp.wait(lambda: kp("logs", "web", "-c", name).out == "page\n")
    assert "sleep 100000" in kp("exec", "-c", name, "web", "ps").out
    assert "httpd" not in kp("exec", "-c", name, "web", "ps").out


def test_debug_refuses_what_makes_no_sense(kp: Machine) -> None:
    assert "no image is named" in kp("debug", "web", status=125).err
    assert "-t needs -i" in kp("debug", "web", "--image", "busybox:1", "-t", status=125).err
    assert "has a container main already" in kp("debug", "web", "--image", "busybox:1", "-c", "main", status=125).err
    assert "no container 'absent'" in kp("debug", "web", "--image", "busybox:1", "--target", "absent", status=125).err
    assert "container name 'A_b'" in kp("debug", "web", "--image", "busybox:1", "-c", "A_b", status=125).err


# attach
def test_attach_passes_lines_in_and_out(kp: Machine) -> None:
    running = kp.start("attach", "web-echo", stdin=subprocess.PIPE)
    try:
        assert running.stdin is not None and running.stdout is not None
        running.stdin.write("one\n")
        running.stdin.flush()
        assert running.stdout.readline() == "got one\n"
        running.stdin.write("two\n")
        running.stdin.flush()
        assert running.stdout.readline() == "got two\n"
    finally:
        running.kill()
        running.communicate()
    assert kp.status("web", "echo")["state"].get("running")


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, kp: Machine, *words: str) -> None:
        self.master, theirs = pty.openpty()
        self.size(24, 80)
        self.process = subprocess.Popen(
            kp.argv(*words), env=kp.env, cwd="/", stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(theirs)
        self.seen = b""

    def size(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, wanted: bytes, say: bytes = b"", seconds: float = 100) -> None:
        """Type `say` again and again until `wanted` is on the screen."""
        os.set_blocking(self.master, False)
        deadline, said = time.monotonic() + seconds, 0.0
        while wanted not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if say and time.monotonic() - said > 1:
                os.write(self.master, say)
                said = time.monotonic()
            try:
                self.seen += os.read(self.master, 65536)
            except BlockingIOError:
                time.sleep(0.05)

    def close(self) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.master)


def test_exec_on_a_terminal_follows_its_size(kp: Machine) -> None:
    terminal = Terminal(kp, "exec", "-it", "-c", "main", "web", "sh")
    try:
        terminal.until(b"24 80", b"stty size\n")
        terminal.size(33, 101)
        terminal.until(b"33 101", b"stty size\n")
    finally:
        terminal.close()


def test_attach_on_a_terminal_follows_its_size_and_the_keys_leave(kp: Machine) -> None:
    terminal = Terminal(kp, "attach", "web-term")
    try:
        terminal.until(b"24 80", b"stty size\n")
        terminal.size(33, 101)
        terminal.until(b"33 101", b"stty size\n")
        os.write(terminal.master, b"\x10\x11")  # ctrl-p ctrl-q
        assert terminal.process.wait(100) == 0
    finally:
        terminal.close()
    assert kp.status("web", "term")["state"].get("running")


def test_units_start_what_is_installed_for_who_asks(kp: Machine) -> None:
    unit = kp("generate", "systemd").out
    assert f" --root {kp.root} --runroot {kp.runroot} system resume\n" in unit
    assert ("WantedBy=multi-user.target" in unit) == (os.geteuid() == 0)
    assert " pod start --namespace default web\n" in kp("generate", "systemd", "web").out
    assert "systemd refuses it" in kp("generate", "systemd", "--restart-policy", "always", status=125).err


# healthcheck
def test_healthcheck_run_asks_once_and_changes_nothing(kp: Machine) -> None:
    well = kp("healthcheck", "run", "web-echo")
    assert (well.out, well.err) == ("", "")
    sick = kp("healthcheck", "run", "web-echo", "--probe", "readiness", status=1)
    assert (sick.out, sick.err.strip()) == ("unhealthy\n", "sick")
    assert "connection refused" in kp("healthcheck", "run", "-c", "echo", "web", "--probe", "startup", status=1).err
    assert kp("healthcheck", "run", "web-echo", "--probe", "readiness", "--ignore-result").out == "unhealthy\n"
    assert "has no defined healthcheck" in kp("healthcheck", "run", "web-main", status=125).err
    assert kp.status("web", "echo")["restartCount"] == 0
