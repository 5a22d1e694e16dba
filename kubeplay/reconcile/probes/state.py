"""Results of probes as the store has them, and what they say of a container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from kubeplay.engine.store.probes import ProbeRow
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.probe import LIVENESS, READINESS, STARTUP, Probe
from kubeplay.reconcile.model import Health
from kubeplay.reconcile.probes.worker import FAILURE, INITIAL, SUCCESS

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine


def probes(plan: ContainerPlan) -> Iterator[tuple[str, Probe]]:
    """The probes that a container has, by kind."""
    for kind, probe in ((STARTUP, plan.startup), (READINESS, plan.readiness), (LIVENESS, plan.liveness)):
        if probe is not None:
            yield kind, probe


def begin(engine: Engine, plan: ContainerPlan, container_id: str) -> None:
    """A new instance: its probes start from the beginning (PR2). Before it runs, so that a kill of ours never leaves one unprobed."""
    engine.store.probes.begin(container_id, [(kind, INITIAL[kind]) for kind, _ in probes(plan)])


def health(plan: ContainerPlan, results: Mapping[str, ProbeRow]) -> Health:
    """CS9, PR10. A probe without a row has not been asked yet: then its first result counts."""

    def result(kind: str, probe: Probe | None) -> str:
        row = results.get(kind)
        return SUCCESS if probe is None else row.result if row else INITIAL[kind]

    startup = result(STARTUP, plan.startup)
    started = startup == SUCCESS
    failed = STARTUP if startup == FAILURE else LIVENESS if result(LIVENESS, plan.liveness) == FAILURE else ""
    ready = started and result(READINESS, plan.readiness) == SUCCESS
    return Health(started, ready, failed, results[failed].message if failed else "")
