"""What systemd would do with the service of a `.kube` file, with real containers: start, the notify socket, exit statuses, stop."""

from __future__ import annotations

import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kubeplay import Machine, playing

pytestmark = pytest.mark.root

POD = """---
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: {policy}
  terminationGracePeriodSeconds: 0
  containers: [{containers}]
"""


def container(name: str, script: str) -> str:
    return f'{{name: {name}, image: "busybox:1", command: [sh, -c, "{script}"]}}'


def pod(name: str, *containers: str, policy: str = "Never") -> str:
    return POD.format(name=name, policy=policy, containers=", ".join(containers))


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("services"), image_archives) as machine:
        yield machine


class Service:
    """systemd for one unit: ExecStart with a notify socket, SIGTERM to the main process, ExecStopPost."""

    def __init__(self, kp: Machine, name: str, text: str, lines: str = "") -> None:
        self.kp = kp
        kp.file(f"{name}.yaml", text)
        file = kp.file(f"{name}.kube", f"[Kube]\nYaml={name}.yaml\n{lines}")
        unit = kp("system", "generator", "--dryrun", file).out.splitlines()
        settings = [line.partition("=") for line in unit]
        self.commands = {key: value for key, _, value in settings if key in ("ExecStart", "ExecStopPost")}
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(100)
        self.socket.bind(str(kp.directory / f"{name}.notify"))

    def start(self) -> subprocess.Popen[bytes]:
        environment = {**self.kp.env, "NOTIFY_SOCKET": self.socket.getsockname()}
        self.main = subprocess.Popen(shlex.split(self.commands["ExecStart"]), env=environment, cwd="/", stdout=subprocess.DEVNULL)
        assert self.socket.recv(4096).decode() == f"READY=1\nMAINPID={self.main.pid}"
        return self.main

    def end(self) -> int:
        """The exit status of the main process; then the pods go."""
        status = self.main.wait(100)
        subprocess.run(shlex.split(self.commands["ExecStopPost"]), env=self.kp.env, cwd="/", check=True, stdout=subprocess.DEVNULL)
        self.socket.close()
        assert not self.kp("pod", "ps", "-q").out
        return status


@pytest.mark.parametrize(("way", "status"), [("any", 3), ("all", 0), ("none", 0)])
def test_it_ends_as_its_containers_do(kp: Machine, way: str, status: int) -> None:
    text = pod("mixed", container("good", "exit 0"), container("bad", "exit 3"))
    service = Service(kp, f"mixed-{way}", text, f"ExitCodePropagation={way}\n")
    service.start()
    assert service.end() == status


def test_a_failed_job_and_one_that_completes(kp: Machine) -> None:
    job = """---
apiVersion: batch/v1
kind: Job
metadata: {name: %s}
spec: {backoffLimit: 0, template: {spec: {restartPolicy: Never, containers: [%s]}}}
"""
    text = job % ("fine", container("c", "exit 0")) + job % ("broken", container("c", "exit 4"))
    service = Service(kp, "jobs", text, "ExitCodePropagation=any\n")
    service.start()
    assert service.end() == 4


def test_it_stays_while_containers_are_restarted_and_goes_when_told(kp: Machine) -> None:
    service = Service(kp, "lasting", pod("lasting", container("c", "sleep 1000"), policy="Always"), "ExitCodePropagation=any\n")
    main = service.start()
    first = kp.inspect("lasting", "c")["Id"]
    kp("kill", "lasting-c")
    kp.wait(lambda: kp.inspect("lasting", "c")["Id"] != first and kp.inspect("lasting", "c")["State"]["Running"])
    assert main.poll() is None
    size = next(line for line in Path(f"/proc/{main.pid}/status").read_text().splitlines() if line.startswith("RssAnon:"))
    assert int(size.split()[1]) < 12 * 1024, size  # KiB; it waits for as long as the service runs
    main.send_signal(signal.SIGTERM)
    assert service.end() == 0


def test_pods_that_are_taken_away_end_it(kp: Machine) -> None:
    service = Service(kp, "gone", pod("gone", container("c", "sleep 1000"), policy="Always"), "ExitCodePropagation=all\n")
    service.start()
    kp("pod", "rm", "-f", "gone")
    assert service.end() == 0


def test_a_start_that_fails_leaves_nothing(kp: Machine) -> None:
    service = Service(kp, "bad", pod("bad", '{name: c, image: "localhost/none:1", imagePullPolicy: Never}'))
    service.main = subprocess.Popen(shlex.split(service.commands["ExecStart"]), env=kp.env, cwd="/", stderr=subprocess.DEVNULL)
    assert service.end() == 125
