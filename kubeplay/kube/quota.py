"""ResourceQuotas: what the objects of a namespace use of one, and whether another one fits (pkg/quota/v1). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubeplay.kube import kinds, limits, quantity
from kubeplay.kube.quantity import NANO, Quantity
from kubeplay.kube.status import TERMINAL

Object = dict[str, Any]
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
# what a quota asks every container to say, so that it can be counted
_REQUIRED = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
_COUNTED = {"ConfigMap": "configmaps", "Secret": "secrets", "Service": "services", "ResourceQuota": "resourcequotas",
            "PersistentVolumeClaim": "persistentvolumeclaims", "Pod": "pods"}  # fmt: skip


def usage(obj: Object) -> dict[str, Quantity]:
    """What one object uses, by the names that a quota has for it."""
    one = Quantity(NANO)
    kind = kinds.find(obj["apiVersion"], obj["kind"])
    found = {f"count/{kind.plural}{'.' + kind.group if kind.group else ''}": one} if kind is not None else {}
    if obj["kind"] == "Pod" and (obj.get("status") or {}).get("phase") in TERMINAL:
        return found
    if obj["kind"] in _COUNTED:
        found[_COUNTED[obj["kind"]]] = one
    if obj["kind"] == "Pod":
        found.update(_pod(obj["spec"]))
    elif obj["kind"] == "PersistentVolumeClaim":
        size = quantity.parse(((obj["spec"].get("resources") or {}).get("requests") or {}).get("storage"))
        found["requests.storage"] = size
        name = obj["spec"].get("storageClassName")
        if name:
            found[f"{name}.storageclass.storage.k8s.io/requests.storage"] = size
            found[f"{name}.storageclass.storage.k8s.io/persistentvolumeclaims"] = one
    elif obj["kind"] == "Service":
        found.update(_service(obj["spec"]))
    return found


def _pod(spec: Object) -> dict[str, Quantity]:
    found: dict[str, Quantity] = {}
    for name, amount in limits.total(spec, "requests").items():
        found[f"requests.{name}"] = amount
        if name in _COMPUTE:
            found[name] = amount
    for name, amount in limits.total(spec, "limits").items():
        if name in _COMPUTE:
            found[f"limits.{name}"] = amount
    return found


def _service(spec: Object) -> dict[str, Quantity]:
    ports = len(spec.get("ports") or [])
    if spec.get("type") == "LoadBalancer":
        return {"services.loadbalancers": Quantity(NANO), "services.nodeports": Quantity(ports * NANO)}
    return {"services.nodeports": Quantity(ports * NANO)} if spec.get("type") == "NodePort" else {}


def selects(quota: Object, obj: Object) -> bool:
    """Whether the quota's scopes are those of an object; without scopes it counts every object."""
    spec = quota.get("spec") or {}
    terms = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or []]
    terms += (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    if not terms:
        return True
    return obj["kind"] == "Pod" and all(_in_scope(term, obj["spec"]) for term in terms)


def _in_scope(term: Object, spec: Object) -> bool:
    scope, operator = term.get("scopeName"), term.get("operator") or "Exists"
    if scope in ("Terminating", "NotTerminating"):
        return (spec.get("activeDeadlineSeconds") is not None) is (scope == "Terminating")
    if scope in ("BestEffort", "NotBestEffort"):
        wanted = limits.total(spec, "requests") or limits.total(spec, "limits")
        return bool(wanted) is (scope == "NotBestEffort")
    if scope == "CrossNamespacePodAffinity":
        return '"namespaceSelector"' in _text(spec.get("affinity")) or '"namespaces"' in _text(spec.get("affinity"))
    name, values = spec.get("priorityClassName") or "", term.get("values") or []
    return {"Exists": bool(name), "DoesNotExist": not name, "In": name in values, "NotIn": name not in values}.get(operator, False)


def _text(value: Any) -> str:
    import json

    return json.dumps(value)


def used(quota: Object, objects: Iterable[Object]) -> dict[str, str]:
    """status.used of a quota: what the namespace's objects take of each thing it limits."""
    hard = (quota.get("spec") or {}).get("hard") or {}
    sums = {name: Quantity(0, quantity.parse(text).format) for name, text in hard.items()}
    for obj in objects:
        if selects(quota, obj):
            for name, amount in usage(obj).items():
                if name in sums:
                    sums[name] = Quantity(sums[name].nanos + amount.nanos, amount.format if sums[name].nanos == 0 else sums[name].format)
    return {name: sums[name].canonical() for name in hard}


def refusal(quota: Object, objects: Iterable[Object], obj: Object) -> str:
    """Why the quota does not let another object in, in the server's words; "" when it does."""
    hard: Mapping[str, Any] = (quota.get("spec") or {}).get("hard") or {}
    if not selects(quota, obj):
        return ""
    name = quota["metadata"]["name"]
    missing = _unsaid(hard, obj) if obj["kind"] == "Pod" else []
    if missing:
        return f"failed quota: {name}: must specify {'; '.join(missing)}"
    wanted = {what: amount for what, amount in usage(obj).items() if what in hard and amount.nanos}
    now = {what: quantity.parse(text) for what, text in used(quota, objects).items()}
    over = sorted(what for what, amount in wanted.items() if now[what].nanos + amount.nanos > quantity.parse(hard[what]).nanos)
    if not over:
        return ""

    def listed(amounts: Mapping[str, Quantity]) -> str:
        return ",".join(f"{what}={amounts[what].canonical()}" for what in over)

    bounds = {what: quantity.parse(hard[what]) for what in over}
    return f"exceeded quota: {name}, requested: {listed(wanted)}, used: {listed(now)}, limited: {listed(bounds)}"


def _unsaid(hard: Mapping[str, Any], pod: Object) -> list[str]:
    """What containers have to say because the quota limits it."""
    found = []
    spec = pod["spec"]
    for what in sorted(set(hard) & set(_REQUIRED)):
        field, _, resource = what.rpartition(".")
        silent = [c["name"] for c in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
                  if resource not in ((c.get("resources") or {}).get(field or "requests") or {})]  # fmt: skip
        if silent:
            found.append(f"{what} for: {','.join(silent)}")
    return found
