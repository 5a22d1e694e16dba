"""KC2: READY, STATUS and RESTARTS."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.clock import rfc3339
from kubeplay.kube import columns

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
