"""logs and pod logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubeplay.cli import resolve
from kubeplay.cli.declare import Option, argument, command, flag, integer, text
from kubeplay.cli.execution import CONTAINER
from kubeplay.engine.store.runtime import ContainerRow, PodRow
from kubeplay.errors import InvalidInput, NotFound, NotRunning
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.cli.app import App

OPTIONS: tuple[Option, ...] = (
    flag("-f", "--follow", help="Stay, and show what comes."),
    integer("--tail", help="Show the last N lines only; -1 shows all (10 with --selector)."),
    text("--since", help="Lines since then: 10m, or a time such as 2026-11-22T03:00:00Z.", metavar="TIME"),
    text("--since-time", help="kubectl's name for --since with a time.", metavar="TIME"),
    text("--until", help="Lines until then.", metavar="TIME"),
    flag("-t", "--timestamps", help="Show the time of each line."),
    flag("-p", "--previous", help="Of the instance before the last restart."),
    flag("--names", help="Show the container's name before each line."),
    flag("--prefix", help="Show [pod/POD/CONTAINER] before each line, as kubectl does."),
    integer("--limit-bytes", help="Show this many bytes at most.", metavar="BYTES"),
    flag("--all-containers", help="Of every container of the pod."),
    CONTAINER,
)  # fmt: skip
SELECTING: tuple[Option, ...] = (
    text("-l", "--selector", help="Of the pods with these labels (kubectl's -l; podman's is --latest).", metavar="SELECTOR"),
    flag("--latest", help="Of the newest pod."),
    flag("--ignore-errors", help="Of several containers, one without a log is no error."),
    integer("--max-log-requests", help="With --selector, how many containers may be followed at once.", default=50),
)


class Reading(Record):
    """How logs are read and shown."""

    follow: bool
    tail: int | None
    since: str | None
    since_time: str | None
    until: str | None
    timestamps: bool
    names: bool
    prefix: bool
    limit_bytes: int | None


def _reading(given: dict[str, Any]) -> Reading:
    """Take the options that say how out of a body's keywords."""
    return Reading(**{name: given.pop(name) for name in Reading._fields})


@command(
    "logs",
    "Show the output of a container.\n\n"
    "    kubeplay logs web-app\n    kubeplay logs web -c app --previous\n    kubeplay logs -f -l app=web --all-containers --prefix\n"
    "    kubeplay logs deploy/web",
    argument("NAME", "Containers, pods, or KIND/NAME of a workload; `POD CONTAINER` works too.", many=True, required=False,
             complete="container"),
    OPTIONS,
    SELECTING,
)  # fmt: skip
def logs(app: App, *, name: tuple[str, ...], selector: str | None, latest: bool, **given: Any) -> None:
    how = _reading(given)
    if latest:
        name = (*name, _newest(app))
    if bool(name) == bool(selector):
        raise InvalidInput("give either names or --selector" if name else "nothing is named", hint="kubeplay logs POD [-c CONTAINER]")
    if selector:
        how = how._replace(tail=10 if how.tail is None else how.tail)
    rows = _selected(app, selector, given) if selector else _all_named(app, name, given)
    if selector and how.follow and len(rows) > given["max_log_requests"]:
        raise InvalidInput(f"{len(rows)} logs are to be followed, but --max-log-requests is {given['max_log_requests']}")
    _read(app, rows, how)


def _newest(app: App) -> str:
    """The newest pod's name. Raises NotFound."""
    found = [one for one in app.store.objects.list("Pod", app.namespace) if app.store.runtime.find_pod(app.namespace, one.key.name)]
    if not found:
        raise NotFound(f"there is no pod in namespace {app.namespace}")
    return max(found, key=lambda one: one.created).key.name


Rows = list[tuple[str, str, ContainerRow]]  # pod, container's full name, instance


def _selected(app: App, selector: str, given: dict[str, Any]) -> Rows:
    from kubeplay.cli.workloads import selected

    rows: Rows = []
    for pod in selected(app, selector):
        rows += _of_pod(app, pod, given)
    return rows


def _of_pod(app: App, pod: PodRow, given: dict[str, Any]) -> Rows:
    """Of all containers of a pod, of the one that was named, or of the one kubectl would take."""
    try:
        if given["all_containers"]:
            return _every(app, pod, given["previous"])
        found = resolve.container(app, f"{pod.namespace}/{pod.name}", given["container"])
        return _instance(app, found.pod, found.name, given["previous"])
    except (NotFound, NotRunning):
        if given["ignore_errors"]:
            return []
        raise


def _all_named(app: App, names: Sequence[str], given: dict[str, Any]) -> Rows:
    if len(names) == 2 and not given["container"] and _is_container_of(app, names[0], names[1]):
        given = {**given, "container": names[1]}
        names = names[:1]
    rows: Rows = []
    for one in names:
        pod = _workload(app, one) or (resolve.pod(app, one) if given["all_containers"] else None)
        if pod is not None:
            rows += _of_pod(app, pod, given)
            continue
        try:
            found = resolve.container(app, one, given["container"], note=len(names) == 1)
            rows += _instance(app, found.pod, found.name, given["previous"])
        except (NotFound, NotRunning):
            if not given["ignore_errors"]:
                raise
    return rows


def _is_container_of(app: App, pod: str, name: str) -> bool:
    """kubectl's `logs POD CONTAINER`: the second word is no pod and no container by itself, but one of the first's."""
    pods = resolve.find_pods(app, pod)
    if not pods or resolve.find_pods(app, name):
        return False
    try:
        resolve.container(app, name, None, note=False)
    except NotFound:
        return any(planned.name == name for planned in resolve.plan(pods[0]).containers)
    return False


def _workload(app: App, name: str) -> PodRow | None:
    """The pod that deploy/NAME means; None for a name of another sort."""
    if "/" not in name or resolve.find_pods(app, name):
        return None
    from kubeplay.cli import workloads

    return workloads.one_pod(app, name) if workloads.is_workload(name) else None


@command(
    "logs",
    "Show the output of all containers of a pod, or of one (-c).",
    argument("POD", "Pod.", complete="pod"),
    tuple(option for option in OPTIONS if option.dest != "all_containers"),
)
def pod_logs(app: App, *, pod: str, container: str | None, previous: bool, **given: Any) -> None:
    row = resolve.pod(app, pod)
    rows = _instance(app, row, resolve.container(app, pod, container).name, previous) if container else _every(app, row, previous)
    _read(app, rows, _reading(given))


def _every(app: App, pod: PodRow, previous: bool) -> Rows:
    made = resolve.plan(pod)
    rows = app.store.runtime.containers(pod.uid)
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.name] = counts.get(row.name, 0) + 1
    wanted = [c.name for c in made.containers if counts.get(c.name, 0) > previous]
    if previous and not wanted:
        raise NotRunning(f"no container of pod {pod.name} has a previous instance")
    return [one for name in wanted for one in _instance(app, pod, name, previous)]


def _instance(app: App, pod: PodRow, name: str, previous: bool) -> Rows:
    """The newest instance of a container, or the one before. Raises NotRunning when there is none."""
    rows = sorted((row for row in app.store.runtime.containers(pod.uid) if row.name == name), key=lambda row: row.attempt)
    if previous and len(rows) < 2:
        raise NotRunning(f"container {pod.name}/{name} has no previous instance")
    if not rows:
        raise NotRunning(f"container {pod.name}/{name} has not been created yet", hint=f"kubeplay events {pod.name} says why")
    made = resolve.plan(pod)
    if made.log.driver == "none":
        raise NotFound(f"container {pod.name}/{name} writes no log: it was played with --log-driver none")
    return [(pod.name, resolve.container_name(made, name), rows[-2 if previous else -1])]


def _read(app: App, rows: Rows, how: Reading) -> None:
    from kubeplay import supervisor
    from kubeplay.cli.moments import moment
    from kubeplay.engine import logs as engine_logs

    supervisor.ensure(app.engine)  # a log that has grown large is cut here, when nobody else has come by
    now = app.engine.clock.now()
    since = how.since_time or how.since
    start, end = moment(since, now) if since else None, moment(how.until, now) if how.until else None
    engine_logs.read(
        app.engine,
        [row for _, _, row in rows],
        follow=how.follow,
        tail=None if how.tail is None or how.tail < 0 else how.tail,
        since=start,
        until=end,
        timestamps=how.timestamps,
        names=how.names or how.prefix or len(rows) > 1,
        labels=_labels(rows, how.prefix),
        limit=how.limit_bytes,
    )


def _labels(rows: Rows, prefix: bool) -> dict[str, str]:
    """What stands before a container's lines: its name, the full one where there are several pods, or kubectl's prefix."""
    if prefix:
        return {row.id: f"[pod/{pod}/{row.name}]" for pod, _, row in rows}
    several = len({row.pod_uid for _, _, row in rows}) > 1
    return {row.id: full if several else row.name for _, full, row in rows}
