"""Every example is played as its reader would play it, and does what its first line says."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request

import pytest

from tests.support.pages import page

pytestmark = [pytest.mark.root, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples/manifests").glob("*.yaml"))
PROGRAM = str(ROOT / ".venv/bin/kubeplay")


class Machine:
    """The installed program with a root of its own, given by the environment as in a shell."""

    def __init__(self, work: Path) -> None:
        self.env = {**os.environ, "KUBEPLAY_ROOT": str(work / "root"), "KUBEPLAY_RUNROOT": str(work / "run"), "KUBEPLAY": PROGRAM}
        self.env |= {"KUBEPLAY_INGRESS_HTTP_PORT": "18056", "KUBEPLAY_INGRESS_HTTPS_PORT": "18057"}  # 80 and 443 may be somebody's

    def run(self, *args: str) -> str:
        done = subprocess.run([PROGRAM, *args], env=self.env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def until(self, text: str, *args: str) -> None:
        """Wait until the command prints `text`."""
        deadline = time.monotonic() + 100
        while text not in (shown := self.run(*args)):
            assert time.monotonic() < deadline, shown
            time.sleep(0.2)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    made = Machine(tmp_path_factory.mktemp("examples"))
    subprocess.run([str(ROOT / "examples/images/build.sh")], env=made.env, check=True, capture_output=True)
    yield made
    made.run("system", "reset", "--force")


# example -> what shows that it works: (text, command that prints it)
SHOWN = {
    "01-pod": ("hello from hello", ["logs", "hello", "-c", "main"]),
    "02-config": ("green-loving user likes green", ["logs", "config", "-c", "main"]),
    "03-init-and-volumes": ("started", ["exec", "volumes-main", "ls", "/notes/by-pod"]),
    "04-security": ("CapEff:\t0000000000000000", ["logs", "confined", "-c", "main"]),
    "05-ports-and-hosts": ("10.1.2.3\tdb.example\tcache.example", ["exec", "ports-httpd", "cat", "/etc/hosts"]),
    "06-shared-namespaces": ("httpd -f -p 8080", ["logs", "shared", "-c", "watcher"]),
    "07-deployment": ("echo-", ["logs", "client", "-c", "main"]),
    "08-restart": ("first try fails", ["logs", "restart", "-c", "flaky"]),
    "09-image-volume": ("/nginx/usr/sbin/nginx", ["logs", "-n", "images", "image-volume", "-c", "main"]),
    "10-guestbook": ("guestbook", ["pod", "ps"]),
    "11-build": ("hello-page", ["images"]),
    "26-volumes-and-claims": ("a book", ["logs", "storage", "-c", "main"]),
    "12-sidecar": ("letter of sidecar", ["logs", "sidecar", "-c", "courier"]),
    "13-restart-rules": ("prepared\nprepared", ["logs", "restart-rules", "-c", "worker"]),
    "14-deadline-and-gate": ("DeadlineExceeded", ["pod", "inspect", "deadline"]),
    "15-probes": ("pod/probes condition met", ["wait", "pod/probes", "--for=condition=Ready", "--timeout=100s"]),
    "16-not-ready-yet": ("shop-early", ["get", "services"]),
    "17-liveness": ("alive again", ["logs", "liveness", "-c", "main"]),
    "19-shutdown-order": ("job done\nproxy drained\nproxy closed\nshipped everything", ["logs", "shutdown", "-c", "shipper"]),
    "18-hooks": ("greeting written by the hook", ["logs", "hooks", "-c", "main"]),
    "27-read-only-all-the-way": ("nothing of the host can be written", ["logs", "careful", "-c", "main"]),
    "28-disk-limit": ("writes 3 MB", ["logs", "disk-limit", "-c", "main"]),
    "25-ephemeral-volume": ("group 2000 may write", ["logs", "scratch", "-c", "main"]),
    "35-debug": ("httpd -f -p 127.0.0.1:8080",
                 ["debug", "looked-at", "-q", "--image", "localhost/busybox:1", "--target", "main", "--attach", "--", "ps"]),
    "36-selectors": ("[pod/shop-store/main] store is full", ["logs", "-l", "part=shop", "--prefix"]),
    "37-port-forward": ("pod/private condition met", ["wait", "pod/private", "--for=condition=Ready", "--timeout=100s"]),
    "38-run": ("hello from run", ["logs", "pages"]),
    "39-pod-by-hand": ("done", ["logs", "once"]),
    "20-projected": ("tier=\"demo\"", ["logs", "projected", "-c", "main"]),
    "22-live-config": ("it says: good morning", ["logs", "live-config", "-c", "main"]),
    "21-env-file": ("running on Linux", ["logs", "env-file", "-c", "main"]),
    "40-rolling-update": ("deployment.apps/greeter condition met",
                          ["wait", "deployment/greeter", "--for=condition=Available", "--timeout=100s"]),
    "41-blue-green": ("2/2", ["get", "deployments", "shop-green"]),
    "30-pod-resources": ('"qosClass": "Burstable"', ["pod", "inspect", "shared-limits"]),
    "59-by-hand": ('deployment "pages" successfully rolled out', ["rollout", "status", "deployment/pages"]),
    "43-database": ("started, etcd-2, http://etcd-2.etcd:2380", ["exec", "etcd-0-main", "etcdctl", "member", "list"]),
    "44-agent": ("1         1         1       1            1", ["get", "ds", "agent"]),
    "56-ingress": ("80", ["get", "ingress", "shop"]),
    "57-network-policy": ("no answer", ["logs", "visitor"]),
    "45-autoscaling": ("Deployment/eater", ["get", "hpa"]),
    "49-voting": ("cats 2, dogs 1", ["logs", "voters"]),
    "50-names": ("service = 0 50 8080 b.members.default.svc.cluster.local", ["logs", "-n", "names-elsewhere", "asker"]),
    "51-load-balancer": ("192.0.2.10", ["get", "endpointslices"]),
    "54-dual-stack": ("the pod behind families has: 10.", ["logs", "families-client"]),
    "46-pipeline": ("words in all: 24", ["logs", "job/total", "-c", "main"]),
    "47-nightly": ("Europe/Warsaw", ["get", "cronjobs", "nightly"]),
    "48-heartbeat": ("Complete", ["get", "jobs"]),
    "31-resize": ("growing-main", ["stats", "--no-stream", "growing-main"]),
}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example(machine: Machine, path: Path) -> None:
    try:
        machine.run("play", "kube", "--timeout", "100s", str(path))
        text, command = SHOWN[path.stem]
        if path.stem == "08-restart":  # its first instance has gone: what is left is that it runs again
            machine.until("Running", "pod", "ps")
        else:
            machine.until(text, *command)
        machine.until("Nothing has changed", "play", "kube", str(path))  # at once, but for pods that an autoscaler is just adding
        if path.stem == "05-ports-and-hosts":
            assert page("http://127.0.0.1:18000/").strip() == "web"
        if path.stem == "56-ingress":
            assert page(Request("http://127.0.0.1:18056/api/", headers={"Host": "shop.example"})).strip() == "[]"
        if path.stem == "57-network-policy":
            machine.until("gold", "logs", "clerk")
        if path.stem == "11-build":
            assert "built by play kube" in page("http://127.0.0.1:18001/")
    finally:
        machine.run("kube", "down", "--force", "-t", "1", str(path))  # a `sleep` minds no TERM: its 30 s of grace are not what is shown
    assert json.loads(machine.run("pod", "ps", "-A", "--format", "json")) == []
    assert machine.run("volume", "ls", "-q") == ""


def test_the_guestbook_counts_its_visitors_across_a_down(machine: Machine) -> None:
    file = str(ROOT / "examples/manifests/10-guestbook.yaml")
    try:
        for number in (1, 2):
            machine.run("play", "kube", "--wait-ready", "--timeout", "100s", file)
            fronts = set()
            for visit in range(4):
                text = page("http://127.0.0.1:30080/")
                assert f"Visit number {(number - 1) * 4 + visit + 1}, through front" in text and "Hello from kubeplay" in text
                fronts.add(text.split("through front ")[1].split(",")[0])
            assert fronts
            machine.run("kube", "down", file)
    finally:
        machine.run("kube", "down", "--force", file)


def test_the_votes_outlive_their_database(machine: Machine) -> None:
    """The claim of 49-voting keeps what is in, whichever pod of the Deployment has it, and everybody finds the new one by its name."""
    file = str(ROOT / "examples/manifests/49-voting.yaml")
    result = "http://127.0.0.1:30050/cgi-bin/result"
    try:
        machine.run("play", "kube", "--wait-ready", "--timeout", "100s", file)
        machine.until("cats 2, dogs 1", "logs", "voters")
        before = next(line.split()[1] for line in machine.run("pod", "ps").splitlines() if " db-" in line)
        machine.run("pod", "rm", "-f", before)
        assert page("http://127.0.0.1:30049/cgi-bin/vote?dogs").strip() == "voted for dogs"
        deadline = time.monotonic() + 100
        while "cats 2, dogs 2" not in (said := page(result)):
            assert time.monotonic() < deadline, said
            time.sleep(0.2)
        assert before not in machine.run("pod", "ps")
    finally:
        machine.run("kube", "down", "--force", file)


def test_a_database_keeps_its_data_over_rescheduling(machine: Machine) -> None:
    """43-database: a member that is deleted comes again with its disk, all of them come again one by one, what is written stays."""
    file = str(ROOT / "examples/manifests/43-database.yaml")
    try:
        machine.run("play", "kube", "--wait-ready", "--timeout", "100s", file)
        assert machine.run("exec", "etcd-0-main", "etcdctl", "put", "greeting", "hello").strip() == "OK"
        machine.run("pod", "rm", "-f", "-t", "0", "etcd-0")
        machine.run("rollout", "restart", "statefulset/etcd")
        machine.run("rollout", "status", "statefulset/etcd", "--timeout", "100s")
        assert machine.run("exec", "etcd-2-main", "etcdctl", "get", "greeting", "--print-value-only").strip() == "hello"
        machine.run("kube", "down", file)
        machine.run("play", "kube", "--wait-ready", "--timeout", "100s", file)
        assert machine.run("exec", "etcd-1-main", "etcdctl", "get", "greeting", "--print-value-only").strip() == "hello"
    finally:
        machine.run("kube", "down", "--force", file)
