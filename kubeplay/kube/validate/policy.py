"""PriorityClass, ServiceAccount, LimitRange and ResourceQuota."""

from __future__ import annotations

from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.kube import names, quantity
from kubeplay.kube.validate import metadata
from kubeplay.kube.validate.report import NEGATIVE, Faults, Object, record, records

HIGHEST = 1_000_000_000  # scheduling/v1: HighestUserDefinablePriority
BUILT_IN = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}  # scheduling/v1
POLICIES = ("Never", "PreemptLowerPriority")
CONTAINER, POD, CLAIM = "Container", "Pod", "PersistentVolumeClaim"
_OF_CONTAINERS = ("cpu", "memory", "ephemeral-storage")
_HUGE = "hugepages-"
# core/v1: what a quota may count without a domain in its name
QUOTA = frozenset((
    "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage", "requests.ephemeral-storage",
    "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods", "resourcequotas", "services", "replicationcontrollers",
    "secrets", "persistentvolumeclaims", "configmaps", "services.nodeports", "services.loadbalancers",
))  # fmt: skip
_STANDARD = QUOTA | {"storage"}
_COUNTS = frozenset(("pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps", "persistentvolumeclaims",
                     "services.nodeports", "services.loadbalancers"))  # fmt: skip
_BOUNDS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
SCOPES = ("BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating")
_OF_PODS = frozenset(("pods", "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"))
_OPPOSED = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))


def priority_class(faults: Faults, obj: Object) -> None:
    metadata.check(faults, obj["metadata"], names.dns_subdomain, namespaced=False)
    name, value = obj["metadata"].get("name") or "", obj.get("value") or 0
    if name.startswith("system-"):
        if BUILT_IN.get(name) != value:
            faults.forbidden("metadata.name", "priority class names with 'system-' prefix are reserved for system use only")
    elif value > HIGHEST:
        faults.forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST}")
    policy = obj.get("preemptionPolicy")
    if policy is not None and policy not in POLICIES:
        faults.unsupported("preemptionPolicy", policy, POLICIES[::-1])


def service_account(faults: Faults, obj: Object) -> None:
    metadata.check(faults, obj["metadata"], names.dns_subdomain)


# LimitRange
def limit_range(faults: Faults, obj: Object) -> None:
    metadata.check(faults, obj["metadata"], names.dns_subdomain)
    known: set[str] = set()
    for index, item in enumerate(records(obj.get("spec"), "limits")):
        path, kind = f"spec.limits[{index}]", item.get("type") or ""
        wrong = names.qualified(kind)
        faults.each(f"{path}.type", kind, wrong)
        if not wrong and "/" not in kind and kind not in (CONTAINER, POD, CLAIM):
            faults.invalid(f"{path}.type", kind, "must be a standard limit type or fully qualified", f"one of {CONTAINER}, {POD}, {CLAIM}")
        if kind in known:
            faults.duplicate(f"{path}.type", kind)
        known.add(kind)
        _limits(faults, path, kind, item)


def _limits(faults: Faults, path: str, kind: str, item: Object) -> None:
    given: dict[str, dict[str, Any]] = {field: record(item, field) or {} for field in _BOUNDS}
    fields = ("max", "min") if kind == POD else ("max", "min", "default", "defaultRequest")
    for field in (*fields, "maxLimitRequestRatio"):
        for name in sorted(given[field]):
            _resource(faults, f"{path}.{field}[{name}]", name, kind)
    for field in ("default", "defaultRequest") if kind == POD else ():
        if given[field]:
            faults.forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'")
    if kind == CLAIM and "storage" not in given["min"] and "storage" not in given["max"]:
        faults.required(f"{path}.limits", "either minimum or maximum storage value is required, but neither was provided")
    for name in sorted({name for amounts in given.values() for name in amounts}):
        _order(faults, path, name, given)


def _order(faults: Faults, path: str, name: str, given: dict[str, dict[str, Any]]) -> None:
    """minimum <= default request <= default <= maximum, as far as they are given."""
    low, high, default, request, ratio = (
        _amount(given[field].get(name)) for field in ("min", "max", *_BOUNDS[2:])
    )

    def wrong(field: str, text: str) -> None:
        faults.invalid(f"{path}.{field}[{name}]", given[field].get(name), text)

    if _over(low, high):
        wrong("min", f"min value {_text(low)} is greater than max value {_text(high)}")
    if _over(low, request):
        wrong("defaultRequest", f"min value {_text(low)} is greater than default request value {_text(request)}")
    if _over(request, high):
        wrong("defaultRequest", f"default request value {_text(request)} is greater than max value {_text(high)}")
    if _over(request, default):
        wrong("defaultRequest", f"default request value {_text(request)} is greater than default limit value {_text(default)}")
    if _over(low, default):
        wrong("default", f"min value {_text(low)} is greater than default value {_text(default)}")
    if _over(default, high):
        wrong("default", f"default value {_text(default)} is greater than max value {_text(high)}")
    if ratio is not None and ratio.nanos < quantity.NANO:
        wrong("maxLimitRequestRatio", f"ratio {_text(ratio)} is less than 1")
    if ratio is not None and low is not None and high is not None and low.nanos and ratio.nanos * low.nanos > high.nanos * quantity.NANO:
        share = high.nanos / low.nanos
        wrong("maxLimitRequestRatio", f"ratio {_text(ratio)} is greater than max/min = {share:f}")


def _resource(faults: Faults, path: str, name: str, kind: str) -> None:
    wrong = names.qualified(name)
    faults.each(path, name, wrong)
    if wrong or "/" in name:
        return
    if name not in _STANDARD and not name.startswith(_HUGE):
        faults.invalid(path, name, "must be a standard resource type or fully qualified")
    elif kind in (CONTAINER, POD) and name not in _OF_CONTAINERS and not name.startswith(_HUGE):
        faults.invalid(path, name, "must be a standard resource for containers")


def _amount(text: Any) -> quantity.Quantity | None:
    try:
        return None if text is None else quantity.parse(text)
    except InvalidInput:
        return None


def _over(one: quantity.Quantity | None, other: quantity.Quantity | None) -> bool:
    return one is not None and other is not None and one.nanos > other.nanos


def _text(amount: quantity.Quantity | None) -> str:
    return amount.canonical() if amount is not None else ""


# ResourceQuota
def resource_quota(faults: Faults, obj: Object) -> None:
    metadata.check(faults, obj["metadata"], names.dns_subdomain)
    spec = obj.get("spec") or {}
    for name, text in sorted((record(spec, "hard") or {}).items()):
        _quota(faults, f"spec.hard[{name}]", name, text)
    _scopes(faults, "spec.scopes", spec, list(spec.get("scopes") or []))
    _selector(faults, spec)


def _quota(faults: Faults, path: str, name: str, text: Any) -> None:
    wrong = names.qualified(name)
    faults.each(path, name, wrong)
    if not wrong and "/" not in name and name not in QUOTA and not name.startswith((_HUGE, f"requests.{_HUGE}", "count/")):
        faults.invalid(path, name, "must be a standard resource for quota")
    amount = _amount(text)
    if amount is not None and amount.nanos < 0:
        faults.invalid(path, text, NEGATIVE)
    elif amount is not None and (name in _COUNTS or name.startswith("count/")) and not amount.whole():
        faults.invalid(path, text, "must be an integer")


def _scopes(faults: Faults, path: str, spec: Object, scopes: list[str]) -> None:
    hard = record(spec, "hard") or {}
    for scope in scopes:
        if scope not in SCOPES:
            faults.invalid(path, scopes, "unsupported scope", f"one of {', '.join(SCOPES)}")
            continue
        allowed = {"pods"} if scope == "BestEffort" else _OF_PODS
        if any("/" not in name and name not in allowed for name in hard):
            faults.invalid(path, scopes, "unsupported scope applied to resource")
    for pair in _OPPOSED:
        if set(pair) <= set(scopes):
            faults.invalid(path, scopes, "conflicting scopes")


def _selector(faults: Faults, spec: Object) -> None:
    selector = record(spec, "scopeSelector")
    if selector is None:
        return
    path = "spec.scopeSelector.matchExpressions"
    for term in records(selector, "matchExpressions"):
        scope, operator, values = term.get("scopeName") or "", term.get("operator") or "", term.get("values") or []
        if scope not in SCOPES:
            faults.invalid(f"{path}.scopeName", scope, "unsupported scope")
        if scope != "PriorityClass" and operator != "Exists":
            faults.invalid(f"{path}.operator", operator, "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating,"
                           " ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or"
                           " ResourceQuotaScopeCrossNamespacePodAffinity")  # fmt: skip
        if operator in ("In", "NotIn"):
            if not values:
                faults.required(f"{path}.values", "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector")
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                faults.invalid(f"{path}.values", values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector")
        else:
            faults.invalid(f"{path}.operator", operator, "not a valid selector operator")
    _scopes(faults, path, spec, [term.get("scopeName") or "" for term in records(selector, "matchExpressions")])
