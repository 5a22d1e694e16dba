"""label, annotate, scale, set, delete, top, get of views: what people change objects with, on real pods."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.kubeplay import Machine, playing

pytestmark = [pytest.mark.root, pytest.mark.slow]

MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {log.level: debug}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: solo, labels: {app: solo}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1
    command: [sleep, "100000"]
    volumeMounts: [{name: own, mountPath: /own}]
  volumes: [{name: own, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: busybox:1, command: [sleep, "100000"]}]
"""
AVAILABLE = "jsonpath={.status.availableReplicas} {.status.updatedReplicas} {.status.replicas}"


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("kubectl"), image_archives, MANIFEST) as machine:
        yield machine


def settled(kp: Machine, replicas: int) -> None:
    kp.wait(lambda: kp("get", "deploy", "web", "-o", AVAILABLE).out == f"{replicas} {replicas} {replicas}")


def pods(kp: Machine, selector: str = "app=web") -> list[str]:
    return kp("get", "pods", "-l", selector, "-o", "name").lines


def containers(kp: Machine) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kp("get", "deploy", "web", "-o", "json").json["spec"]["template"]["spec"]["containers"]
    return found


def test_labels_reach_the_pods_files_and_the_endpoints(kp: Machine) -> None:
    assert kp("label", "pod", "solo", "tier=front").out == "pod/solo labeled\n"
    kp.wait(lambda: 'tier="front"' in kp.sh("solo", "cat /own/labels"))
    assert "already has a value (front)" in kp("label", "pod/solo", "tier=back", status=125).err
    assert kp("label", "pod", "solo", "tier=front").out == "pod/solo not labeled\n"
    assert kp.ip("solo") not in kp("describe", "svc", "web").out
    kp("label", "pod", "solo", "app=web", "--overwrite")
    kp.wait(lambda: kp.ip("solo") in kp("describe", "svc", "web").out)
    kp("label", "pods", "--all", "app=solo", "--overwrite", "--field-selector", "metadata.name=solo")
    kp.wait(lambda: kp.ip("solo") not in kp("describe", "svc", "web").out)
    assert kp("label", "pod", "solo", "tier-", "--dry-run").out == "pod/solo unlabeled (dry run)\n"
    assert kp("label", "pod", "solo", "--list").lines == ["app=solo", "tier=front"]
    assert kp("label", "pod", "solo", "tier-").out == "pod/solo unlabeled\n"
    assert kp("annotate", "-f", kp.written(MANIFEST), "note=all", "-o", "name").lines == [
        "configmap/conf", "service/web", "deployment.apps/web", "pod/solo"]  # fmt: skip
    assert kp("get", "pod", "solo", "-o", "jsonpath={.metadata.annotations.note} {.metadata.labels}").out == 'all {"app":"solo"}'
    assert "needs a new pod" in kp("annotate", "pod", "solo", "kubeplay.io/network=host", status=125).err
    assert "invalid labels" in kp("label", "pod", "solo", "a b=c", status=125).err
    kp("label", "ns", "default", "team=a")
    assert kp("get", "ns", "-l", "team=a", "-o", "name").lines == ["namespace/default"]


def test_scale(kp: Machine) -> None:
    assert kp("scale", "deploy/web", "--replicas=2", "--timeout=100s").out == "deployment.apps/web scaled\n"
    settled(kp, 2)
    assert len(pods(kp)) == 2
    assert "Expected replicas to be 7, was 2" in kp("scale", "deploy/web", "--replicas=1", "--current-replicas=7", status=125).err
    assert "nothing of this kind can be scaled" in kp("scale", "pod/solo", "--replicas=1", status=125).err
    assert "more than 1000 replicas on one machine" in kp("scale", "deploy/web", "--replicas=1001", status=125).err
    assert "--replicas=COUNT flag is required" in kp("scale", "deploy/web", "--replicas=-1", status=125).err
    kp("scale", "deploy", "--all", "--replicas=1")
    settled(kp, 1)


def test_a_supervisor_that_is_just_ending_loses_no_command(kp: Machine) -> None:
    lock = kp.runroot / "locks/supervisor-loop"
    taken = threading.Event()

    def hold() -> None:
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # ours once the one before has ended
            taken.set()
            done.wait(100)

    done = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert taken.wait(100)
        kp("scale", "deploy/web", "--replicas=2")
    finally:
        done.set()
        holder.join()
    settled(kp, 2)
    kp("scale", "deploy/web", "--replicas=1")
    settled(kp, 1)


def test_set_rolls_the_workload(kp: Machine) -> None:
    before = pods(kp)
    assert kp("set", "env", "deploy/web", "MODE=fast", "--from=configmap/conf").out == "deployment.apps/web env updated\n"
    kp.wait(lambda: not set(before) & set(pods(kp)))
    settled(kp, 1)
    assert kp.sh(pods(kp)[0].removeprefix("pod/"), "echo $MODE $LOG_LEVEL") == "fast debug"
    assert kp("set", "env", "deploy/web", "--list").lines == [
        "# deployment.apps/web, container main", "MODE=fast", "# LOG_LEVEL from conf, key log.level"]  # fmt: skip
    assert kp("set", "resources", "deploy/web", "--limits=memory=64Mi").out == "deployment.apps/web resource requirements updated\n"
    assert containers(kp)[0]["resources"]["limits"] == {"memory": "64Mi"}
    tried = kp("set", "image", "deploy/web", "main=busybox:1.0", "--dry-run=server").out
    assert tried == "deployment.apps/web image updated (server dry run)\n"
    assert containers(kp)[0]["image"] == "busybox:1"
    assert 'unable to find container named "other"' in kp("set", "image", "deploy/web", "other=x", status=125).err
    assert "spec.template.spec.containers[0].resources" in kp("set", "resources", "deploy/web", "--limits=cpu=-1", status=125).err
    settled(kp, 1)


def test_rollouts(kp: Machine) -> None:
    kp("annotate", "deploy/web", "kubernetes.io/change-cause=other mode")
    kp("set", "env", "deploy/web", "MODE=slow")
    told = kp("rollout", "status", "deploy/web", "--timeout=100s").lines
    assert told[-1] == 'deployment "web" successfully rolled out'
    assert all(line.startswith("Waiting for deployment") for line in told[:-1])
    known = kp("rollout", "history", "deploy/web").lines
    assert known[0] == "deployment.apps/web " and known[1].split() == ["REVISION", "CHANGE-CAUSE"]
    last = known[-1] or known[-2]
    assert last.split(maxsplit=1)[1] == "other mode"
    assert "MODE:" in kp("rollout", "history", "deploy/web", f"--revision={last.split()[0]}").out
    assert kp("rollout", "pause", "deploy", "web").out == "deployment.apps/web paused\n"
    assert "already paused" in kp("rollout", "pause", "deploy/web", status=125).err
    before = pods(kp)
    kp("set", "env", "deploy/web", "MODE=paused")
    kp.wait(lambda: "0 out of 1 new replicas" in kp("rollout", "status", "deploy/web", "--watch=false").out)
    assert pods(kp) == before
    assert "resume it first" in kp("rollout", "undo", "deploy/web", status=125).err
    assert kp("rollout", "resume", "-f", kp.written(MANIFEST), status=125).out == "deployment.apps/web resumed\n"  # the pod has none
    kp("rollout", "status", "deploy/web")
    assert containers(kp)[0]["env"][0]["value"] == "paused"
    assert kp("rollout", "undo", "deploy/web").out == "deployment.apps/web rolled back\n"
    kp("rollout", "status", "deploy/web")
    assert containers(kp)[0]["env"][0]["value"] == "slow"
    before = pods(kp)
    assert kp("rollout", "restart", "deploy").out == "deployment.apps/web restarted\n"
    kp("rollout", "status", "deploy/web")
    kp.wait(lambda: not set(before) & set(pods(kp)))
    assert kp("wait", "deploy/web", "--for=condition=Available", "--timeout=100s").out == "deployment.apps/web condition met\n"
    assert "unable to find specified revision 99" in kp("rollout", "undo", "deploy/web", "--to-revision=99", status=125).err
    assert "required resource not specified" in kp("rollout", "status", status=125).err
    settled(kp, 1)


def test_objects_made_from_others(kp: Machine) -> None:
    assert kp("expose", "deploy/web", "--port=81", "--target-port=8081", "--name=front").out == "service/front exposed\n"
    front = kp("get", "svc", "front", "-o", "json").json["spec"]
    assert front["selector"] == {"app": "web"} and front["clusterIP"] and front["ports"][0]["targetPort"] == 8081
    assert "already exists" in kp("expose", "svc/web", "--name=front", status=125).err
    assert "couldn't find port" in kp("expose", "pod/solo", status=125).err
    made = kp("expose", "svc/web", "--name=copy", "--dry-run=client", "-o", "yaml").out
    assert "name: copy" in made and kp("get", "svc", "copy", "--ignore-not-found").out == ""
    assert kp("autoscale", "deploy/web", "--max=1", "--cpu=50%").out == "horizontalpodautoscaler.autoscaling/web autoscaled\n"
    assert kp("get", "hpa", "--no-headers").out.split()[:2] == ["web", "Deployment/web"]
    assert "--max=MAXPODS is required" in kp("autoscale", "deploy/web", status=125).err
    kp("delete", "hpa/web", "svc/front")


SLOW = """
apiVersion: v1
kind: Pod
metadata: {name: slow}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1
    command: [sleep, "100000"]
    readinessProbe: {exec: {command: [test, -e, /never]}, periodSeconds: 1}
"""


def test_who_waits_sees_what_for(kp: Machine) -> None:
    said = kp("play", "kube", "--wait-ready", "--timeout", "5", kp.written(SLOW), status=125)
    assert "stack: 0 of 1 pod ready: 1 Running" in said.err
    assert "pod default/slow: container main runs, and its readiness probe does not succeed" in said.err


def test_what_is_shown_of_the_machine(kp: Machine) -> None:
    header, row = kp("get", "nodes").lines
    assert header.split() == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"] and row.split()[1] == "Ready"
    node = kp("get", "node", "-o", "json").json["items"][0]
    assert node["status"]["capacity"]["cpu"] and node["kind"] == "Node"
    assert "Non-terminated Pods:" in kp("describe", "node", row.split()[0]).out
    top = kp("top", "pod", "-l", "app=solo").lines
    assert top[0].split() == ["NAME", "CPU(cores)", "MEMORY(bytes)"] and top[1].split()[0] == "solo" and top[1].endswith("Mi")
    assert kp("top", "pod", "solo", "--containers", "--no-headers").out.split()[:2] == ["solo", "main"]
    assert kp("top", "node").lines[0].split() == ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]
    assert ["deployments", "deploy", "apps/v1", "true", "Deployment"] in [line.split() for line in kp("api-resources").lines]
    assert {"v1", "apps/v1"} <= set(kp("api-versions").lines)


def test_delete(kp: Machine) -> None:
    more = MANIFEST.replace("name: web", "name: more").replace("app: web", "app: more").replace("name: solo", "name: other")
    kp.play(more.replace("name: conf", "name: conf2"))
    assert kp("delete", "deploy", "more", "--cascade=orphan").out == 'deployment.apps "more" deleted from default namespace\n'
    (left,) = kp("get", "rs", "-l", "app=more", "-o", "name").lines
    assert kp("get", left, "-o", "jsonpath={.metadata.ownerReferences}").out == "" and len(pods(kp, "app=more")) == 1
    kp("delete", left, "--cascade=foreground")
    assert pods(kp, "app=more") == [] and kp("get", "rs", "-l", "app=more", "-o", "name").out == ""
    assert kp("delete", "pod/other", "svc/more", "cm/conf2", "--now").lines == [
        'pod "other" deleted from default namespace', 'service "more" deleted from default namespace',
        'configmap "conf2" deleted from default namespace']  # fmt: skip
    assert kp("get", "pod,svc,cm", "-o", "name").lines == ["pod/solo", *pods(kp), "service/web", "configmap/conf"]
    missing = kp("delete", "pod", "nobody", status=125)
    assert "no pod 'nobody'" in missing.err
    kp("delete", "pod", "nobody", "--ignore-not-found")
    assert "no name was specified" in kp("delete", "pods", status=125).err
    assert kp("delete", "deploy", "web", "--dry-run").out == 'deployment.apps "web" deleted from default namespace (dry run)\n'
    kp("configmap", "create", "elsewhere", "--from-literal=a=b", "-n", "other")
    assert kp("delete", "ns", "other").out == 'namespace "other" deleted\n'
    assert kp("get", "cm", "-n", "other", "-o", "name").out == ""
    assert "may not be deleted" in kp("delete", "ns", "default", status=125).err
    assert "events cannot be deleted" in kp("delete", "events", "--all", status=125).err
    kp("delete", "pod", "solo", "--wait=false")
    kp.wait(lambda: "pod/solo" not in kp("get", "pods", "-o", "name").lines)
    kp("delete", "-f", kp.written(MANIFEST), "--ignore-not-found")
    kp.wait(lambda: kp("get", "all", "-o", "name").out == "")
