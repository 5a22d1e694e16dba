"""LimitRanges: what a namespace gives to containers that name no requests or limits, and its bounds (plugin LimitRanger). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kubeplay.kube import quantity
from kubeplay.kube.quantity import NANO, Quantity

Object = dict[str, Any]
CONTAINER, POD, CLAIM = "Container", "Pod", "PersistentVolumeClaim"
ANNOTATION = "kubernetes.io/limit-ranger"
_FIELDS = (("containers", "container"), ("initContainers", "init container"))


def given(pod: Object, ranges: Iterable[Object]) -> Object:
    """The pod with the namespace's defaults; the annotation says which, as a cluster writes it. `ranges` are LimitRanges."""
    items = [item for one in ranges for item in (one.get("spec") or {}).get("limits") or [] if item.get("type") == CONTAINER]
    spec, notes = dict(pod["spec"]), []
    for field, word in _FIELDS:
        made = []
        for container in spec.get(field) or []:
            container, said = _with_defaults(container, items)
            notes += [f"{'; '.join(said)} for {word} {container['name']}".replace("; ", " ")] if said else []
            made.append(container)
        if made:
            spec[field] = made
    if not notes:
        return pod
    meta = dict(pod["metadata"])
    meta["annotations"] = {**(meta.get("annotations") or {}), ANNOTATION: "LimitRanger plugin set: " + "; ".join(notes)}
    return {**pod, "metadata": meta, "spec": spec}


def _with_defaults(container: Object, items: Iterable[Object]) -> tuple[Object, list[str]]:
    resources = dict(container.get("resources") or {})
    said = []
    for field, source, word in (("requests", "defaultRequest", "request"), ("limits", "default", "limit")):
        amounts = dict(resources.get(field) or {})
        fresh = {name: amount for item in items for name, amount in (item.get(source) or {}).items() if name not in amounts}
        if fresh:
            resources[field] = {**amounts, **fresh}
            said.append(f"{', '.join(sorted(fresh))} {word}")
    return ({**container, "resources": resources}, said) if said else (container, [])


def broken(pod: Object, ranges: Iterable[Object]) -> list[str]:
    """Which bounds a pod does not keep, in the server's words."""
    spec = pod["spec"]
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    found: list[str] = []
    for one in ranges:
        for item in (one.get("spec") or {}).get("limits") or []:
            if item.get("type") == CONTAINER:
                for container in containers:
                    wanted = container.get("resources") or {}
                    found += _bounds(item, _amounts(wanted.get("requests")), _amounts(wanted.get("limits")))
            elif item.get("type") == POD:
                found += _bounds(item, total(spec, "requests"), total(spec, "limits"))
    return found


def broken_claim(claim: Object, ranges: Iterable[Object]) -> list[str]:
    """The same of a PersistentVolumeClaim, whose size alone counts."""
    wanted = _amounts(((claim.get("spec") or {}).get("resources") or {}).get("requests"))
    found: list[str] = []
    for one in ranges:
        for item in (one.get("spec") or {}).get("limits") or []:
            if item.get("type") == CLAIM:
                low, high, size = _amounts(item.get("min")), _amounts(item.get("max")), wanted.get("storage", Quantity(0))
                if "storage" in low and size.nanos < low["storage"].nanos:
                    found.append(f"minimum storage usage per {CLAIM} is {low['storage'].canonical()}, but request is {size.canonical()}")
                if "storage" in high and size.nanos > high["storage"].nanos:
                    found.append(f"maximum storage usage per {CLAIM} is {high['storage'].canonical()}, but request is {size.canonical()}")
    return found


def total(spec: Object, field: str) -> dict[str, Quantity]:
    """IN6: what a pod asks for, sidecars and init containers as they run."""
    apps = [_amounts((c.get("resources") or {}).get(field)) for c in spec.get("containers") or []]
    beside: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or []:
        amounts = _amounts((container.get("resources") or {}).get(field))
        if container.get("restartPolicy") == "Always":
            for name, amount in amounts.items():
                beside[name] = beside.get(name, 0) + amount.nanos
            amounts = {}
        for name in {*amounts, *beside}:
            own = amounts[name].nanos if name in amounts else 0
            peak[name] = max(peak.get(name, 0), beside.get(name, 0) + own)
    sums = dict(beside)
    for found in apps:
        for name, amount in found.items():
            sums[name] = sums.get(name, 0) + amount.nanos
    formats = {name: amount.format for found in apps for name, amount in found.items()}
    return {name: Quantity(max(sums.get(name, 0), peak.get(name, 0)), formats.get(name, quantity.DECIMAL)) for name in {*sums, *peak}}


def _amounts(found: Mapping[str, Any] | None) -> dict[str, Quantity]:
    return {name: quantity.parse(text) for name, text in (found or {}).items()}


def _bounds(item: Object, requests: dict[str, Quantity], limits: dict[str, Quantity]) -> Iterator[str]:
    kind = item["type"]
    for name, low in sorted(_amounts(item.get("min")).items()):
        head = f"minimum {name} usage per {kind} is {low.canonical()}"
        if name not in requests:
            yield f"{head}.  No request is specified"
        elif requests[name].nanos < low.nanos:
            yield f"{head}, but request is {requests[name].canonical()}"
        elif name in limits and limits[name].nanos < low.nanos:
            yield f"{head}, but limit is {limits[name].canonical()}"
    for name, high in sorted(_amounts(item.get("max")).items()):
        head = f"maximum {name} usage per {kind} is {high.canonical()}"
        if name not in limits:
            yield f"{head}.  No limit is specified"
        elif limits[name].nanos > high.nanos:
            yield f"{head}, but limit is {limits[name].canonical()}"
        elif name in requests and requests[name].nanos > high.nanos:
            yield f"{head}, but request is {requests[name].canonical()}"
    for name, ratio in sorted(_amounts(item.get("maxLimitRequestRatio")).items()):
        head = f"{name} max limit to request ratio per {kind} is {ratio.canonical()}"
        request, limit = requests.get(name), limits.get(name)
        if request is None or not request.nanos:
            yield f"{head}, but no request is specified or request is 0"
        elif limit is None or not limit.nanos:
            yield f"{head}, but no limit is specified or limit is 0"
        elif limit.nanos * NANO > ratio.nanos * request.nanos:
            yield f"{head}, but provided ratio is {limit.nanos / request.nanos:f}"
