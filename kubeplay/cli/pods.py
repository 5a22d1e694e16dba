"""pod ps and pod exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubeplay.cli import human, listing, resolve
from kubeplay.cli.declare import ALL_NAMESPACES, LISTING, argument, command, flag
from kubeplay.cli.listing import Column, Fields, Listing
from kubeplay.engine.store.objects import StoredObject
from kubeplay.engine.store.runtime import CREATE, CREATED, STOP, ContainerRow, PodRow

if TYPE_CHECKING:
    from kubeplay.cli.app import App

COLUMNS = (
    Column("POD ID", "ID"), Column("NAME", "Name"), Column("STATUS", "Status"), Column("CREATED", "Created"),
    Column("# OF CONTAINERS", "NumberOfContainers"), Column("READY", "Ready", True), Column("RESTARTS", "Restarts", True),
    Column("IP", "IP", True), Column("CONTROLLED BY", "Owner", True), Column("NAMESPACE", "Namespace", True),
)  # fmt: skip
NAMESPACE_COLUMN = Column("NAMESPACE", "Namespace")


def _json(record: Fields) -> Fields:
    return {
        "Id": record["_ID"], "Name": record["Name"], "Namespace": record["Namespace"], "Status": record["Status"], "Phase": record["Phase"],
        "Created": record["CreatedAt"], "Ready": record["Ready"], "Restarts": record["_Restarts"], "IP": record["IP"],
        "Labels": record["Labels"],
        "Owner": record["Owner"], "Containers": record["_Containers"],
    }  # fmt: skip


def _status(record: Fields, value: str) -> bool:
    """The STATUS text, the phase, or podman's word for it."""
    podman = {"running": "Running", "exited": "Succeeded", "created": "Pending", "stopped": "Stopped"}
    return value.lower() in (record["Status"].lower(), record["Phase"].lower()) or podman.get(value.lower()) in (
        record["Status"],
        record["Phase"],
    )


def _of_containers(field: str, *, start: bool = False) -> Callable[[Fields, str], bool]:
    """podman's filters by what is in a pod."""

    def match(record: Fields, value: str) -> bool:
        found = [str(one[field]) for one in record["_Containers"]]
        return any(one.startswith(value) if start else one == value for one in found)

    return match


def _joins(record: Fields, value: str) -> bool:
    import json

    from kubeplay.cli.containers import DEFAULT_NETWORK, networks

    return (DEFAULT_NETWORK if value in ("bridge", "default") else value) in networks(json.loads(record["_Plan"])["sandbox"])


LOOK = Listing(
    COLUMNS,
    "ID",
    {
        "id": listing.prefix("_ID"), "name": listing.contains("Name"), "label": listing.label, "status": _status,
        "namespace": listing.equals("Namespace"), "phase": listing.equals("Phase"), "owner": listing.contains("Owner"),
        "until": listing.older("_Created"), "network": _joins, "ctr-ids": _of_containers("Id", start=True),
        "ctr-names": _of_containers("Name"), "ctr-status": _of_containers("Status"),
        "ctr-number": lambda record, value: str(record["NumberOfContainers"]) == value,
    },
    _json,
)  # fmt: skip


@command("ps", "List pods.", flag("-l", "--latest", help="Show the newest pod only."), LISTING, ALL_NAMESPACES)
def ps(app: App, *, latest: bool, all_namespaces: bool, **given: Any) -> None:
    look = listing.look(given)
    records = _records(app, app.scope(all_namespaces), look.no_trunc)
    if latest:
        records = sorted(records, key=lambda r: r["_Created"])[-1:]
    columns = ((NAMESPACE_COLUMN,) if all_namespaces else ()) + COLUMNS
    listing.show(LOOK._replace(columns=columns), records, look)


def _records(app: App, namespace: str, full: bool) -> list[Fields]:
    from kubeplay.cli.podstatus import statuses

    pods = app.store.runtime.pods(namespace)
    known = statuses(app, pods)
    objects = {one.uid: one for one in app.store.objects.list("Pod", namespace)}
    instances: dict[str, list[ContainerRow]] = {}
    for row in resolve.newest(app.store.runtime.containers()).values():
        instances.setdefault(row.pod_uid, []).append(row)
    now = app.engine.clock.now()
    return [_record(row, objects.get(row.uid), known[row.uid], instances.get(row.uid, []), now, full) for row in pods]


def _record(
    pod: PodRow, stored: StoredObject | None, status: Fields, instances: list[ContainerRow], now: float, full: bool
) -> dict[str, Any]:
    import json

    from kubeplay.kube import columns

    body = json.loads(stored.body) if stored else {}
    metadata = body.get("metadata", {})
    owners = metadata.get("ownerReferences") or []
    created = stored.created if stored else 0.0
    status = dict(status)
    text = columns.text(status, bool(stored and stored.deleted), body.get("spec"))
    if pod.desired == STOP and not any("running" in one["state"] for one in status.get("containerStatuses", [])):
        text = "Stopped"  # kubectl has no word for it: a person stopped the pod
    elif pod.desired == CREATE and (instances or not _planned(body)) and all(one.state == CREATED for one in instances):
        text = "Created"  # nor for a pod that play --start=false only made; podman's word
    count = sum(one.get("restartCount", 0) for one in status.get("containerStatuses", []))
    return {
        "ID": pod.uid if full else human.short_uid(pod.uid), "_ID": pod.uid, "Name": pod.name, "Namespace": pod.namespace,
        "Status": text, "Phase": status.get("phase", "Pending"),
        "Created": human.ago(created, now), "_Created": created, "CreatedAt": _rfc3339(created), "NumberOfContainers": _planned(body),
        "Ready": columns.ready(status, body.get("spec")),
        "Restarts": columns.restarts(status, now, body.get("spec")), "_Restarts": count, "IP": status.get("podIP", ""),
        "Owner": f"{owners[0]['kind']}/{owners[0]['name']}" if owners else "", "Labels": metadata.get("labels") or {},
        "Age": columns.age(now - created), "_Plan": pod.plan,
        "_Containers": [{"Id": i.id, "Name": i.name, "Status": i.state, "RestartCount": i.attempt} for i in instances],
    }  # fmt: skip


def _planned(body: Fields) -> int:
    spec = body.get("spec", {})
    return len(spec.get("containers") or ()) + len(spec.get("initContainers") or ())


def _rfc3339(seconds: float) -> str:
    from kubeplay.clock import rfc3339

    return rfc3339(seconds)


@command("exists", "Say by the exit status whether a pod exists (0) or not (1).", argument("POD", "Pod.", complete="pod"))
def exists(app: App, *, pod: str) -> int:
    return 0 if resolve.find_pods(app, pod) else 1
