"""Section 4, init containers and sidecars, in virtual time: IN1, IN3, IN5, IN7, and what the phase and the conditions say of them."""

from __future__ import annotations

import pytest

from kubeplay.kube.status import ContainerView, Instance, PodView, pod_status
from kubeplay.plan.container import EPHEMERAL, INIT, SIDECAR, ContainerPlan
from kubeplay.plan.probe import ExecAction, Probe
from tests.support.simulator import EPOCH, Fail, Run, Simulation, pod

PROBE = Probe(ExecAction(("true",)))


def c(name: str = "main", policy: str = "Always", kind: str = "app", **fields: object) -> ContainerPlan:
    return ContainerPlan(name, "busybox:1", kind=kind, restart_policy=policy, **fields)  # type: ignore[arg-type]


def side(name: str = "side", **fields: object) -> ContainerPlan:
    return c(name, kind=SIDECAR, **fields)


def test_in3_the_next_one_starts_once_the_sidecar_has() -> None:
    sim = Simulation(pod(side(), c("i", kind=INIT), c()), side=[Run()], i=[Run(2)], main=[Run()]).run(10)
    assert (sim.starts("side"), sim.starts("i"), sim.starts("main")) == ([0.0], [0.0], [2.0])
    assert sim.status["phase"] == "Running"
    assert [s["name"] for s in sim.status["initContainerStatuses"]] == ["side", "i"]
    assert sim.container("side")["ready"] is True


def test_in3_the_next_one_waits_for_its_startup_probe_record_129() -> None:
    sim = Simulation(pod(side(startup=PROBE), c("i", kind=INIT), c()), side=[Run()], i=[Run(1)], main=[Run()])
    sim.behaviour["side"] = [Run()]
    sim.unstarted = {"side"}
    sim.run(4)
    assert (sim.starts("i"), sim.status["phase"]) == ([], "Pending")
    assert sim.condition("Initialized") == ("False", "ContainersNotInitialized", "containers with incomplete status: [side i]")
    sim.health("side")
    sim.run(4.5)
    assert sim.condition("Initialized") == ("False", "ContainersNotInitialized", "containers with incomplete status: [i]")
    sim.run(10)
    assert (sim.starts("i"), sim.starts("main")) == ([4.0], [5.0])


def test_in3_a_sidecar_whose_startup_probe_gives_up_is_restarted_and_still_waited_for() -> None:
    sim = Simulation(pod(side(startup=PROBE), c(policy="Never"), restart_policy="Never"), side=[Run()], main=[Run()])
    sim.unstarted = {"side"}
    sim.run(5).health("side", started=False, failed="startup")
    sim.run(8)
    assert sim.starts("side") == [0.0, 5.0]
    assert sim.starts("main") == []
    sim.health("side")
    assert sim.run(9).starts("main") == [8.0]


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
@pytest.mark.parametrize("code", [0, 5])
def test_in3_a_sidecar_is_always_restarted_record_131_198(policy: str, code: int) -> None:
    plan = pod(side(), c(policy=policy), restart_policy=policy)
    sim = Simulation(plan, side=[Run(1, code)], main=[Run()]).run(25)
    assert sim.starts("side") == [0.0, 1.0, 12.0]
    assert sim.starts("main") == [0.0]
    assert sim.status["phase"] == "Running"  # PH2
    assert sim.condition("Ready") == ("False", "ContainersNotReady", "containers with unready status: [side]")


def test_in3_one_that_ends_at_once_holds_up_nobody_record_198() -> None:
    sim = Simulation(pod(side(), c()), side=[Run(0, 0)], main=[Run()]).run(5)
    assert sim.starts("main") == [0.0]


def test_in3_a_sidecar_that_cannot_start_holds_up_the_rest() -> None:
    sim = Simulation(pod(side(), c()), side=[Fail("CreateContainerError")], main=[Run()]).run(5)
    assert (sim.starts("main"), sim.status["phase"]) == ([], "Pending")


def test_in3_an_earlier_sidecar_that_crashes_does_not_stop_the_inits_after_it() -> None:
    plan = pod(side(), c("i", kind=INIT), c("j", kind=INIT), c())
    sim = Simulation(plan, side=[Run(1, 1)], i=[Run(3)], j=[Run(3)], main=[Run()]).run(10)
    assert (sim.starts("i"), sim.starts("j"), sim.starts("main")) == ([0.0], [3.0], [6.0])
    assert sim.starts("side") == [0.0, 1.0]


def test_in3_a_regular_init_after_a_sidecar_that_fails_under_never_ends_both_record_197() -> None:
    plan = pod(side(), c("i", "Never", INIT), c(policy="Never"), restart_policy="Never")
    sim = Simulation(plan, side=[Run()], i=[Run(2, 3)]).run(10)
    assert (sim.status["phase"], sim.starts("main")) == ("Failed", [])
    assert sim.at("end side 137") == [2.0]
    assert sim.condition("Initialized")[1] == "ContainersNotInitialized"


@pytest.mark.parametrize(("code", "side_code", "expected"), [(0, 137, "Succeeded"), (0, 3, "Succeeded"), (4, 0, "Failed")])
def test_in5_sidecars_go_with_the_last_app_container_and_never_decide_the_phase(code: int, side_code: int, expected: str) -> None:
    sim = Simulation(pod(side(), c(policy="Never"), restart_policy="Never"), side=[Run()], main=[Run(3, code)])
    sim.codes["side"] = side_code
    sim.run(10)
    assert sim.at(f"end side {side_code}") == [3.0]
    assert sim.status["phase"] == expected


def test_in5_a_sidecar_in_back_off_does_not_hold_up_the_end_record_131() -> None:
    sim = Simulation(pod(side(), c(policy="Never"), restart_policy="Never"), side=[Run(1, 5)], main=[Run(9)]).run(30)
    assert (sim.status["phase"], sim.starts("side")) == ("Succeeded", [0.0, 1.0])


def test_in5_readiness_of_sidecars_counts_co4_record_194() -> None:
    sim = Simulation(pod(side(readiness=PROBE), c()), side=[Run()], main=[Run()]).run(1)
    sim.health("side", ready=False)
    sim.run(5)
    assert sim.condition("Ready") == ("False", "ContainersNotReady", "containers with unready status: [side]")
    assert sim.condition("Initialized") == ("True", "", "")
    assert sim.status["phase"] == "Running"


def test_in7_a_new_sandbox_begins_with_the_first_init_container_and_sidecars() -> None:
    sim = Simulation(pod(c("i", kind=INIT), side(), c()), i=[Run(1)], side=[Run()], main=[Run()]).run(20)
    sim.seen = sim.seen._replace(sandbox_ready=False)
    sim.run(40)
    assert sim.starts("i") == [0.0, 20.0]
    assert [len(sim.starts(name)) for name in ("side", "main")] == [2, 2]
    assert [e for _, e in sim.log if e.startswith("start")][-3:] == ["start i 1", "start side 1", "start main 1"]


def test_in1_an_init_container_without_status_is_pending_again_after_a_new_sandbox_ph1() -> None:
    sim = Simulation(pod(c("i", kind=INIT), c()), i=[Run(5)], main=[Run()]).run(20)
    sim.seen = sim.seen._replace(sandbox_ready=False)
    assert sim.run(22).status["phase"] == "Pending"
    assert sim.run(30).status["phase"] == "Running"


def test_ephemeral_containers_run_once_and_count_for_nothing() -> None:
    sim = Simulation(pod(c("i", kind=INIT), c(), c("debug", kind=EPHEMERAL)), i=[Run(3)], main=[Run()], debug=[Run(2, 1)]).run(10)
    assert (sim.starts("debug"), sim.starts("main")) == ([0.0], [3.0])
    assert sim.status["phase"] == "Running"
    assert sim.condition("Ready") == ("True", "", "")
    assert [s["name"] for s in sim.status["ephemeralContainerStatuses"]] == ["debug"]
    assert [s["name"] for s in sim.status["containerStatuses"]] == ["main"]


R = Instance("r", 0, "running", started=EPOCH)
Z = Instance("z", 0, "exited", started=EPOCH, finished=EPOCH + 1, exit_code=0)
BACK = {"waiting": "CrashLoopBackOff", "message": "m"}


@pytest.mark.parametrize(("sidecar", "app", "initialized", "expected"), [
    (ContainerView(side()), ContainerView(c()), False, "Pending"),
    (ContainerView(side(), R, started=False), ContainerView(c()), False, "Pending"),
    (ContainerView(side(), R, started=False), ContainerView(c(), R), True, "Running"),
    (ContainerView(side(), Z), ContainerView(c(), R), True, "Running"),
    (ContainerView(side(), Z, **BACK), ContainerView(c(), R), True, "Running"),
    (ContainerView(side(), R), ContainerView(c(policy="Never"), Z), True, "Running"),
])  # fmt: skip
def test_ph1_ph2_phase_with_sidecars(sidecar: ContainerView, app: ContainerView, initialized: bool, expected: str) -> None:
    view = PodView(pod(sidecar.plan, app.plan), EPOCH, (sidecar, app), initialized=initialized)
    assert pod_status(view, EPOCH + 60, {"phase": "Running"} if initialized else None)["phase"] == expected


def test_in3_containers_that_were_only_made_begin_in_their_order() -> None:
    sim = Simulation(pod(side(startup=PROBE), c("i", kind=INIT), c()), "create", side=[Run()], i=[Run(1)], main=[Run()])
    sim.unstarted = {"side"}
    sim.run(2)
    sim.seen = sim.seen._replace(desired="run")
    sim.run(5)
    assert [e for _, e in sim.log if e.startswith("begin")] == ["begin side"]
    sim.health("side")
    sim.run(10)
    assert [e for _, e in sim.log][-4:] == ["begin side", "begin i", "end i 0", "begin main"]
