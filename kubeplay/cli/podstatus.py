"""The status of pods as it is now, for listings and inspect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kubeplay.cli import resolve
from kubeplay.engine.store import runtime
from kubeplay.engine.store.runtime import ContainerRow, PodRow

if TYPE_CHECKING:
    from kubeplay.cli.app import App

Status = dict[str, Any]
_GROUPS = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")


def statuses(app: App, pods: Sequence[PodRow]) -> dict[str, Status]:
    """`status` by pod uid: what reconcile stored, or a fresh one where containers have moved on since. One that goes meanwhile keeps it."""
    import json

    from kubeplay.errors import NotFound

    app.engine.refresh()
    stored = {one.uid: one.status for one in app.store.objects.list("Pod")}
    newest = resolve.newest(app.store.runtime.containers())
    rows: dict[str, list[ContainerRow]] = {}
    for row in newest.values():
        rows.setdefault(row.pod_uid, []).append(row)
    found = {}
    for pod in pods:
        status: Status = json.loads(stored.get(pod.uid) or "{}")
        found[pod.uid] = status
        if not status or not _agrees(status, rows.get(pod.uid, ())):
            with suppress(NotFound):
                found[pod.uid] = _fresh(app, pod, status)
    return found


def _agrees(status: Status, rows: Iterable[ContainerRow]) -> bool:
    """Whether the status speaks of these instances in these states."""
    if status.get("phase") in ("Succeeded", "Failed"):
        return True
    known = {one["name"]: one for key in _GROUPS for one in status.get(key, ())}
    for row in rows:
        one = known.get(row.name)
        if one is None or one.get("containerID") != f"kubeplay://{row.id}" or ("running" in one["state"]) != (row.state == runtime.RUNNING):
            return False
    return True


def _fresh(app: App, pod: PodRow, before: Status) -> Status:
    from kubeplay.errors import NotFound
    from kubeplay.kube.status import pod_status
    from kubeplay.reconcile import observe

    try:
        found = observe.look(app.engine, pod.uid)
    except NotFound:  # it has gone since it was listed
        return before
    return pod_status(observe.view(found), app.engine.clock.now(), before)
