"""`pod condition`: set what a pod's readiness gates wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.cli import resolve
from kubeplay.cli.declare import Option, argument, command, text

if TYPE_CHECKING:
    from kubeplay.cli.app import App

OPTIONS: tuple[Option, ...] = (
    text("--reason", help="Why, as one word.", metavar="WORD"),
    text("--message", help="Why, as a sentence.", metavar="TEXT"),
)


@command(
    "condition", "Set conditions of a pod that its readinessGates name, as TYPE=True, TYPE=False or TYPE=Unknown.",
    argument("POD", "Name or id.", complete="pod"), argument("CONDITION", "TYPE=STATUS, as example.com/ready=True.", many=True), OPTIONS,
)  # fmt: skip
def condition(app: App, *, pod: str, condition: tuple[str, ...], reason: str, message: str) -> int:
    from kubeplay.play import conditions
    from kubeplay.reconcile import services

    wanted = [conditions.parse(each, reason or "", message or "") for each in condition]
    row = resolve.pod(app, pod)
    with app.supervised():
        outcome = conditions.put(app.engine, row.uid, wanted)
        if outcome.routes:
            services.refresh(app.engine)
    print(row.name)
    return 0
