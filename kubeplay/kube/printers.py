"""What `kubectl get` shows of each kind: the server's Table columns (KC2, KC3), from the object alone.

Source: pkg/printers/internalversion/printers.go of 1.36. A kind without a row of its own shows NAME and AGE, as there.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable
from typing import Any

from kubeplay.kube import columns
from kubeplay.record import Record

Json = dict[str, Any]
NONE = "<none>"
UNKNOWN = "<unknown>"


class Column(Record):
    """A column; a `wide` one is shown with -o wide only."""

    header: str
    wide: bool = False


class Printer(Record):
    """The columns of a kind, after NAME where it is `named`, and their cells of one object at a time."""

    columns: tuple[Column, ...]
    cells: Callable[[Json, float], list[str]]
    named: bool = True


def printer(kind: str) -> Printer:
    """How objects of `kind` are listed."""
    found = _PRINTERS.get(kind)
    if found is None and kind in _ELSEWHERE:
        from importlib import import_module

        found = import_module(f"kubeplay.kube.printers_{_ELSEWHERE[kind]}").PRINTERS[kind]
    return found or _PLAIN


def columns_of(text: str) -> tuple[Column, ...]:
    """`A,B C|WIDE,..`: what is after the bar is wide."""
    shown, _, wide = text.partition("|")
    return (*(Column(h) for h in shown.split(",")), *(Column(h, True) for h in wide.split(",") if h))


def since(body: Json, now: float) -> str:
    """The AGE column."""
    return ago(body.get("metadata", {}).get("creationTimestamp"), now)


def created(body: Json) -> str:
    """The CREATED AT column."""
    return str(body.get("metadata", {}).get("creationTimestamp") or "")


def ago(stamp: str | None, now: float) -> str:
    return columns.age(now - seconds(stamp)) if stamp else UNKNOWN


def seconds(stamp: str) -> float:
    """Epoch seconds of an RFC 3339 time of second precision, as status has them."""
    return calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ"))


def _plain(body: Json, now: float) -> list[str]:
    return [since(body, now)]


def _pod(body: Json, now: float) -> list[str]:
    spec, status = body.get("spec", {}), body.get("status", {})
    deleted = "deletionTimestamp" in body["metadata"]
    true = {c["type"] for c in status.get("conditions", []) if c["status"] == "True"}
    gates = [gate["conditionType"] for gate in spec.get("readinessGates") or []]
    return [
        columns.ready(status, spec), columns.text(status, deleted, spec), columns.restarts(status, now, spec), since(body, now),
        status.get("podIP") or NONE, spec.get("nodeName") or NONE, status.get("nominatedNodeName") or NONE,
        f"{sum(1 for gate in gates if gate in true)}/{len(gates)}" if gates else NONE,
    ]  # fmt: skip


def _template(body: Json) -> list[str]:
    """CONTAINERS, IMAGES and SELECTOR of a workload."""
    spec = body.get("spec", {})
    found = spec.get("template", {}).get("spec", {}).get("containers") or []
    return [",".join(c["name"] for c in found), ",".join(c.get("image", "") for c in found), selector(spec.get("selector"))]


def selector(found: Json | None) -> str:
    """A LabelSelector as kubectl writes it."""
    found = found or {}
    terms = [f"{key}={value}" for key, value in sorted((found.get("matchLabels") or {}).items())]
    for term in found.get("matchExpressions") or []:
        values = f" ({','.join(sorted(term.get('values') or []))})"
        words = {"In": f"{term['key']} in{values}", "NotIn": f"{term['key']} notin{values}", "Exists": term["key"]}
        terms.append(words.get(term["operator"], f"!{term['key']}"))
    return ",".join(terms) or NONE


def _deployment(body: Json, now: float) -> list[str]:
    status = body.get("status", {})
    ready = f"{status.get('readyReplicas', 0)}/{_replicas(body)}"
    return [ready, str(status.get("updatedReplicas", 0)), str(status.get("availableReplicas", 0)), since(body, now), *_template(body)]


def _replicas(body: Json) -> int:
    wanted = body.get("spec", {}).get("replicas")
    return 1 if wanted is None else int(wanted)


def _replica_set(body: Json, now: float) -> list[str]:
    status = body.get("status", {})
    return [str(_replicas(body)), str(status.get("replicas", 0)), str(status.get("readyReplicas", 0)), since(body, now), *_template(body)]


def _stateful_set(body: Json, now: float) -> list[str]:
    return [f"{body.get('status', {}).get('readyReplicas', 0)}/{_replicas(body)}", since(body, now), *_template(body)[:2]]


def _daemon_set(body: Json, now: float) -> list[str]:
    status = body.get("status", {})
    names = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled", "numberAvailable")
    nodes = body.get("spec", {}).get("template", {}).get("spec", {}).get("nodeSelector") or {}
    where = ",".join(f"{k}={v}" for k, v in sorted(nodes.items())) or NONE
    return [*(str(status.get(name, 0)) for name in names), where, since(body, now), *_template(body)]


def _job(body: Json, now: float) -> list[str]:
    spec, status = body.get("spec", {}), body.get("status", {})
    true = {c["type"] for c in status.get("conditions", []) if c["status"] == "True"}
    state = next((t for t in ("Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet") if t in true), "Running")
    wanted, parallel = spec.get("completions"), spec.get("parallelism") or 0
    total = str(wanted) if wanted is not None else f"1 of {parallel}" if parallel > 1 else "1"
    took = ""
    if status.get("startTime"):
        end = seconds(status["completionTime"]) if status.get("completionTime") else now
        took = columns.age(end - seconds(status["startTime"]))
    return [state, f"{status.get('succeeded', 0)}/{total}", took, since(body, now), *_template(body)]


def _cron_job(body: Json, now: float) -> list[str]:
    spec, status = body.get("spec", {}), body.get("status", {})
    last = ago(status["lastScheduleTime"], now) if status.get("lastScheduleTime") else NONE
    suspend = "True" if spec.get("suspend") else "False"
    active = str(len(status.get("active") or []))
    found = _template(spec.get("jobTemplate") or {})
    return [spec.get("schedule", ""), spec.get("timeZone") or NONE, suspend, active, last, since(body, now), *found]


def _service(body: Json, now: float) -> list[str]:
    spec = body.get("spec", {})
    address = spec.get("clusterIP") or (spec.get("clusterIPs") or [NONE])[0]
    chosen = ",".join(f"{k}={v}" for k, v in sorted((spec.get("selector") or {}).items())) or NONE
    return [spec.get("type") or "ClusterIP", address, _external(body), ports(spec), since(body, now), chosen]


def _external(body: Json) -> str:
    spec = body.get("spec", {})
    outer = list(spec.get("externalIPs") or [])
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", NONE))
    if spec.get("type") == "LoadBalancer":
        ingress = (body.get("status", {}).get("loadBalancer") or {}).get("ingress") or []
        return ",".join([one.get("ip") or one.get("hostname", "") for one in ingress] + outer) or "<pending>"
    return ",".join(outer) or NONE


def ports(spec: Json) -> str:
    """PORT(S): `80:30080/TCP,53/UDP`."""
    found = []
    for port in spec.get("ports") or []:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        found.append(f"{port['port']}{node}/{port.get('protocol') or 'TCP'}")
    return ",".join(found) or NONE


def data_count(body: Json) -> int:
    return len({*(body.get("data") or {}), *(body.get("binaryData") or {}), *(body.get("stringData") or {})})


def _config_map(body: Json, now: float) -> list[str]:
    return [str(data_count(body)), since(body, now)]


def _secret(body: Json, now: float) -> list[str]:
    return [body.get("type") or "Opaque", str(data_count(body)), since(body, now)]


def _namespace(body: Json, now: float) -> list[str]:
    return [body.get("status", {}).get("phase") or "Active", since(body, now)]


_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def modes(found: list[str] | None) -> str:
    """ACCESS MODES in kubectl's short words and order."""
    return ",".join(short for mode, short in _MODES.items() if mode in (found or []))


def _claim(body: Json, now: float) -> list[str]:
    spec, status = body.get("spec", {}), body.get("status", {})
    state = "Terminating" if "deletionTimestamp" in body["metadata"] else status.get("phase", "Pending")
    volume = spec.get("volumeName") or ""
    return [
        state, volume, (status.get("capacity") or {}).get("storage", "") if volume else "",
        modes(status.get("accessModes")) if volume else "", spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>", since(body, now), spec.get("volumeMode") or "Filesystem",
    ]  # fmt: skip


def _volume(body: Json, now: float) -> list[str]:
    spec, status = body.get("spec", {}), body.get("status", {})
    state = "Terminating" if "deletionTimestamp" in body["metadata"] else status.get("phase", "Pending")
    claim = spec.get("claimRef") or {}
    return [
        (spec.get("capacity") or {}).get("storage", ""), modes(spec.get("accessModes")), spec.get("persistentVolumeReclaimPolicy", ""),
        state, f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "", spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>", status.get("reason") or "", since(body, now),
        spec.get("volumeMode") or "Filesystem",
    ]  # fmt: skip


def _storage_class(body: Json, now: float) -> list[str]:
    growth = "true" if body.get("allowVolumeExpansion") else "false"
    found = [body.get("provisioner", ""), body.get("reclaimPolicy") or "Delete", body.get("volumeBindingMode") or "Immediate"]
    return [*found, growth, since(body, now)]


def is_default_class(body: Json) -> bool:
    """PV2; kubectl writes `(default)` after its name."""
    marks = body["metadata"].get("annotations") or {}
    return marks.get("storageclass.kubernetes.io/is-default-class") == "true"


def name(body: Json) -> str:
    """The NAME cell."""
    own = str(body["metadata"]["name"])
    return f"{own} (default)" if body.get("kind") == "StorageClass" and is_default_class(body) else own


def _event(body: Json, now: float) -> list[str]:
    about = body.get("involvedObject", {})
    return [
        ago(body.get("lastTimestamp"), now), body.get("type", ""), body.get("reason", ""),
        f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}", body.get("source", {}).get("component", ""),
        str(body.get("message", "")).strip(), ago(body.get("firstTimestamp"), now), str(body.get("count", 1)), body["metadata"]["name"],
    ]  # fmt: skip


_EVENT = (
    *columns_of("LAST SEEN,TYPE,REASON,OBJECT|SOURCE"), Column("MESSAGE"), Column("FIRST SEEN", True), Column("COUNT", True),
    Column("NAME", True),
)  # fmt: skip
_WORKLOAD = "CONTAINERS,IMAGES,SELECTOR"
_PLAIN = Printer(columns_of("AGE"), _plain)
_PRINTERS = {
    "Pod": Printer(columns_of("READY,STATUS,RESTARTS,AGE|IP,NODE,NOMINATED NODE,READINESS GATES"), _pod),
    "Deployment": Printer(columns_of(f"READY,UP-TO-DATE,AVAILABLE,AGE|{_WORKLOAD}"), _deployment),
    "ReplicaSet": Printer(columns_of(f"DESIRED,CURRENT,READY,AGE|{_WORKLOAD}"), _replica_set),
    "StatefulSet": Printer(columns_of("READY,AGE|CONTAINERS,IMAGES"), _stateful_set),
    "DaemonSet": Printer(columns_of(f"DESIRED,CURRENT,READY,UP-TO-DATE,AVAILABLE,NODE SELECTOR,AGE|{_WORKLOAD}"), _daemon_set),
    "Job": Printer(columns_of(f"STATUS,COMPLETIONS,DURATION,AGE|{_WORKLOAD}"), _job),
    "CronJob": Printer(columns_of(f"SCHEDULE,TIMEZONE,SUSPEND,ACTIVE,LAST SCHEDULE,AGE|{_WORKLOAD}"), _cron_job),
    "Service": Printer(columns_of("TYPE,CLUSTER-IP,EXTERNAL-IP,PORT(S),AGE|SELECTOR"), _service),
    "ConfigMap": Printer(columns_of("DATA,AGE"), _config_map),
    "Secret": Printer(columns_of("TYPE,DATA,AGE"), _secret),
    "Namespace": Printer(columns_of("STATUS,AGE"), _namespace),
    "PersistentVolumeClaim": Printer(
        columns_of("STATUS,VOLUME,CAPACITY,ACCESS MODES,STORAGECLASS,VOLUMEATTRIBUTESCLASS,AGE|VOLUMEMODE"), _claim
    ),
    "PersistentVolume": Printer(
        columns_of("CAPACITY,ACCESS MODES,RECLAIM POLICY,STATUS,CLAIM,STORAGECLASS,VOLUMEATTRIBUTESCLASS,REASON,AGE|VOLUMEMODE"), _volume
    ),
    "Event": Printer(_EVENT, _event, named=False),
    "StorageClass": Printer(columns_of("PROVISIONER,RECLAIMPOLICY,VOLUMEBINDINGMODE,ALLOWVOLUMEEXPANSION,AGE"), _storage_class),
}
# Kinds whose columns are in printers_NAME.py, read when the first of them is listed.
_ELSEWHERE = {
    **dict.fromkeys(("Ingress", "IngressClass", "NetworkPolicy", "Endpoints", "EndpointSlice"), "network"),
    **dict.fromkeys(("HorizontalPodAutoscaler", "PodDisruptionBudget", "ResourceQuota", "LimitRange"), "policy"),
    **dict.fromkeys(("Node", "PriorityClass", "ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding",
                     "ControllerRevision"), "cluster"),
}  # fmt: skip
