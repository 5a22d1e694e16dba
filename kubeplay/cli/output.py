"""logs and pod logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.cli import resolve
from kubeplay.cli.declare import Option, argument, command, flag, integer, text
from kubeplay.cli.execution import CONTAINER
from kubeplay.engine.store.runtime import ContainerRow, PodRow
from kubeplay.errors import NotFound, NotRunning

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.cli.resolve import Found

OPTIONS: tuple[Option, ...] = (
    flag("-f", "--follow", help="Stay, and show what comes."),
    integer("--tail", help="Show the last N lines only; -1 shows all.", default=-1),
    text("--since", help="Lines since then: 10m, or a time such as 2026-11-22T03:00:00Z.", metavar="TIME"),
    text("--until", help="Lines until then.", metavar="TIME"),
    flag("-t", "--timestamps", help="Show the time of each line."),
    flag("-p", "--previous", help="Of the instance before the last restart."),
    flag("--names", "--prefix", help="Show the container's name before each line.", dest="names"),
    flag("--all-containers", help="Of every container of the pod."),
    CONTAINER,
)  # fmt: skip


@command("logs", "Show the output of a container.", argument("NAME", "Containers, or pods.", many=True, complete="container"), OPTIONS)
def logs(
    app: App,
    *,
    name: tuple[str, ...],
    follow: bool,
    tail: int,
    since: str | None,
    until: str | None,
    timestamps: bool,
    previous: bool,
    names: bool,
    all_containers: bool,
    container: str | None,
) -> None:
    rows: list[tuple[str, ContainerRow]] = []
    for one in name:
        if all_containers:
            rows += _every(app, resolve.pod(app, one), previous)
        else:
            found = _named(app, one, name, container)
            rows += _instance(app, found.pod, found.name, previous)
    _read(app, rows, follow, tail, since, until, timestamps, names or len(rows) > 1)


def _named(app: App, one: str, names: tuple[str, ...], container: str | None) -> Found:
    """The container that a name means; `logs POD CONTAINER` (kubectl's form) gets the hint to write -c."""
    try:
        return resolve.container(app, one, container, note=len(names) == 1)
    except NotFound as error:
        pods = resolve.find_pods(app, names[0]) if one != names[0] and not container else []
        if pods and any(planned.name == one for planned in resolve.plan(pods[0]).containers):
            error.hint = f"{one} is a container of pod {names[0]}: kubeplay logs {names[0]} -c {one}"
        raise


@command(
    "logs",
    "Show the output of all containers of a pod, or of one (-c).",
    argument("POD", "Pod.", complete="pod"),
    tuple(option for option in OPTIONS if option.dest != "all_containers"),
)
def pod_logs(
    app: App,
    *,
    pod: str,
    follow: bool,
    tail: int,
    since: str | None,
    until: str | None,
    timestamps: bool,
    previous: bool,
    names: bool,
    container: str | None,
) -> None:
    row = resolve.pod(app, pod)
    rows = _instance(app, row, resolve.container(app, pod, container).name, previous) if container else _every(app, row, previous)
    _read(app, rows, follow, tail, since, until, timestamps, names or len(rows) > 1)


def _every(app: App, pod: PodRow, previous: bool) -> list[tuple[str, ContainerRow]]:
    made = resolve.plan(pod)
    rows = app.store.runtime.containers(pod.uid)
    present = {row.name for row in rows}
    return [pair for c in made.containers if c.name in present for pair in _instance(app, pod, c.name, previous)]


def _instance(app: App, pod: PodRow, name: str, previous: bool) -> list[tuple[str, ContainerRow]]:
    """The newest instance of a container, or the one before. Raises NotRunning when there is none."""
    rows = sorted((row for row in app.store.runtime.containers(pod.uid) if row.name == name), key=lambda row: row.attempt)
    if previous and len(rows) < 2:
        raise NotRunning(f"container {pod.name}/{name} has no previous instance")
    if not rows:
        raise NotRunning(f"container {pod.name}/{name} has not been created yet", hint=f"kubeplay events {pod.name} says why")
    made = resolve.plan(pod)
    if made.log.driver == "none":
        raise NotFound(f"container {pod.name}/{name} writes no log: it was played with --log-driver none")
    return [(resolve.container_name(made, name), rows[-2 if previous else -1])]


def _read(
    app: App,
    rows: list[tuple[str, ContainerRow]],
    follow: bool,
    tail: int,
    since: str | None,
    until: str | None,
    timestamps: bool,
    names: bool,
) -> None:
    from kubeplay import supervisor
    from kubeplay.cli.moments import moment
    from kubeplay.engine import logs as engine_logs

    supervisor.ensure(app.engine)  # a log that has grown large is cut here, when nobody else has come by
    now = app.engine.clock.now()
    start, end = moment(since, now) if since else None, moment(until, now) if until else None
    engine_logs.read(
        app.engine,
        [row for _, row in rows],
        follow=follow,
        tail=None if tail < 0 else tail,
        since=start,
        until=end,
        timestamps=timestamps,
        names=names,
    )
