"""PH1-PH3, CO1-CO6, CS1-CS7, IN1, IN7, SC8, TE2 and the kubelet's record in virtual time."""

from __future__ import annotations

import pytest

from kubeplay.kube.status import FAILED, PENDING, RUNNING, SUCCEEDED, ContainerView, Instance, PodView, pod_status, qos_class
from kubeplay.plan.container import INIT, ContainerPlan, Resources
from kubeplay.plan.pod import SandboxPlan
from kubeplay.plan.volumes import Mount
from kubeplay.reconcile.model import EVICTED
from tests.support.simulator import EPOCH, Run, Simulation, pod


def c(name: str = "main", policy: str = "Always", kind: str = "app", **fields: object) -> ContainerPlan:
    return ContainerPlan(name, "busybox:1", kind=kind, restart_policy=policy, **fields)  # type: ignore[arg-type]


def seen(state: str, code: int | None = None, attempt: int = 0) -> Instance:
    return Instance(f"id{attempt}", attempt, state, started=EPOCH, finished=EPOCH + 1 if code is not None else None, exit_code=code)


R, Z, E, N = seen("running"), seen("exited", 0), seen("exited", 3), None


@pytest.mark.parametrize(("policy", "instances", "expected"), [
    ("Always", [N], PENDING), ("Always", [R], RUNNING), ("Always", [R, N], PENDING), ("Always", [R, E], RUNNING),
    ("Always", [E], RUNNING), ("Always", [Z], RUNNING), ("OnFailure", [Z], SUCCEEDED), ("OnFailure", [E], RUNNING),
    ("OnFailure", [Z, E], RUNNING), ("Never", [Z], SUCCEEDED), ("Never", [E], FAILED), ("Never", [Z, E], FAILED),
    ("Never", [R, E], RUNNING), ("Never", [Z, Z], SUCCEEDED),
])  # fmt: skip
def test_ph1_phase_table(policy: str, instances: list[Instance | None], expected: str) -> None:
    plans = [c(f"c{i}", policy) for i in range(len(instances))]
    views = tuple(ContainerView(p, i) for p, i in zip(plans, instances))
    terminal = expected in (SUCCEEDED, FAILED)
    assert pod_status(PodView(pod(*plans), EPOCH, views, finished=terminal), EPOCH)["phase"] == expected


def test_ph1_terminal_phase_waits_for_the_teardown_record_001() -> None:
    view = PodView(pod(c(policy="Never")), EPOCH, (ContainerView(c(policy="Never"), Z),), sandbox_ready=True, initialized=True)
    status = pod_status(view, EPOCH, {"phase": "Running"})
    assert status["phase"] == "Running"
    assert [x.get("reason") for x in status["conditions"]] == [None, "PodCompleted", "PodCompleted", "PodCompleted", None]


@pytest.mark.parametrize(("ending", "expected"), [(False, RUNNING), (True, FAILED)])
def test_ph1_a_deleted_pod_is_terminal_by_its_exit_codes(ending: bool, expected: str) -> None:
    view = PodView(pod(c()), EPOCH, (ContainerView(c(), E),), ending=ending, finished=ending)
    assert pod_status(view, EPOCH)["phase"] == expected


def test_ph2_crash_loop_counts_as_stopped() -> None:
    view = PodView(pod(c()), EPOCH, (ContainerView(c(), E, waiting="CrashLoopBackOff", message="m"),), initialized=True)
    assert pod_status(view, EPOCH)["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3  # noticed later (record 121)
    status = pod_status(view, EPOCH + 20)
    assert status["phase"] == "Running"
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "m"}}
    assert status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 3


@pytest.mark.parametrize("final", [SUCCEEDED, FAILED])
def test_ph3_final_phases_are_final(final: str) -> None:
    view = PodView(pod(c()), EPOCH, (ContainerView(c(), R),))
    assert pod_status(view, EPOCH, {"phase": final})["phase"] == final


def test_record_013_one_failed_one_runs() -> None:
    plan = pod(c("main", "Never"), c("second", "Never"), restart_policy="Never")
    sim = Simulation(plan, main=[Run(1, 7)], second=[Run(6, 0)]).run(3)
    assert sim.status["phase"] == "Running"
    assert sim.condition("Ready") == ("False", "ContainersNotReady", "containers with unready status: [main]")
    sim.run(8)
    assert sim.status["phase"] == "Failed"
    assert sim.condition("Ready") == ("False", "PodFailed", "")
    assert sim.condition("Initialized") == ("True", "", "")
    assert sim.condition("PodReadyToStartContainers") == ("False", "", "")


def test_in1_init_containers_run_one_after_the_other() -> None:
    plan = pod(c("i1", kind=INIT), c("i2", kind=INIT), c("main"))
    sim = Simulation(plan, i1=[Run(2)], i2=[Run(3)], main=[Run()]).run(10)
    assert (sim.starts("i1"), sim.starts("i2"), sim.starts("main")) == ([0.0], [2.0], [5.0])


def test_in1_init_failing_under_never_fails_the_pod_record_015() -> None:
    plan = pod(c("i1", "Never", INIT), c("i2", "Never", INIT), c("main", "Never"), restart_policy="Never")
    sim = Simulation(plan, i1=[Run(0.1, 4)]).run(5)
    assert sim.status["phase"] == "Failed"
    assert sim.starts("i2") == sim.starts("main") == []
    assert sim.condition("Initialized") == ("False", "ContainersNotInitialized", "containers with incomplete status: [i1 i2]")
    assert sim.condition("Ready") == ("False", "PodFailed", "")
    assert sim.container("i2")["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert sim.container("main")["state"] == {"waiting": {"reason": "PodInitializing"}}


def test_in1_init_failing_under_always_backs_off_record_123() -> None:
    sim = Simulation(pod(c("i", kind=INIT), c("main")), i=[Run(0.1, 6)]).run(60)
    assert sim.starts("i") == [0.0, 0.1, 10.2, 30.3]
    assert sim.status["phase"] == "Pending"
    assert sim.container("i")["restartCount"] == 3
    assert sim.starts("main") == []


def test_in1_init_policy_on_failure_in_a_never_pod_record_190() -> None:
    plan = pod(c("i", "OnFailure", INIT), c("main", "Never"), restart_policy="Never")
    sim = Simulation(plan, i=[Run(0.2, 9), Run(0.2, 0)], main=[Run(0.3, 0)]).run(10)
    assert sim.status["phase"] == "Succeeded"
    assert sim.container("i")["ready"] is True
    assert sim.container("i")["restartCount"] == 1
    assert sim.condition("Initialized") == ("True", "PodCompleted", "")


def test_cs2_waiting_reason_depends_on_init_containers() -> None:
    plain, with_init = Simulation(pod(c())), Simulation(pod(c("i", kind=INIT), c()))
    for sim, reason in ((plain, "ContainerCreating"), (with_init, "PodInitializing")):
        sim._write_status()
        assert sim.container("main")["state"] == {"waiting": {"reason": reason}}


def test_cs7_a_vanished_container() -> None:
    view = PodView(pod(c()), EPOCH, (ContainerView(c(), seen("unknown")),))
    terminated = pod_status(view, EPOCH)["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (137, "ContainerStatusUnknown")


def test_co4_readiness_gates_record_113() -> None:
    view = PodView(pod(c(), readiness_gates=("example.com/ok",)), EPOCH, (ContainerView(c(), R),), initialized=True)
    ready = next(x for x in pod_status(view, EPOCH)["conditions"] if x["type"] == "Ready")
    assert ready["reason"] == "ReadinessGatesNotReady"
    assert ready["message"] == 'corresponding condition of pod readiness gate "example.com/ok" does not exist.'


def test_co5_transition_times_move_only_with_the_status() -> None:
    view = PodView(pod(c()), EPOCH, (ContainerView(c(), R),), initialized=True)
    first = pod_status(view, EPOCH)
    second = pod_status(view._replace(containers=(ContainerView(c(), E),)), EPOCH + 60, first)
    times = {x["type"]: x["lastTransitionTime"] for x in second["conditions"]}
    before = {x["type"]: x["lastTransitionTime"] for x in first["conditions"]}
    assert {k for k in times if times[k] != before[k]} == {"Ready", "ContainersReady"}


def test_co1_foreign_conditions_are_kept() -> None:
    foreign = {"type": "example.com/ok", "status": "True", "lastTransitionTime": "x"}
    view = PodView(pod(c(), readiness_gates=("example.com/ok",)), EPOCH, (ContainerView(c(), R),), initialized=True)
    status = pod_status(view, EPOCH, {"phase": "Running", "conditions": [foreign]})
    assert foreign in status["conditions"]
    assert next(x for x in status["conditions"] if x["type"] == "Ready")["status"] == "True"


def test_co6_a_lost_sandbox_reruns_everything_and_init_in7() -> None:
    sim = Simulation(pod(c("i", kind=INIT), c("main")), i=[Run(1)], main=[Run()]).run(10)
    sim.seen = sim.seen._replace(sandbox_ready=False)
    sim.run(20)
    assert sim.at("sandbox 1") == [10.0]
    assert sim.starts("i") == [0.0, 10.0]
    assert len(sim.starts("main")) == 2
    assert sim.container("main")["restartCount"] == 1


def test_co6_no_new_sandbox_for_a_never_pod_that_has_run() -> None:
    sim = Simulation(pod(c(policy="Never"), restart_policy="Never"), main=[Run()]).run(10)
    sim.seen = sim.seen._replace(sandbox_ready=False)
    sim.run(20)
    assert sim.at("sandbox 1") == []
    assert sim.status["phase"] == "Failed"


def test_sc8_unsafe_sysctl_is_refused_before_anything_runs() -> None:
    plan = pod(c(), sandbox=SandboxPlan("p", sysctls=(("kernel.msgmax", "1"),)))
    sim = Simulation(plan).run(5)
    assert sim.log == []
    assert (sim.status["phase"], sim.status["reason"]) == ("Failed", "SysctlForbidden")
    assert "containerStatuses" not in sim.status


def test_sc8_safe_sysctl_is_not_record_086() -> None:
    plan = pod(c(policy="Never"), sandbox=SandboxPlan("p", sysctls=(("net.ipv4.ip_unprivileged_port_start", "80"),)))
    assert Simulation(plan, main=[Run(1, 0)]).run(5).status["phase"] == "Succeeded"


def test_a_pod_of_another_boot_is_left_alone() -> None:
    sim = Simulation(pod(c()))
    sim.seen = sim.seen._replace(void=True)
    assert sim.run(100).log == []


def test_desired_stop_ends_the_pod_and_starts_nothing() -> None:
    sim = Simulation(pod(c()), main=[Run()]).run(5)
    sim.seen = sim.seen._replace(desired="stop")
    sim.run(60)
    assert [e for _, e in sim.log][-1] == "finish"
    assert sim.status["phase"] == "Failed"  # 137


def test_desired_create_makes_but_does_not_start() -> None:
    sim = Simulation(pod(c("i", kind=INIT), c("main")), desired="create").run(5)
    assert [e for _, e in sim.log] == ["sandbox 0", "start i 0", "start main 0"]
    assert {x.current.state for x in sim.seen.containers if x.current} == {"created"}
    sim.behaviour = {"i": [Run(1)], "main": [Run()]}
    sim.seen = sim.seen._replace(desired="run")
    sim.run(10)
    assert [e for _, e in sim.log][-3:] == ["begin i", "end i 0", "begin main"]


G = Resources(cpu_request=100, cpu_limit=100, memory_request=64, memory_limit=64)


@pytest.mark.parametrize(("resources", "expected"), [
    ([Resources()], "BestEffort"), ([G], "Guaranteed"), ([G, Resources()], "Burstable"), ([G, G], "Guaranteed"),
    ([Resources(cpu_request=1)], "Burstable"), ([Resources(cpu_limit=100, memory_limit=64)], "Guaranteed"),
    ([Resources(cpu_request=50, cpu_limit=100, memory_limit=64)], "Burstable"), ([Resources(cpu_limit=100)], "Burstable"),
    ([Resources(ephemeral_limit=5)], "BestEffort"), ([Resources(cpu_request=0, memory_request=0)], "BestEffort"),
])  # fmt: skip
def test_rs5_qos_table(resources: list[Resources], expected: str) -> None:
    plan = pod(*[c(f"c{i}", kind=INIT if i else "app", resources=r) for i, r in enumerate(resources)])
    assert qos_class(plan) == expected


def test_ph3_an_evicted_pod_is_failed_whatever_its_containers_did_record_163() -> None:
    sim = Simulation(pod(c()), main=[Run()])
    sim.codes["main"] = 0
    sim.run(5)._backoff(EVICTED, 0.0, "Evicted", "too much")
    sim.run(10)
    assert (sim.status["phase"], sim.status["reason"], sim.status["message"]) == ("Failed", "Evicted", "too much")
    assert sim.condition("Ready") == ("False", "PodFailed", "")


def test_cs9_started_and_ready_come_from_the_probes() -> None:
    sim = Simulation(pod(c()), main=[Run()]).run(5)
    sim.health("main", started=False)
    assert (sim.run(6).container("main")["started"], sim.container("main")["ready"]) == (False, False)
    sim.health("main", ready=False)
    assert (sim.run(7).container("main")["started"], sim.container("main")["ready"]) == (True, False)
    assert sim.condition("Ready") == ("False", "ContainersNotReady", "containers with unready status: [main]")


@pytest.mark.parametrize(("containers", "shown"), [(1, 4096), (3, 4096), (4, 3072), (12, 1024)])
def test_tm1_a_pods_messages_share_twelve_kib(containers: int, shown: int) -> None:
    plans = [c(f"c{i}", "Never") for i in range(containers)]
    ended = seen("exited", 1)._replace(message="ü" * 2048)
    status = pod_status(PodView(pod(*plans), EPOCH, tuple(ContainerView(p, ended) for p in plans), finished=True), EPOCH)
    assert {len(s["state"]["terminated"]["message"].encode()) for s in status["containerStatuses"]} == {shown}
    odd = ended._replace(message="x" + "ü" * 2048)
    status = pod_status(PodView(pod(*plans), EPOCH, tuple(ContainerView(p, odd, odd) for p in plans), finished=True), EPOCH)
    assert status["containerStatuses"][0]["state"]["terminated"]["message"] == odd.message[: 1 + (12288 // containers - 1) // 2]


def test_co5_container_statuses_tell_their_mounts() -> None:
    plan = c(mounts=(Mount("v", "/v"), Mount("r", "/r", read_only=True)))
    status = pod_status(PodView(pod(plan), EPOCH, (ContainerView(plan),)), EPOCH)
    read_only = {"name": "r", "mountPath": "/r", "readOnly": True, "recursiveReadOnly": "Disabled"}
    assert status["containerStatuses"][0]["volumeMounts"] == [{"name": "v", "mountPath": "/v"}, read_only]
