"""The pods behind a workload or Service: what `deploy/web` means to logs, exec and port-forward, by kubectl's rule."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kubeplay.cli import things
from kubeplay.engine.store.runtime import PodRow
from kubeplay.errors import NotFound, NotRunning

if TYPE_CHECKING:
    from kubeplay.cli.app import App

KINDS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "Service")


def is_workload(word: str) -> bool:
    """Whether a name is KIND/NAME of something that has pods, such as deploy/web."""
    kind, slash, name = word.partition("/")
    found = things.named(kind) if slash and name else None
    return found is not None and found.kind in KINDS


def pods(app: App, word: str) -> list[PodRow]:
    """The pods of KIND/NAME, by name. Raises NotFound, NotRunning when it has none."""
    kind, _, name = word.partition("/")
    one = things.kind(kind)
    body = things.fetched(app, one, name)
    namespace = body["metadata"].get("namespace") or app.namespace
    rows = {row.uid: row for row in app.store.runtime.pods(namespace)}
    if one.kind == "Service":
        chosen = body["spec"].get("selector") or {}
        found = [row for row in rows.values() if chosen and chosen.items() <= _labels(app, row).items()]
    else:
        found = [rows[uid] for uid in _owned(app, body["metadata"]["uid"], namespace) if uid in rows]
    if not found:
        raise NotRunning(f"{word} has no pods")
    return sorted(found, key=lambda row: row.name)


def _labels(app: App, row: PodRow) -> dict[str, str]:
    from kubeplay.cli import resolve

    return dict(resolve.plan(row).labels)


def _owned(app: App, uid: str, namespace: str) -> list[str]:
    found = [one.uid for one in app.store.objects.list("Pod", namespace, uid)]
    for between in app.store.objects.list("ReplicaSet", namespace, uid):
        found += [one.uid for one in app.store.objects.list("Pod", namespace, between.uid)]
    return found


def one_pod(app: App, word: str) -> PodRow:
    """One pod of a workload, a ready one before others; says which when there are several. Raises NotFound, NotRunning."""
    from kubeplay.cli.podstatus import statuses

    found = pods(app, word)
    known = statuses(app, found)
    ready = [row for row in found if any(c["type"] == "Ready" and c["status"] == "True" for c in known[row.uid].get("conditions", []))]
    chosen = (ready or found)[0]
    if len(found) > 1:
        print(f"Found {len(found)} pods, using pod/{chosen.name}", file=sys.stderr)
    return chosen


def selected(app: App, selector: str) -> list[PodRow]:
    """The pods of the namespace with these labels. Raises NotFound when there is none."""
    from kubeplay.kube import selector as selectors

    fits = selectors.labels(selector)
    found = [row for row in app.store.runtime.pods(app.namespace) if fits(_labels(app, row))]
    if not found:
        raise NotFound(f"no pod in namespace {app.namespace} has the labels {selector}")
    return found
