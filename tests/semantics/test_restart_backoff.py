"""Section 3, restart and back-off, in virtual time: RB1-RB8, RR1, RR2."""

from __future__ import annotations

import pytest

from kubeplay.engine.store.runtime import BackoffRow
from kubeplay.kube.restarts import rule
from kubeplay.plan.container import INIT, SIDECAR, ContainerPlan, Resources
from kubeplay.plan.probe import RestartRule
from kubeplay.reconcile import backoff
from tests.support.simulator import Fail, Run, Simulation, pod


def container(name: str = "main", policy: str = "Always", **fields: object) -> ContainerPlan:
    return ContainerPlan(name, "busybox:1", restart_policy=policy, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", [0, 1])
def test_rb1_delays_are_0_10_20_40_80_160_300_300_from_the_end(code: int) -> None:
    sim = Simulation(pod(container()), main=[Run(1, code)]).run(1300)
    ends = [t for t, e in sim.log if e.startswith("end main")]
    starts = [t for t, e in sim.log if e.startswith("start main")]
    gaps = [round(s - e) for e, s in zip(ends, starts[1:])]
    assert gaps[:8] == [0, 10, 20, 40, 80, 160, 300, 300]


def test_rb1_record_121_four_restarts_after_ninety_seconds() -> None:
    sim = Simulation(pod(container(), name="always-exit1"), main=[Run(0.1, 1)]).run(90)
    assert sim.starts("main") == [0.0, 0.1, 10.2, 30.3, 70.4]
    assert sim.container("main")["restartCount"] == 4
    assert sim.status["phase"] == "Running"


def test_rb2_ten_good_minutes_reset_the_delay() -> None:
    sim = Simulation(pod(container()), main=[Run(1, 1), Run(1, 1), Run(700, 1), Run(1, 1)]).run(760)
    # third instance starts after 10 s, runs 700 s: its end restarts at once, the next waits 10 s again
    assert sim.starts("main") == [0.0, 1.0, 12.0, 712.0, 723.0, 744.0]


def test_rb2_exactly_six_hundred_seconds_does_not_reset() -> None:
    sim = Simulation(pod(container()), main=[Run(1, 1), Run(600, 1), Run(1, 1)]).run(640)
    assert sim.starts("main") == [0.0, 1.0, 611.0, 632.0]


def test_rb3_message_names_delay_container_pod_and_uid() -> None:
    sim = Simulation(pod(container("c")), c=[Run(1, 1)]).run(5)
    assert sim.seen.backoffs["start:c"].message == "back-off 10s restarting failed container=c pod=p_default(uid-1)"


def test_cs6_ended_first_then_crash_loop_at_a_later_sync() -> None:
    sim = Simulation(pod(container()), main=[Run(1, 1)]).run(5)
    assert sim.container("main")["state"]["terminated"]["reason"] == "Error"
    sim = Simulation(pod(container()), main=[Run(1, 1)]).run(12.0)
    shown = [c["containerStatuses"][0]["state"] for _, c in sim.history]
    assert [s["waiting"]["reason"] for s in shown if "waiting" in s][-1] == "CrashLoopBackOff"
    assert sim.status["phase"] == "Running"  # PH2


def test_rb5_a_long_back_off_is_looked_at_every_minute() -> None:
    sim = Simulation(pod(container()), main=[Run(1, 1)]).run(75 + 62)
    # fifth instance ended at 75 s: 80 s of back-off; a minute later the state says so
    assert sim.container("main")["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert sim.container("main")["lastState"]["terminated"]["exitCode"] == 1


@pytest.mark.parametrize(("policy", "code", "restarts"), [
    ("Always", 0, True), ("Always", 1, True), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Never", 0, False), ("Never", 1, False),
])  # fmt: skip
def test_rb6_policy_table(policy: str, code: int, restarts: bool) -> None:
    sim = Simulation(pod(container(policy=policy)), main=[Run(1, code), Run()]).run(20)
    assert (len(sim.starts("main")) > 1) is restarts


def test_rb6_a_deleted_pod_never_restarts() -> None:
    sim = Simulation(pod(container()), main=[Run(5, 1)]).run(2)
    sim.seen = sim.seen._replace(desired="delete")
    sim.run(60)
    assert sim.starts("main") == [0.0]
    assert sim.status["phase"] == "Failed"


def test_rb8_a_sibling_in_back_off_delays_nobody() -> None:
    sim = Simulation(pod(container("a"), container("b")), a=[Run(1, 1)], b=[Run(3, 1)]).run(4)
    assert sim.starts("a") == [0.0, 1.0]
    assert sim.starts("b") == [0.0, 3.0]


def test_rr1_container_policy_beats_the_pods_record_125() -> None:
    plan = pod(container(policy="OnFailure"), restart_policy="Never")
    sim = Simulation(plan, main=[Run(0.2, 42), Run(0.2, 0)]).run(40)
    assert sim.status["phase"] == "Succeeded"
    assert sim.container("main")["restartCount"] == 1
    assert sim.container("main")["lastState"]["terminated"]["exitCode"] == 42


def test_start_error_under_always_waits_then_backs_off() -> None:
    sim = Simulation(pod(container()), main=[Fail("RunContainerError", "exec: no such file", 128)]).run(5)
    assert sim.starts("main") == [0.0, 0.0]  # the first restart is immediate (RB1)
    assert sim.container("main")["state"]["waiting"]["reason"] == "RunContainerError"
    assert sim.container("main")["lastState"]["terminated"]["reason"] == "StartError"


def test_start_error_under_never_ends_the_pod_record_005() -> None:
    sim = Simulation(pod(container(policy="Never")), main=[Fail("RunContainerError", "no", 128)]).run(5)
    assert sim.status["phase"] == "Failed"
    terminated = sim.container("main")["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"], terminated["startedAt"]) == (128, "StartError", "1970-01-01T00:00:00Z")


def test_cs4_config_error_is_retried_under_never_record_052() -> None:
    plan = pod(container(policy="Never"))
    sim = Simulation(plan, main=[Fail("CreateContainerConfigError", 'configmap "nosuch" not found')]).run(35)
    assert len(sim.starts("main")) == 4
    assert sim.status["phase"] == "Pending"
    assert sim.container("main")["state"] == {
        "waiting": {"reason": "CreateContainerConfigError", "message": 'configmap "nosuch" not found'}
    }
    assert sim.container("main")["restartCount"] == 0


def test_rr1_a_container_its_probe_gave_up_on_follows_its_policy() -> None:
    sim = Simulation(pod(container()), main=[Run()]).run(20)
    sim.health("main", failed="liveness")
    sim.run(30)
    assert sim.at("kill main liveness") == [20.0]
    assert sim.starts("main") == [0.0, 20.0]
    assert sim.container("main")["lastState"]["terminated"]["exitCode"] == 137


def test_rr1_a_killed_container_that_ends_well_is_restarted_under_on_failure() -> None:
    sim = Simulation(pod(container(policy="OnFailure")), main=[Run()])
    sim.codes["main"] = 0
    sim.run(20).health("main", failed="startup")
    assert sim.run(30).starts("main") == [0.0, 20.0]


def test_rr1_a_killed_container_is_not_restarted_under_never_record_145() -> None:
    sim = Simulation(pod(container(policy="Never")), main=[Run()]).run(20)
    sim.health("main", failed="liveness")
    sim.run(30)
    assert sim.starts("main") == [0.0]
    assert sim.status["phase"] == "Failed"


Rule = tuple[str, str, tuple[int, ...]]


def rules(*rules: Rule, policy: str = "Never", name: str = "main", **fields: object) -> ContainerPlan:
    return container(name, policy, restart_rules=tuple(RestartRule(*each) for each in rules), **fields)


@pytest.mark.parametrize(("rule", "policy", "code", "restarts"), [
    (("Restart", "In", (42,)), "Never", 42, True), (("Restart", "In", (42,)), "Never", 1, False),
    (("Restart", "NotIn", (0, 5)), "Never", 5, False), (("Restart", "NotIn", (0, 5)), "Never", 6, True),
    (("Restart", "In", (0,)), "OnFailure", 0, True), (("Restart", "In", (0,)), "OnFailure", 3, True),
    (("Restart", "In", (3,)), "Always", 0, True),
])  # fmt: skip
def test_rr1_rules_come_before_the_policy_record_192(rule: Rule, policy: str, code: int, restarts: bool) -> None:
    sim = Simulation(pod(rules(rule, policy=policy), restart_policy="Never"), main=[Run(1, code), Run()]).run(5)
    assert (len(sim.starts("main")) > 1) is restarts
    assert sim.status["phase"] == ("Running" if restarts else "Failed" if code else "Succeeded")


def test_rr1_the_first_rule_that_fits_wins() -> None:
    both = rules(("Restart", "In", (7,)), ("RestartAllContainers", "In", (7, 8)))
    assert rule(both, 7) == "Restart"
    assert rule(both, 8) == "RestartAllContainers"
    assert rule(both, 9) == ""


def test_rr1_a_restart_by_rule_backs_off_like_any_other() -> None:
    sim = Simulation(pod(rules(("Restart", "In", (42,))), restart_policy="Never"), main=[Run(1, 42)]).run(40)
    assert sim.starts("main") == [0.0, 1.0, 12.0, 33.0]


def test_rr1_what_a_probe_kills_knows_no_rules() -> None:
    sim = Simulation(pod(rules(("Restart", "In", (137,))), restart_policy="Never"), main=[Run()]).run(5)
    sim.health("main", failed="liveness")
    assert (sim.run(20).starts("main"), sim.status["phase"]) == ([0.0], "Failed")


def test_rr1_rules_of_an_init_container() -> None:
    plan = pod(rules(("Restart", "In", (9, 0)), name="i", kind=INIT), container(policy="Never"), restart_policy="Never")
    sim = Simulation(plan, i=[Run(1, 9), Run(1, 0)], main=[Run(1, 0)]).run(20)
    assert (sim.starts("i"), sim.starts("main"), sim.status["phase"]) == ([0.0, 1.0], [2.0], "Succeeded")


def test_rr2_all_containers_begin_anew_in_the_same_sandbox() -> None:
    plan = pod(
        container("i", kind=INIT), container("side", kind=SIDECAR), rules(("RestartAllContainers", "In", (42,))),
        container("other", "Never"), restart_policy="Never",
    )  # fmt: skip
    sim = Simulation(plan, i=[Run(1)], side=[Run()], main=[Run(2, 42), Run()], other=[Run(1), Run()]).run(3.5)
    assert sim.condition("AllContainersRestarting")[0] == "True"
    assert sim.status["phase"] == "Pending"  # init again (PH1)
    sim.run(10)
    assert sim.at("restart all main") == [3.0]
    assert [sim.starts(n) for n in ("i", "side", "main", "other")] == [[0.0, 3.0], [1.0, 4.0], [1.0, 4.0], [1.0, 4.0]]
    assert len(sim.at("sandbox 0")) == 1 and sim.at("sandbox 1") == []
    for name in ("i", "side", "main", "other"):
        shown = sim.container(name)
        ended = shown["lastState"]["terminated"]
        assert (shown["restartCount"], ended["exitCode"], ended["reason"]) == (1, 137, "RestartingAllContainers")
    assert sim.condition("AllContainersRestarting")[0] == "False"
    assert sim.status["phase"] == "Running"


def test_rr2_again_and_again_at_the_pace_of_a_kubelets_looks() -> None:
    sim = Simulation(pod(rules(("RestartAllContainers", "In", (1,)))), main=[Run(0, 1)]).run(3.5)
    assert sim.starts("main") == [0.0, 0.0, 1.0, 2.0, 3.0]


def test_rb7_a_changed_image_kills_and_starts_again_whatever_the_policy() -> None:
    sim = Simulation(pod(container(policy="Never")), main=[Run()]).run(5)
    sim._change("main", lambda i: i._replace(image="busybox:0"))
    sim.run(6)
    assert sim.at("kill main changed") == [5.0]
    assert sim.starts("main") == [0.0, 5.0]


def test_rb7_one_that_has_ended_is_not_started_for_a_changed_image() -> None:
    sim = Simulation(pod(container(policy="Never"), container("b")), main=[Run(1)], b=[Run()]).run(5)
    sim._change("main", lambda i: i._replace(image="busybox:0"))
    assert sim.run(9).starts("main") == [0.0]


def test_rb3_another_image_or_other_resources_begin_the_back_off_anew() -> None:
    entry = BackoffRow("u", "main", 40.0, 5.0, "", backoff.stamp(container()))
    assert backoff.valid(entry, container()) is entry
    assert backoff.valid(entry, container()._replace(image="busybox:2")) is None
    assert backoff.valid(entry, container(resources=Resources(cpu_limit=1))) is None
    assert backoff.valid(entry._replace(message=""), container()) is not None


def test_rb8_sidecars_back_off_beside_their_siblings() -> None:
    plan = pod(container("side", kind=SIDECAR), container())
    sim = Simulation(plan, side=[Run(1, 1)], main=[Run(2, 1)]).run(30)
    assert (sim.starts("side"), sim.starts("main")) == ([0.0, 1.0, 12.0], [0.0, 2.0, 14.0])
