"""Changing stored workloads as kubectl does: scale, rollout status, history, undo, restart, pause and resume, set image.

Each stores a new body through play/edit.py and is done; the controllers of the supervisor do the rest (`App.supervised` sees to it).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kubeplay.clock import rfc3339
from kubeplay.errors import Conflict, InvalidInput, NotFound, NotSupported
from kubeplay.kube import rollout
from kubeplay.plan.stack import ObjectKey
from kubeplay.play import edit as edits
from kubeplay.play import verdicts
from kubeplay.play.edit import Change
from kubeplay.play.kinds import deployment
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.store.objects import StoredObject

Json = dict[str, Any]
SCALED = ("Deployment", "ReplicaSet", "StatefulSet")
ROLLED = ("Deployment", "DaemonSet", "StatefulSet")
RESTARTED = "kubectl.kubernetes.io/restartedAt"
CAUSE = "kubernetes.io/change-cause"
PARTS = ("containers", "initContainers")


class Revision(Record):
    """One template that a workload has had; `cause` is its change-cause annotation, `name` the object that keeps it."""

    number: int
    name: str
    cause: str
    template: Json
    annotations: Json


# changes of a body, for play/edit.py
def scaled(key: ObjectKey, replicas: int, current: int | None = None) -> Change:
    """So many pods; with `current` only where it asks for that many now. Raises NotSupported, InvalidInput; the change Conflict."""
    from kubeplay.play.stack import MAX_REPLICAS

    if key.kind not in SCALED:
        raise NotSupported(f"{key}: nothing of this kind can be scaled", hint="Deployments, ReplicaSets and StatefulSets can")
    if replicas < 0:
        raise InvalidInput(f"{replicas} replicas: there cannot be fewer than none")
    if replicas > MAX_REPLICAS:
        raise NotSupported(f"not supported: more than {MAX_REPLICAS} replicas on one machine")

    def change(body: Json) -> Json:
        now = rollout.replicas(body["spec"])
        if current is not None and now != current:
            raise Conflict(f"Expected replicas to be {current}, was {now}")
        return {**body, "spec": {**body["spec"], "replicas": replicas}}

    return change


def with_images(images: Mapping[str, str]) -> Change:
    """Other images for containers by name, `*` for all of them. The change raises NotFound for a container that is not there."""

    def change(body: Json) -> Json:
        spec = pod_spec(body)
        names = {one["name"] for part in PARTS for one in spec.get(part) or ()}
        missing = sorted(set(images) - names - {"*"})
        if missing:
            where = f"{body['kind']} {body['metadata']['name']}"
            raise NotFound(f'unable to find container named "{missing[0]}"', hint=f"{where} has {', '.join(sorted(names))}")
        for container in [one for part in PARTS for one in spec.get(part) or ()]:
            container["image"] = images.get(container["name"]) or images.get("*") or container["image"]  # DF2: its pull policy stays
        return body

    return change


def pod_spec(body: Json) -> Json:
    """The PodSpec of a pod or a workload. Raises NotSupported for what has none."""
    if body["kind"] == "Pod":
        return body["spec"]  # type: ignore[no-any-return]
    spec = body.get("spec") or {}
    holder = spec["jobTemplate"]["spec"] if body["kind"] == "CronJob" else spec
    if "template" not in holder:
        raise NotSupported(f"{body['kind']} {body['metadata']['name']} has no pods")
    return holder["template"]["spec"]  # type: ignore[no-any-return]


def _with_template(body: Json, template: Json) -> Json:
    return {**body, "spec": {**body["spec"], "template": template}}


def edit(engine: Engine, key: ObjectKey, change: Change) -> bool:
    """Whether the change made another body of it. Raises NotFound, InvalidInput, Conflict."""
    return edits.edit(engine, key, change).changed


def scale(engine: Engine, key: ObjectKey, replicas: int, current: int | None = None) -> bool:
    return edit(engine, key, scaled(key, replicas, current))


def set_image(engine: Engine, key: ObjectKey, images: Mapping[str, str]) -> bool:
    return edit(engine, key, with_images(images))


# rollouts
def restart(engine: Engine, key: ObjectKey) -> bool:
    """New pods of the same template, step by step: its annotation says when."""
    now = rfc3339(engine.clock.now())

    def change(body: Json) -> Json:
        _rolled(key)
        if body["spec"].get("paused"):
            raise Conflict("can't restart paused deployment (run rollout resume first)")
        template = body["spec"]["template"]
        meta = template.get("metadata") or {}
        if (meta.get("annotations") or {}).get(RESTARTED) == now:
            raise Conflict("if restart has already been triggered within the past second, please wait before attempting to trigger another")
        marked = {**meta, "annotations": {**(meta.get("annotations") or {}), RESTARTED: now}}
        return _with_template(body, {**template, "metadata": marked})

    return edit(engine, key, change)


def pause(engine: Engine, key: ObjectKey) -> bool:
    """DE6: what is changed from now on is collected."""
    return _paused(engine, key, True)


def resume(engine: Engine, key: ObjectKey) -> bool:
    return _paused(engine, key, False)


def _paused(engine: Engine, key: ObjectKey, wanted: bool) -> bool:
    if key.kind != "Deployment":
        raise NotSupported(f"{'pausing' if wanted else 'resuming'} is not supported for {key}", hint="Deployments can be paused")

    def change(body: Json) -> Json:
        if bool(body["spec"].get("paused")) == wanted:
            raise Conflict(f'deployments.apps "{key.name}" is {"already" if wanted else "not"} paused')
        spec = {name: value for name, value in body["spec"].items() if name != "paused"}
        return {**body, "spec": {**spec, "paused": True} if wanted else spec}

    return edit(engine, key, change)


def undo(engine: Engine, key: ObjectKey, to_revision: int = 0) -> str:
    """Back to an older template, 0 = the one before; kubectl's word for what was done. Raises NotFound, Conflict."""
    _rolled(key)
    stored = engine.store.objects.get(key)
    if json.loads(stored.body)["spec"].get("paused"):
        hint = f"kubeplay rollout resume deployment/{key.name}"
        raise Conflict("you cannot rollback a paused deployment; resume it first and try again", hint=hint)
    found = chosen(engine, key, to_revision)
    if not edit(engine, key, lambda body: _restored(body, found)):
        return f"skipped rollback (current template already matches revision {found.number})"
    return "rolled back"


def chosen(engine: Engine, key: ObjectKey, number: int) -> Revision:
    """The revision of this number, 0 = the one before the present one. Raises NotFound, InvalidInput."""
    if number < 0:
        raise InvalidInput(f"{number} is no revision", hint="revisions are 1, 2, 3 ..., 0 means the one before")
    known = history(engine, key)
    if number:
        for one in known:
            if one.number == number:
                return one
        raise NotFound(f"unable to find specified revision {number} in history", hint=f"there are {[one.number for one in known]}")
    if len(known) < 2:
        raise NotFound(f'no rollout history found for {key.kind.lower()} "{key.name}"')
    return known[-2]


def _restored(body: Json, wanted: Revision) -> Json:
    made = _with_template(body, wanted.template)
    if body["kind"] != "Deployment":
        return made
    marks = {name: value for name, value in (body["metadata"].get("annotations") or {}).items() if name in deployment.OWN}
    marks.update({name: value for name, value in wanted.annotations.items() if name not in deployment.OWN})
    meta = {name: value for name, value in body["metadata"].items() if name != "annotations"}
    return {**made, "metadata": {**meta, "annotations": marks} if marks else meta}


def history(engine: Engine, key: ObjectKey) -> list[Revision]:
    """Every template that is kept, the oldest first. Raises NotFound."""
    _rolled(key)
    owner = engine.store.objects.get(key)
    owned = [one for one in engine.store.objects.list(owner_uid=owner.uid) if one.deleted is None]
    if key.kind == "Deployment":
        found = [_of_set(one) for one in owned if one.key.kind == "ReplicaSet"]
    else:
        found = [_of_revision(one, owner) for one in owned if one.key.kind == "ControllerRevision"]
    return sorted((one for one in found if one.number), key=lambda one: one.number)


def _of_set(stored: StoredObject) -> Revision:
    body = json.loads(stored.body)
    marks = body["metadata"].get("annotations") or {}
    number, template = deployment.revision(body), deployment.unlabelled(body["spec"]["template"])
    return Revision(number, stored.key.name, marks.get(CAUSE, ""), template, marks)


def _of_revision(stored: StoredObject, owner: StoredObject) -> Revision:
    """ControllerRevisions hold a patch of the owner: its template (ST3, DS1)."""
    body = json.loads(stored.body)
    marks = body["metadata"].get("annotations") or {}
    template = dict(((body.get("data") or {}).get("spec") or {}).get("template") or json.loads(owner.body)["spec"]["template"])
    template.pop("$patch", None)
    return Revision(int(body.get("revision") or 0), stored.key.name, marks.get(CAUSE, ""), template, marks)


def status(engine: Engine, key: ObjectKey, revision: int = 0) -> verdicts.Verdict:
    """How far the rollout is, as kubectl says it. Raises NotFound, NotSupported, Conflict for another revision than the running one."""
    _rolled(key)
    stored = engine.store.objects.get(key)
    body = json.loads(stored.body)
    strategy = (body["spec"].get("updateStrategy") or {}).get("type") or "RollingUpdate"
    if key.kind != "Deployment" and strategy != "RollingUpdate":
        raise NotSupported("rollout status is only available for RollingUpdate strategy type")
    if revision and key.kind == "Deployment" and deployment.revision(body) != revision:
        running = deployment.revision(body)
        raise Conflict(f"desired revision ({revision}) is different from the running revision ({running})")
    rule = verdicts.deployment if key.kind == "Deployment" else verdicts.judge
    return rule(body, json.loads(stored.status or "{}"), stored.generation)


def _rolled(key: ObjectKey) -> None:
    if key.kind not in ROLLED:
        raise NotSupported(f"{key}: nothing of this kind is rolled out", hint="Deployments, DaemonSets and StatefulSets are")
