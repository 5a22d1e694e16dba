"""What the prober tells and stores of answers (PR5, PR13), without containers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kubeplay.clock import RealClock
from kubeplay.engine.store.db import Store
from kubeplay.engine.store.probes import Probed
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.probe import LIVENESS, READINESS, STARTUP, Probe, TcpSocket
from kubeplay.plan.stack import ObjectKey
from kubeplay.reconcile.handlers.dial import here
from kubeplay.reconcile.handlers.steps import Answer
from kubeplay.reconcile.probes import worker
from kubeplay.supervisor.probing import Prober, _Worker

UID, ID = "11111111-2222-3333-4444-555555555555", "c" * 64


class Bench:
    """A prober over a database alone; `told` are the pods it wants looked at."""

    def __init__(self, directory: Path) -> None:
        self.store = Store(str(directory / "state.db"))
        self.told: list[str] = []
        engine: Any = SimpleNamespace(store=self.store, clock=RealClock())
        self.prober = Prober(engine, self.told.append, lambda: None)
        self.prober._runs = lambda each: True  # type: ignore[method-assign]

    def probe(self, kind: str, **fields: int) -> _Worker:
        probe = Probe(TcpSocket(80), **fields)
        self.store.probes.begin(ID, [(kind, worker.INITIAL[kind])])
        row = Probed(ID, kind, worker.INITIAL[kind], 0.0, UID, "main", 1.0, "run", 0.0)
        made = _Worker(row, ObjectKey("Pod", "default", "p"), ContainerPlan("main", "i"), probe, "10.0.0.1", here)
        made.memory = worker.begin(kind, probe, 0.0, worker.Subject(1.0, kind != STARTUP), 2.0)
        self.prober.workers[ID, kind] = made
        return made

    def events(self) -> list[tuple[str, str, str]]:
        return [(event.type, event.reason, event.message) for event in self.store.events.list(uid=UID)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.store.close()


@pytest.mark.parametrize(("kind", "title"), [(LIVENESS, "Liveness"), (READINESS, "Readiness"), (STARTUP, "Startup")])
def test_pr13_texts_of_events(bench: Bench, kind: str, title: str) -> None:
    made = bench.probe(kind)
    bench.prober._answered(made, Answer(False, "why not\n"))
    bench.prober._answered(made, Answer(True, "Probe terminated redirects, Response body: x", warning=True))
    bench.prober._answered(made, Answer(True, "fine"))
    warning = f"{title} probe warning: Probe terminated redirects, Response body: x"
    assert bench.events() == [("Warning", "Unhealthy", f"{title} probe failed: why not\n"), ("Warning", "ProbeWarning", warning)]


def test_pr5_what_cannot_be_asked_is_tried_three_times_then_told_and_forgotten(bench: Bench) -> None:
    made = bench.probe(LIVENESS, failure=1)
    errored = Answer(False, 'strconv.Atoi: parsing "x": invalid syntax', errored=True)
    for _ in range(2):
        bench.prober._answered(made, errored)
        assert made.task is not None and bench.events() == []
    bench.prober._answered(made, errored)
    assert made.task is None and not bench.told
    assert bench.events()[0][2] == 'Liveness probe errored and resulted in unknown state: strconv.Atoi: parsing "x": invalid syntax'
    assert bench.store.probes.of(ID)[LIVENESS].result == "success"


def test_pr4_a_flip_is_stored_before_the_pod_is_told(bench: Bench) -> None:
    made = bench.probe(LIVENESS, failure=2)
    bench.prober._answered(made, Answer(False, "no"))
    assert bench.store.probes.of(ID)[LIVENESS].result == "success" and not bench.told
    bench.prober._answered(made, Answer(False, "no"))
    row = bench.store.probes.of(ID)[LIVENESS]
    assert (row.result, row.message, bench.told) == ("failure", "no", [UID])


def test_pr2_when_the_startup_probe_succeeds_the_others_are_let_in(bench: Bench) -> None:
    readiness, startup = bench.probe(READINESS), bench.probe(STARTUP)
    readiness.subject = readiness.subject._replace(started=False)
    bench.prober._answered(startup, Answer(True))
    assert readiness.subject.started and readiness.memory is not None and readiness.memory.at <= bench.prober._now()


def test_an_answer_of_an_instance_that_has_gone_counts_for_nothing(bench: Bench) -> None:
    made = bench.probe(READINESS, failure=1)
    del bench.prober.workers[ID, READINESS]
    bench.prober._answered(made, Answer(True))
    assert not bench.told and bench.store.probes.of(ID)[READINESS].result == "failure"
    bench.store.probes.begin(ID, [])
    assert not bench.store.probes.set("no such id", READINESS, "success", "")
