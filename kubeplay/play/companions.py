"""Our own pods that come with those of a play: the DNS server (DN5), the proxy of Ingresses (IG1)."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from kubeplay.play.progress import Progress, ProgressEvent
from kubeplay.play.runner import Job
from kubeplay.reconcile import services, system

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.plan.pod import PodPlan
    from kubeplay.plan.stack import Stack

# what rules and the proxy follow from beside pods and Services
_RULING = (*services.ROUTED, "Ingress", "NetworkPolicy", "Namespace", "Secret")


def jobs(engine: Engine, plans: Collection[PodPlan], stack: Stack) -> list[Job]:
    """First in the queue: the others' containers wait for names. Raises MissingPrerequisite, Conflict, Forbidden for the proxy."""
    found = []
    if any(system.needs_dns(plan) for plan in plans):
        found.append((system.ensure_dns(engine), system.NAME))
    if any(planned.key.kind == "Ingress" for planned in stack.objects):
        from kubeplay.reconcile import ingress

        found.append((ingress.ensure(engine), ingress.NAME))
    return [Job(uid, f"{system.NAMESPACE}/{name}", tolerant=True, system=True) for uid, name in found if uid]


def warn(engine: Engine, plans: Collection[PodPlan], progress: Progress) -> None:
    """Say that names do not work when they do not: the pods run all the same."""
    if not any(system.needs_dns(plan) for plan in plans):
        return
    system.await_dns(engine)  # pods that wait for something else may not have done so
    if why := system.fault(engine):
        progress(ProgressEvent("warning", "names", f"{system.NAMESPACE}/{system.NAME}", message=why))


def rules(stack: Stack) -> bool:
    """Whether rules or the proxy may change with the stack although none of its pods and Services does."""
    return any(planned.key.kind in _RULING for planned in stack.objects)
