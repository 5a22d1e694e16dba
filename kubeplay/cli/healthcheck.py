"""healthcheck run: ask a container's probe once, now, as podman does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kubeplay.cli import resolve
from kubeplay.cli.declare import argument, choice, command, flag
from kubeplay.cli.execution import CONTAINER, running
from kubeplay.errors import NotFound

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.plan.container import ContainerPlan
    from kubeplay.plan.probe import Probe

UNHEALTHY = 1  # podman-healthcheck-run(1)
KINDS = ("liveness", "readiness", "startup")


@command(
    "run",
    "Ask the probe of a running container once, and say by the exit status whether it is healthy (0) or not (1).\n\n"
    "It is the liveness probe, else the readiness probe, else the startup probe. What comes of it changes nothing about the container.",
    argument("NAME", "Container, or pod (with -c).", complete="container"),
    CONTAINER,
    choice("--probe", choices=KINDS, help="Ask this probe."),
    flag("--ignore-result", help="Exit with 0 also when it is not healthy."),
)
def run(app: App, *, name: str, container: str | None, probe: str | None, ignore_result: bool) -> int:
    from kubeplay.reconcile.handlers.steps import complete
    from kubeplay.reconcile.observe import host_ip
    from kubeplay.reconcile.probes import asking

    row = running(app, name, container)
    pod = app.store.runtime.pod(row.pod_uid)
    made = resolve.plan(pod)
    planned = next(c for c in made.containers if c.name == row.name)
    kind, wanted = _probe(planned, probe)
    sandbox = resolve.sandbox(app, pod)
    address = sandbox.addresses[0] if sandbox and sandbox.addresses else host_ip(app.engine)
    steps = asking.asking(app.engine, planned, row.id, kind, wanted, address, asking.place(app.engine, made))
    answer = complete(steps, float(wanted.timeout))
    if answer.ok:
        return 0
    print("unhealthy")
    if answer.text.strip():
        from kubeplay.cli.failure import safe

        print(safe(answer.text.strip()), file=sys.stderr)
    return 0 if ignore_result else UNHEALTHY


def _probe(planned: ContainerPlan, kind: str | None) -> tuple[str, Probe]:
    """The probe that is asked. Raises NotFound."""
    for name in (kind,) if kind else KINDS:
        found: Probe | None = getattr(planned, name)
        if found is not None:
            return name, found
    raise NotFound(f"container {planned.name} has no defined healthcheck", hint="give it a livenessProbe, or run --health-cmd")
