"""LR1, IN6, RS5: the one-node scheduler's verdict, in virtual time and as arithmetic."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.kube.status import PodView, pod_status
from kubeplay.plan import amounts
from kubeplay.plan.container import APP, EPHEMERAL, INIT, SIDECAR, ContainerPlan, Resources
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.volumes import Claim, Volume
from kubeplay.reconcile import schedule
from kubeplay.reconcile.decide import decide
from kubeplay.reconcile.model import UNSCHEDULED, Bind, MakeSandbox, Observed, Reject, Seen, Unschedule
from kubeplay.reconcile.schedule import Room, Verdict
from tests.support.simulator import EPOCH, pod

GI = 1 << 30
NODE = Room("here", {"cpu": 4000, "memory": 8 * GI, "ephemeral-storage": 100 * GI}, {"cpu": 3000, "memory": GI})


def c(name: str = "main", kind: str = APP, **amounts_: Any) -> ContainerPlan:
    return ContainerPlan(name, "busybox:1", kind=kind, resources=Resources(**amounts_))


def observed(plan: PodPlan, room: Room = NODE, **fields: Any) -> Observed:
    values = {"desired": "run", "containers": tuple(Seen(one) for one in plan.containers), "bound": False, "room": room, **fields}
    return Observed("uid", plan, **values)


BUSY, HELPLESS = "No preemption victims found for incoming pod", "Preemption is not helpful for scheduling"


def text(reasons: str, why: str) -> str:
    return f"0/1 nodes are available: {reasons}. no new claims to deallocate, preemption: 0/1 nodes are available: 1 {why}."


@pytest.mark.parametrize(("asked", "expected"), [
    ({"cpu_request": 1000}, ""),
    ({"cpu_request": 1001}, text("1 Insufficient cpu", BUSY)),
    ({"cpu_request": 4001}, text("1 Insufficient cpu", HELPLESS)),
    ({"cpu_limit": 4001}, text("1 Insufficient cpu", HELPLESS)),  # RS1: a limit alone is a request
    ({"cpu_request": 1, "cpu_limit": 9000}, ""),  # limits are not counted
    ({"cpu_request": 100_000, "memory_request": 9 * GI}, text("1 Insufficient cpu, 1 Insufficient memory", HELPLESS)),
    ({"ephemeral_request": 101 * GI}, text("1 Insufficient ephemeral-storage", HELPLESS)),
    ({"others": (("example.com/gpu", 1),)}, text("1 Insufficient example.com/gpu", HELPLESS)),
    ({"others": (("vendor.com/class=all", 1),)}, ""),
    ({"others": (("hugepages-2Mi", 2 << 20),)}, text("1 Insufficient hugepages-2Mi", HELPLESS)),
])  # fmt: skip
def test_lr1_resource_fit_record_115(asked: dict[str, Any], expected: str) -> None:
    assert schedule.verdict(pod(c(**asked)), NODE).message == expected


def test_lr1_gates_and_other_nodes_record_117() -> None:
    gated = pod(c(cpu_request=9999999), scheduling_gates=("a",))
    assert schedule.verdict(gated, NODE) == Verdict("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")
    assert schedule.verdict(pod(c(), assigned_node="there"), NODE).reason == schedule.ELSEWHERE
    assert schedule.verdict(pod(c(), assigned_node="here"), NODE) == schedule.FITS
    refused = schedule.verdict(pod(c(cpu_request=2000), assigned_node="here"), NODE)
    assert (refused.reason, refused.refused) == ("OutOfcpu", True)
    assert refused.message == "Pod was rejected: Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000"


CLAIMING = (Volume("data", Claim("data")),)


@pytest.mark.parametrize("why", ['persistentvolumeclaim "data" not found', "pod has unbound immediate PersistentVolumeClaims"])
def test_lr1_claims_come_before_fit_and_after_gates(why: str) -> None:
    wants = pod(c(cpu_request=9999999), volumes=CLAIMING)
    assert schedule.asks(pod(c(), volumes=CLAIMING), "here")
    assert schedule.verdict(wants, NODE._replace(claims=why)) == Verdict("Unschedulable", text(why, HELPLESS))
    assert schedule.verdict(wants._replace(scheduling_gates=("g",)), NODE._replace(claims=why)).reason == "SchedulingGated"
    assert schedule.verdict(pod(c(), volumes=CLAIMING), NODE) == schedule.FITS
    named = pod(c(), volumes=CLAIMING, assigned_node="here")
    assert not schedule.asks(named, "here"), "a node that the manifest names is the kubelet's: the mount fails there"
    assert schedule.verdict(named, NODE._replace(claims=why)) == schedule.FITS


def test_lr1_who_asks_for_nothing_is_not_looked_at() -> None:
    assert not schedule.asks(pod(c()), "here") and not schedule.asks(pod(c(), assigned_node="here"), "here")
    assert not schedule.asks(pod(c(others=(("v.com/c=n", 1),))), "here")
    assert schedule.asks(pod(c(), assigned_node="there"), "here") and schedule.asks(pod(c(), scheduling_gates=("g",)), "here")
    assert schedule.asks(pod(c(memory_limit=1)), "here")


def test_lr1_a_pod_waits_until_there_is_room_and_is_told_once() -> None:
    plan = pod(c(cpu_request=2000))
    first = decide(observed(plan), EPOCH)
    (noted,) = first.actions
    assert isinstance(noted, Unschedule) and first.wake_at is None
    from kubeplay.engine.store.runtime import BackoffRow

    waiting = {UNSCHEDULED: BackoffRow("uid", UNSCHEDULED, 0.0, EPOCH, noted.reason, noted.message)}
    assert decide(observed(plan, backoffs=waiting), EPOCH).actions == ()
    free = NODE._replace(used={})
    assert decide(observed(plan, free, backoffs=waiting), EPOCH).actions == (Bind(),)
    assert isinstance(decide(observed(plan, bound=True), EPOCH).actions[0], MakeSandbox)


def test_lr1_an_assigned_pod_that_does_not_fit_is_refused() -> None:
    (action,) = decide(observed(pod(c(cpu_request=2000), assigned_node="here")), EPOCH).actions
    assert isinstance(action, Reject) and action.reason == "OutOfcpu"


def test_lr1_a_pod_that_waits_can_be_removed() -> None:
    plan = pod(c(cpu_request=2000))
    assert decide(observed(plan, desired="delete"), EPOCH).actions == ()


def test_lr1_the_status_of_a_pod_without_a_node_record_115_117() -> None:
    plan = pod(c(cpu_request=2000))
    status = pod_status(PodView(plan, EPOCH, (), unscheduled=("Unschedulable", "why")), EPOCH)
    assert set(status) == {"observedGeneration", "phase", "qosClass", "conditions"} and status["phase"] == "Pending"
    assert [(x["type"], x["status"], x["reason"], x["message"]) for x in status["conditions"]] == [
        ("PodScheduled", "False", "Unschedulable", "why")]  # fmt: skip
    assert "conditions" not in pod_status(PodView(plan, EPOCH, (), unscheduled=("", "")), EPOCH)


@pytest.mark.parametrize(("containers", "expected"), [
    ([c("a", cpu_request=100), c("b", cpu_request=200)], 300),
    ([c("i", INIT, cpu_request=500), c("a", cpu_request=100)], 500),
    ([c("s", SIDECAR, cpu_request=50), c("i", INIT, cpu_request=500), c("a", cpu_request=100)], 550),
    ([c("i", INIT, cpu_request=500), c("s", SIDECAR, cpu_request=50), c("a", cpu_request=100)], 500),
    ([c("i", INIT, cpu_request=120), c("s", SIDECAR, cpu_request=50), c("a", cpu_request=100)], 150),
    ([c("a", cpu_request=100), c("d", EPHEMERAL)], 100),
])  # fmt: skip
def test_in6_effective_request(containers: list[ContainerPlan], expected: int) -> None:
    assert amounts.demand(pod(*containers)) == {"cpu": expected}


def test_in6_the_pod_s_own_resources_come_first() -> None:
    plan = pod(c("a", cpu_request=100, memory_request=5), resources=Resources(cpu_request=700, cpu_limit=900))
    assert amounts.demand(plan) == {"cpu": 700, "memory": 5}


@pytest.mark.parametrize(("containers", "own", "expected"), [
    ([c()], None, "BestEffort"),
    ([c(cpu_request=1)], None, "Burstable"),
    ([c(cpu_limit=1, memory_limit=1)], None, "Guaranteed"),
    ([c(cpu_limit=1, memory_limit=1), c("d", EPHEMERAL)], None, "Guaranteed"),
    ([c(cpu_limit=1, memory_limit=1), c("i", INIT)], None, "Burstable"),
    ([c()], Resources(cpu_request=1), "Burstable"),
    ([c(cpu_request=1)], Resources(cpu_request=5, cpu_limit=5, memory_request=7, memory_limit=7), "Guaranteed"),
])  # fmt: skip
def test_rs5_quality_of_service(containers: list[ContainerPlan], own: Resources | None, expected: str) -> None:
    assert amounts.qos_class(pod(*containers, resources=own)) == expected
