"""RS1-RS8: what requests and limits come to, as arithmetic; tests/e2e/test_fields_resources, _devices and _resize show it in the kernel."""

from __future__ import annotations

from typing import Any

import pytest

from kubeplay.engine.oci import qos, spec
from kubeplay.engine.oci.cgroup import quota, shares, weight
from kubeplay.engine.oci.spec import HostFacts, ImageDefaults, SpecInputs
from kubeplay.engine.oci.user import Identity
from kubeplay.engine.store.runtime import BackoffRow
from kubeplay.kube import resize, resources
from kubeplay.kube.status import Instance
from kubeplay.plan.container import APP, INIT, SIDECAR, ContainerPlan, Resolved, Resources
from kubeplay.play.resize import merged
from kubeplay.reconcile.decide import decide
from kubeplay.reconcile.model import RESIZE, Observed, Resize, Seen
from tests.support.simulator import EPOCH, pod

MI, GI = 1 << 20, 1 << 30


def c(name: str = "main", kind: str = APP, restart: tuple[str, ...] = (), **amounts: Any) -> ContainerPlan:
    return ContainerPlan(name, "busybox:1", kind=kind, resources=Resources(**amounts), restart_to_resize=restart)


def built(plan: ContainerPlan, host: HostFacts = HostFacts()) -> dict[str, Any]:  # noqa: B008
    inputs = SpecInputs(plan, Resolved(), ImageDefaults(cmd=("x",)), Identity(), "p", "/r", "/g", (), host)
    found: dict[str, Any] = spec.build(inputs)["linux"]["resources"]
    return found


@pytest.mark.parametrize(("written", "expected"), [
    ({"limits": {"cpu": "1"}}, {"cpu_request": 1000, "cpu_limit": 1000}),
    ({"limits": {"cpu": "1"}, "requests": {"cpu": "0.5"}}, {"cpu_request": 500, "cpu_limit": 1000}),
    ({"requests": {"memory": "64Mi"}}, {"memory_request": 64 * MI}),
    ({"requests": {"cpu": "100n"}}, {"cpu_request": 1}),  # rounded up to milli
    ({"limits": {"memory": "400m"}}, {"memory_request": 1, "memory_limit": 1}),
    ({"limits": {"hugepages-2Mi": "4Mi", "example.com/x": 2}}, {"others": (("example.com/x", 2), ("hugepages-2Mi", 4 * MI))}),
    ({"requests": {"vendor.com/class=one": 1}}, {"others": (("vendor.com/class=one", 1),)}),
    ({}, {}),
])  # fmt: skip
def test_rs1_requests_default_to_limits(written: dict[str, Any], expected: dict[str, Any]) -> None:
    assert resources.plan({"resources": written}) == Resources(**expected)


@pytest.mark.parametrize(("milli", "expected"), [(None, 2), (0, 2), (1, 2), (100, 102), (1000, 1024), (1_000_000, 262_144)])
def test_rs2_shares(milli: int | None, expected: int) -> None:
    assert shares(milli) == expected


@pytest.mark.parametrize(("milli", "expected"), [(None, 0), (0, 0), (1, 1000), (500, 50_000), (2000, 200_000)])
def test_rs2_quota(milli: int | None, expected: int) -> None:
    assert quota(milli) == expected


def test_rs2_a_limit_alone_gives_the_shares() -> None:
    assert built(c(cpu_limit=500))["cpu"] == {"shares": 512, "quota": 50_000, "period": 100_000}
    assert built(c(cpu_request=0, cpu_limit=500))["cpu"]["shares"] == 2
    assert "memory" not in built(c(memory_request=MI))


@pytest.mark.parametrize(("cpu", "expected"), [(2, 1), (1024, 39), (262_144, 10_000)])
def test_rs3_weight_of_shares(cpu: int, expected: int) -> None:
    assert weight(cpu) == expected


@pytest.mark.parametrize(("containers", "own", "expected"), [
    ([c()], None, (2, 0, 0)),
    ([c(cpu_request=100)], None, (102, 0, 0)),
    ([c("a", cpu_limit=500), c("b", cpu_limit=500)], None, (1024, 100_000, 0)),
    ([c("a", cpu_limit=500), c("b", memory_limit=MI)], None, (512, 0, 0)),  # not all declare it
    ([c("i", INIT, memory_limit=5 * MI), c("s", SIDECAR, memory_limit=MI), c("a", memory_limit=2 * MI)], None, (2, 0, 5 * MI)),
    ([c("s", SIDECAR, memory_limit=MI), c("i", INIT, memory_limit=5 * MI), c("a", memory_limit=2 * MI)], None, (2, 0, 6 * MI)),
    ([c("a"), c("b")], Resources(cpu_request=100, cpu_limit=200, memory_limit=MI), (102, 20_000, MI)),
    ([c("a", memory_limit=MI)], Resources(memory_limit=2 * MI), (2, 0, 2 * MI)),
])  # fmt: skip
def test_rs4_the_pod_s_group(containers: list[ContainerPlan], own: Resources | None, expected: tuple[int, int, int]) -> None:
    limits = qos.pod_limits(pod(*containers, resources=own))
    assert (limits.shares, limits.quota, limits.memory) == expected


@pytest.mark.parametrize(("containers", "own", "expected"), [
    ([c()], None, 1000),
    ([c(cpu_limit=1, memory_limit=1)], None, -997),
    ([c(memory_request=GI)], None, 750),
    ([c(memory_request=1)], None, 999),
    ([c(memory_request=40 * GI)], None, 3),
    ([c("main", SIDECAR, memory_request=1), c("a", memory_request=GI)], None, 750),  # never later than what it serves
    ([c()], Resources(memory_request=GI), 750),
    ([c(), c("b")], Resources(memory_request=2 * GI), 750),  # an equal part for each
])  # fmt: skip
def test_rs6_oom_score(containers: list[ContainerPlan], own: Resources | None, expected: int) -> None:
    plan = pod(*containers, resources=own)
    assert qos.oom_score_adj(plan, next(x for x in plan.containers if x.name == "main"), 4 * GI) == expected


def test_rs7_no_swap_no_huge_pages_unless_asked_for_and_the_whole_group_dies() -> None:
    asked = built(c(memory_limit=MI, others=(("hugepages-2Mi", 4 * MI),)), HostFacts(cgroup_v2=True, page_sizes=("1GB", "2MB")))
    assert asked["memory"] == {"limit": MI, "swap": MI} and asked["unified"] == {"memory.oom.group": "1"}
    assert asked["hugepageLimits"] == [{"pageSize": "1GB", "limit": 0}, {"pageSize": "2MB", "limit": 4 * MI}]
    assert "hugepageLimits" not in built(c()) and "pids" not in built(c())
    assert qos.pod_limits(pod(c(memory_limit=MI, others=(("hugepages-2Mi", 4 * MI),)))).pages == (("hugepages-2Mi", 4 * MI),)


# RS8: in-place resize
def test_rs8_what_changes_and_who_is_started_anew() -> None:
    before = pod(c("a", cpu_limit=500, memory_limit=MI), c("b", restart=("memory",), cpu_limit=500, memory_limit=MI))
    spec_ = {"containers": [{"name": "a", "resources": {"limits": {"cpu": "1", "memory": "1Mi"}}},
                            {"name": "b", "resources": {"limits": {"cpu": "500m", "memory": "2Mi"}}}]}  # fmt: skip
    after = resize.wanted(spec_, before)
    assert [(x.name, x.restart) for x in resize.changes(before, after)] == [("a", False), ("b", True)]
    assert resize.fault(before, after) == "" and resize.changes(after, after) == []


@pytest.mark.parametrize(("old", "new", "expected"), [
    (c(cpu_limit=500, memory_limit=MI), c(cpu_limit=500, memory_limit=MI, cpu_request=100), "QOS Class may not change"),
    (c(cpu_limit=500), c(), "cannot be removed"),
    (c(cpu_limit=500), c(cpu_limit=500, others=(("example.com/x", 1),)), "only cpu and memory resources are mutable"),
    (c(kind=INIT, cpu_limit=500), c(kind=INIT, cpu_limit=600), "only app containers and sidecars"),
    (c(cpu_limit=500), c(cpu_limit=600), ""),
    (c(kind=SIDECAR, cpu_limit=500), c(kind=SIDECAR, cpu_limit=600), ""),
])  # fmt: skip
def test_rs8_what_is_refused(old: ContainerPlan, new: ContainerPlan, expected: str) -> None:
    said = resize.fault(pod(old, c("b", cpu_request=1)) if old.kind == INIT else pod(old), pod(new, c("b", cpu_request=1))
                        if new.kind == INIT else pod(new))  # fmt: skip
    assert expected in said and bool(expected) == bool(said)


@pytest.mark.parametrize(("used", "wanted", "expected"), [
    (0, 1000, ("", "")),
    (3500, 1000, ("Deferred", "Node didn't have enough resource: cpu, requested: 1000, used: 3500, capacity: 4000")),
    (0, 5000, ("Infeasible", "Node didn't have enough capacity: cpu, requested: 5000, capacity: 4000")),
])  # fmt: skip
def test_rs8_room_for_it(used: int, wanted: int, expected: tuple[str, str]) -> None:
    assert resize.verdict(pod(c(cpu_request=wanted)), {"cpu": 4000}, {"cpu": used}) == expected


def test_rs8_it_is_tried_when_asked_for_and_again_later() -> None:
    plan = pod(c(cpu_request=1))
    running = Seen(plan.containers[0], Instance("i", 0, "running", image="busybox:1", started=EPOCH), here=True)

    def at(reason: str, resizable: bool) -> Any:
        rows = {RESIZE: BackoffRow("u", RESIZE, 10.0, EPOCH, reason, "why")}
        seen = Observed("u", plan, "run", containers=(running,), sandbox="s", sandbox_ready=True, initialized=True, backoffs=rows)
        return decide(seen._replace(resizable=resizable), EPOCH)

    assert at("", True).actions == (Resize(),)
    assert at("Deferred", False).actions == () and at("Deferred", False).wake_at is None
    assert at("Error", False).wake_at == EPOCH + 10


def test_rs8_a_request_that_was_its_limit_stays_so() -> None:
    had = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "512Mi"}}
    assert merged(had, {"limits": {"cpu": "2", "memory": "2Gi"}}) == {
        "limits": {"cpu": "2", "memory": "2Gi"}, "requests": {"cpu": "2", "memory": "512Mi"}}  # fmt: skip
    assert merged({}, {"requests": {"cpu": "1"}}) == {"requests": {"cpu": "1"}}


def test_in6_what_the_whole_pod_has_been_promised_record_104() -> None:
    assert resize.promised(pod(c(cpu_request=250, memory_request=32 * MI, memory_limit=64 * MI))) == {
        "allocatedResources": {"cpu": "250m", "memory": "32Mi"}}  # fmt: skip
    assert resize.promised(pod(c(), resources=Resources(memory_limit=MI))) == {
        "allocatedResources": {"memory": "1Mi"}, "resources": {"limits": {"memory": "1Mi"}, "requests": {"memory": "1Mi"}}}  # fmt: skip
    assert resize.promised(pod(c())) == {}


@pytest.mark.parametrize(("name", "amount", "expected"), [
    ("cpu", 250, "250m"), ("cpu", 2000, "2"), ("memory", 64 * MI, "64Mi"), ("memory", 1000, "1000"), ("memory", 0, "0"),
    ("hugepages-2Mi", 4 * MI, "4Mi"), ("example.com/x", 1024, "1024"), ("ephemeral-storage", GI, "1Gi"),
])  # fmt: skip
def test_rs8_amounts_in_a_status(name: str, amount: int, expected: str) -> None:
    assert resize.text(name, amount) == expected
