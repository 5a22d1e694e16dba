"""ps, port and top: what runs in containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubeplay.cli import human, listing, resolve
from kubeplay.cli.declare import ALL_NAMESPACES, LISTING, argument, command, flag, many, text
from kubeplay.cli.listing import Column, Fields, Listing
from kubeplay.engine.store import runtime
from kubeplay.engine.store.runtime import ContainerRow, PodRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubeplay.cli.app import App
    from kubeplay.plan.container import Port

Plan = dict[str, Any]
DEFAULT_NETWORK = "kubeplay-default"  # engine.net.networks.DEFAULT, whose imports `ps` has no other use for
COMMAND_WIDTH = 20  # characters of COMMAND that podman shows
_PORT_KEYS = ("host_ip", "container_port", "host_port", "protocol")  # of podman's ps --format json; the plan's own mark and name stay out

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
        "Networks": record["_Networks"],
        "Restarts": record["Restarts"], "IsInit": record["IsInit"], "Namespace": record["Namespace"], "Container": record["Container"],
    }  # fmt: skip


def networks(sandbox: Plan) -> list[str]:
    """Names of the networks a planned sandbox joins, as --network has them."""
    if sandbox["host_network"]:
        return ["host"]
    return [one["network"] or DEFAULT_NETWORK for one in sandbox["attachments"]] or ["none"]


def _mounts(record: Fields, value: str) -> bool:
    """podman's: the name of a volume, or a path in the container."""
    return any(value in one for one in record["_Mounts"])


def _sources(made: Plan, planned: Plan) -> list[tuple[str, ...]]:
    names = {volume["name"]: volume["source"].get("claim_name") or volume["source"].get("path") or "" for volume in made["volumes"]}
    return [(mount["path"], names.get(mount["volume"], ""), mount["volume"]) for mount in planned["mounts"]]


def _is_pod(record: Fields, value: str) -> bool:
    return bool(record["PodName"] == value or record["_Pod"].startswith(value))


LOOK = Listing(
    COLUMNS,
    "ID",
    {
        "id": listing.prefix("_ID"), "name": listing.contains("Names"), "label": listing.label, "status": listing.equals("State"),
        "pod": _is_pod, "namespace": listing.equals("Namespace"), "ancestor": listing.contains("Image"),
        "exited": listing.equals("ExitCode"),
        "container": listing.equals("Container"), "until": listing.older("_Created"), "volume": _mounts,
        "network": lambda record, value: (DEFAULT_NETWORK if value in ("bridge", "default") else value) in record["_Networks"],
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
    every = all or latest or explicit
    records = [r for r in _records(app, app.scope(all_namespaces), look.no_trunc) if every or r["State"] in (runtime.RUNNING, "paused")]
    if latest:
        records = sorted(records, key=lambda r: r["_RunningFor"])[-1:]
    columns = ((NAMESPACE_COLUMN,) if all_namespaces else ()) + COLUMNS + (POD_COLUMNS if pod else ())
    listing.show(LOOK._replace(columns=columns), records, look)


def _records(app: App, namespace: str, full: bool) -> list[Fields]:
    """A record per container. Plans are read as plain JSON: making their records would double the time of `ps`."""
    import json

    app.engine.refresh()
    pods = app.store.runtime.pods(namespace)
    newest = resolve.newest(app.store.runtime.containers())
    images = Images(app)
    now = app.engine.clock.now()
    found = []
    for row in pods:
        made = json.loads(row.plan)
        for planned in made["containers"]:
            instance = newest.get((row.uid, planned["name"]))
            if instance is not None:
                found.append(_record(row, made, planned, instance, images, now, full))
    return sorted(found, key=lambda r: r["_RunningFor"], reverse=True)


def _record(pod: PodRow, made: Plan, planned: Plan, row: ContainerRow, images: Images, now: float, full: bool) -> dict[str, Any]:
    words = images.command(planned["command"], planned["args"], row.image_id)
    text = " ".join(words)
    ports = [port for port in planned["ports"] if port["host_port"]]
    joined = networks(made["sandbox"])
    ago = human.ago(row.created, now)
    return {
        "ID": row.id if full else human.short(row.id), "_ID": row.id,
        "Names": f"{pod.name}-{row.name}" if made["container_prefix"] else row.name, "Container": row.name,
        "Image": row.image, "ImageID": row.image_id, "Command": text if full else human.cut(text, COMMAND_WIDTH), "_Command": words,
        "RunningFor": ago, "_RunningFor": row.created, "CreatedAt": human.moment(row.created), "Created": ago, "_Created": row.created,
        "State": "paused" if row.reason == runtime.PAUSED else row.state,
        "Status": status_text(row, now), "StartedAt": int(row.started or 0), "ExitedAt": int(row.finished or 0),
        "ExitCode": row.exit_code if row.exit_code is not None else 0, "Pid": row.pid if row.state == runtime.RUNNING else 0,
        "Pod": pod.uid if full else human.short_uid(pod.uid), "_Pod": pod.uid, "PodName": pod.name, "Namespace": pod.namespace,
        "Ports": ", ".join(_arrow(p["host_ip"], p["host_port"], p["container_port"], p["protocol"]) for p in ports),
        "_Ports": [{**{key: p[key] for key in _PORT_KEYS}, "range": 1, "protocol": p["protocol"].lower()} for p in ports],
        "Networks": ",".join(joined), "_Networks": joined,
        "Labels": dict(made["labels"]), "Restarts": row.attempt, "IsInit": planned["kind"] == "init", "Reason": row.reason,
        "_Mounts": _sources(made, planned),
    }  # fmt: skip


def _arrow(host_ip: str, host_port: int, container_port: int, protocol: str) -> str:
    return f"{host_ip or '0.0.0.0'}:{host_port}->{container_port}/{protocol.lower()}"


def status_text(row: ContainerRow, now: float) -> str:
    """`Up 3 minutes`, `Exited (1) 2 hours ago`, `Created`."""
    if row.state == runtime.RUNNING and row.reason == runtime.PAUSED:
        return f"Up {human.duration(now - (row.started or row.created))} (Paused)"
    if row.state == runtime.RUNNING:
        return f"Up {human.duration(now - (row.started or row.created))}"
    if row.state == runtime.CREATED:
        return "Created"
    if row.state == runtime.EXITED:
        return f"Exited ({row.exit_code}) {human.ago(row.finished or row.created, now)}"
    return f"Unknown ({row.exit_code if row.exit_code is not None else '?'})"


class Images:
    """What images run by themselves; each is read once."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._known: dict[str, tuple[list[str], list[str]]] = {}

    def command(self, command: Sequence[str] | None, args: Sequence[str] | None, image_id: str) -> list[str]:
        """CM1: command replaces ENTRYPOINT and drops CMD, args replaces CMD."""
        if command is not None:
            return [*command, *(args or ())]
        entrypoint, words = self._image(image_id)
        return [*entrypoint, *(words if args is None else args)]

    def _image(self, image_id: str) -> tuple[list[str], list[str]]:
        if image_id not in self._known:
            import json

            row = self._app.store.images.get(image_id)
            config = json.loads(row.config).get("config") or {} if row else {}
            self._known[image_id] = (config.get("Entrypoint") or [], config.get("Cmd") or [])
        return self._known[image_id]


@command(
    "exists",
    "Say by the exit status whether a container exists (0) or not (1).",
    argument("CONTAINER", "Container.", dest="name", complete="container"),
)
def exists(app: App, *, name: str) -> int:
    from kubeplay.errors import NotFound

    try:
        return 0 if resolve.container(app, name, note=False).container else 1
    except NotFound:
        return 1


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


_COLUMNS = argument(
    "COLUMN", "Columns (of ps): user, pid, ppid, pcpu, etime, tty, time, comm, args ...", dest="columns", many=True, required=False
)
_TOP = (
    many("-o", help="Columns in ps's own form, -o pid,args; -eo as well.", dest="more", metavar="COLUMNS"),
    flag("-e", help="Accepted for ps's sake: every process is shown anyway.", dest="every", hidden=True),
)


_METERS = (
    text("-l", "--selector", help="top pod: pods with these labels.", metavar="SELECTOR"),
    flag("--containers", help="top pod: a line for each container."),
    text("--sort-by", help="top pod: cpu or memory, the most first.", metavar="COLUMN"),
    flag("--sum", help="top pod: the sum in a last line."),
    flag("--no-headers", help="top pod, top node: leave the header out."),
    ALL_NAMESPACES,
)


@command(
    "top",
    "Show the processes of a container or pod; `top pod` and `top node` what pods and the machine take.\n\n"
    "    kubeplay top web-main\n    kubeplay top pod -l app=web --containers\n    kubeplay top node",
    argument("NAME", "Container or pod; pod or node.", complete="container"), _COLUMNS, _TOP, _METERS,
)  # fmt: skip
def top(app: App, *, name: str, columns: tuple[str, ...], more: tuple[str, ...], every: bool, **given: Any) -> None:
    pods = resolve.find_pods(app, name)
    meters = ("pod", "pods", "po", "node", "nodes", "no")
    if not pods and name in meters:
        from kubeplay.cli import metering

        return (metering.pods if name in metering.PODS else metering.node)(app, columns, given)
    rows = app.store.runtime.containers(pods[0].uid) if pods else [resolve.container(app, name).container]
    _show_processes(app, rows, (*columns, *more))


@command("top", "Show the processes of a pod.", argument("POD", "Pod.", complete="pod"), _COLUMNS, _TOP)
def pod_top(app: App, *, pod: str, columns: tuple[str, ...], more: tuple[str, ...], every: bool) -> None:
    _show_processes(app, app.store.runtime.containers(resolve.pod(app, pod).uid), (*columns, *more))


def _show_processes(app: App, rows: Sequence[ContainerRow | None], columns: tuple[str, ...]) -> None:
    from kubeplay.cli.processes import table

    print(table(app, [row for row in rows if row is not None and row.state == runtime.RUNNING], columns), end="")
