"""Deployments with real pods: rolling updates without a failed request, Recreate, pausing, deadlines, a supervisor that is killed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.covers import covers
from tests.support.kubeplay import Machine, playing, processes

pytestmark = [pytest.mark.root, pytest.mark.slow]

SERVER = (
    "mkdir /www; echo $VERSION > /www/index.html; touch /tmp/ready; trap 'exit 0' TERM; httpd -p 8080 -h /www; while :; do sleep 0.1; done"
)


def deployment(name: str, version: str = "one", replicas: int = 2, spec: str = "", pod: str = "", script: str = SERVER) -> str:
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, annotations: {{kubernetes.io/change-cause: version {version}}}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  {spec}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: main
        image: busybox:1
        command: [sh, -c, {json.dumps(script)}]
        env: [{{name: VERSION, value: {version}}}]
        {pod}
"""


READY = "readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1}"


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("deployments"), image_archives) as machine:
        yield machine


def listed(kp: Machine, kind: str, app: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kp("get", kind, "-l", f"app={app}", "-o", "json").json["items"]
    return found


def versions(kp: Machine, app: str) -> list[str]:
    """Of the pods that are not ending."""
    found = [one for one in listed(kp, "pods", app) if not one["metadata"].get("deletionTimestamp")]
    return sorted(one["spec"]["containers"][0]["env"][0]["value"] for one in found)


def deployed(kp: Machine, name: str) -> dict[str, Any]:
    found: dict[str, Any] = kp("get", "deployment", name, "-o", "json").json
    return found


def condition(kp: Machine, name: str, type: str = "Progressing") -> str:
    found = deployed(kp, name).get("status", {}).get("conditions", ())
    return next((str(one["reason"]) for one in found if one["type"] == type), "")


SERVICE = """---
apiVersion: v1
kind: Service
metadata: {name: load}
spec: {selector: {app: load}, ports: [{port: 80, targetPort: 8080}]}
"""


class Client:
    """Asks as fast as it is answered, each time over a connection of its own."""

    def __init__(self, address: str) -> None:
        self.address, self.ending = address, threading.Event()
        self.seen: list[str] = []
        self.failed: list[str] = []
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        while not self.ending.is_set():
            connection = http.client.HTTPConnection(self.address, timeout=60)
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                self.seen.append(answer.read().decode().strip())
            except OSError as error:
                self.failed.append(repr(error))
            finally:
                connection.close()

    def end(self) -> None:
        self.ending.set()
        self.thread.join()


@covers("Deployment.spec.strategy.type Deployment.spec.strategy.rollingUpdate.maxSurge "
        "Deployment.spec.strategy.rollingUpdate.maxUnavailable")  # fmt: skip
def test_de3_a_client_that_asks_all_the_time_sees_no_failure_in_a_rolling_update(kp: Machine) -> None:
    strategy = "strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}"
    pod = f"{READY}\n        lifecycle: {{preStop: {{sleep: {{seconds: 1}}}}}}"
    first, second = (deployment("load", version, 3, strategy, pod) + SERVICE for version in ("one", "two"))
    kp.play(first, "--wait-ready")
    client = Client(str(kp("get", "service", "load", "-o", "json").json["spec"]["clusterIP"]))
    try:
        kp.wait(lambda: len(client.seen) > 20)
        kp.play(second, "--update", "--wait-ready")
        kp.wait(lambda: versions(kp, "load") == ["two"] * 3)
        kp.wait(lambda: set(client.seen[-50:]) == {"two"})
    finally:
        client.end()
    assert client.failed == [] and set(client.seen) == {"one", "two"}
    marks = {
        one["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: one["spec"]["replicas"] for one in listed(kp, "rs", "load")
    }
    assert marks == {"1": 0, "2": 3}
    assert kp.play(second).lines[0] == "Nothing has changed."
    kp.down(second)


def test_a_service_that_is_led_from_blue_to_green_loses_no_request(kp: Machine) -> None:
    blue, green = deployment("blue", "blue", 1, pod=READY), deployment("green", "green", 1, pod=READY)
    to_blue, to_green = (SERVICE.replace("app: load", f"app: {color}") for color in ("blue", "green"))
    kp.play(blue + "---" + green + to_blue, "--wait-ready")
    address = str(kp("get", "service", "load", "-o", "json").json["spec"]["clusterIP"])
    client = Client(address)
    try:
        kp.wait(lambda: len(client.seen) > 20)
        kp.play(to_green, "--update")
        kp.wait(lambda: set(client.seen[-50:]) == {"green"})
    finally:
        client.end()
    assert client.failed == [] and set(client.seen) == {"blue", "green"}
    assert kp("get", "service", "load", "-o", "json").json["spec"]["clusterIP"] == address
    kp.down(blue + "---" + green + to_blue)


@covers("Deployment.spec.progressDeadlineSeconds Deployment.spec.revisionHistoryLimit")
def test_de5_a_rollout_that_does_not_come_about_is_told_with_its_reason(kp: Machine) -> None:
    limits = "progressDeadlineSeconds: 2\n  revisionHistoryLimit: 0"
    kp.play(deployment("stuck", "one", 1, limits, READY), "--wait-ready")
    said = kp.play(deployment("stuck", "two", 1, limits, READY, "echo cannot begin; sleep 1000"), "--update", "--wait-ready", status=125)
    assert 'deployment "stuck" exceeded its progress deadline' in said.err and "cannot begin" in said.err
    assert condition(kp, "stuck") == "ProgressDeadlineExceeded"
    assert condition(kp, "stuck", "Available") == "MinimumReplicasAvailable"  # the old pod serves on
    kp.play(deployment("stuck", "three", 1, limits, READY), "--update", "--wait-ready")
    kp.wait(lambda: len(listed(kp, "rs", "stuck")) == 1)  # no history is kept
    kp.down(deployment("stuck"))


def test_de3_recreate_has_never_two_versions(kp: Machine) -> None:
    recreate = "strategy: {type: Recreate}"
    kp.play(deployment("again", "one", 2, recreate), "--wait-ready")
    kp.play(deployment("again", "two", 2, recreate), "--update", "--wait-ready")
    assert versions(kp, "again") == ["two", "two"]
    kp.down(deployment("again"))


@covers("Deployment.spec.paused Deployment.spec.minReadySeconds ReplicaSet.spec.minReadySeconds")
def test_de6_a_paused_deployment_collects(kp: Machine) -> None:
    kp.play(deployment("pausing", "one", 1, "minReadySeconds: 1"), "--wait-ready")
    kp.play(deployment("pausing", "two", 1, "minReadySeconds: 1\n  paused: true"), "--update", "--wait-ready")
    kp.wait(lambda: condition(kp, "pausing") == "DeploymentPaused")
    assert versions(kp, "pausing") == ["one"]
    kp.play(deployment("pausing", "three", 1, "minReadySeconds: 1"), "--update", "--wait-ready")
    kp.wait(lambda: versions(kp, "pausing") == ["three"])
    found = listed(kp, "rs", "pausing")
    assert len(found) == 2 and {one["spec"]["minReadySeconds"] for one in found} == {1}
    kp.down(deployment("pausing"))


def test_rp2_pods_have_an_owner_who_makes_them_again_when_removed(kp: Machine) -> None:
    text = deployment("kept", "one", 2)
    kp.play(text, "--wait-ready")
    owner = listed(kp, "pods", "kept")[0]["metadata"]["ownerReferences"][0]
    assert owner.pop("name").startswith("kept-") and owner == {
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "uid": listed(kp, "rs", "kept")[0]["metadata"]["uid"], "controller": True,
        "blockOwnerDeletion": True,
    }  # fmt: skip
    gone = listed(kp, "pods", "kept")[0]["metadata"]["name"]
    kp("pod", "rm", "-f", "-t", "0", gone)
    names = kp.wait(lambda: [one["metadata"]["name"] for one in listed(kp, "pods", "kept")] if len(versions(kp, "kept")) == 2 else [])
    assert gone not in names
    other = text.replace("matchLabels: {app: kept}", "matchLabels: {app: kept, tier: x}").replace(
        "labels: {app: kept}", "labels: {app: kept, tier: x}"
    )
    assert "matchLabels:\n      app: kept" in kp("generate", "kube", "deployment/kept").out
    assert "deployment.kubernetes.io" not in kp("generate", "kube", "deployment/kept").out
    kp.play(other, "--update", "--wait-ready")  # a selector never changes: the Deployment is made anew
    assert {one["metadata"]["labels"].get("tier") for one in listed(kp, "pods", "kept")} == {"x"}
    kp.down(text)


def test_de3_a_supervisor_that_is_killed_again_and_again_finishes_the_rollout(kp: Machine) -> None:
    kp.play(deployment("killed", "one", 4), "--wait-ready")
    kp.play(deployment("killed", "two", 4), "--update")
    for _ in range(5):
        for pid in supervisors(kp):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)  # how long it may work before the next one: no test depends on it
    kp.wait(lambda: condition(kp, "killed") == "NewReplicaSetAvailable" and versions(kp, "killed") == ["two"] * 4)
    marks = sorted(
        (one["metadata"]["annotations"]["deployment.kubernetes.io/revision"], one["spec"]["replicas"]) for one in listed(kp, "rs", "killed")
    )
    assert marks == [("1", 0), ("2", 4)]
    kp.wait(lambda: len(listed(kp, "pods", "killed")) == 4)
    kp.wait(lambda: not supervisors(kp))  # a stack that is settled has no process of ours
    kp.down(deployment("killed"))


def supervisors(kp: Machine) -> list[int]:
    where = str(kp.root)
    return [pid for pid, words in processes() if "kubeplay.supervisor" in words and f"root={where}" in words]


def test_rp1_pods_that_fail_at_once_are_few(kp: Machine) -> None:
    """A forbidden sysctl makes a pod Failed the moment it is made: its replacements wait longer and longer."""
    text = deployment("refused", "one", 1).replace(
        "terminationGracePeriodSeconds: 5", "securityContext: {sysctls: [{name: kernel.msgmax, value: '1'}]}"
    )
    kp.play(text, status=None)
    kp.wait(lambda: len(listed(kp, "pods", "refused")) >= 2)
    time.sleep(1)  # a loop without a pause would have made hundreds of them by now
    assert len(listed(kp, "pods", "refused")) <= 5
    kp.down(text)
