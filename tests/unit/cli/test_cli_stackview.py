"""What `play --wait-ready` shows while it waits: pods by state, what each waits for; bars on a terminal, lines elsewhere."""

from __future__ import annotations

import io
from typing import Any

import pytest

from kubeplay.cli.progress import Progress
from kubeplay.cli.stackview import PATIENT_LOOKS, StackView
from kubeplay.kube import progress
from kubeplay.kube.progress import PodState

Json = dict[str, Any]


def pod(name: str = "web", *, container: Json | None = None, conditions: tuple[tuple[str, str, str], ...] = (), phase: str = "Running",
        spec: Json | None = None) -> Json:  # fmt: skip
    base = {"name": "main", "ready": False, "restartCount": 0, "state": {"running": {}}, "lastState": {}}
    found = [{"type": kind, "status": status, "message": message} for kind, status, message in conditions]
    return {
        "metadata": {"name": name, "namespace": "shop"}, "spec": {"containers": [{"name": "main", **(spec or {})}]},
        "status": {"phase": phase, "conditions": found, "containerStatuses": [{**base, **(container or {})}]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("made", "ready", "why"),
    [
        (pod(conditions=(("Ready", "True", ""),), container={"ready": True}), True, ""),
        (pod(phase="Succeeded", container={"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}), True, ""),
        (pod(conditions=(("PodScheduled", "False", "0/1 nodes"),)), False, "0/1 nodes"),
        (pod(container={"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}), False,
         "container main waits: ImagePullBackOff: no such image"),
        (pod(container={"state": {"terminated": {"exitCode": 3, "reason": "Error"}}}), False, "container main ended with exit code 3"),
        (pod(spec={"readinessProbe": {}}), False, "container main runs, and its readiness probe does not succeed"),
        (pod(spec={"startupProbe": {}}, container={"started": False}), False,
         "container main runs, and its startup probe has not succeeded yet"),
        ({"metadata": {"name": "web"}}, False, ""),
    ],
)  # fmt: skip
def test_what_a_pod_waits_for(made: Json, ready: bool, why: str) -> None:
    found = progress.state(made)
    assert (found.ready, found.why) == (ready, why)


def test_init_containers_come_first() -> None:
    made = pod(container={"state": {"waiting": {"reason": "PodInitializing"}}}, phase="Pending")
    made["status"]["initContainerStatuses"] = [
        {"name": "first", "ready": False, "restartCount": 0, "lastState": {},
         "state": {"waiting": {"reason": "ErrImagePull"}}}]  # fmt: skip
    assert progress.state(made).why == "init container first waits: ErrImagePull"


def test_the_summary_has_the_commonest_state_first() -> None:
    found = [PodState("a", "Pending", False), PodState("b", "Running", True), PodState("c", "Running", False)]
    assert progress.summary(found) == "1 of 3 pods ready: 2 Running, 1 Pending"
    assert progress.waiting(found) == [("a", "Pending"), ("c", "Running")]
    assert progress.summary(found[:1]) == "0 of 1 pod ready: 1 Pending"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


LOOKS = [PodState("shop/a", "ContainerCreating", False), PodState("shop/b", "Running", False, "container main runs")]


def view(stream: io.StringIO) -> StackView:
    return StackView(None, None, Progress(stream=stream))  # type: ignore[arg-type]


def test_lines_where_they_stay() -> None:
    stream = io.StringIO()
    shown = view(stream)
    for _ in range(PATIENT_LOOKS + 3):
        shown.show(LOOKS)
    assert stream.getvalue().splitlines() == [
        "stack: 0 of 2 pods ready: 1 ContainerCreating, 1 Running", "pod shop/a: ContainerCreating",
        "pod shop/b: container main runs"]  # fmt: skip


def test_bars_on_a_terminal_go_with_their_pods() -> None:
    stream = Terminal()
    shown = view(stream)
    shown.show(LOOKS)
    assert "0 of 2 pods ready" in stream.getvalue()
    shown.show([LOOKS[0], LOOKS[1]._replace(ready=True)])
    assert set(shown.shown._bars) == {"view  stack", "view shop/a"}
    shown.show([one._replace(ready=True) for one in LOOKS])
    assert set(shown.shown._bars) == {"view  stack"}


def test_a_stack_that_is_ready_at_once_is_not_told() -> None:
    stream = io.StringIO()
    shown = view(stream)
    shown.show([])
    shown.show([one._replace(ready=True) for one in LOOKS])
    assert stream.getvalue() == ""
