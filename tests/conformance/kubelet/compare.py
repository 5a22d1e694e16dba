"""Comparing what we did with what a real kubelet did: digests of status and normalised logs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

RECORD = Path(__file__).parent / "record"

# What the record's README says to substitute, and what differs between any two machines.
_SUBSTITUTES = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
    (r"\b[0-9a-f]{64}\b", "ID"),
    (r"\b(10|192)\.\d+\.\d+\.\d+\b", "ADDRESS"),
    (r"\bnode1\b", "NODE"),
    (r"\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.\d+", "..STAMP"),
    (r"\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d+ +[\d:]+", "TIME"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
    (r"(?m)^Seccomp.*\n", ""),
    (r"/kubeplay-[0-9a-f]+/", "/"),
    (r"\b3[0-2](?= +TIME \.\.data -> )", "31"),  # the length of a random number
    (r"\bpipe:\[\d+\]", "pipe:[N]"),
    (r"\b1[67]\d{8}\b", "EPOCH"),
    (r"(?m)^ +(?!1 )\d+ (?=root )", "    PID "),  # ps; the number of process 1 is kept
    (r"(?m)^lr-x(?=.* 0 -> /dev/null$)", "lrwx"),  # conmon opens a container's empty stdin for reading only
    (r" lan\.example\b", ""),  # that node's own search domain
    (r"(?m)^search$", ""),
    (r"(?m)^total \d+$", "total"),
)


def in_order(case: str) -> bool:
    """Whether the order of a case's lines counts: where hooks write into the log; else two programs' lines may interleave."""
    return "lifecycle:" in (RECORD / case / "manifest.yaml").read_text()


def normalised(text: str, node: str, names: dict[str, str], *, ordered: bool = False) -> list[str]:
    """The lines of a log with everything machine-bound replaced, sorted unless their order counts."""
    text = text.replace(node, "NODE")
    for old, new in names.items():
        text = text.replace(old, new)
    for pattern, new in _SUBSTITUTES:
        text = re.sub(pattern, new, text)
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return lines if ordered else sorted(lines)


def expected(case: str, seconds: float) -> dict[str, Any]:
    """Each pod's digest as the record has it `seconds` after creation (or at its end, when that was earlier)."""
    found: dict[str, Any] = {}
    for line in (RECORD / case / "timeline.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if entry["t"] <= seconds and entry["type"] != "DELETED":
            found[entry["pod"]] = entry
    return found


def timeline(case: str) -> list[dict[str, Any]]:
    """Every status the kubelet wrote, in order."""
    return [json.loads(line) for line in (RECORD / case / "timeline.jsonl").read_text().splitlines()]


def digest(status: dict[str, Any]) -> dict[str, Any]:
    """Our status in the record's form."""
    return {
        "phase": status.get("phase"),
        "reason": status.get("reason"),
        "conditions": {c["type"]: [c["status"], c.get("reason"), c.get("message")] for c in status.get("conditions", [])},
        "init": [_container(c) for c in status.get("initContainerStatuses", [])],
        "containers": [_container(c) for c in status.get("containerStatuses", [])],
    }


def _container(status: dict[str, Any]) -> dict[str, Any]:
    keys = ("name", "state", "lastState", "ready", "restartCount", "started")
    return {key: status.get(key, {} if key.endswith("tate") else None) for key in keys}


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """What counts (README): phase, conditions, container states and reasons, exit codes, restart counts."""
    found = [f"{key}: {ours[key]!r}, the kubelet had {theirs[key]!r}" for key in ("phase", "reason") if ours[key] != theirs[key]]
    for name, theirs_value in theirs["conditions"].items():
        ours_value = ours["conditions"].get(name)
        if ours_value is None or ours_value[:2] != theirs_value[:2]:
            found.append(f"condition {name}: {ours_value}, the kubelet had {theirs_value}")
    for group in ("init", "containers"):
        if [c["name"] for c in ours[group]] != [c["name"] for c in theirs[group]]:
            found.append(f"{group}: {[c['name'] for c in ours[group]]}, the kubelet had {[c['name'] for c in theirs[group]]}")
            continue
        for one, other in zip(ours[group], theirs[group]):
            found += _container_differences(one, other)
    return found


def _container_differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    found = []
    for key in ("restartCount", "ready", "started"):
        if ours[key] != theirs[key]:
            found.append(f"{ours['name']}.{key}: {ours[key]}, the kubelet had {theirs[key]}")
    if _backs_off(ours, theirs) or _backs_off(theirs, ours):
        return found
    for key in ("state", "lastState"):
        one, other = _state(ours[key]), _state(theirs[key])
        if one != other:
            found.append(f"{ours['name']}.{key}: {one}, the kubelet had {other}")
    return found


def _backs_off(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether both wait after the same end, which only `other` says: that is noticed 1 s (record 123) or 28 s (121) later, by chance."""
    return _state(other["state"])[:2] == ("waiting", "CrashLoopBackOff") and _state(one["state"]) == _state(other["lastState"]) != ()


def _state(state: dict[str, Any]) -> tuple[Any, ...]:
    if not state:
        return ()
    kind, detail = next(iter(state.items()))
    return kind, detail.get("reason"), detail.get("exitCode")
