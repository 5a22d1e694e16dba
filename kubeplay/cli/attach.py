"""attach: join a running container's standard input and output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kubeplay.cli import resolve
from kubeplay.cli.declare import argument, command, flag, text
from kubeplay.cli.execution import CONTAINER, running
from kubeplay.errors import NotRunning

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.engine.store.runtime import ContainerRow


@command(
    "attach",
    "Join a running container: its output is shown, what is typed is its input, its exit status becomes ours.\n\n"
    "Input reaches a container that was made with `stdin: true`; the keys ctrl-p ctrl-q leave one with `tty: true` running.",
    argument("NAME", "Container, or pod (with -c).", complete="container"),
    CONTAINER,
    flag("--no-stdin", help="Do not pass standard input on."),
    flag("-i", "--stdin", help="kubectl's word for what is done anyway.", dest="stdin"),
    flag("-t", "--tty", help="kubectl's word for what is done anyway, when the container has a terminal."),
    flag("--sig-proxy", help="Pass signals on to the container's first process, when it has no terminal.", default=True),
    text("--detach-keys", help="Keys that leave the container running; empty = none (ctrl-p,ctrl-q).", metavar="KEYS"),
)
def attach(
    app: App, *, name: str, container: str | None, no_stdin: bool, stdin: bool, tty: bool, sig_proxy: bool, detach_keys: str | None
) -> int:
    row = running(app, name, container)
    planned = next(c for c in resolve.plan(app.store.runtime.pod(row.pod_uid)).containers if c.name == row.name)
    if tty and not planned.tty:
        print(f"Warning: container {row.name} has no terminal (tty: true)", file=sys.stderr)
    if stdin and not planned.stdin:
        print(f"Warning: container {row.name} has no standard input (stdin: true)", file=sys.stderr)
    status = joined(app, row, stdin=planned.stdin and not no_stdin, tty=planned.tty, sig_proxy=sig_proxy, detach_keys=detach_keys)
    return status or 0


def joined(
    app: App, row: ContainerRow, *, stdin: bool, tty: bool, sig_proxy: bool = True, detach_keys: str | None = None, from_start: bool = False
) -> int | None:
    """Join a container until it ends: its exit status, None when the keys were typed. `from_start`: show what it has said before."""
    from kubeplay.cli import attached
    from kubeplay.engine import attach as engine_attach
    from kubeplay.engine import logs

    keys = engine_attach.keys(engine_attach.DETACH_KEYS if detach_keys is None else detach_keys) if tty and stdin else ()

    def said() -> None:
        logs.read(app.engine, [row])

    try:
        return attached.join(app, row, stdin, tty, keys, sig_proxy, said if from_start else None)
    except NotRunning:
        if not from_start:
            raise
        said()  # it was quicker than we
        return attached.exit_status(app, row.id)
