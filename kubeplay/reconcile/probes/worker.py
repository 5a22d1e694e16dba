"""One probe of one container instance: when it is asked, and what its answers come to (PR2-PR5). Pure: the caller has the clock.

A kubelet has a goroutine with a ticker for each. Here the next tick is computed from the pod's age, so it is the same after a restart of
the supervisor (RB9), and a hundred of them cost nothing while none is due.
"""

from __future__ import annotations

from math import floor

from kubeplay.plan.probe import LIVENESS, READINESS, STARTUP, Probe
from kubeplay.record import Record

SUCCESS, FAILURE, UNKNOWN = "success", "failure", "unknown"
INITIAL = {LIVENESS: SUCCESS, READINESS: FAILURE, STARTUP: UNKNOWN}  # PR2
TRIES = 3  # PR5: how often one that could not be asked is asked again before it counts as nothing


class Subject(Record):
    """What a probe needs to know of its container. `since` is when it was started; `started` whether its startup probe lets the others in
    (CS9); `ending` whether the pod is being deleted.
    """

    since: float
    started: bool = True
    ending: bool = False


class Memory(Record):
    """What one probe of one instance remembers: the result that counts, the `last` answer and how often it came in a `run`.

    `base`: its ticks are counted from here. `at`: the next one.
    """

    result: str
    base: float
    at: float
    last: str = ""
    run: int = 0


def begin(kind: str, probe: Probe, admitted: float, subject: Subject, now: float, result: str = "") -> Memory:
    """A probe that is met for the first time: of a new instance, or after a restart of ours with the `result` it had (RB9).

    Ticks are counted from the pod's admission; readiness is asked as soon as the container has started, and then from that moment on.
    """
    memory = Memory(result or INITIAL[kind], admitted, now)
    if kind == READINESS and subject.started:
        return memory._replace(base=now) if memory.result != SUCCESS else _next(memory._replace(base=subject.since), probe, now)
    return _next(memory, probe, now)


def started(memory: Memory, now: float) -> Memory:
    """Readiness, at the moment the container counts as started."""
    return memory._replace(base=now, at=now)


def asks(kind: str, probe: Probe, memory: Memory, subject: Subject, now: float) -> bool:
    """Whether the tick of now asks (PR3, PR4)."""
    if kind != READINESS and (subject.ending or memory.result == FAILURE):
        return False  # the pod goes, or this instance is as good as dead: held until there is a new one
    if (kind == STARTUP) == subject.started:  # until it has started only the startup probe runs, then all but that
        return False
    return int(now - floor(subject.since)) >= probe.initial_delay  # a status has whole seconds, and a kubelet goes by it (PR3)


def idle(kind: str, memory: Memory, subject: Subject) -> bool:
    """Whether it will never ask again for this instance."""
    if kind == READINESS:
        return False
    return subject.ending or memory.result == FAILURE or (kind == STARTUP and memory.result == SUCCESS)


def ticked(memory: Memory, probe: Probe, now: float) -> Memory:
    """After the tick of now: a tick that comes while the probe still waits for its answer is lost, as a ticker's is, but for one."""
    return _next(memory, probe, now)


def answered(probe: Probe, memory: Memory, ok: bool) -> Memory:
    """The result flips only after as many equal answers in a row as the threshold says (PR4)."""
    said = SUCCESS if ok else FAILURE
    run = memory.run + 1 if memory.last == said else 1
    memory = memory._replace(last=said, run=run)
    if run < (probe.success if ok else probe.failure):
        return memory
    return memory._replace(result=said)


def _next(memory: Memory, probe: Probe, now: float) -> Memory:
    """The first tick later than now."""
    passed = max(0, floor((now - memory.base) / probe.period + 1e-9))
    return memory._replace(at=memory.base + (passed + 1) * probe.period)
