"""Why pods are not ready, container by container, for the message of a play that has waited too long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubeplay.errors import NotFound
from kubeplay.kube.status import SUCCEEDED
from kubeplay.reconcile import logtail
from kubeplay.reconcile.observe import Look, look
from kubeplay.reconcile.pod import outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubeplay.engine.engine import Engine

LINES = 5  # of each container's log: several containers share one message
_LATER = "PodInitializing"  # waits for the init containers, which are told of themselves


def explain(engine: Engine, uids: Iterable[str]) -> str:
    """A line for the pod and each container that is not ready, its last log lines below; begins with a line end, "" when all are."""
    lines: list[str] = []
    for uid in uids:
        try:
            found = look(engine, uid)
        except NotFound:
            continue
        now = outcome(engine, found)
        if now.ready or now.phase == SUCCEEDED:
            continue
        lines += _pod(found, [(f.container, f"{f.reason}: {f.message}") for f in now.failures])
    return "".join(f"\n{line}" for line in lines)


def _pod(found: Look, failures: list[tuple[str, str]]) -> list[str]:
    name = f"{found.row.namespace}/{found.row.name}"
    lines = [f"pod {name}: {why}" for container, why in failures if not container]
    known = dict(failures)
    for entry in (*found.status.get("initContainerStatuses", ()), *found.status.get("containerStatuses", ())):
        why = _container(entry)
        if entry.get("ready") or not why:
            continue
        lines.append(f"pod {name}, container {entry['name']}: {known.get(entry['name'], why)}{_last(entry)}")
        rows = found.rows.get(entry["name"])
        text = logtail.tail(rows[-1].log_path, LINES) if rows else ""
        lines += ["last lines of its log:", *(f"  {line}" for line in text.splitlines())] if text else []
    return lines or [f"pod {name}: {found.status.get('phase', 'Pending')}"]


def _container(entry: dict[str, Any]) -> str:
    """What a container does instead of being ready; "" when it is only waiting for its turn."""
    state = entry.get("state", {})
    if "waiting" in state:
        reason, message = state["waiting"].get("reason", "waiting"), state["waiting"].get("message", "")
        return "" if reason == _LATER else ": ".join(filter(None, (reason, message)))
    if "terminated" in state:
        return f"{state['terminated'].get('reason', 'Error')}: it ended with exit code {state['terminated'].get('exitCode')}"
    return "it is running, and not done or ready"


def _last(entry: dict[str, Any]) -> str:
    ended = entry.get("lastState", {}).get("terminated")
    return f" (it ended before with exit code {ended['exitCode']})" if ended and "exitCode" in ended else ""
