"""PR1-PR5, PR10 in virtual time: one probe of a container, answered as each test says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kubeplay.engine.store.probes import ProbeRow
from kubeplay.kube import defaults
from kubeplay.kube.kinds import find
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.probe import LIVENESS, READINESS, STARTUP, Grpc, Probe, TcpSocket
from kubeplay.play.compile.probes import probe as compiled
from kubeplay.reconcile.model import Health
from kubeplay.reconcile.probes import state, worker
from kubeplay.reconcile.probes.worker import FAILURE, SUCCESS, UNKNOWN
from tests.support.simulator import Run, Simulation, pod

TCP = TcpSocket(80)
Answers = Callable[[float], bool | None]


class Ticking:
    """A pod admitted at 0 whose container starts at `since`; `answers(t)` True, False, or None = could not be asked."""

    def __init__(self, kind: str, since: float = 0.4, started: bool = True, **fields: int) -> None:
        self.kind, self.probe = kind, Probe(TCP, **fields)
        self.subject = worker.Subject(since, started)
        self.memory = worker.begin(kind, self.probe, 0.0, self.subject, since)
        self.asked: list[float] = []
        self.flips: list[tuple[float, str]] = []

    def run(self, until: float, answers: Answers | bool = True) -> Ticking:
        while not worker.idle(self.kind, self.memory, self.subject) and self.memory.at <= until:
            now = self.memory.at
            self.memory = worker.ticked(self.memory, self.probe, now)
            if not worker.asks(self.kind, self.probe, self.memory, self.subject, now):
                continue
            self.asked.append(round(now, 3))
            answer = answers if isinstance(answers, bool) else answers(now)
            if answer is None:
                continue
            before = self.memory.result
            self.memory = worker.answered(self.probe, self.memory, answer)
            if self.memory.result != before:
                self.flips.append((round(now, 3), self.memory.result))
        return self


def test_pr1_defaults_are_those_of_the_api_server() -> None:
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "image": "i", "livenessProbe": {"grpc": {"port": 1}}}]}}  # fmt: skip
    kind = find("v1", "Pod")
    assert kind is not None
    item = defaults.apply(body, kind)["spec"]["containers"][0]["livenessProbe"]
    assert compiled(item) == Probe(Grpc(1), 0, 1, 10, 1, 3, None)


def test_pr2_results_before_the_first_answer() -> None:
    kinds = {kind: worker.begin(kind, Probe(TCP), 0, worker.Subject(0.1), 0.1).result for kind in (LIVENESS, READINESS, STARTUP)}
    assert kinds == {LIVENESS: SUCCESS, READINESS: FAILURE, STARTUP: UNKNOWN}


def test_pr2_ticks_are_counted_from_the_pods_admission() -> None:
    assert Ticking(LIVENESS, since=3.2, period=10).run(45).asked == [10, 20, 30, 40]
    # also those of an instance that came later
    assert Ticking(LIVENESS, since=13.2, period=10).run(45).asked == [20, 30, 40]


def test_pr2_readiness_is_asked_at_once_and_counted_from_then() -> None:
    assert Ticking(READINESS, since=3.2, period=10).run(40).asked == [3.2, 13.2, 23.2, 33.2]


def test_pr2_readiness_is_asked_when_the_startup_probe_has_succeeded() -> None:
    ticking = Ticking(READINESS, since=0.4, started=False, period=10).run(24)
    assert ticking.asked == []
    ticking.subject = ticking.subject._replace(started=True)
    ticking.memory = worker.started(ticking.memory, 25.5)
    assert ticking.run(50).asked == [25.5, 35.5, 45.5]


def test_pr3_nothing_is_asked_before_the_initial_delay() -> None:
    # whole seconds of a status that has whole seconds: 6 s after 0.4 are over at 6.0 (record 147)
    assert Ticking(LIVENESS, since=0.4, period=1, initial_delay=6).run(8).asked == [6, 7, 8]
    assert Ticking(LIVENESS, since=6.8, period=1, initial_delay=6).run(14).asked == [12, 13, 14]
    assert Ticking(READINESS, since=0.4, period=4, initial_delay=5).run(17).asked == [8.4, 12.4, 16.4]


def test_pr3_until_it_has_started_only_the_startup_probe_runs() -> None:
    assert Ticking(LIVENESS, started=False, period=1).run(20).asked == []
    assert Ticking(READINESS, started=False, period=1).run(20).asked == []
    startup = Ticking(STARTUP, started=False, period=1, failure=30).run(20, lambda t: t >= 5)
    assert startup.asked == [1, 2, 3, 4, 5]
    assert startup.flips == [(5, SUCCESS)]
    assert worker.idle(STARTUP, startup.memory, startup.subject)


def test_pr4_only_equal_answers_in_a_row_flip_the_result() -> None:
    ticking = Ticking(READINESS, since=0.0, period=1, failure=3, success=2)
    sequence = iter([True, True, False, False, True, False, False, False, True, False, True, True])
    ticking.run(11, lambda t: next(sequence))
    assert ticking.flips == [(1, SUCCESS), (7, FAILURE), (11, SUCCESS)]


@pytest.mark.parametrize("kind", [LIVENESS, STARTUP])
def test_pr4_after_a_failure_the_instance_is_left_alone(kind: str) -> None:
    ticking = Ticking(kind, started=kind == LIVENESS, period=1, failure=3).run(30, False)
    assert ticking.asked == [1, 2, 3]
    assert ticking.flips == [(3, FAILURE)]
    assert worker.idle(kind, ticking.memory, ticking.subject)


def test_pr4_a_new_instance_begins_anew() -> None:
    first = Ticking(LIVENESS, period=1, failure=3).run(2, False)
    assert (first.memory.last, first.memory.run) == (FAILURE, 2)
    assert Ticking(LIVENESS, since=2.5, period=1, failure=3).run(5, False).flips == [(5, FAILURE)]


@pytest.mark.parametrize("kind", [LIVENESS, READINESS, STARTUP])
def test_pr4_while_the_pod_ends_readiness_alone_goes_on(kind: str) -> None:
    ticking = Ticking(kind, since=0.0, started=kind != STARTUP, period=1)
    ticking.subject = ticking.subject._replace(ending=True)
    assert bool(ticking.run(5).asked) is (kind == READINESS)
    assert worker.idle(kind, ticking.memory, ticking.subject) is (kind != READINESS)


def test_pr5_what_could_not_be_asked_counts_as_nothing() -> None:
    ticking = Ticking(LIVENESS, period=1, failure=2)
    answers = {1: False, 2: None, 3: None, 4: False}
    assert ticking.run(6, lambda t: answers[round(t)]).flips == [(4, FAILURE)]
    assert Ticking(READINESS, period=1).run(20, lambda t: None).flips == []


def test_pr2_a_tick_that_comes_while_the_last_is_not_through_is_lost() -> None:
    memory = worker.begin(LIVENESS, Probe(TCP, period=2), 0.0, worker.Subject(0.1), 0.1)
    assert memory.at == 2
    assert worker.ticked(memory, Probe(TCP, period=2), 7.3).at == 8


def test_rb9_results_outlive_the_supervisor_and_ready_does_not_flap() -> None:
    probe, subject = Probe(TCP, period=10), worker.Subject(3.0)
    again = worker.begin(READINESS, probe, 0.0, subject, 47.0, SUCCESS)
    assert (again.result, again.at) == (SUCCESS, 53)  # its next tick is where it would have been
    unready = worker.begin(READINESS, probe, 0.0, subject, 47.0, FAILURE)
    assert (unready.result, unready.at) == (FAILURE, 47.0)
    assert worker.idle(STARTUP, worker.begin(STARTUP, probe, 0.0, subject, 47.0, SUCCESS), subject)
    assert worker.idle(LIVENESS, worker.begin(LIVENESS, probe, 0.0, subject, 47.0, FAILURE), subject)


def health(plan: ContainerPlan, **results: str) -> Health:
    return state.health(plan, {kind: ProbeRow("id", kind, result, 0.0, "said") for kind, result in results.items()})


def test_cs9_started_and_ready_follow_the_results() -> None:
    plain = ContainerPlan("c", "i")
    assert health(plain) == Health()
    every = plain._replace(startup=Probe(TCP), readiness=Probe(TCP), liveness=Probe(TCP))
    assert health(every) == Health(False, False)
    assert health(every, startup=SUCCESS, readiness=FAILURE) == Health(True, False)
    assert health(every, startup=SUCCESS, readiness=SUCCESS) == Health(True, True)
    assert health(plain._replace(readiness=Probe(TCP))) == Health(True, False)
    assert health(plain._replace(liveness=Probe(TCP))) == Health(True, True)


def test_pr10_a_failure_names_the_probe_that_asks_for_the_kill() -> None:
    both = ContainerPlan("c", "i", startup=Probe(TCP), liveness=Probe(TCP))
    assert health(both, startup=SUCCESS, liveness=FAILURE) == Health(True, True, LIVENESS, "said")
    assert health(both, startup=FAILURE) == Health(False, False, STARTUP, "said")
    assert health(ContainerPlan("c", "i", readiness=Probe(TCP)), readiness=FAILURE).failed == ""


def test_pr10_kills_restart_at_once_then_back_off_record_147() -> None:
    plan = pod(ContainerPlan("main", "busybox:1", liveness=Probe(TCP, period=1, failure=1, grace=7)))
    sim = Simulation(plan, main=[Run()])
    sim.codes["main"] = 0
    for when in (6, 12, 18):
        sim.run(when).health("main", failed=LIVENESS)
        sim.run(when + 0.1).health("main")
    sim.run(60)
    # the first two in the sync that kills, as a kubelet, which looks at the end before; the third 10 s after its end
    assert sim.starts("main") == [0.0, 6.0, 12.0, 28.0]
