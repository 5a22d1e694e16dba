"""A pod as it was before somebody looked into it: without its ephemeral containers, which no file creates and no cluster takes back."""

from __future__ import annotations

from typing import Any

FIELD = "ephemeralContainers"


def without(body: str) -> str:
    """The stored body of an object as it was played."""
    if f'"{FIELD}"' not in body:
        return body
    import json

    found = json.loads(body)
    if found.get("kind") != "Pod" or not removed(found):
        return body
    return json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def removed(pod: dict[str, Any]) -> bool:
    """Take them out of a Pod object; whether there were any."""
    return bool((pod.get("spec") or {}).pop(FIELD, None))


def kept(old: str, new: str) -> str:
    """The new body of a pod that goes on, with what the old one has of them."""
    if old == without(old):
        return new
    import json

    body = json.loads(new)
    body["spec"][FIELD] = json.loads(old)["spec"][FIELD]
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
