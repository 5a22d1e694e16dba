"""What holds for every pod, whatever its containers do: drawn pods in virtual time (IN1, IN3, RB1, RB6, RR1, RR2, PH3, CS1)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kubeplay.kube.restarts import RESTART_ALL, follows
from kubeplay.kube.status import TERMINAL
from kubeplay.plan.container import APP, INIT, SIDECAR, ContainerPlan
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.probe import RestartRule
from tests.support.simulator import Fail, Run, Simulation, pod

CODES = st.sampled_from([0, 1, 42])
POLICIES = st.sampled_from(["Always", "OnFailure", "Never"])
ACTIONS = st.sampled_from(["Restart", "Restart", RESTART_ALL])
RULE = st.builds(RestartRule, ACTIONS, st.sampled_from(["In", "NotIn"]), st.lists(CODES, max_size=2).map(tuple))
RUN = st.builds(Run, st.one_of(st.none(), st.sampled_from([0.0, 0.3, 2.0, 30.0, 700.0])), CODES)
BEHAVIOUR = st.lists(st.one_of(RUN, RUN, RUN, st.just(Fail("CreateContainerError")), st.just(Fail("RunContainerError", "no", 128))),
                     min_size=1, max_size=3)  # fmt: skip


@st.composite
def pods(draw: st.DrawFn) -> PodPlan:
    kinds = [*draw(st.lists(st.sampled_from([INIT, SIDECAR]), max_size=3)), *[APP] * draw(st.integers(1, 2))]
    made = []
    for index, kind in enumerate(kinds):
        rules = () if kind == SIDECAR else tuple(draw(st.lists(RULE, max_size=2)))
        policy = "Always" if kind == SIDECAR else draw(POLICIES)
        made.append(ContainerPlan(f"c{index}", "i", kind=kind, restart_policy=policy, restart_rules=rules))
    return pod(*made, deadline_seconds=draw(st.sampled_from([None, None, 20])))


@given(st.data(), pods(), st.sampled_from([None, "sandbox", "stop"]))
@settings(max_examples=100, deadline=None)
def test_in1_rb1_rb6_ph3_hold_for_every_pod(data: st.DataObject, plan: PodPlan, event: str | None) -> None:
    behaviour = {c.name: data.draw(BEHAVIOUR, c.name) for c in plan.containers}
    sim = Simulation(plan, **behaviour).run(60)
    if event == "sandbox":
        sim.seen = sim.seen._replace(sandbox_ready=False)
    elif event == "stop":
        sim.seen = sim.seen._replace(desired="stop")
    sim.run(150)
    _in_order(sim)
    _on_time(sim)
    _whole(sim)


def _in_order(sim: Simulation) -> None:
    """IN1, IN3: nothing starts before the regular init containers in front of it have ended with 0 since the last new beginning."""
    done: set[str] = set()
    order = [c.name for c in sim.plan.containers if c.kind == INIT]
    names = [c.name for c in sim.plan.containers]
    for _, entry in sim.log:
        word, name, *rest = (*entry.split(), "", "")
        if word in ("sandbox", "restart"):
            done.clear()
        elif word == "end" and rest[0] == "0":
            done.add(name)
        elif word == "start":
            kind = sim.plan.containers[names.index(name)].kind
            before = order if kind == APP else [n for n in order if names.index(n) < names.index(name)]
            assert kind == SIDECAR or done.issuperset(before), sim.log


def _on_time(sim: Simulation) -> None:
    """RB1, RB6: who is not to be restarted is not, and the third instance comes 10 s after the end of the second one that ran briefly."""
    for plan in sim.plan.containers:
        mine = [(t, *e.split()) for t, e in sim.log if e.split()[0] in ("sandbox", "restart", "kill") or e.split()[1:2] == [plan.name]]
        for one, two in zip(mine, mine[1:]):
            if one[1] == "end" and two[1] == "start":
                assert follows(plan, int(one[3])), sim.log
        ends = [t for t, word, *_ in mine if word == "end"]
        starts = [t for t, word, *_ in mine if word == "start"]
        plain = all(isinstance(each, Run) for each in sim.behaviour[plan.name]) and not any(word == "restart" for _, word, *_ in mine)
        if plain and sum(word == "sandbox" for _, word, *_ in mine) == 1 and len(starts) > 2:
            assert starts[2] - ends[1] >= 10 or ends[1] - starts[1] > 600, sim.log


def _whole(sim: Simulation) -> None:
    """PH3, CS1, CO1."""
    for (_, one), (_, two) in zip(sim.history, sim.history[1:]):
        assert one["phase"] not in TERMINAL or one["phase"] == two["phase"]
    status = sim.status
    if status["phase"] in TERMINAL:
        assert not any(c.current and c.current.state == "running" for c in sim.seen.containers)
    for shown in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        assert len(shown["state"]) == 1 and len(shown["lastState"]) <= 1
        assert not shown["ready"] or "running" in shown["state"] or shown["state"]["terminated"]["exitCode"] == 0
    assert [c["type"] for c in status["conditions"]][:5] == [
        "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled",
    ]  # fmt: skip
