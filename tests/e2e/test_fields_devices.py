"""Resources of whole pods and of devices, in the kernel's own words: RS4 and RS7 at the pod, CDI, host devices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_fields_resources import limits, weighed
from tests.support.covers import covers
from tests.support.kubeplay import Machine, cgroup_of, playing, status_of

pytestmark = pytest.mark.root

SLEEP = 'image: "busybox:1", command: [sleep, "1000"]'
MANIFEST = f"""
apiVersion: v1
kind: Pod
metadata: {{name: whole}}
spec:
  terminationGracePeriodSeconds: 0
  resources: {{requests: {{cpu: 500m, memory: 48Mi}}, limits: {{cpu: "1", memory: 64Mi}}}}
  containers:
  - {{name: main, {SLEEP}}}
  - {{name: own, {SLEEP}, resources: {{limits: {{memory: 16Mi}}, requests: {{memory: 8Mi}}}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: oom}}
spec:
  restartPolicy: Never
  resources: {{limits: {{memory: 32Mi}}}}
  containers:
  - name: main
    image: busybox:1
    command: [sh, -c, "x=0123456789abcdef; while true; do x=$x$x; done"]
---
apiVersion: v1
kind: Pod
metadata:
  name: devices
  annotations: {{io.podman.annotations.cpuset/main: "0", io.podman.annotations.pids-limit/main: "100"}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {{name: main, {SLEEP}, resources: {{limits: {{"vendor.com/thing=one": 1, "podman.io/device=/dev/fuse:/dev/news:r": 1}}}}}}
  - {{name: without, {SLEEP}}}
"""


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    directory = tmp_path_factory.mktemp("devices")
    specs = directory / "cdi"
    specs.mkdir()
    edits = {
        "env": ["THING=one"], "deviceNodes": [{"path": "/dev/things/full", "hostPath": "/dev/full", "fileMode": 0o640, "gid": 7}],
        "mounts": [{"hostPath": str(specs), "containerPath": "/opt/things", "options": ["ro"]}],
        "hooks": [{"hookName": "createRuntime", "path": "/bin/sh", "args": ["sh", "-c", f"cat > {directory}/hook"]}],
        "additionalGids": [4321],
    }  # fmt: skip
    spec = {"cdiVersion": "0.8.0", "kind": "vendor.com/thing", "devices": [{"name": "one", "containerEdits": edits}]}
    (specs / "thing.json").write_text(json.dumps(spec))
    with playing(directory, image_archives) as machine:
        machine.env["KUBEPLAY_CDI_SPEC_DIR"] = str(specs)
        machine.play(MANIFEST, status=None)
        yield machine


@pytest.mark.limits
@covers("pod.resources.limits{cpu} pod.resources.limits{memory} pod.resources.requests{cpu} pod.resources.requests{memory}")
def test_rs4_the_pod_s_own_resources_are_its_group_s(kp: Machine) -> None:
    pid = kp.pid("whole")
    cpu, memory = cgroup_of(pid, "cpu"), cgroup_of(pid, "memory")
    group = limits(cpu.parent, memory.parent)
    assert (group["quota"], group["memory"]) == (100000, 64 << 20) and weighed(group, 512)
    alone = limits(cpu, memory)
    assert (alone["quota"], alone["memory"]) == (-1, -1)
    assert kp.pod("whole")["status"]["qosClass"] == "Burstable"


@pytest.mark.limits
def test_rs7_a_pod_s_limit_kills_as_a_container_s(kp: Machine) -> None:
    ended = kp.ended("oom")
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


@covers("container.resources.limits{} container.resources.requests{}")
def test_devices_by_their_cdi_name(kp: Machine) -> None:
    assert kp.sh("devices", "echo $THING; stat -c '%a %t %T %g' /dev/things/full; ls /opt/things").split() == [
        "one", "640", "1", "7", "7", "thing.json"]  # fmt: skip
    assert kp.sh("devices", "test -w /dev/things/full && : < /dev/news && echo fine; touch /opt/things/x; id -G").split() == [
        "fine", "0", "4321"]  # fmt: skip
    assert not (kp.directory / "cdi/x").exists()
    assert "no" in kp.sh("devices", "(: >> /dev/news) 2>/dev/null || echo no")  # read only, by the devices' rules
    assert kp.sh("devices", "ls -d /dev/things /dev/news 2>/dev/null; echo $THING", "without") == ""
    assert json.loads((kp.directory / "hook").read_text())["id"]


@pytest.mark.limits
def test_a_set_of_cpus_by_annotation(kp: Machine) -> None:
    allowed = {name: status_of(kp.pid("devices", name))["Cpus_allowed_list"] for name in ("main", "without")}
    assert allowed == {"main": "0", "without": status_of("self")["Cpus_allowed_list"]}


def test_a_device_that_is_not_there_is_named(kp: Machine) -> None:
    text = f"""
apiVersion: v1
kind: Pod
metadata: {{name: missing}}
spec: {{containers: [{{name: main, {SLEEP}, resources: {{limits: {{"vendor.com/thing=two": 1}}}}}}]}}
"""
    said = kp.play(text, status=None)
    assert said.status and "unresolvable CDI devices vendor.com/thing=two" in said.err


@covers("pod.resources.limits{} pod.resources.requests{}")
def test_huge_pages_that_this_machine_does_not_have_leave_the_pod_pending(kp: Machine) -> None:
    text = f"""
apiVersion: v1
kind: Pod
metadata: {{name: pages}}
spec:
  resources: {{limits: {{cpu: 100m, hugepages-2Mi: 64Ti}}, requests: {{hugepages-2Mi: 64Ti}}}}
  containers: [{{name: main, {SLEEP}}}]
"""
    said = kp.play(text)
    assert "Insufficient hugepages-2Mi" in said.err
    kp.down(text)
