"""What a Job's pods are known by (JO2): the labels and the selector that the server makes of its uid, and its finish."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

PREFIX = "batch.kubernetes.io/"
JOB_NAME, CONTROLLER_UID = f"{PREFIX}job-name", f"{PREFIX}controller-uid"
NAMES, UIDS = ("job-name", JOB_NAME), ("controller-uid", CONTROLLER_UID)
INDEX = f"{PREFIX}job-completion-index"
INDEX_FAILURES, INDEX_IGNORED = f"{PREFIX}job-index-failure-count", f"{PREFIX}job-index-ignored-failure-count"
SCHEDULED = f"{PREFIX}cronjob-scheduled-timestamp"
CONTROLLER = "kubernetes.io/job-controller"  # who manages a Job that names nobody else
COMPLETE, FAILED = "Complete", "Failed"
INDEXED = "Indexed"
# The controller's own account in a Job's status: shown to nobody (docs/decisions/0603).
ACCOUNT = "kubeplay.io/account"


def labelled(job: Object, uid: str) -> Object:
    """The Job as a server shows it: with the selector and the labels that it makes of the uid, unless they are the author's to make."""
    spec = job["spec"]
    if spec.get("manualSelector"):
        return job
    template = spec.get("template") or {}
    meta = template.get("metadata") or {}
    selector = spec.get("selector") or {}
    own = {CONTROLLER_UID: uid, **(selector.get("matchLabels") or {})}
    labels = {**labels_of(job["metadata"].get("name") or "", uid), **(meta.get("labels") or {})}
    made = {**spec, "selector": {**selector, "matchLabels": own}, "template": {**template, "metadata": {**meta, "labels": labels}}}
    shown = job["metadata"]
    if (shown.get("labels") or {}) == (meta.get("labels") or {}):  # a Job without labels has those of its template
        shown = {**shown, "labels": labels}
    return {**job, "metadata": shown, "spec": made}


def labels_of(name: str, uid: str) -> dict[str, str]:
    return {**dict.fromkeys(UIDS, uid), **dict.fromkeys(NAMES, name)}


def finished(status: Object | None) -> str:
    """`Complete`, `Failed`, or "" while it is neither."""
    condition = finish(status)
    return condition["type"] if condition else ""


def finish(status: Object | None) -> Object | None:
    """The condition that says that a Job has ended."""
    for condition in (status or {}).get("conditions") or []:
        if condition["type"] in (COMPLETE, FAILED) and condition["status"] == "True":
            found: Object = condition
            return found
    return None


def served(job: Object) -> Object:
    """A stored Job with its uid and status as a server gives it out."""
    made = labelled(job, job["metadata"]["uid"])
    return {**made, "status": shown(made["status"])} if "status" in made else made


def shown(status: Object) -> Object:
    """A Job's status without what is the controller's own."""
    return {field: value for field, value in status.items() if field != ACCOUNT}
