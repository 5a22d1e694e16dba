"""ps, port and top: what runs in containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubeplay.cli import human, listing, resolve
from kubeplay.cli.declare import ALL_NAMESPACES, LISTING, argument, command, flag
from kubeplay.cli.listing import Column, Fields, Listing
from kubeplay.engine.store import runtime
from kubeplay.engine.store.runtime import ContainerRow, PodRow
from kubeplay.plan.container import ContainerPlan, Port
from kubeplay.plan.pod import PodPlan

if TYPE_CHECKING:
    from kubeplay.cli.app import App

COMMAND_WIDTH = 20  # characters of COMMAND that podman shows

COLUMNS = (
    Column("CONTAINER ID", "ID"), Column("IMAGE", "Image"), Column("COMMAND", "Command"), Column("CREATED", "RunningFor"),
    Column("STATUS", "Status"),
    Column("PORTS", "Ports"), Column("NAMES", "Names"), Column("RESTARTS", "Restarts", True), Column("POD", "PodName", True),
    Column("NAMESPACE", "Namespace", True),
)  # fmt: skip
POD_COLUMNS = (Column("POD ID", "Pod"), Column("PODNAME", "PodName"))
NAMESPACE_COLUMN = Column("NAMESPACE", "Namespace")


def _podman_json(record: Fields) -> Fields:
    """The record as podman's `ps --format json` has it, with ours added."""
    return {
        "Id": record["_ID"], "Names": [record["Names"]], "Image": record["Image"], "ImageID": record["ImageID"],
        "Command": record["_Command"],
        "Created": int(record["_RunningFor"]), "CreatedAt": record["CreatedAt"], "State": record["State"], "Status": record["Status"],
        "StartedAt": record["StartedAt"], "ExitedAt": record["ExitedAt"], "Exited": record["State"] == runtime.EXITED,
        "ExitCode": record["ExitCode"],
        "Pid": record["Pid"], "Pod": record["_Pod"], "PodName": record["PodName"], "Ports": record["_Ports"], "Labels": record["Labels"],
        "Restarts": record["Restarts"], "IsInit": record["IsInit"], "Namespace": record["Namespace"], "Container": record["Container"],
    }  # fmt: skip


def _is_pod(record: Fields, value: str) -> bool:
    return bool(record["PodName"] == value or record["_Pod"].startswith(value))


LOOK = Listing(
    COLUMNS,
    "ID",
    {
        "id": listing.prefix("_ID"), "name": listing.contains("Names"), "label": listing.label, "status": listing.equals("State"),
        "pod": _is_pod, "namespace": listing.equals("Namespace"), "ancestor": listing.contains("Image"),
        "exited": listing.equals("ExitCode"),
        "container": listing.equals("Container"),
    },
    _podman_json,
)  # fmt: skip


@command(
    "ps",
    "List containers that run, or all of them.",
    flag("-a", "--all", help="Show every container, not only those that run."),
    flag("-l", "--latest", help="Show the newest container only."),
    flag("-p", "--pod", help="Show the pod of each container."),
    LISTING,
    ALL_NAMESPACES,
)
def ps(app: App, *, all: bool, latest: bool, pod: bool, all_namespaces: bool, **given: Any) -> None:
    look = listing.look(given)
    explicit = any(f.startswith(("status=", "exited=")) for f in look.filters)
    records = [
        r for r in _records(app, app.scope(all_namespaces), look.no_trunc) if all or latest or explicit or r["State"] == runtime.RUNNING
    ]
    if latest:
        records = sorted(records, key=lambda r: r["_RunningFor"])[-1:]
    columns = ((NAMESPACE_COLUMN,) if all_namespaces else ()) + COLUMNS + (POD_COLUMNS if pod else ())
    listing.show(LOOK._replace(columns=columns), records, look)


def _records(app: App, namespace: str, full: bool) -> list[Fields]:
    app.engine.refresh()
    pods = app.store.runtime.pods(namespace)
    newest = resolve.newest(app.store.runtime.containers())
    images = _Images(app)
    now = app.engine.clock.now()
    found = []
    for row in pods:
        made = resolve.plan(row)
        for planned in made.containers:
            instance = newest.get((row.uid, planned.name))
            if instance is not None:
                found.append(_record(row, made, planned, instance, images, now, full))
    return sorted(found, key=lambda r: r["_RunningFor"], reverse=True)


def _record(
    pod: PodRow, made: PodPlan, planned: ContainerPlan, row: ContainerRow, images: _Images, now: float, full: bool
) -> dict[str, Any]:
    words = images.command(planned, row)
    text = " ".join(words)
    return {
        "ID": row.id if full else human.short(row.id), "_ID": row.id, "Names": resolve.container_name(made, row.name),
        "Container": row.name,
        "Image": row.image, "ImageID": row.image_id, "Command": text if full else human.cut(text, COMMAND_WIDTH), "_Command": words,
        "RunningFor": human.ago(row.created, now), "_RunningFor": row.created, "CreatedAt": _time(row.created),
        "Created": human.ago(row.created, now),
        "_Created": row.created, "State": row.state, "Status": status_text(row, now), "StartedAt": int(row.started or 0),
        "ExitedAt": int(row.finished or 0), "ExitCode": row.exit_code if row.exit_code is not None else 0,
        "Pid": row.pid if row.state == runtime.RUNNING else 0,
        "Pod": pod.uid if full else human.short_uid(pod.uid), "_Pod": pod.uid, "PodName": pod.name, "Namespace": pod.namespace,
        "Ports": ", ".join(port_text(p) for p in planned.ports if p.host_port), "_Ports": [_port(p) for p in planned.ports if p.host_port],
        "Labels": dict(made.labels), "Restarts": row.attempt, "IsInit": planned.kind == "init", "Reason": row.reason,
    }  # fmt: skip


def status_text(row: ContainerRow, now: float) -> str:
    """`Up 3 minutes`, `Exited (1) 2 hours ago`, `Created`."""
    if row.state == runtime.RUNNING:
        return f"Up {human.duration(now - (row.started or row.created))}"
    if row.state == runtime.CREATED:
        return "Created"
    if row.state == runtime.EXITED:
        return f"Exited ({row.exit_code}) {human.ago(row.finished or row.created, now)}"
    return f"Unknown ({row.exit_code if row.exit_code is not None else '?'})"


def port_text(port: Port) -> str:
    return f"{port.host_ip or '0.0.0.0'}:{port.host_port}->{port.container_port}/{port.protocol.lower()}"


def _port(port: Port) -> dict[str, Any]:
    return {
        "host_ip": port.host_ip,
        "container_port": port.container_port,
        "host_port": port.host_port,
        "range": 1,
        "protocol": port.protocol.lower(),
    }


def _time(seconds: float) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(seconds))


class _Images:
    """What images run by themselves; each is read once."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._known: dict[str, tuple[list[str], list[str]]] = {}

    def command(self, planned: ContainerPlan, row: ContainerRow) -> list[str]:
        """CM1: command replaces ENTRYPOINT and drops CMD, args replaces CMD."""
        if planned.command is not None:
            return [*planned.command, *(planned.args or ())]
        entrypoint, words = self._image(row.image_id)
        return [*entrypoint, *(words if planned.args is None else planned.args)]

    def _image(self, image_id: str) -> tuple[list[str], list[str]]:
        if image_id not in self._known:
            import json

            row = self._app.store.images.get(image_id)
            config = json.loads(row.config).get("config") or {} if row else {}
            self._known[image_id] = (config.get("Entrypoint") or [], config.get("Cmd") or [])
        return self._known[image_id]


@command(
    "port",
    "Show the host ports of a container or pod.",
    argument("NAME", "Container or pod.", required=False, complete="container"),
    argument("PORT", "Container port, as 80 or 80/udp.", required=False),
    flag("-a", "--all", help="Every pod of the namespace."),
)
def port(app: App, *, name: str | None, port: str | None, all: bool) -> None:
    from kubeplay.errors import InvalidInput, NotFound

    if not name and not all:
        raise InvalidInput("no container is named", hint="give a container, a pod, or --all")
    lines = _ports_of(app, name) if name else _all_ports(app)
    if port:
        number, _, protocol = port.partition("/")
        wanted = (number, protocol or "tcp")
        lines = [line for line in lines if (str(line[1].container_port), line[1].protocol.lower()) == wanted]
        if not lines:
            raise NotFound(f"{name} does not publish port {port}")
        print("\n".join(f"{p.host_ip or '0.0.0.0'}:{p.host_port}" for _, p in lines))
        return
    for container, one in lines:
        lead = f"{container}\t" if all else ""
        print(f"{lead}{one.container_port}/{one.protocol.lower()} -> {one.host_ip or '0.0.0.0'}:{one.host_port}")


def _all_ports(app: App) -> list[tuple[str, Port]]:
    made = [resolve.plan(row) for row in app.store.runtime.pods(app.namespace)]
    return [(resolve.container_name(plan, c.name), p) for plan in made for c in plan.containers for p in c.ports if p.host_port]


def _ports_of(app: App, name: str) -> list[tuple[str, Port]]:
    """A pod's name means all its containers."""
    pods = resolve.find_pods(app, name)
    found = None if pods else resolve.container(app, name)
    made = resolve.plan(pods[0] if found is None else found.pod)
    chosen = [c for c in made.containers if found is None or c.name == found.name]
    return [(resolve.container_name(made, c.name), p) for c in chosen for p in c.ports if p.host_port]


@command(
    "top",
    "Show the processes of a container or pod.",
    argument("NAME", "Container or pod.", complete="container"),
    argument(
        "COLUMN", "Columns (of ps): user, pid, ppid, pcpu, etime, tty, time, comm, args ...", dest="columns", many=True, required=False
    ),
)
def top(app: App, *, name: str, columns: tuple[str, ...]) -> None:
    from kubeplay.cli.processes import table

    pods = resolve.find_pods(app, name)
    rows = app.store.runtime.containers(pods[0].uid) if pods else [resolve.container(app, name).container]
    print(table(app, [row for row in rows if row is not None and row.state == runtime.RUNNING], columns), end="")
