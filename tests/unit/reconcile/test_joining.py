"""Pods by hand in virtual time: empty ones, and containers that join and wait to be started."""

from __future__ import annotations

from kubeplay.engine.store.runtime import BackoffRow
from kubeplay.plan.container import ContainerPlan
from kubeplay.reconcile.decide import decide
from kubeplay.reconcile.model import HOLD, KillPod, MakeSandbox, Seen, Start
from tests.support.simulator import EPOCH, Run, Simulation, pod


def container(name: str, policy: str = "Never") -> ContainerPlan:
    return ContainerPlan(name, "busybox:1", restart_policy=policy)


def joined(sim: Simulation, name: str) -> Simulation:
    """The simulated pod with one container more, held."""
    plan = container(name)
    row = BackoffRow("uid-1", HOLD + name, 0.0, sim.now)
    sim.plan = sim.plan._replace(containers=(*sim.plan.containers, plan))
    sim.seen = sim.seen._replace(
        plan=sim.plan, containers=(*sim.seen.containers, Seen(plan)), backoffs={**sim.seen.backoffs, row.key: row}
    )  # fmt: skip
    return sim


def test_an_empty_pod_asks_for_nothing_and_never_ends() -> None:
    sim = Simulation(pod()).run(100)
    assert sim.log == [] and sim.status["phase"] == "Pending"


def test_an_empty_pod_that_is_stopped_comes_to_rest() -> None:
    sim = Simulation(pod(), "stop").run(1)
    assert not decide(sim.seen, sim.now).actions


def test_one_that_joins_is_made_and_not_started() -> None:
    sim = joined(Simulation(pod(container("a")), a=[Run()]).run(1), "b")
    assert decide(sim.seen, sim.now).actions == (Start("b", 0, 0.0, False),)


def test_a_pod_does_not_end_before_one_that_waits_has_been_started() -> None:
    sim = Simulation(pod(container("a")), a=[Run(5)]).run(1)
    sim = joined(sim, "b").run(20)
    assert not any(isinstance(action, KillPod) for action in decide(sim.seen, sim.now).actions)
    assert sim.status["phase"] in ("Running", "Pending")


def test_an_ended_pod_that_is_woken_gets_a_sandbox_for_the_new_one_only() -> None:
    sim = Simulation(pod(container("a")), a=[Run(1)]).run(5)
    assert sim.status["phase"] == "Succeeded"
    sim = joined(sim, "b")
    sim.seen = sim.seen._replace(phase="")
    assert decide(sim.seen, sim.now).actions == (MakeSandbox(1),)
    sim._apply(MakeSandbox(1))
    assert decide(sim.seen, EPOCH + 6).actions == (Start("b", 0, 0.0, False),)
