"""kube apply --local, history and rollback with real pods: who restarts, what is made anew, what comes back after a failure."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.kubeplay import Machine, playing

pytestmark = pytest.mark.root
SLEEP = "trap 'exit 0' TERM; touch /tmp/ready; while :; do sleep 0.1; done"
READY = "readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1}"


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("apply"), image_archives) as machine:
        yield machine


def deployment(name: str, version: str = "one", script: str = SLEEP, spec: str = "") -> str:
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  {spec}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: main
        image: busybox:1
        command: [sh, -c, {json.dumps(script)}]
        env: [{{name: VERSION, value: {version}}}]
        {READY}
---"""


def pod(name: str, script: str = SLEEP, labels: str = "{}") -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {labels}}}
spec:
  terminationGracePeriodSeconds: 2
  containers: [{{name: main, image: busybox:1, command: [sh, -c, {json.dumps(script)}]}}]
---"""


def config(value: str) -> str:
    return f"\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{a: '{value}'}}\n---"


def apply(kp: Machine, text: str, *flags: str, status: int | None = 0) -> Any:
    return kp("kube", "apply", "--local", *flags, kp.file("app.yaml", text), status=status, timeout=300)


def pods(kp: Machine, app: str) -> dict[str, str]:
    """The uids of an app's pods that are not ending, with their version."""
    found = kp("get", "pods", "-l", f"app={app}", "-o", "json").json["items"]
    return {one["metadata"]["uid"]: one["spec"]["containers"][0]["env"][0]["value"] for one in found
            if not one["metadata"].get("deletionTimestamp")}  # fmt: skip


def test_only_what_changed_restarts_and_what_commands_set_stays(kp: Machine) -> None:
    first = deployment("web") + deployment("db") + config("1") + pod("old")
    kp("kube", "play", "-q", "--wait-ready", kp.file("app.yaml", first))
    assert kp("kube", "history").out.startswith("stack/app ")
    kp("label", "deployment", "web", "by=hand")
    kp("scale", "deployment", "db", "--replicas=2")
    kp.wait(lambda: len(pods(kp, "db")) == 2)
    web, db = pods(kp, "web"), pods(kp, "db")

    said = apply(kp, deployment("web", "two") + deployment("db") + config("2"), "--prune", "--wait-ready")
    assert said.out.splitlines() == [
        "configmap/settings configured", "deployment.apps/web configured", "deployment.apps/db unchanged", "pod/old pruned",
    ]  # fmt: skip
    assert list(pods(kp, "web").values()) == ["two"] and not set(pods(kp, "web")) & set(web)
    assert pods(kp, "db") == db
    assert kp("get", "deployment", "web", "-o", "json").json["metadata"]["labels"]["by"] == "hand"
    assert not kp("get", "pods", "--no-headers").out.count("old ")

    again = apply(kp, deployment("web", "two") + deployment("db") + config("2"), "--prune", "--wait-ready")
    assert {line.split()[1] for line in again.out.splitlines()} == {"unchanged"}
    rows = [line.split()[:3:2] for line in kp("kube", "history", "app").out.splitlines()[2:]]
    assert rows == [["1", "superseded"], ["2", "deployed"]]

    back = kp("kube", "rollback", "app", "--wait-ready")
    assert back.out.splitlines()[-1] == "stack/app rolled back to revision 1" and "pod/old created" in back.out
    assert list(pods(kp, "web").values()) == ["one"] and pods(kp, "db") == db
    kp.down(first)
    assert kp("kube", "history").out == "No stacks were applied.\n"


def test_vl6_in_place_where_it_can_be_anew_where_it_cannot(kp: Machine) -> None:
    apply(kp, pod("one"))
    before = kp.pod("one")["metadata"]["uid"]
    assert apply(kp, pod("one", labels="{a: b}")).out == "pod/one configured\n"
    assert kp.pod("one")["metadata"]["uid"] == before
    said = apply(kp, pod("one", f"sleep 0; {SLEEP}", "{a: b}"))
    assert said.out == "pod/one replaced\n" and "command" in said.err
    found = kp.pod("one")
    assert found["metadata"]["uid"] != before and found["status"]["phase"] == "Running"
    kp.down(pod("one"))


KINDS = """
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: main, image: busybox:1, command: [sh, -c, "echo %(word)s"]}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: set}
spec:
  serviceName: %(word)s
  selector: {matchLabels: {app: set}}
  template:
    metadata: {labels: {app: set}}
    spec:
      terminationGracePeriodSeconds: 2
      containers: [{name: main, image: busybox:1, command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"],
                    volumeMounts: [{name: data, mountPath: /data}]}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Service
metadata: {name: set}
spec: {selector: {app: set}, ports: [{port: 80}]}
"""


def test_vl6_workloads_that_may_not_change_are_made_anew_and_keep_their_data(kp: Machine) -> None:
    apply(kp, KINDS % {"word": "first"}, "--wait-ready")
    kp.sh("set-0", "echo kept > /data/file")
    address = kp("get", "service", "set", "-o", "json").json["spec"]["clusterIP"]
    said = apply(kp, KINDS % {"word": "second"}, "--wait-ready", "--prune")
    assert said.out.splitlines() == ["service/set unchanged", "statefulset.apps/set replaced", "job.batch/once replaced"]
    assert "updates to statefulset spec" in said.err and "spec.template: field is immutable" in said.err
    assert kp.sh("set-0", "cat /data/file") == "kept"
    assert "second" in kp("logs", "job/once").out
    assert kp("get", "service", "set", "-o", "json").json["spec"]["clusterIP"] == address
    said = kp("kube", "rollback", "app", "--wait-ready", "--rollback-on-failure")
    assert "statefulset.apps/set replaced" in said.out and kp.sh("set-0", "cat /data/file") == "kept"
    kp.down(KINDS % {"word": "first"}, "--force")


def test_a_state_that_does_not_become_ready_is_taken_back(kp: Machine) -> None:
    good = deployment("shop") + pod("side") + config("1")
    apply(kp, good, "--wait-ready")
    shop, side = pods(kp, "shop"), kp.pod("side")["metadata"]["labels"]
    bad = deployment("shop", "two", "sleep 1000", "progressDeadlineSeconds: 2")
    bad += pod("side", f"sleep 0; {SLEEP}", "{x: new}") + config("2") + pod("extra")
    said = apply(kp, bad, "--rollback-on-failure", "--timeout=100s", status=125)
    assert "rolled back: everything is as it was before" in said.err and 'deployment "shop" exceeded its progress deadline' in said.err
    kp.wait(lambda: pods(kp, "shop") == shop)  # the old pod has served all the time
    assert (kp.pod("side")["metadata"].get("labels") or {}) == (side or {}) and kp.pod("side")["status"]["phase"] == "Running"
    assert kp("get", "configmap", "settings", "-o", "json").json["data"] == {"a": "1"}
    assert not kp("get", "pods", "--no-headers").out.count("extra ")
    rows = [line.split()[:3:2] for line in kp("kube", "history", "app").out.splitlines()[2:]]
    assert rows == [["1", "deployed"], ["2", "failed"]]
    kp.down(good)


@pytest.mark.parametrize("point", ["play:recreated", "down:pods"])
def test_what_a_killed_apply_left_is_done_by_the_next(kp: Machine, point: str) -> None:
    before, after = pod("hit") + pod("gone"), pod("hit", f"sleep 0; {SLEEP}")
    apply(kp, before)
    uid = kp.pod("hit")["metadata"]["uid"]
    kp.env["KUBEPLAY_FAULT"] = point
    try:
        assert apply(kp, after, "--prune", status=None).status == -signal.SIGKILL
    finally:
        del kp.env["KUBEPLAY_FAULT"]
    apply(kp, after, "--prune", "--wait-ready")
    assert kp.pod("hit")["metadata"]["uid"] != uid and kp.pod("hit")["status"]["phase"] == "Running"
    assert kp("get", "pods", "-o", "name").out == "pod/hit\n"
    assert kp("kube", "rollback", "--wait-ready").out.count("created") == 1
    kp.down(before)
