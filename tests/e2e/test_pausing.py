"""pause and unpause, stats and pod top, with real containers: what the kernel says, and that a pause never outlives its container."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kubeplay import Machine, playing
from tests.support.seen import seen

pytestmark = pytest.mark.root

MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {name: busy}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, "trap 'exit 3' TERM; i=0; while true; do i=$((i + 1)); echo $i > /tmp/count; done"]
    resources: {limits: {memory: 64Mi}}
  - {name: idle, image: "busybox:1", command: [sleep, "1000"]}
---
apiVersion: v1
kind: Pod
metadata: {name: single}
spec: {terminationGracePeriodSeconds: 0, containers: [{name: main, image: "busybox:1", command: [sleep, "1000"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: probed}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1
    command: [httpd, -f, -p, "8080"]
    livenessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1, timeoutSeconds: 60, initialDelaySeconds: 5}
  - name: asked
    image: busybox:1
    command: [sleep, "1000"]
    livenessProbe: {exec: {command: ["true"]}, periodSeconds: 1, timeoutSeconds: 60, failureThreshold: 1}
"""


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("pausing"), image_archives, MANIFEST) as machine:
        yield machine


def ticks(pid: int) -> int:
    fields = seen(lambda: Path(f"/proc/{pid}/stat").read_text()).rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def state(kp: Machine, name: str) -> str:
    found = [one for one in kp("ps", "-a", "--format", "json").json if one["Names"] == [name]]
    return str(found[0]["State"])


def test_a_paused_container_stands_still_and_goes_on(kp: Machine) -> None:
    pid = kp.pid("busy")
    assert kp("pause", "busy-main").out == "busy-main\n"
    before = ticks(pid)
    assert state(kp, "busy-main") == "paused" and state(kp, "busy-idle") == "running"
    assert "(Paused)" in kp("ps", "--filter", "status=paused").out
    assert kp.inspect("busy")["State"]["Paused"] is True and kp.inspect("busy")["State"]["Status"] == "paused"
    assert "is paused" in kp("exec", "busy-main", "true", status=None).err
    assert "is paused already" in kp("pause", "busy-main", status=None).err
    assert ticks(pid) == before
    assert kp("unpause", "busy-main").out == "busy-main\n"
    kp.wait(lambda: ticks(pid) > before)
    assert state(kp, "busy-main") == "running"
    assert "is not paused" in kp("unpause", "busy-main", status=None).err


def test_pods_and_everything(kp: Machine) -> None:
    assert kp("pod", "pause", "busy").out == "busy\n"
    assert {state(kp, "busy-main"), state(kp, "busy-idle")} == {"paused"}
    assert sorted(kp("pause", "--all").out.split()) == ["probed", "single"]  # the other one is paused already
    assert sorted(kp("pod", "unpause", "-a").out.split()) == ["busy", "probed", "single"]
    assert state(kp, "single-main") == "running"


def test_te2_a_paused_container_can_be_stopped_and_removed(kp: Machine) -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\nspec:\n" + MANIFEST.split("spec:\n")[1].split("---")[0]
    for name, command in (("ends", ("stop", "-t", "100", "ends-main")), ("goes", ("pod", "rm", "-f", "goes"))):
        kp.play(text.replace("NAME", name))
        kp.wait(lambda pod=name: kp.sh(pod, "cat /tmp/count 2>/dev/null || true"))  # it has set its trap
        kp("pause", f"{name}-main")
        kp(*command)
    assert kp.inspect("ends")["State"]["ExitCode"] == 3  # it could still handle its signal
    assert kp("pod", "exists", "goes", status=None).status == 1
    kp("pod", "rm", "-f", "ends")


def test_a_paused_container_is_not_killed_by_its_probes(kp: Machine) -> None:
    kp("pause", "probed-asked")
    before = kp.status("probed", "asked")["restartCount"]
    deadline = time.monotonic() + 3  # three times its period: what a failed probe would do is done at once
    while time.monotonic() < deadline:
        assert kp.status("probed", "asked")["restartCount"] == before
    kp("unpause", "probed-asked")


def test_stats_once(kp: Machine) -> None:
    records = {one["name"]: one for one in kp("stats", "--no-stream", "--format", "json").json}
    assert set(records) >= {"busy-main", "busy-idle", "single-main"}
    main, idle = records["busy-main"], records["busy-idle"]
    assert float(main["cpu_percent"].rstrip("%")) > 0 and float(idle["cpu_percent"].rstrip("%")) < float(main["cpu_percent"].rstrip("%"))
    assert int(main["pids"]) >= 1 and " / " in main["mem_usage"] and not main["mem_usage"].startswith("0B")
    shown = kp("stats", "--no-stream", "busy-main").out.splitlines()
    assert " ".join(shown[0].split()) == "ID NAME CPU % MEM USAGE / LIMIT MEM % NET IO BLOCK IO PIDS CPU TIME AVG CPU %" and len(shown) == 2
    assert kp("pod", "stats", "--no-stream", "--format", "{{.Name}}", "single").out == "single-main\n"
    assert "no container or pod" in kp("stats", "--no-stream", "nobody", status=None).err


@pytest.mark.limits
def test_stats_show_the_limit(kp: Machine) -> None:
    (one,) = kp("stats", "--no-stream", "--format", "json", "busy-main").json
    assert one["mem_usage"].endswith(" / 67.11MB")


def test_live_stats_go_on_until_they_are_interrupted(kp: Machine) -> None:
    words = kp.argv("stats", "-i", "1", "--format", "{{.Name}}", "single-main")
    with subprocess.Popen(words, env=kp.env, stdout=subprocess.PIPE, cwd="/") as live:
        assert live.stdout is not None
        text, fd = b"", live.stdout.fileno()
        while text.count(b"single-main\n") < 2:
            assert select.select([fd], [], [], 100)[0] and (more := os.read(fd, 4096))
            text += more
        live.terminate()
        assert live.wait(100) != 0


def test_pod_top(kp: Machine) -> None:
    said = kp("pod", "top", "busy", "pid", "args").out
    assert said.splitlines()[0].split() == ["PID", "COMMAND"] and "sleep 1000" in said


def test_resources_of_one_that_does_not_run(kp: Machine) -> None:
    kp("stop", "single")
    assert "is not running" in kp("pause", "single", status=None).err
    shown = json.loads(kp("stats", "--no-stream", "--all", "--format", "json").out)
    assert next(one for one in shown if one["name"] == "single-main")["mem_usage"] == "0B / 0B"
