"""Requests and limits (RS1, RS2): CPU in milli, bytes for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeplay.plan.container import Resources

_KNOWN = ("cpu", "memory", "ephemeral-storage")


def plan(container: Mapping[str, Any]) -> Resources:
    """A request that is not given equals the limit, as a Pod's defaults have it (RS1)."""
    wanted = container.get("resources") or {}
    limits, requests = wanted.get("limits") or {}, wanted.get("requests") or {}
    if not limits and not requests:
        return Resources()
    requests = {**limits, **requests}
    return Resources(
        cpu_request=_amount(requests, "cpu"),
        cpu_limit=_amount(limits, "cpu"),
        memory_request=_amount(requests, "memory"),
        memory_limit=_amount(limits, "memory"),
        ephemeral_request=_amount(requests, "ephemeral-storage"),
        ephemeral_limit=_amount(limits, "ephemeral-storage"),
        others=tuple([(name, _amount(requests, name) or 0) for name in sorted(requests) if name not in _KNOWN]),
    )


def _amount(amounts: Mapping[str, Any], name: str) -> int | None:
    if name not in amounts:
        return None
    return milli(amounts[name]) if name == "cpu" else whole(amounts[name])


def milli(text: Any) -> int:
    from kubeplay.kube import quantity

    return quantity.parse(text).milli()


def whole(text: Any) -> int:
    from kubeplay.kube import quantity

    return quantity.parse(text).value()
