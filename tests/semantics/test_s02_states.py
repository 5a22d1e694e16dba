"""Section 2: why a container waits (CS1, CS3), how often it began anew (CS8), and what the checks say of init containers (IN2)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubeplay.errors import InvalidInput
from kubeplay.kube import check
from kubeplay.kube.status import ContainerView, PodView, pod_status
from kubeplay.plan.container import ContainerPlan
from tests.support.simulator import EPOCH, Fail, Run, Simulation, pod

MAIN = ContainerPlan("main", "busybox:1")
IMAGES = ["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError"]
REASONS = [*IMAGES, "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PostStartHookError"]


@pytest.mark.parametrize("reason", REASONS)
def test_cs3_the_reason_of_a_failed_start_is_what_a_container_waits_for(reason: str) -> None:
    status = pod_status(PodView(pod(MAIN), EPOCH, (ContainerView(MAIN, waiting=reason, message="why"),)), EPOCH)
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": reason, "message": "why"}}
    assert status["phase"] == "Pending"


def test_cs3_a_sandbox_that_cannot_be_made_is_no_containers_reason() -> None:
    status = pod_status(PodView(pod(MAIN), EPOCH, (ContainerView(MAIN),)), EPOCH)
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}


def test_cs1_a_container_has_one_state_and_no_signal() -> None:
    sim = Simulation(pod(MAIN._replace(restart_policy="Never")), main=[Run(1, 137)]).run(5)
    assert set(sim.container("main")["state"]) == {"terminated"}
    assert "signal" not in sim.container("main")["state"]["terminated"]
    assert sim.container("main")["lastState"] == {}


def test_cs8_every_new_instance_counts_and_the_last_two_are_shown() -> None:
    sim = Simulation(pod(MAIN), main=[Run(1, 1), Run(1, 2), Run(1, 3), Run()]).run(35)
    assert sim.container("main")["restartCount"] == 3
    assert sim.container("main")["lastState"]["terminated"]["exitCode"] == 3


def test_cs8_a_start_that_leaves_no_instance_does_not_count() -> None:
    sim = Simulation(pod(MAIN), main=[Fail("CreateContainerConfigError")]).run(35)
    assert sim.container("main")["restartCount"] == 0


HOOK = {"lifecycle": {"preStop": {"exec": {"command": ["true"]}}}}
PROBES = [{kind: {"exec": {"command": ["true"]}}} for kind in ("livenessProbe", "readinessProbe", "startupProbe")]


def manifest(init: dict[str, Any]) -> bytes:
    spec = {"initContainers": [{"name": "i", "image": "i", **init}], "containers": [{"name": "main", "image": "i"}]}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}).encode()


@pytest.mark.parametrize("field", [HOOK, *PROBES], ids=lambda field: next(iter(field)))
def test_in2_probes_and_hooks_are_for_sidecars_only(field: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        check.read(manifest(field), "a.yaml")
    assert [fault.path.startswith(f"spec.initContainers[0].{next(iter(field))}") for fault in caught.value.faults] == [True]
    check.read(manifest({**field, "restartPolicy": "Always"}), "a.yaml")


def test_in2_names_are_unique_among_all_containers() -> None:
    with pytest.raises(InvalidInput):
        check.read(manifest({"name": "main"}), "a.yaml")
