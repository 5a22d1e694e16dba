"""`describe` of what bounds, scales and permits: autoscalers, budgets, quota, limits, namespaces, priorities, roles, Endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeplay.kube import printers, printers_policy
from kubeplay.kube.describe import text
from kubeplay.kube.describe.text import NONE, Page

Json = dict[str, Any]


def autoscaler(body: Json, events: Sequence[Json], now: float) -> str:
    page, spec, status = Page(), body.get("spec") or {}, body.get("status") or {}
    about = spec.get("scaleTargetRef") or {}
    text.head(page, body)
    page.pair(0, "CreationTimestamp", text.moment(body["metadata"].get("creationTimestamp")))
    page.pair(0, "Reference", f"{about.get('kind', '')}/{about.get('name', '')}")
    page.pair(0, "Metrics", "( current / target )")
    for (name, found, aim), kind in zip(printers_policy.metrics(body), spec.get("metrics") or [{"type": "Resource"}]):
        share = "  (as a percentage of request)" if aim.endswith("%") or aim == "<auto>" else ""
        own = f"{_where(kind)} {name} on pods{share}" if "ource" in kind.get("type", "") else f'"{name}"'
        page.pair(1, own, f"{found} / {aim}")
    page.pair(0, "Min replicas", "<unset>" if spec.get("minReplicas") is None else spec["minReplicas"])
    page.pair(0, "Max replicas", spec.get("maxReplicas", 0))
    _behavior(page, spec.get("behavior"))
    counts = f"{status.get('currentReplicas') or 0} current / {status.get('desiredReplicas') or 0} desired"
    page.pair(0, f"{about.get('kind', '')} pods", counts)
    text.conditions(page, status.get("conditions") or [], "reason", "message")
    text.events(page, events, now)
    return page.text()


def _where(kind: Json) -> str:
    container = (kind.get("containerResource") or {}).get("container")
    return f'resource of container "{container}"' if container else "resource"


def _behavior(page: Page, found: Json | None) -> None:
    if not found:
        return
    page.line(0, "Behavior:")
    for word, field in (("Scale Up", "scaleUp"), ("Scale Down", "scaleDown")):
        rules = found.get(field)
        if not rules:
            continue
        page.line(1, f"{word}:")
        if rules.get("stabilizationWindowSeconds") is not None:
            page.line(2, f"Stabilization Window: {rules['stabilizationWindowSeconds']} seconds")
        page.line(2, f"Select Policy: {rules.get('selectPolicy') or 'Max'}")
        page.line(2, "Policies:")
        for one in rules.get("policies") or []:
            page.line(3, f"- Type: {one.get('type')}  Value: {one.get('value')}  Period: {one.get('periodSeconds')} seconds")


def budget(body: Json, events: Sequence[Json], now: float) -> str:
    page, spec, status = Page(), body.get("spec") or {}, body.get("status") or {}
    page.pair(0, "Name", body["metadata"]["name"])
    page.pair(0, "Namespace", body["metadata"].get("namespace") or "default")
    for label, field in (("Min available", "minAvailable"), ("Max unavailable", "maxUnavailable")):
        if spec.get(field) is not None:
            page.pair(0, label, spec[field])
    page.pair(0, "Selector", printers.selector(spec["selector"]) if spec.get("selector") else "<unset>")
    page.line(0, "Status:")
    for label, field in (("Allowed disruptions", "disruptionsAllowed"), ("Current", "currentHealthy"), ("Desired", "desiredHealthy"),
                         ("Total", "expectedPods")):  # fmt: skip
        page.pair(2, label, status.get(field) or 0)
    text.events(page, events, now)
    return page.text()


def quota(body: Json, events: Sequence[Json], now: float) -> str:
    page = Page()
    page.pair(0, "Name", body["metadata"]["name"])
    page.pair(0, "Namespace", body["metadata"].get("namespace") or "default")
    scopes = (body.get("spec") or {}).get("scopes") or []
    if scopes:
        page.pair(0, "Scopes", ", ".join(scopes))
    _table(page, printers_policy.quota_rows(body))
    return page.text()


def _table(page: Page, rows: Sequence[tuple[str, str, str]]) -> None:
    page.line(0, "Resource\tUsed\tHard")
    page.line(0, "--------\t----\t----")
    for name, used, hard in rows:
        page.line(0, f"{name}\t{used}\t{hard}")


def limits(body: Json, events: Sequence[Json], now: float) -> str:
    page = Page()
    page.pair(0, "Name", body["metadata"]["name"])
    page.pair(0, "Namespace", body["metadata"].get("namespace") or "default")
    _limits(page, body)
    return page.text()


_BOUNDS = (("Min", "min"), ("Max", "max"), ("Default Request", "defaultRequest"), ("Default Limit", "default"),
           ("Max Limit/Request Ratio", "maxLimitRequestRatio"))  # fmt: skip


def _limits(page: Page, body: Json) -> None:
    words = ("Type", "Resource", *[label for label, _ in _BOUNDS])
    page.line(0, "\t".join(words))
    page.line(0, "\t".join("-" * len(word) for word in words))
    for one in (body.get("spec") or {}).get("limits") or []:
        names = sorted({name for _, field in _BOUNDS for name in one.get(field) or {}})
        for name in names:
            cells = [str((one.get(field) or {}).get(name, "-")) for _, field in _BOUNDS]
            page.line(0, "\t".join([one.get("type", ""), name, *cells]))


def namespace(body: Json, quotas: Sequence[Json], ranges: Sequence[Json]) -> str:
    page = Page()
    text.head(page, body, namespaced=False)
    page.pair(0, "Status", (body.get("status") or {}).get("phase") or "Active")
    page.block("\nResource Quotas" if quotas else "\nNo resource quota.")
    page.base = 1
    for one in quotas:
        page.pair(0, "Name", one["metadata"]["name"])
        _table(page, printers_policy.quota_rows(one))
    page.base = 0
    page.block("\nResource Limits" if ranges else "\nNo LimitRange resource.")
    page.base = 1
    for one in ranges:
        _limits(page, one)
    return page.text()


def priority_class(body: Json, events: Sequence[Json], now: float) -> str:
    page = Page()
    page.pair(0, "Name", body["metadata"]["name"])
    page.pair(0, "Value", body.get("value", 0))
    page.pair(0, "GlobalDefault", "true" if body.get("globalDefault") else "false")
    page.pair(0, "PreemptionPolicy", body.get("preemptionPolicy") or "PreemptLowerPriority")
    page.pair(0, "Description", body.get("description") or "")
    page.mapping("Annotations", body["metadata"].get("annotations"), ": ")
    text.events(page, events, now)
    return page.text()


def role(body: Json, events: Sequence[Json], now: float) -> str:
    """Role and ClusterRole: what may be done with what."""
    page = Page()
    page.pair(0, "Name", body["metadata"]["name"])
    text.marks(page, body["metadata"])
    page.line(0, "PolicyRule:")
    page.line(1, "Resources\tNon-Resource URLs\tResource Names\tVerbs")
    page.line(1, "---------\t-----------------\t--------------\t-----")
    for rule in body.get("rules") or []:
        groups = rule.get("apiGroups") or [""]
        names = [f"{one}.{group}" if group else one for one in rule.get("resources") or [] for group in groups] or [""]
        lists = [rule.get(field) or [] for field in ("nonResourceURLs", "resourceNames", "verbs")]
        page_rows = ["\t".join([name, *[f"[{' '.join(one)}]" for one in lists]]) for name in names]
        for row in page_rows:
            page.line(1, row)
    return page.text()


def binding(body: Json, events: Sequence[Json], now: float) -> str:
    """RoleBinding and ClusterRoleBinding: who has which role."""
    page, about = Page(), body.get("roleRef") or {}
    page.pair(0, "Name", body["metadata"]["name"])
    text.marks(page, body["metadata"])
    page.line(0, "Role:")
    page.pair(1, "Kind", about.get("kind", ""))
    page.pair(1, "Name", about.get("name", ""))
    page.line(0, "Subjects:")
    page.line(1, "Kind\tName\tNamespace")
    page.line(1, "----\t----\t---------")
    for one in body.get("subjects") or []:
        page.line(1, f"{one.get('kind', '')}\t{one.get('name', '')}\t{one.get('namespace') or ''}")
    return page.text()


def service_account(body: Json, events: Sequence[Json], now: float) -> str:
    page = Page()
    text.head(page, body)
    for label, field in (("Image pull secrets", "imagePullSecrets"), ("Mountable secrets", "secrets")):
        page.several(label, [one.get("name", "") for one in body.get(field) or []])
    page.pair(0, "Tokens", NONE)
    text.events(page, events, now)
    return page.text()


def endpoints(body: Json, events: Sequence[Json], now: float) -> str:
    """Endpoints by subset."""
    page = Page()
    text.head(page, body)
    page.line(0, "Subsets:")
    for subset in body.get("subsets") or []:
        for label, field in (("Addresses", "addresses"), ("NotReadyAddresses", "notReadyAddresses")):
            page.pair(1, label, ",".join(one.get("ip", "") for one in subset.get(field) or []) or NONE)
        page.line(1, "Ports:")
        page.line(2, "Name\tPort\tProtocol")
        page.line(2, "----\t----\t--------")
        for port in subset.get("ports") or []:
            page.line(2, f"{port.get('name') or '<unset>'}\t{port.get('port')}\t{port.get('protocol') or 'TCP'}")
    text.events(page, events, now)
    return page.text()
