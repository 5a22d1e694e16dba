"""LR1 with real pods: what does not fit, is gated or belongs to another node stays Pending, and comes up when there is room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.covers import covers
from tests.support.kubeplay import Machine, playing

pytestmark = pytest.mark.root

CPUS = os.cpu_count() or 1
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 0
  {more}
  containers: [{{name: main, image: "busybox:1", command: [sleep, "1000"], resources: {{requests: {{cpu: "{cpu}"}}}}}}]
"""


def text(name: str, cpu: object = "0", more: str = "") -> str:
    return POD.format(name=name, cpu=cpu, more=more)


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("scheduler"), image_archives) as machine:
        yield machine


def scheduled(kp: Machine, pod: str) -> tuple[str, ...] | None:
    status: dict[str, Any] = kp.pod(pod)["status"]
    assert status["phase"] == "Pending" and not status.get("containerStatuses"), status
    return next((tuple(c.get(k, "") for k in ("status", "reason", "message")) for c in status.get("conditions", [])), None)


@covers("pod.schedulingGates[] pod.schedulingGates[].name")
def test_lr1_a_gated_pod_waits(kp: Machine) -> None:
    said = kp.play(text("gated", more="schedulingGates: [{name: example.com/later}]"))
    assert "stays Pending: Scheduling is blocked" in said.err
    assert scheduled(kp, "gated") == ("False", "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")
    assert "example.com/later" in kp("kube", "generate", "gated").out
    assert kp("pod", "rm", "gated").out.strip() == "gated"


@covers("pod.nodeName")
def test_lr1_another_node_s_pod_waits_without_a_condition(kp: Machine) -> None:
    kp.play(text("foreign", more="nodeName: nosuchnode"))
    assert scheduled(kp, "foreign") is None
    assert "nodeName: nosuchnode" in kp("kube", "generate", "foreign").out
    kp("pod", "rm", "foreign")
    kp.play(text("ours", more=f"nodeName: {os.uname().nodename}"))
    assert kp.pod("ours")["status"]["phase"] == "Running"
    kp("pod", "rm", "-f", "ours")


def test_lr1_a_pod_waits_for_room_and_comes_up_by_itself(kp: Machine) -> None:
    kp.play(text("first", CPUS))
    said = kp.play(text("second", CPUS))
    assert "1 Insufficient cpu" in said.err
    assert scheduled(kp, "second")
    assert "FailedScheduling" in kp("events", "--stream=false").out
    kp("pod", "rm", "-f", "first")
    kp.wait(lambda: kp.pod("second")["status"]["phase"] == "Running")
    kp("pod", "stop", "second")  # gives its part back
    kp.play(text("third", CPUS))
    assert kp.pod("third")["status"]["phase"] == "Running"
    started = kp("pod", "start", "second")
    assert started.status == 0 and scheduled(kp, "second")
    kp("pod", "rm", "-f", "-a")


def test_lr1_too_large_for_the_machine_and_refused_by_name(kp: Machine) -> None:
    kp.play(text("huge", CPUS + 1))
    found = scheduled(kp, "huge")
    assert found and "Preemption is not helpful for scheduling" in found[2]
    kp.play(text("named", CPUS + 1, f"nodeName: {os.uname().nodename}"), "--keep-on-failure", status=None)
    status = kp.pod("named")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "OutOfcpu")
    kp("pod", "rm", "-f", "-a")


def test_limits_at_a_command_line_reserve_nothing(kp: Machine) -> None:
    kp("run", "-d", "--name", "one", "--cpus", str(CPUS), "--memory", "64m", "busybox:1", "sleep", "1000")
    assert kp("run", "--rm", "--cpus", str(CPUS), "busybox:1", "echo", "beside").out == "beside\n"
    assert 'cpu: "0"' in kp("kube", "generate", "one").out
    said = kp("run", "-d", "--name", "two", "--cpu-shares", str(2048 * CPUS), "busybox:1", "sleep", "1000", status=None)
    assert said.status == 125 and "there is no room for two" in said.err and "Insufficient cpu" in said.err
    assert kp("pod", "exists", "two", status=None).status == 1
    kp("rm", "-f", "-t", "0", "one")
