"""Deployment: one ReplicaSet of its present template, and that one's pods (DE2, DE4).

What play makes first and what the controller makes later are the same bodies: both come from here.
"""

from __future__ import annotations

from kubeplay.kube import rollout
from kubeplay.play.compile import CompileOptions
from kubeplay.play.kinds import names, workload
from kubeplay.play.kinds.base import Object, Part, key, planned

HASH_LABEL = "pod-template-hash"
_PREFIX = "deployment.kubernetes.io/"
REVISION = f"{_PREFIX}revision"
HISTORY = f"{_PREFIX}revision-history"
DESIRED = f"{_PREFIX}desired-replicas"
MAXIMUM = f"{_PREFIX}max-replicas"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
OWN = (LAST_APPLIED, REVISION, HISTORY, DESIRED, MAXIMUM, "deprecated.deployment.rollback.to")  # not the ReplicaSet's to have
_HISTORY_MOST = 2000  # characters


def build(obj: Object, templates: list[Object], options: CompileOptions) -> Part:
    if obj["spec"].get("paused"):
        return Part((planned(obj),))  # DE6: nothing is rolled out until it is resumed
    made = code(obj["spec"]["template"])
    replicas = rollout.replicas(obj["spec"])
    replica_set = replica_set_of(obj, made, replicas, 1)
    replica_set["metadata"]["ownerReferences"] = [workload.owner_reference(obj)]
    labelled = [_labelled(template, made) for template in templates]
    pods = workload.pods_of(replica_set, labelled, workload.podman_marks(obj), options)
    return workload.joined((planned(obj), planned(replica_set, key(obj))), pods)


def code(template: Object, collisions: int = 0) -> str:
    """The pod-template-hash; another one for each collision of names that was met."""
    return names.template_hash([template, collisions] if collisions else template)


def replica_set_of(obj: Object, made: str, replicas: int, revision: int) -> Object:
    """The ReplicaSet of a Deployment's present template, without its owner."""
    spec, name = obj["spec"], key(obj)
    template = _labelled(spec["template"], made)
    selector = dict(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: made}
    body: Object = {"replicas": replicas, "selector": selector, "template": template}
    if spec.get("minReadySeconds"):
        body["minReadySeconds"] = spec["minReadySeconds"]
    desired = rollout.replicas(spec)
    marks = {**_copied(obj), REVISION: str(revision), DESIRED: str(desired), MAXIMUM: str(desired + rollout.surge(spec))}
    meta: Object = {
        "name": f"{name.name}-{made}",
        "namespace": name.namespace,
        "labels": dict(template["metadata"]["labels"]),
        "annotations": marks,
    }
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta, "spec": body}


def same_template(of_set: Object, of_deployment: Object) -> bool:
    """Whether a ReplicaSet is of this template: its own label aside (DE4: nothing else is a change to roll out)."""
    meta = of_set.get("metadata") or {}
    labels = {name: value for name, value in (meta.get("labels") or {}).items() if name != HASH_LABEL}
    wanted = of_deployment.get("metadata") or {}
    others = [{name: value for name, value in one.items() if name != "labels" and value} for one in (meta, wanted)]
    return labels == (wanted.get("labels") or {}) and others[0] == others[1] and of_set.get("spec") == of_deployment.get("spec")


def unlabelled(template: Object) -> Object:
    """A ReplicaSet's template as its Deployment had it."""
    meta = dict(template.get("metadata") or {})
    meta["labels"] = {name: value for name, value in (meta.get("labels") or {}).items() if name != HASH_LABEL}
    return {**template, "metadata": meta}


def _labelled(template: Object, made: str) -> Object:
    meta = dict(template.get("metadata") or {})
    meta["labels"] = {**(meta.get("labels") or {}), HASH_LABEL: made}
    return {**template, "metadata": meta}


# annotations (DE4)
def _copied(obj: Object) -> dict[str, str]:
    return {name: value for name, value in (obj["metadata"].get("annotations") or {}).items() if name not in OWN}


def mark(obj: Object, name: str) -> int | None:
    """A number among the annotations, None where there is none."""
    text = str((obj["metadata"].get("annotations") or {}).get(name, ""))
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 11 else None


def revision(obj: Object) -> int:
    return mark(obj, REVISION) or 0


def annotated(obj: Object, marks: dict[str, str]) -> Object:
    """A copy with these annotations, too."""
    meta = obj["metadata"]
    return {**obj, "metadata": {**meta, "annotations": {**(meta.get("annotations") or {}), **marks}}}


def resized(obj: Object, replicas: int, desired: int, maximum: int) -> Object:
    made = annotated(obj, {DESIRED: str(desired), MAXIMUM: str(maximum)})
    return {**made, "spec": {**obj["spec"], "replicas": replicas}}


def synced(replica_set: Object, obj: Object, number: int) -> Object:
    """A ReplicaSet as its Deployment has it now: annotations, revision, minReadySeconds."""
    marks, before = _copied(obj), revision(replica_set)
    if before < number:
        marks[REVISION] = str(number)
        if before:
            marks[HISTORY] = _history((replica_set["metadata"].get("annotations") or {}).get(HISTORY, ""), before)
    made = annotated(replica_set, marks)
    least = obj["spec"].get("minReadySeconds") or 0
    if (replica_set["spec"].get("minReadySeconds") or 0) != least:
        spec = {name: value for name, value in replica_set["spec"].items() if name != "minReadySeconds"}
        made["spec"] = {**spec, "minReadySeconds": least} if least else spec
    return made


def _history(text: str, number: int) -> str:
    """The revisions that it had, the oldest dropped where there are too many."""
    found = [*filter(None, text.split(",")), str(number)]
    while len(",".join(found)) > _HISTORY_MOST:
        found.pop(0)
    return ",".join(found)
