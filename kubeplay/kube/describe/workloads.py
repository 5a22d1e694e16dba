"""`describe` of what keeps pods running: Deployment, ReplicaSet, StatefulSet, DaemonSet (kubectl/pkg/describe/describe.go of 1.36)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeplay.kube import printers
from kubeplay.kube.describe import text
from kubeplay.kube.describe.containers import containers
from kubeplay.kube.describe.pod import toleration
from kubeplay.kube.describe.text import NONE, Page
from kubeplay.kube.describe.volumes import volumes

Json = dict[str, Any]
REVISION = "deployment.kubernetes.io/revision"


def template(page: Page, found: Json | None) -> None:
    """The Pod Template section."""
    page.line(0, "Pod Template:")
    if not found:
        page.line(1, "<unset>")
        return
    meta, spec = found.get("metadata") or {}, found.get("spec") or {}
    page.base += 1
    page.mapping("Labels", meta.get("labels"))
    if meta.get("annotations"):
        page.mapping("Annotations", meta["annotations"], ": ")
    if spec.get("serviceAccountName"):
        page.pair(0, "Service Account", spec["serviceAccountName"])
    for label, field in (("Init Containers", "initContainers"), ("Containers", "containers")):
        if spec.get(field):
            containers(page, label, spec[field], None)
    volumes(page, spec.get("volumes") or [])
    if spec.get("priorityClassName"):
        page.pair(0, "Priority Class Name", spec["priorityClassName"])
    page.mapping("Node-Selectors", spec.get("nodeSelector"))
    page.several("Tolerations", [toleration(one) for one in spec.get("tolerations") or []])
    page.base -= 1


def pods_status(pods: Sequence[Json]) -> str:
    """`3 Running / 0 Waiting / 0 Succeeded / 0 Failed`."""
    phases = [(one.get("status") or {}).get("phase", "Pending") for one in pods]
    named = (("Running", "Running"), ("Pending", "Waiting"), ("Succeeded", "Succeeded"), ("Failed", "Failed"))
    return " / ".join(f"{phases.count(phase)} {word}" for phase, word in named)


def _replicas(spec: Json) -> int:
    return 1 if spec.get("replicas") is None else int(spec["replicas"])


def deployment(body: Json, pods: Sequence[Json], sets: Sequence[Json], events: Sequence[Json], now: float) -> str:
    """A Deployment and its ReplicaSets `sets`."""
    page, spec, status = Page(), body.get("spec") or {}, body.get("status") or {}
    meta = body["metadata"]
    page.pair(0, "Name", meta["name"])
    page.pair(0, "Namespace", meta.get("namespace") or "default")
    page.pair(0, "CreationTimestamp", text.moment(meta.get("creationTimestamp")))
    text.marks(page, meta)
    page.pair(0, "Selector", printers.selector(spec.get("selector")))
    names = {"updated": "updatedReplicas", "total": "replicas", "available": "availableReplicas", "unavailable": "unavailableReplicas"}
    counts = [f"{status.get(field) or 0} {word}" for word, field in names.items()]
    page.pair(0, "Replicas", " | ".join([f"{_replicas(spec)} desired", *counts]))
    strategy = spec.get("strategy") or {}
    page.pair(0, "StrategyType", strategy.get("type") or "RollingUpdate")
    page.pair(0, "MinReadySeconds", spec.get("minReadySeconds") or 0)
    rolling = strategy.get("rollingUpdate")
    if rolling:
        bounds = f"{rolling.get('maxUnavailable', '25%')} max unavailable, {rolling.get('maxSurge', '25%')} max surge"
        page.pair(0, "RollingUpdateStrategy", bounds)
    template(page, spec.get("template"))
    text.conditions(page, status.get("conditions") or [], "reason")
    newest, old = _rollout(body, sets)
    page.pair(0, "OldReplicaSets", _sets(old))
    page.pair(0, "NewReplicaSet", _sets(newest))
    text.events(page, events, now)
    return page.text()


def _rollout(body: Json, sets: Sequence[Json]) -> tuple[list[Json], list[Json]]:
    """The ReplicaSet of the present template, which has the Deployment's revision, and the others that have pods or had them."""
    revision = (body["metadata"].get("annotations") or {}).get(REVISION)
    marks = [(one["metadata"].get("annotations") or {}).get(REVISION) for one in sets]
    current = revision or max((m for m in marks if m and m.isdigit()), key=int, default=None)
    newest = [one for one, mark in zip(sets, marks) if mark == current]
    return newest[:1], [one for one in sets if one not in newest[:1]]


def _sets(found: Sequence[Json]) -> str:
    made = []
    for one in found:
        status = one.get("status") or {}
        made.append(f"{one['metadata']['name']} ({status.get('replicas') or 0}/{_replicas(one.get('spec') or {})} replicas created)")
    return ", ".join(made) or NONE


def replica_set(body: Json, pods: Sequence[Json], _: Sequence[Json], events: Sequence[Json], now: float) -> str:
    page, spec, status = Page(), body.get("spec") or {}, body.get("status") or {}
    _selected(page, body)
    text.controlled(page, body)
    page.pair(0, "Replicas", f"{status.get('replicas') or 0} current / {_replicas(spec)} desired")
    page.pair(0, "Pods Status", pods_status(pods))
    template(page, spec.get("template"))
    text.conditions(page, status.get("conditions") or [], "reason")
    text.events(page, events, now)
    return page.text()


def _selected(page: Page, body: Json, created: bool = False) -> None:
    meta = body["metadata"]
    page.pair(0, "Name", meta["name"])
    page.pair(0, "Namespace", meta.get("namespace") or "default")
    if created:
        page.pair(0, "CreationTimestamp", text.moment(meta.get("creationTimestamp")))
    page.pair(0, "Selector", printers.selector((body.get("spec") or {}).get("selector")))
    text.marks(page, meta)


def stateful_set(body: Json, pods: Sequence[Json], _: Sequence[Json], events: Sequence[Json], now: float) -> str:
    page, spec = Page(), body.get("spec") or {}
    _selected(page, body, created=True)
    text.controlled(page, body)
    page.pair(0, "Replicas", f"{_replicas(spec)} desired | {(body.get('status') or {}).get('replicas') or 0} total")
    strategy = spec.get("updateStrategy") or {}
    page.pair(0, "Update Strategy", strategy.get("type") or "RollingUpdate")
    rolling = strategy.get("rollingUpdate") or {}
    if rolling.get("partition") is not None:
        page.pair(1, "Partition", rolling["partition"])
    if rolling.get("maxUnavailable") is not None:
        page.pair(1, "MaxUnavailable", rolling["maxUnavailable"])
    page.pair(0, "Pods Status", pods_status(pods))
    template(page, spec.get("template"))
    _claims(page, spec.get("volumeClaimTemplates") or [])
    text.events(page, events, now)
    return page.text()


def _claims(page: Page, found: Sequence[Json]) -> None:
    page.line(0, "Volume Claims:" + ("" if found else f"\t{NONE}"))
    page.base += 1
    for one in found:
        meta, spec = one.get("metadata") or {}, one.get("spec") or {}
        page.pair(0, "Name", meta.get("name", ""))
        page.pair(0, "StorageClass", spec.get("storageClassName") or "")
        text.marks(page, meta)
        page.pair(0, "Capacity", ((spec.get("resources") or {}).get("requests") or {}).get("storage", "<default>"))
        page.pair(0, "Access Modes", f"[{' '.join(spec.get('accessModes') or [])}]")
    page.base -= 1


def daemon_set(body: Json, pods: Sequence[Json], _: Sequence[Json], events: Sequence[Json], now: float) -> str:
    page, spec, status = Page(), body.get("spec") or {}, body.get("status") or {}
    _selected(page, body)
    page.mapping("Node-Selector", ((spec.get("template") or {}).get("spec") or {}).get("nodeSelector"))
    numbers = (
        ("Desired Number of Nodes Scheduled", "desiredNumberScheduled"), ("Current Number of Nodes Scheduled", "currentNumberScheduled"),
        ("Number of Nodes Scheduled with Up-to-date Pods", "updatedNumberScheduled"),
        ("Number of Nodes Scheduled with Available Pods", "numberAvailable"), ("Number of Nodes Misscheduled", "numberMisscheduled"),
    )  # fmt: skip
    for label, field in numbers:
        page.line(0, f"{label}: {status.get(field) or 0}")
    page.pair(0, "Pods Status", pods_status(pods))
    template(page, spec.get("template"))
    text.events(page, events, now)
    return page.text()
