"""RS8 with real containers: requests and limits change while a container runs, by the kernel's own account."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_fields_resources import of, weighed
from tests.support.covers import covers
from tests.support.kubeplay import Machine, playing

pytestmark = pytest.mark.root

SLEEP = 'image: "busybox:1", command: [sleep, "1000"]'
MANIFEST = f"""
apiVersion: v1
kind: Pod
metadata: {{name: sized}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {{name: main, {SLEEP}, resources: {{limits: {{cpu: 500m, memory: 64Mi}}, requests: {{cpu: 100m, memory: 32Mi}}}}}}
  - name: anew
    image: busybox:1
    command: [sleep, "1000"]
    resources: {{limits: {{cpu: 500m, memory: 32Mi}}, requests: {{cpu: 100m, memory: 16Mi}}}}
    resizePolicy: [{{resourceName: memory, restartPolicy: RestartContainer}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: exact}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: main, {SLEEP}, resources: {{limits: {{cpu: 200m, memory: 32Mi}}}}}}]
"""


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("resize"), image_archives, MANIFEST) as machine:
        yield machine


def condition(kp: Machine, pod: str, kind: str) -> dict[str, Any]:
    return next((c for c in kp.pod(pod)["status"]["conditions"] if c["type"] == kind), {})


@pytest.mark.limits
def test_rs8_limits_change_while_it_runs(kp: Machine) -> None:
    pid = kp.pid("sized")
    assert kp("update", "sized-main", "--cpus", "0.75", "--memory", "96m", "--requests", "cpu=250m").out == "sized-main\n"
    found = of(kp, "sized")
    assert (found["quota"], found["memory"]) == (75000, 96 << 20) and weighed(found, 256)
    group = of(kp, "sized", up=1)
    assert (group["quota"], group["memory"]) == (125000, 128 << 20) and weighed(group, 358)
    status = kp.status("sized")
    assert kp.pid("sized") == pid and status["restartCount"] == 0
    assert status["allocatedResources"] == {"cpu": "250m", "memory": "32Mi"}
    assert status["resources"] == {"limits": {"cpu": "750m", "memory": "96Mi"}, "requests": {"cpu": "250m", "memory": "32Mi"}}
    assert status["user"]["linux"] == {"uid": 0, "gid": 0, "supplementalGroups": [0]}
    assert "memory: 96Mi" in kp("kube", "generate", "sized").out
    kp("update", "sized-main", "--memory", "48m")
    assert of(kp, "sized")["memory"] == 48 << 20


@covers("container.resizePolicy[].resourceName container.resizePolicy[].restartPolicy")
def test_rs8_the_policy_may_want_a_new_instance(kp: Machine) -> None:
    kp("update", "sized", "-c", "anew", "--cpus", "0.4")
    assert kp.status("sized", "anew")["restartCount"] == 0
    kp("update", "sized", "-c", "anew", "--limits", "memory=48Mi")
    kp.wait(lambda: "running" in kp.status("sized", "anew")["state"] and kp.status("sized", "anew")["restartCount"] == 1)
    assert kp.status("sized", "anew")["resources"]["limits"]["memory"] == "48Mi"
    assert kp.status("sized")["restartCount"] == 0


@pytest.mark.limits
def test_rs5_a_guaranteed_pod_stays_one(kp: Machine) -> None:
    kp("update", "exact-main", "--memory", "48m")
    assert kp.pod("exact")["status"]["qosClass"] == "Guaranteed" and of(kp, "exact")["memory"] == 48 << 20
    said = kp("update", "exact-main", "--requests", "memory=16Mi", status=None)
    assert said.status and "QOS Class may not change" in said.err
    assert "must be less than or equal to memory limit" in kp("update", "exact-main", "--requests", "memory=1Gi", status=None).err


def test_rs8_what_there_is_no_room_for_waits_and_is_given_later(kp: Machine) -> None:
    milli = (os.cpu_count() or 1) * 1000
    other = f"""
apiVersion: v1
kind: Pod
metadata: {{name: large}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: main, {SLEEP}, resources: {{requests: {{cpu: {milli - 1000}m}}}}}}]
"""
    kp.play(other)
    said = kp("update", "sized-main", "--limits", f"cpu={milli}m", "--requests", "cpu=900m")
    assert "deferred" in said.err
    pending = condition(kp, "sized", "PodResizePending")
    assert (pending["status"], pending["reason"]) == ("True", "Deferred") and "Node didn't have enough resource: cpu" in pending["message"]
    assert kp.status("sized")["allocatedResources"]["cpu"] != "900m"
    kp.down(other)
    kp.wait(lambda: kp.status("sized")["allocatedResources"]["cpu"] == "900m")
    assert not condition(kp, "sized", "PodResizePending")
    said = kp("update", "sized-main", "--limits", f"cpu={2 * milli}m", "--requests", f"cpu={2 * milli}m")
    assert "infeasible" in said.err and condition(kp, "sized", "PodResizePending")["reason"] == "Infeasible"
    kp("update", "sized-main", "--limits", "cpu=500m", "--requests", "cpu=100m")
    assert not condition(kp, "sized", "PodResizePending")


@pytest.mark.limits
def test_rs8_never_below_what_is_used(kp: Machine) -> None:
    kp.sh("sized", "head -c 30000000 /dev/zero > /dev/shm/f")
    said = kp("update", "sized-main", "--limits", "memory=16Mi", "--requests", "memory=16Mi")
    assert "tried again" in said.err and condition(kp, "sized", "PodResizeInProgress")["reason"] == "Error"
    kp.sh("sized", "rm /dev/shm/f")
    kp.wait(lambda: of(kp, "sized")["memory"] == 16 << 20)


def test_a_container_that_is_not_there_and_nothing_to_change(kp: Machine) -> None:
    assert "nothing to change" in kp("update", "sized-main", status=None).err
    assert "no container" in kp("update", "sized", "-c", "x", "--cpus", "1", status=None).err
