"""KC2: READY, STATUS and RESTARTS."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.clock import rfc3339
from kubeplay.kube import columns, printers

EPOCH = 1_000_000.0


def w(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason}}


def t(code: int = 0, reason: str = "Completed") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason}}


R: dict[str, Any] = {"running": {"startedAt": rfc3339(EPOCH)}}


def status(phase: str, app: list[dict[str, Any]], init: list[dict[str, Any]] | None = None, ready: bool = True, initialized: bool = True,
           reason: str = "") -> dict[str, Any]:  # fmt: skip
    def one(state: dict[str, Any]) -> dict[str, Any]:
        return {"name": "x", "state": state, "lastState": {}, "ready": "running" in state and ready, "restartCount": 0}

    found: dict[str, Any] = {"phase": phase, "containerStatuses": [one(s) for s in app]}
    if init is not None:
        found["initContainerStatuses"] = [one(s) for s in init]
    conditions = [("Initialized", initialized), ("Ready", ready)]
    found["conditions"] = [{"type": k, "status": "True" if v else "False"} for k, v in conditions]
    return {**found, "reason": reason} if reason else found


@pytest.mark.parametrize(("given", "expected"), [
    (status("Running", [R]), "Running"),
    (status("Pending", [w("ContainerCreating")], ready=False), "ContainerCreating"),
    (status("Running", [w("CrashLoopBackOff")], ready=False), "CrashLoopBackOff"),
    (status("Succeeded", [t()], ready=False), "Completed"),
    (status("Failed", [t(1, "Error")], ready=False), "Error"),
    (status("Failed", [], reason="SysctlForbidden"), "SysctlForbidden"),
    (status("Running", [t(), R]), "Running"),
    (status("Running", [t(1, "Error"), t()], ready=False), "Error"),
    (status("Running", [t(), t(137, "OOMKilled")], ready=False), "OOMKilled"),
    (status("Failed", [t(9, "")], ready=False), "ExitCode:9"),
    (status("Pending", [w("PodInitializing")], [R, w("PodInitializing")], initialized=False), "Init:0/2"),
    (status("Pending", [w("PodInitializing")], [t(), R], initialized=False), "Init:1/2"),
    (status("Pending", [w("PodInitializing")], [t(3, "Error")], initialized=False), "Init:Error"),
    (status("Pending", [w("PodInitializing")], [t(3, "")], initialized=False), "Init:ExitCode:3"),
    (status("Pending", [w("PodInitializing")], [w("ErrImagePull")], initialized=False), "Init:ErrImagePull"),
    (status("Running", [R], [t()]), "Running"),
])  # fmt: skip
def test_kc2_status_text(given: dict[str, Any], expected: str) -> None:
    assert columns.text(given) == expected


def test_kc2_deleted_is_terminating_unless_it_has_ended() -> None:
    assert columns.text(status("Running", [R]), deleted=True) == "Terminating"
    assert columns.text(status("Failed", [t(1, "Error")]), deleted=True) == "Error"


def test_kc2_not_ready_text() -> None:
    given = status("Running", [t(), R])
    given["conditions"][1]["status"] = "False"
    assert columns.text(given) == "NotReady"


def test_kc2_ready_and_restarts() -> None:
    given = status("Running", [R, w("CrashLoopBackOff")])
    assert columns.ready(given) == "1/2"
    assert columns.restarts(given, EPOCH) == "0"
    given["containerStatuses"][1].update(restartCount=3, lastState={"terminated": {"exitCode": 1, "finishedAt": rfc3339(EPOCH - 125)}})
    assert columns.restarts(given, EPOCH) == "3 (2m5s ago)"


@pytest.mark.parametrize(("seconds", "text"), [
    (-3, "0s"), (5, "5s"), (119, "119s"), (120, "2m"), (125, "2m5s"), (599, "9m59s"), (600, "10m"), (3600 * 2, "120m"), (3600 * 3, "3h"),
    (3600 * 3 + 60, "3h1m"), (3600 * 9, "9h"), (86400 * 3, "3d"), (86400 * 3 + 7200, "3d2h"), (86400 * 30, "30d"), (86400 * 800, "2y"),
])  # fmt: skip
def test_kc2_age(seconds: int, text: str) -> None:
    assert columns.age(seconds) == text


def sidecar(state: dict[str, Any], started: bool = True, ready: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    """(spec, status) of a pod with one sidecar and one running container."""
    given = status("Running", [R], [state])
    given["initContainerStatuses"][0].update(name="s", started=started, ready=ready, restartCount=2)
    return {"containers": [{"name": "x"}], "initContainers": [{"name": "s", "restartPolicy": "Always"}]}, given


def test_kc2_sidecars_count_in_ready_and_restarts() -> None:
    spec, given = sidecar(R)
    assert (columns.ready(given, spec), columns.text(given, spec=spec), columns.restarts(given, EPOCH, spec)) == ("2/2", "Running", "2")
    spec, given = sidecar(R, ready=False)
    assert columns.ready(given, spec) == "1/2"
    spec, given = sidecar(w("CrashLoopBackOff"), started=False)
    given["conditions"][0]["status"] = "False"
    assert columns.text(given, spec=spec) == "Init:CrashLoopBackOff"


def test_kc2_a_pod_without_statuses_counts_what_is_planned() -> None:
    assert columns.ready({"phase": "Failed"}, {"containers": [{"name": "a"}, {"name": "b"}]}) == "0/2"
    gated = {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}
    assert columns.text(gated) == "SchedulingGated"


OLD = {"name": "n", "creationTimestamp": rfc3339(EPOCH - 90)}
TEMPLATE = {"spec": {"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "j"}]}}
CHOOSES = {"matchLabels": {"app": "web"},
           "matchExpressions": [{"key": "t", "operator": "In", "values": ["y", "x"]}, {"key": "o", "operator": "Exists"}]}  # fmt: skip


@pytest.mark.parametrize(("body", "headers", "cells"), [
    ({"kind": "ConfigMap", "data": {"a": ""}, "binaryData": {"b": ""}}, "DATA AGE", ["2", "90s"]),
    ({"kind": "Secret", "data": {"a": ""}}, "TYPE DATA AGE", ["Opaque", "1", "90s"]),
    ({"kind": "Namespace"}, "STATUS AGE", ["Active", "90s"]),
    ({"kind": "Service", "spec": {"clusterIP": "10.0.0.1", "type": "NodePort", "ports": [{"port": 80, "nodePort": 30080},
                                  {"port": 53, "protocol": "UDP"}], "selector": {"b": "2", "a": "1"}}},
     "TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR", ["NodePort", "10.0.0.1", "<none>", "80:30080/TCP,53/UDP", "90s", "a=1,b=2"]),
    ({"kind": "Service", "spec": {"type": "ExternalName", "externalName": "db.example"}},
     "TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR", ["ExternalName", "<none>", "db.example", "<none>", "90s", "<none>"]),
    ({"kind": "Service", "spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1", "ports": []}},
     "TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR", ["LoadBalancer", "10.0.0.1", "<pending>", "<none>", "90s", "<none>"]),
    ({"kind": "Deployment", "spec": {"replicas": 3, "template": TEMPLATE, "selector": CHOOSES},
      "status": {"readyReplicas": 1, "updatedReplicas": 3}},
     "READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR", ["1/3", "3", "0", "90s", "a,b", "i,j", "app=web,t in (x,y),o"]),
    ({"kind": "ReplicaSet", "spec": {"replicas": 2, "template": TEMPLATE}, "status": {"replicas": 2}},
     "DESIRED CURRENT READY AGE CONTAINERS IMAGES SELECTOR", ["2", "2", "0", "90s", "a,b", "i,j", "<none>"]),
    ({"kind": "Job", "spec": {"completions": 1, "template": TEMPLATE}, "status": {"succeeded": 1, "startTime": rfc3339(EPOCH - 60),
      "completionTime": rfc3339(EPOCH - 50), "conditions": [{"type": "Complete", "status": "True"}]}},
     "STATUS COMPLETIONS DURATION AGE CONTAINERS IMAGES SELECTOR", ["Complete", "1/1", "10s", "90s", "a,b", "i,j", "<none>"]),
    ({"kind": "CronJob", "spec": {"schedule": "* * * * *", "suspend": True}},
     "SCHEDULE TIMEZONE SUSPEND ACTIVE LAST SCHEDULE AGE CONTAINERS IMAGES SELECTOR",
     ["* * * * *", "<none>", "True", "0", "<none>", "90s", "", "", "<none>"]),
    ({"kind": "PersistentVolumeClaim", "spec": {"volumeName": "v"}, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"},
      "accessModes": ["ReadWriteMany", "ReadWriteOnce"]}},
     "STATUS VOLUME CAPACITY ACCESS MODES STORAGECLASS VOLUMEATTRIBUTESCLASS AGE VOLUMEMODE",
     ["Bound", "v", "1Gi", "RWO,RWX", "", "<unset>", "90s", "Filesystem"]),
    ({"kind": "Unheard"}, "AGE", ["90s"]),
])  # fmt: skip
def test_kc3_columns_of_other_kinds(body: dict[str, Any], headers: str, cells: list[str]) -> None:
    made = printers.printer(body["kind"])
    assert " ".join(column.header for column in made.columns) == headers
    assert made.cells({**body, "metadata": OLD}, EPOCH) == cells


def test_kc3_wide_columns_of_a_pod_and_the_default_class() -> None:
    spec, given = sidecar(R)
    given["conditions"].append({"type": "example.com/up", "status": "True"})
    spec.update(nodeName="vm", readinessGates=[{"conditionType": "example.com/up"}, {"conditionType": "example.com/more"}])
    cells = printers.printer("Pod").cells({"metadata": OLD, "spec": spec, "status": {**given, "podIP": "10.0.0.9"}}, EPOCH)
    assert cells == ["2/2", "Running", "2", "90s", "10.0.0.9", "vm", "<none>", "1/2"]
    marked = {"name": "local", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    assert printers.name({"kind": "StorageClass", "metadata": marked}) == "local (default)"


def test_kc2_a_sidecars_end_is_not_the_pods_in5() -> None:
    ended = {"terminated": {"exitCode": 3, "reason": "Error"}}
    done = {"terminated": {"exitCode": 0, "reason": "Completed"}}
    status = {
        "phase": "Succeeded", "conditions": [{"type": "Initialized", "status": "True"}],
        "initContainerStatuses": [{"name": "side", "state": ended, "started": False, "ready": False, "restartCount": 0, "lastState": {}}],
        "containerStatuses": [{"name": "main", "state": done, "ready": False, "restartCount": 0, "lastState": {}}],
    }  # fmt: skip
    assert columns.text(status, spec={"initContainers": [{"name": "side", "restartPolicy": "Always"}], "containers": [{}]}) == "Completed"
