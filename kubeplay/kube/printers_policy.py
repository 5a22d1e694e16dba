"""`kubectl get` columns of what bounds and scales workloads: HorizontalPodAutoscaler, PodDisruptionBudget, quota and limits (KC3)."""

from __future__ import annotations

from typing import Any

from kubeplay.kube.printers import NONE, UNKNOWN, Printer, columns_of, created, since

Json = dict[str, Any]
_METRICS = 2  # that kubectl shows before `+ N more...`
_KEYS = {"Resource": "resource", "ContainerResource": "containerResource", "Pods": "pods", "Object": "object", "External": "external"}


def metrics(body: Json) -> list[tuple[str, str, str]]:
    """(name, current, target) of each metric, of autoscaling/v1 too."""
    spec, status = body.get("spec") or {}, body.get("status") or {}
    if "metrics" not in spec:  # v1 has the cpu alone
        wanted, found = spec.get("targetCPUUtilizationPercentage"), status.get("currentCPUUtilizationPercentage")
        return [("cpu", UNKNOWN if found is None else f"{found}%", f"{wanted}%")] if wanted is not None else []
    now = status.get("currentMetrics") or []
    return [_metric(one, now[at] if at < len(now) else {}) for at, one in enumerate(spec.get("metrics") or [])]


def _metric(spec: Json, status: Json) -> tuple[str, str, str]:
    key = _KEYS.get(spec.get("type", ""), "")
    wanted, found = spec.get(key) or {}, (status.get(key) or {}).get("current") or {}
    target = wanted.get("target") or {}
    name = wanted.get("name") or (wanted.get("metric") or {}).get("name") or ""
    for field in ("averageValue", "value"):
        if target.get(field) is not None:
            return name, str(found.get(field, UNKNOWN)), str(target[field]) + (" (avg)" if key == "external" and field[0] == "a" else "")
    share, aim = found.get("averageUtilization"), target.get("averageUtilization")
    return name, UNKNOWN if share is None else f"{share}%", "<auto>" if aim is None else f"{aim}%"


def _targets(body: Json) -> str:
    """`cpu: 3%/50%, memory: 10Mi/50Mi + 1 more...`."""
    specs = (body.get("spec") or {}).get("metrics") or [{"type": "Resource"}]
    resources = [one.get("type") in ("Resource", "ContainerResource") for one in specs]
    found = [f"{name}: {now}/{aim}" if own else f"{now}/{aim}" for (name, now, aim), own in zip(metrics(body), resources)]
    if not found:
        return NONE
    return ", ".join(found[:_METRICS]) + (f" + {len(found) - _METRICS} more..." if len(found) > _METRICS else "")


def _autoscaler(body: Json, now: float) -> list[str]:
    spec, status = body.get("spec") or {}, body.get("status") or {}
    about = spec.get("scaleTargetRef") or {}
    least = "<unset>" if spec.get("minReplicas") is None else str(spec["minReplicas"])
    return [
        f"{about.get('kind', '')}/{about.get('name', '')}", _targets(body), least, str(spec.get("maxReplicas", 0)),
        str(status.get("currentReplicas") or 0), since(body, now),
    ]  # fmt: skip


def _budget(body: Json, now: float) -> list[str]:
    spec = body.get("spec") or {}
    bounds = ["N/A" if spec.get(name) is None else str(spec[name]) for name in ("minAvailable", "maxUnavailable")]
    return [*bounds, str((body.get("status") or {}).get("disruptionsAllowed", 0)), since(body, now)]


def quota_rows(body: Json) -> list[tuple[str, str, str]]:
    """(resource, used, hard), by name."""
    status = body.get("status") or {}
    hard, used = status.get("hard") or (body.get("spec") or {}).get("hard") or {}, status.get("used") or {}
    return [(name, str(used.get(name, "0")), str(hard[name])) for name in sorted(hard)]


def _quota(body: Json, now: float) -> list[str]:
    texts: dict[bool, list[str]] = {False: [], True: []}
    for name, used, hard in quota_rows(body):
        texts[name.startswith("limits.")].append(f"{name}: {used}/{hard}")
    return [", ".join(texts[False]), ", ".join(texts[True]), since(body, now)]


def _limits(body: Json, now: float) -> list[str]:
    return [created(body)]


PRINTERS = {
    "HorizontalPodAutoscaler": Printer(columns_of("REFERENCE,TARGETS,MINPODS,MAXPODS,REPLICAS,AGE"), _autoscaler),
    "PodDisruptionBudget": Printer(columns_of("MIN AVAILABLE,MAX UNAVAILABLE,ALLOWED DISRUPTIONS,AGE"), _budget),
    "ResourceQuota": Printer(columns_of("REQUEST,LIMIT,AGE"), _quota),
    "LimitRange": Printer(columns_of("CREATED AT"), _limits),
}
