"""AD1 in virtual time: activeDeadlineSeconds."""

from __future__ import annotations

from kubeplay.plan.container import INIT, ContainerPlan
from kubeplay.reconcile.model import ACCEPTED
from tests.support.simulator import EPOCH, Fail, Run, Simulation, pod

MAIN = ContainerPlan("main", "busybox:1")
WHY = "Pod was active on the node longer than the specified deadline"


def test_ad1_the_deadline_counts_init_containers_record_119() -> None:
    plan = pod(ContainerPlan("i", "busybox:1", kind=INIT), MAIN, deadline_seconds=3)
    sim = Simulation(plan, i=[Run()]).run(10)
    assert sim.at("finish") == [3.0]
    assert [sim.status[key] for key in ("phase", "reason", "message")] == ["Failed", "DeadlineExceeded", WHY]
    assert sim.condition("Ready") == ("False", "PodFailed", "")
    assert sim.condition("Initialized") == ("False", "ContainersNotInitialized", "containers with incomplete status: [i]")
    assert sim.starts("main") == []


def test_ad1_failed_even_if_its_containers_end_well() -> None:
    sim = Simulation(pod(MAIN, deadline_seconds=5), main=[Run()])
    sim.codes["main"] = 0
    assert sim.run(10).status["phase"] == "Failed"


def test_ad1_nothing_happens_to_a_pod_that_ends_before() -> None:
    sim = Simulation(pod(MAIN._replace(restart_policy="Never"), deadline_seconds=5), main=[Run(3)]).run(20)
    assert (sim.status["phase"], sim.status.get("reason")) == ("Succeeded", None)


def test_ad1_a_pod_in_back_off_ends_in_time_too() -> None:
    sim = Simulation(pod(MAIN, deadline_seconds=15), main=[Run(1, 1)]).run(60)
    assert (sim.at("finish"), sim.starts("main")) == ([15.0], [0.0, 1.0, 12.0])
    sim = Simulation(pod(MAIN, deadline_seconds=15), main=[Fail("CreateContainerConfigError")]).run(60)
    assert (sim.at("finish"), sim.status["reason"]) == ([15.0], "DeadlineExceeded")


def test_ad1_a_pod_started_again_by_a_person_has_its_time_anew() -> None:
    sim = Simulation(pod(MAIN, deadline_seconds=5), main=[Run()])
    sim._backoff(ACCEPTED, 0.0)
    sim.seen = sim.seen._replace(accepted=EPOCH + 2)
    assert sim.run(20).at("finish") == [7.0]


def test_ad1_a_pod_that_is_stopped_or_only_created_has_no_deadline() -> None:
    for desired in ("stop", "create"):
        sim = Simulation(pod(MAIN, deadline_seconds=5), desired, main=[Run()]).run(20)
        assert sim.status.get("reason") is None
