"""The copy of an object that defaulting works on: what decoding into the server's types does to it.

A null field is an absent field; a null in a map of strings or a list of strings is `""`; a null item
of a list of records is an empty record; `3.0` is 3; amounts are printed in canonical form, those of a
resource list rounded up to thousandths (RS1).
"""

from __future__ import annotations

from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.kube import quantity

_STRING_MAPS = frozenset(
    ("labels", "annotations", "data", "binaryData", "stringData", "nodeSelector", "matchLabels", "options", "volumeAttributes",
     "parameters")
)  # fmt: skip
RESOURCE_LISTS = frozenset(
    ("limits", "requests", "overhead", "capacity", "allocatedResources", "hard", "min", "max", "default", "defaultRequest",
     "maxLimitRequestRatio")
)  # fmt: skip
_AMOUNTS = frozenset(("sizeLimit", "divisor"))
_STRING_LISTS = frozenset(
    [
        "command",
        "args",
        "nameservers",
        "searches",
        "hostnames",
        "values",
        "matchLabelKeys",
        "mismatchLabelKeys",
        "namespaces",
        "accessModes",
        "mountOptions",
        "add",
        "drop",
        "clusterIPs",
        "externalIPs",
        "ipFamilies",
        "loadBalancerSourceRanges",
        "finalizers",
        "monitors",
        "targetWWNs",
        "wwids",
        "portals",
        "resourceClaims",
        "verbs",
        "apiGroups",
        "resourceNames",
        "nonResourceURLs",
        "scopes",
    ]
)
_NUMBER_LISTS = frozenset(("supplementalGroups",))


def fresh(value: Any, name: str = "") -> Any:
    """A deep copy of `value`, the content of field `name`, in the server's normal form."""
    if isinstance(value, dict):
        return _mapping(value, name)
    if isinstance(value, list):
        # a list of records may have the name of a map of amounts: a LimitRange's limits
        inner = "" if name in RESOURCE_LISTS else name
        return [_empty(name) if item is None else fresh(item, inner) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if name in _AMOUNTS and not isinstance(value, bool):
        return canonical(value)
    return value


def canonical(value: Any, *, milli: bool = False) -> Any:
    """An amount in the server's words; one that is not an amount stays, for the checks to report."""
    try:
        amount = quantity.parse(value)
    except InvalidInput:
        return value
    return (amount.rounded_to_milli() if milli else amount).canonical()


def _mapping(value: dict[str, Any], name: str) -> dict[str, Any]:
    if name in RESOURCE_LISTS:
        return {key: canonical(item, milli=True) for key, item in value.items()}
    if name in _STRING_MAPS:
        # `options` and `data` also name lists and records in other places: only their nulls are texts.
        return {key: "" if item is None else fresh(item) for key, item in value.items()}
    result: dict[str, Any] = {}
    for key, item in value.items():
        if item is None:
            continue
        if isinstance(item, (dict, list)):
            result[key] = fresh(item, key)
        elif isinstance(item, float) or key in _AMOUNTS:
            result[key] = canonical(item) if key in _AMOUNTS else fresh(item)
        else:
            result[key] = item
    return result


def _empty(name: str) -> Any:
    if name in _STRING_LISTS:
        return ""
    return 0 if name in _NUMBER_LISTS else {}
