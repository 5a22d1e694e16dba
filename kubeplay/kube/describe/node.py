"""`describe node`: the machine, what it has and who takes of it (kubectl/pkg/describe/describe.go of 1.36)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeplay.kube import printers, printers_cluster
from kubeplay.kube.describe import text
from kubeplay.kube.describe.text import Page
from kubeplay.kube.quantity import BINARY, DECIMAL, Quantity, parse

Json = dict[str, Any]
_INFO = (
    ("Machine ID", "machineID"), ("System UUID", "systemUUID"), ("Boot ID", "bootID"), ("Kernel Version", "kernelVersion"),
    ("OS Image", "osImage"), ("Operating System", "operatingSystem"), ("Architecture", "architecture"),
    ("Container Runtime Version", "containerRuntimeVersion"), ("Kubelet Version", "kubeletVersion"),
)  # fmt: skip


def node(body: Json, pods: Sequence[Json], events: Sequence[Json], now: float) -> str:
    page, spec, status = Page(), body.get("spec") or {}, body.get("status") or {}
    meta = body["metadata"]
    page.pair(0, "Name", meta["name"])
    page.pair(0, "Roles", printers_cluster.roles(body))
    text.marks(page, meta)
    page.pair(0, "CreationTimestamp", text.moment(meta.get("creationTimestamp")))
    page.several("Taints", [f"{one['key']}:{one['effect']}" for one in spec.get("taints") or []])
    page.pair(0, "Unschedulable", "true" if spec.get("unschedulable") else "false")
    text.conditions(page, status.get("conditions") or [], "reason", "message")
    page.line(0, "Addresses:")
    for one in status.get("addresses") or []:
        page.pair(1, one["type"], one["address"])
    for label in ("capacity", "allocatable"):
        page.line(0, f"{label.capitalize()}:")
        for name, amount in sorted((status.get(label) or {}).items()):
            page.pair(1, name, amount)
    page.line(0, "System Info:")
    for label, field in _INFO:
        page.pair(1, label, (status.get("nodeInfo") or {}).get(field, ""))
    _pods(page, [one for one in pods if (one.get("status") or {}).get("phase") not in ("Succeeded", "Failed")], status, now)
    text.events(page, events, now)
    return page.text()


_AMOUNTS = (("cpu", "requests"), ("cpu", "limits"), ("memory", "requests"), ("memory", "limits"))


def _pods(page: Page, pods: Sequence[Json], status: Json, now: float) -> None:
    there = status.get("allocatable") or {}
    page.line(0, f"Non-terminated Pods:\t({len(pods)} in total)")
    page.line(1, "Namespace\tName\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge")
    page.line(1, "---------\t----\t------------\t----------\t---------------\t-------------\t---")
    totals = [0] * len(_AMOUNTS)
    for pod in pods:
        found = [_asked(pod, name, field) for name, field in _AMOUNTS]
        totals = [a + b for a, b in zip(totals, found)]
        cells = [_share(amount, name, there) for amount, (name, _) in zip(found, _AMOUNTS)]
        meta = pod["metadata"]
        page.line(1, "\t".join([meta.get("namespace") or "default", meta["name"], *cells, printers.since(pod, now)]))
    page.line(0, "Allocated resources:")
    page.line(1, "(Total limits may be over 100 percent, i.e., overcommitted.)")
    page.line(1, "Resource\tRequests\tLimits")
    page.line(1, "--------\t--------\t------")
    for at, name in enumerate(("cpu", "memory")):
        page.line(1, f"{name}\t{_share(totals[2 * at], name, there)}\t{_share(totals[2 * at + 1], name, there)}")


def _asked(pod: Json, name: str, field: str) -> int:
    """What a pod's containers ask of a resource, in nanos: all of them, or its largest init container."""
    spec = pod.get("spec") or {}
    init = spec.get("initContainers") or []
    lasting = [*(spec.get("containers") or []), *[one for one in init if one.get("restartPolicy") == "Always"]]
    passing = [_nanos(one, name, field) for one in init if one.get("restartPolicy") != "Always"]
    return max(sum(_nanos(one, name, field) for one in lasting), *passing, 0)


def _nanos(container: Json, name: str, field: str) -> int:
    amount = ((container.get("resources") or {}).get(field) or {}).get(name)
    return parse(amount).nanos if amount is not None else 0


def _share(nanos: int, name: str, there: Json) -> str:
    """`250m (12%)`, `64Mi (3%)`."""
    whole = parse(there[name]).nanos if there.get(name) else 0
    shown = Quantity(nanos, BINARY if name == "memory" else DECIMAL).canonical()
    return f"{shown} ({100 * nanos // whole if whole else 0}%)"
