"""Section 1: the conditions Initialized, ContainersReady and Ready at every step of a pod's life (CO2, CO3)."""

from __future__ import annotations

import pytest

from kubeplay.kube.status import ContainerView, Instance, PodView, pod_status
from kubeplay.plan.container import INIT, SIDECAR, ContainerPlan
from kubeplay.plan.probe import RestartRule
from tests.support.simulator import EPOCH, pod

RUNS = Instance("r", 0, "running", started=EPOCH)
DONE = Instance("d", 0, "exited", started=EPOCH, finished=EPOCH + 1, exit_code=0)
BROKEN = DONE._replace(exit_code=3)


def view(kind: str, current: Instance | None, name: str = "", policy: str = "Always", **fields: bool) -> ContainerView:
    return ContainerView(ContainerPlan(name or kind, "i", kind=kind, restart_policy=policy), current, **fields)


def condition(kind: str, *views: ContainerView, initialized: bool = False, finished: bool = False) -> tuple[str, str, str]:
    made = PodView(pod(*[v.plan for v in views]), EPOCH, views, initialized=initialized, finished=finished)
    found = next(c for c in pod_status(made, EPOCH + 60)["conditions"] if c["type"] == kind)
    return found["status"], found.get("reason", ""), found.get("message", "")


MAIN = view("app", None)


@pytest.mark.parametrize(("views", "incomplete"), [
    ((), ""), ((view(INIT, None),), "init"), ((view(INIT, RUNS),), "init"), ((view(INIT, BROKEN),), "init"), ((view(INIT, DONE),), ""),
    ((view(SIDECAR, None),), "sidecar"), ((view(SIDECAR, RUNS),), ""), ((view(SIDECAR, RUNS, started=False),), "sidecar"),
    ((view(SIDECAR, RUNS, ready=False),), ""), ((view(SIDECAR, DONE),), "sidecar"),
    ((view(SIDECAR, RUNS), view(INIT, RUNS)), "init"), ((view(INIT, DONE), view(SIDECAR, None)), "sidecar"),
])  # fmt: skip
def test_co2_init_containers_must_have_ended_well_and_sidecars_have_started(views: tuple[ContainerView, ...], incomplete: str) -> None:
    message = f"containers with incomplete status: [{incomplete}]"
    expected = ("False", "ContainersNotInitialized", message) if incomplete else ("True", "", "")
    assert condition("Initialized", *views, MAIN) == expected


@pytest.mark.parametrize("before", [view(INIT, None), view(INIT, BROKEN), view(SIDECAR, DONE), view(SIDECAR, RUNS, started=False)])
def test_co2_initialized_stays_true_once_an_app_container_has_started(before: ContainerView) -> None:
    assert condition("Initialized", before, view("app", RUNS), initialized=True) == ("True", "", "")


def test_co2_a_pod_that_succeeded_says_so() -> None:
    assert condition("Initialized", view("app", DONE, policy="Never"), initialized=True, finished=True) == ("True", "PodCompleted", "")


@pytest.mark.parametrize(("views", "unready"), [
    ((view("app", RUNS, "a"), view("app", RUNS, "b")), ""), ((view("app", RUNS, "a"), view("app", None, "b")), "b"),
    ((view("app", RUNS, "b", started=False), view("app", RUNS, "a", ready=False)), "b a"),
    ((view(INIT, DONE), view(SIDECAR, RUNS, ready=False), view("app", BROKEN)), "sidecar app"),
])  # fmt: skip
def test_co3_unready_containers_are_named_sidecars_first(views: tuple[ContainerView, ...], unready: str) -> None:
    expected = ("False", "ContainersNotReady", f"containers with unready status: [{unready}]") if unready else ("True", "", "")
    assert condition("ContainersReady", *views, initialized=True) == expected
    assert condition("Ready", *views, initialized=True) == expected


@pytest.mark.parametrize(("killed", "ending", "shown"), [("", False, "True"), ("liveness", False, None), ("", True, None)])
def test_co1_all_containers_restarting_from_the_moment_one_asks_for_it_rr2(killed: str, ending: bool, shown: str | None) -> None:
    plan = ContainerPlan("app", "i", restart_policy="Never", restart_rules=(RestartRule("RestartAllContainers", "In", (3,)),))
    status = pod_status(PodView(pod(plan), EPOCH, (ContainerView(plan, BROKEN, killed=killed),), initialized=True, ending=ending), EPOCH)
    assert {c["type"]: c["status"] for c in status["conditions"]}.get("AllContainersRestarting") == shown


@pytest.mark.parametrize(("end", "reason"), [(DONE, "PodCompleted"), (BROKEN, "PodFailed")])
def test_co3_a_pod_that_has_ended_is_not_ready_for_that_reason(end: Instance, reason: str) -> None:
    for kind in ("Ready", "ContainersReady"):
        assert condition(kind, view("app", end, policy="Never"), initialized=True, finished=True) == ("False", reason, "")
