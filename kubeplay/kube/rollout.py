"""The arithmetic of a Deployment's spec: how many pods more and how many fewer a rolling update may have (DE1)."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
PERCENT = "25%"
RECREATE = "Recreate"


def replicas(spec: Json) -> int:
    value = spec.get("replicas")
    return 1 if value is None else int(value)


def scaled(value: int | str | None, total: int, up: bool) -> int:
    """An int-or-percent of `total`; a share is rounded up or down."""
    if value is None:
        return 0
    text = str(value)
    if not text.endswith("%"):
        return max(0, int(text))
    share = total * int(text[:-1])
    return -(-share // 100) if up else share // 100


def surge(spec: Json) -> int:
    """How many pods there may be beyond the replicas: rounded up."""
    if recreates(spec):
        return 0
    return scaled(_rolling(spec).get("maxSurge", PERCENT), replicas(spec), up=True)


def unavailable(spec: Json) -> int:
    """How many of the replicas may be missing: rounded down; 1 where neither that nor a surge would be allowed."""
    count = replicas(spec)
    if recreates(spec) or not count:
        return 0
    found = scaled(_rolling(spec).get("maxUnavailable", PERCENT), count, up=False)
    if not found and not surge(spec):
        found = 1
    return min(found, count)


def recreates(spec: Json) -> bool:
    return bool((spec.get("strategy") or {}).get("type") == RECREATE)


def _rolling(spec: Json) -> Json:
    return (spec.get("strategy") or {}).get("rollingUpdate") or {}
