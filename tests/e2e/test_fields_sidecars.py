"""Real containers: sidecars, restart policies and rules of single containers, deadlines, readiness gates."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.covers import covers
from tests.support.kubeplay import Machine, playing

pytestmark = pytest.mark.root

MOUNT = [{"name": "v", "mountPath": "/v"}]
ONCE = "test -e /v/$0 && exec sleep 1000; touch /v/$0; exit 42"  # ends with 42 the first time, then stays
RESTART, ALL = ({"action": action, "exitCodes": {"operator": "In", "values": [42]}} for action in ("Restart", "RestartAllContainers"))


def sh(name: str, script: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "busybox:1", "command": ["sh", "-c", script, name], "volumeMounts": MOUNT, **fields}


def pod(name: str, *containers: dict[str, Any], init: tuple[dict[str, Any], ...] = (), **spec: Any) -> dict[str, Any]:
    made = {"containers": list(containers), "volumes": [{"name": "v", "emptyDir": {}}], "restartPolicy": "Never", **spec}
    made.setdefault("terminationGracePeriodSeconds", 0)
    if init:
        made["initContainers"] = list(init)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": made}


# an init container that says so after the sidecar beside it: that one runs by then, but may not have said anything yet
AFTER = "until [ $(grep -c side /v/order) -gt $(grep -c init /v/order) ] 2>&-; do sleep 0.05; done; echo init >> /v/order"
BESIDE = "trap 'echo side ends >> /v/order; exit 3' TERM; echo side >> /v/order; while true; do sleep 0.1; done"
PODS = [
    pod("beside", sh("main", "echo main >> /v/order; until test -e /v/go; do sleep 0.1; done; cat /v/order"),
        init=(sh("side", BESIDE, restartPolicy="Always"), sh("i", AFTER)), terminationGracePeriodSeconds=60),
    pod("crashing", sh("main", "exec sleep 1000"), init=(sh("side", "exit 5", restartPolicy="Always"),)),
    pod("own", sh("main", ONCE, restartPolicy="OnFailure"), sh("other", "exit 42", restartPolicy="Never")),
    pod("rules", sh("main", ONCE, restartPolicy="Never", restartPolicyRules=[RESTART])),
    pod("again", sh("main", "echo main >> /v/order; " + ONCE, restartPolicy="Never", restartPolicyRules=[ALL]),
        sh("other", "exec sleep 1000"),
        init=(sh("side", "echo side >> /v/order; exec sleep 1000", restartPolicy="Always"), sh("i", AFTER))),
    pod("short", sh("main", "exec sleep 1000"), activeDeadlineSeconds=1, init=(sh("i", "exec sleep 1000"),)),
    pod("gated", sh("main", "exec sleep 1000"), readinessGates=[{"conditionType": "example.com/fed"}]),
]  # fmt: skip
MANIFEST = "\n---\n".join(json.dumps(each) for each in PODS)


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("sidecars"), image_archives, MANIFEST, "--keep-on-failure", status=None) as machine:
        yield machine


def phase(kp: Machine, name: str) -> str:
    return str(kp.pod(name)["status"].get("phase"))


def conditions(kp: Machine, name: str) -> dict[str, str]:
    return {c["type"]: c["status"] for c in kp.pod(name)["status"].get("conditions", [])}


@covers("container.restartPolicy")
def test_in3_in5_a_sidecar_stays_beside_the_others_and_ends_after_them(kp: Machine) -> None:
    kp.wait(lambda: conditions(kp, "beside").get("Ready") == "True")
    assert [s["ready"] for s in kp.pod("beside")["status"]["initContainerStatuses"]] == [True, True]
    kp.wait(lambda: kp.sh("beside", "cat /v/order", "side").splitlines() == ["side", "init", "main"])
    kp.sh("beside", "touch /v/go", "side")
    kp.wait(lambda: phase(kp, "beside") == "Succeeded")  # whatever the sidecar ends with
    assert kp.log("beside").splitlines() == ["side", "init", "main"]
    assert kp.status("beside", "side")["state"]["terminated"]["exitCode"] == 3


def test_in3_a_sidecar_is_always_restarted(kp: Machine) -> None:
    kp.wait(lambda: kp.status("crashing", "side")["restartCount"] >= 1)
    kp.wait(lambda: phase(kp, "crashing") == "Running")
    assert kp.status("crashing")["restartCount"] == 0


def test_rr1_a_containers_policy_beats_the_pods(kp: Machine) -> None:
    kp.wait(lambda: kp.status("own")["restartCount"] == 1 and "running" in kp.status("own")["state"])
    assert kp.status("own")["lastState"]["terminated"]["exitCode"] == 42
    assert kp.ended("own", "other")["exitCode"] == 42
    assert kp.status("own", "other")["restartCount"] == 0


@covers("container.restartPolicyRules[].action container.restartPolicyRules[].exitCodes.operator "
        "container.restartPolicyRules[].exitCodes.values[]")  # fmt: skip
def test_rr1_a_rule_comes_before_the_policy(kp: Machine) -> None:
    kp.wait(lambda: kp.status("rules")["restartCount"] == 1 and "running" in kp.status("rules")["state"])
    assert phase(kp, "rules") == "Running"


def test_rr2_all_containers_begin_anew_in_their_sandbox(kp: Machine) -> None:
    kp.wait(lambda: conditions(kp, "again").get("AllContainersRestarting") == "False" and conditions(kp, "again").get("Ready") == "True")
    kp.wait(lambda: kp.sh("again", "cat /v/order", "side").splitlines() == ["side", "init", "main"] * 2)
    for name in ("side", "i", "main", "other"):
        shown = kp.status("again", name)
        ended = shown["lastState"]["terminated"]
        assert (shown["restartCount"], ended["reason"], ended["exitCode"]) == (1, "RestartingAllContainers", 137)


@covers("pod.activeDeadlineSeconds")
def test_ad1_a_pod_that_takes_too_long_fails_and_has_its_time_anew_when_it_is_started_again(kp: Machine) -> None:
    kp.wait(lambda: phase(kp, "short") == "Failed")
    status = kp.pod("short")["status"]
    assert (status["reason"], status["message"]) == ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
    started = status["startTime"]
    kp("pod", "start", "short", status=None)
    kp.wait(lambda: phase(kp, "short") == "Failed" and kp.pod("short")["status"]["startTime"] > started)
    assert kp.pod("short")["status"]["reason"] == "DeadlineExceeded"


@covers("pod.readinessGates[].conditionType")
def test_co4_a_gate_is_opened_by_its_condition(kp: Machine) -> None:
    kp.wait(lambda: conditions(kp, "gated").get("ContainersReady") == "True")
    assert conditions(kp, "gated")["Ready"] == "False"
    kp("pod", "condition", "gated", "example.com/fed=True", "--reason", "Fed")
    assert conditions(kp, "gated")["Ready"] == "True"
    found = next(c for c in kp.pod("gated")["status"]["conditions"] if c["type"] == "example.com/fed")
    assert (found["status"], found["reason"]) == ("True", "Fed")
    kp("pod", "condition", "gated", "example.com/fed=false")
    assert conditions(kp, "gated")["Ready"] == "False"


@pytest.mark.parametrize("wrong", ["example.com/fed", "example.com/fed=maybe", "Ready=True", "a b=True", "=True"])
def test_co1_what_is_no_condition_of_others_cannot_be_set(kp: Machine, wrong: str) -> None:
    said = kp("pod", "condition", "gated", wrong, status=None)
    assert said.status == 125 and said.err.startswith("Error: ")


def test_generate_writes_them_back(kp: Machine) -> None:
    for name in ("again", "short", "gated"):
        made = yaml.safe_load(kp("generate", "kube", name).out)["spec"]
        spec = next(each["spec"] for each in PODS if each["metadata"]["name"] == name)
        for group in ("containers", "initContainers"):
            for one, other in zip(made.get(group, []), spec.get(group, []), strict=True):
                assert all(one.get(key) == other.get(key) for key in ("restartPolicy", "restartPolicyRules"))
        assert all(made.get(key) == spec.get(key) for key in ("activeDeadlineSeconds", "readinessGates"))


def test_cs1_an_image_id_is_a_digest_reference_and_mounts_are_told(kp: Machine) -> None:
    shown = kp.wait(lambda: found if (found := kp.status("gated"))["imageID"] else None)
    assert re.fullmatch(r"docker\.io/library/busybox@sha256:[0-9a-f]{64}", shown["imageID"])
    assert shown["volumeMounts"] == [{"name": "v", "mountPath": "/v"}]


def test_cs10_events_tell_what_happened(kp: Machine) -> None:
    def told(pod: str) -> set[str]:
        return set(kp("events", pod, "--format", "{{.Reason}}").lines)

    kp.wait(lambda: {"Pulled", "Created", "Started"} <= told("gated"))
    kp.wait(lambda: "DeadlineExceeded" in told("short"))
    kp.wait(lambda: {"RestartingAllContainers", "Killing"} <= told("again"))
    kp.wait(lambda: "BackOff" in told("crashing"))
