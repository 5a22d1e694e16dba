"""Claims and their volumes: bound and provisioned as binding.py decides, protected while they are used, released (PV1-PV4, VO14).

A claim is bound when there is a named volume of its name. Whose a PersistentVolume is stands in the table `bindings`; phases are
written into the objects' status.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubeplay.engine.store.events import NORMAL, WARNING
from kubeplay.engine.store.locks import Lock
from kubeplay.engine.store.objects import StoredObject
from kubeplay.engine.store.resources import BindingRow, VolumeRow
from kubeplay.errors import VolumeError
from kubeplay.kube import storage
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.stack import ObjectKey
from kubeplay.plan.volumes import Claim
from kubeplay.reconcile import binding, room
from kubeplay.reconcile.model import UNSCHEDULED, VOLUMES
from kubeplay.reconcile.observe import Look, plan_of

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine

CLAIM, VOLUME, CLASS = "PersistentVolumeClaim", "PersistentVolume", "StorageClass"
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
NO_VOLUME = "1 node(s) didn't find available persistent volumes to bind"
MARK = "volume.podman.io/"  # Podman's options of a volume (podman-kube-facts.md section 3)
Found = dict[tuple[str, str], StoredObject]


def names(plan: PodPlan) -> list[str]:
    """The claims a pod mounts."""
    return [volume.source.claim_name for volume in plan.volumes if isinstance(volume.source, Claim)]


def users(engine: Engine, namespace: str, name: str) -> list[str]:
    """Names of the pods that mount a claim."""
    return [row.name for row in engine.store.runtime.pods(namespace) if name in names(plan_of(row))]


def attach(engine: Engine, uid: str, plan: PodPlan) -> None:
    """See that the pod's claims are bound and may be used by it. Raises VolumeError."""
    wanted = names(plan)
    if any(engine.store.resources.volume(plan.namespace, name) is None for name in wanted):
        sync(engine)
    for name in wanted:
        stored = engine.store.objects.find(ObjectKey(CLAIM, plan.namespace, name))
        row = engine.store.resources.volume(plan.namespace, name)
        if row is None:
            if stored is None:
                raise VolumeError(f'persistentvolumeclaim "{name}" not found')
            why = json.loads(stored.status or "{}").get("message", "")
            raise VolumeError(f'pod has unbound immediate PersistentVolumeClaims: persistentvolumeclaim "{name}": {why}')
        engine.volumes.named.mend(row)
        if stored is not None and stored.deleted is not None:
            raise VolumeError(f'persistentvolumeclaim "{name}" is being deleted')
        if stored is not None and storage.ONE_POD in stored.body:
            _alone(engine, uid, plan.namespace, name)


def unmet(engine: Engine, plan: PodPlan) -> str:
    """Why the scheduler would not bind the pod (LR1): its first claim that is missing, going, or without a volume; "" = nothing."""
    wanted = names(plan)
    if any(engine.store.resources.volume(plan.namespace, name) is None for name in wanted):
        sync(engine)
    for name in wanted:
        stored = engine.store.objects.find(ObjectKey(CLAIM, plan.namespace, name))
        bound = engine.store.resources.volume(plan.namespace, name) is not None
        if stored is None and not bound:
            return f'persistentvolumeclaim "{name}" not found'
        if stored is not None and stored.deleted is not None:
            return f'persistentvolumeclaim "{name}" is being deleted'
        if stored is not None and not bound:
            return NO_VOLUME if _waits(engine, stored) else UNBOUND
    return ""


def _waits(engine: Engine, claim: StoredObject) -> bool:
    """Whether the claim's class binds with the first pod: then it is for the node, not for the claim, that there is no volume."""
    view = storage.claim(json.loads(claim.body), _meta(claim))
    found = engine.store.objects.find(ObjectKey(CLASS, "", view.storage_class)) if view.storage_class else None
    return bool(found and storage.storage_class(json.loads(found.body)).waits)


def _alone(engine: Engine, uid: str, namespace: str, name: str) -> None:
    """PV3: of a ReadWriteOncePod claim one pod at a time."""
    for row in engine.store.runtime.pods(namespace):
        if row.uid != uid and name in names(plan_of(row)) and engine.store.runtime.sandboxes(row.uid):
            raise VolumeError(
                f'pod {row.name} is using PersistentVolumeClaim "{name}", whose access mode is {storage.ONE_POD}',
                hint="it becomes free when that pod has ended",
            )


def sync(engine: Engine) -> list[tuple[str, str]]:
    """Bind and provision whatever can be; the claims that got a volume by this call. Pods that waited for them are tried at once."""
    lock = Lock(engine.paths.lock("claims"))
    lock.take()
    try:
        world, found = _world(engine)
        steps = binding.decide(world)
        made = [step.claim.key for step in steps if _carry_out(engine, step, found[step.claim.key])]
        _phases(engine)
    finally:
        lock.release()
    for step in steps:
        if not isinstance(step, binding.Wait):
            _wake(engine, *step.claim.key)
    return made


def _world(engine: Engine) -> tuple[binding.World, Found]:
    objects, resources = engine.store.objects, engine.store.resources
    stored = objects.list(CLAIM)
    uids = {one.uid for one in stored}
    rows = {(row.namespace, row.name): row for row in resources.volumes()}
    live = [row for row in resources.bindings() if row.claim_uid in uids and (row.namespace, row.claim) in rows]
    pods = [plan_of(row) for row in engine.store.runtime.pods()]
    return binding.World(
        volumes=tuple([storage.volume(json.loads(one.body), _meta(one)) for one in objects.list(VOLUME)]),
        claims=tuple([storage.claim(json.loads(one.body), _meta(one)) for one in stored]),
        classes=tuple([storage.storage_class(json.loads(one.body), _meta(one)) for one in objects.list(CLASS)]),
        taken={row.volume: (row.namespace, row.claim) for row in resources.bindings()},
        bound=frozenset((row.namespace, row.claim) for row in live),
        made=frozenset(rows),
        waiting=frozenset((one.key.namespace, one.key.name) for one in stored if f'"{binding.FAILED}"' in one.status),
        used=frozenset((plan.namespace, name) for plan in pods for name in names(plan)),
    ), {(one.key.namespace, one.key.name): one for one in stored}  # fmt: skip


def _meta(one: StoredObject) -> storage.Meta:
    return storage.Meta(one.uid, one.created, one.deleted is not None)


def _carry_out(engine: Engine, step: binding.Step, claim: StoredObject) -> bool:
    if isinstance(step, binding.Wait):
        _status(engine, claim, {"phase": "Pending", "message": step.message, "reason": step.reason})
        return False
    if isinstance(step, binding.Bind):
        volume, key = step.volume, claim.key
        options = (("type", volume.type),) if volume.type else ()
        path = "/" + volume.path.lstrip("/")  # never below the directory of whoever comes by
        row = VolumeRow(key.namespace, key.name, volume.kind, options, (), engine.clock.now(), path)
        with engine.store.write():
            engine.store.resources.bind(BindingRow(volume.name, key.namespace, key.name, claim.uid))
            engine.store.resources.add_volume(row)
        return True
    return _provision(engine, step, claim)


def _provision(engine: Engine, step: binding.Provision, claim: StoredObject) -> bool:
    key, body = claim.key, json.loads(claim.body)
    marks = body["metadata"].get("annotations") or {}
    options = {mark.removeprefix(MARK): value for mark, value in marks.items() if mark.startswith(MARK)}
    made = engine.volumes.named.ensure(key.namespace, key.name, options, body["metadata"].get("labels") or {})
    name = f"pvc-{claim.uid}"
    with engine.store.write():
        if engine.store.objects.find(ObjectKey(VOLUME, "", name)) is None:
            text = json.dumps(_volume(engine, step, claim, body), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            engine.store.objects.create(ObjectKey(VOLUME, "", name), text)
        engine.store.resources.bind(BindingRow(name, key.namespace, key.name, claim.uid))
    if step.missing:
        why = f'storageclass.storage.k8s.io "{step.storage.name}" not found: served by the built-in class {storage.DEFAULT_CLASS}'
        engine.store.events.add(key, claim.uid, "ProvisioningFailed", why, WARNING)
    engine.store.events.add(key, claim.uid, "ProvisioningSucceeded", f"Successfully provisioned volume {name}", NORMAL)
    return made


def _volume(engine: Engine, step: binding.Provision, claim: StoredObject, body: dict[str, Any]) -> dict[str, Any]:
    """The PersistentVolume of a directory of ours (PV4)."""
    spec, key = body["spec"], claim.key
    reference = {"apiVersion": "v1", "kind": CLAIM, "namespace": key.namespace, "name": key.name, "uid": claim.uid}
    return {
        "apiVersion": "v1", "kind": VOLUME,
        "metadata": {"name": f"pvc-{claim.uid}", "annotations": {storage.PROVISIONED: storage.PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]}, "accessModes": list(spec["accessModes"]),
            "persistentVolumeReclaimPolicy": step.storage.policy, "storageClassName": step.storage.name,
            "volumeMode": spec.get("volumeMode") or "Filesystem", "claimRef": reference,
            "hostPath": {"path": engine.volumes.named.path(key.namespace, key.name), "type": ""},
        },
    }  # fmt: skip


def growth_faults(engine: Engine, key: ObjectKey, body: str) -> list[str]:
    """PV3: why a claim cannot have as much as `body` asks for: its class must allow it, and a directory of the host's own has its size."""
    stored = engine.store.objects.get(key)
    wanted, has = storage.claim(json.loads(body)), storage.claim(json.loads(stored.body))
    if wanted.request <= has.request:
        return []
    row = next((row for row in engine.store.resources.bindings() if row.claim_uid == stored.uid), None)
    volume = engine.store.objects.find(ObjectKey(VOLUME, "", row.volume)) if row else None
    view = storage.volume(json.loads(volume.body)) if volume else None
    if view is None:
        return ["spec: Forbidden: only bound persistent volume claims can be expanded"]
    found = engine.store.objects.find(ObjectKey(CLASS, "", view.storage_class))
    grows = storage.storage_class(json.loads(found.body)).expands if found else storage.BUILT_IN.expands
    if view.ours and grows:
        return []
    return ["only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"]


def _grow(engine: Engine, claim: StoredObject, volume: StoredObject) -> StoredObject:
    """A volume of ours is as large as its claim wants it."""
    wanted, body = json.loads(claim.body)["spec"]["resources"]["requests"]["storage"], json.loads(volume.body)
    if not storage.volume(body).ours or storage.amount(body["spec"]["capacity"]["storage"]) >= storage.amount(wanted):
        return volume
    body["spec"]["capacity"]["storage"] = wanted
    return engine.store.objects.update(volume.key, json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def _phases(engine: Engine) -> None:
    """Write what has become of every claim and volume."""
    objects = engine.store.objects
    claims, rows = {one.uid: one for one in objects.list(CLAIM)}, {row.volume: row for row in engine.store.resources.bindings()}
    volumes = {one.key.name: one for one in objects.list(VOLUME)}
    for name, one in volumes.items():
        row = rows.get(name)
        if row is None:
            _status(engine, one, {"phase": "Available"})
        elif row.claim_uid in claims:
            _status(engine, one, {"phase": "Bound"})
        elif storage.volume(json.loads(one.body)).policy == "Delete":
            why = "a directory of the host's own is not removed"
            _status(engine, one, {"phase": "Failed", "message": why, "reason": "VolumeFailedDelete"})
        else:
            _status(engine, one, {"phase": "Released"})
    for row in rows.values():
        claim, volume = claims.get(row.claim_uid), volumes.get(row.volume)
        if claim is not None:
            volume = _grow(engine, claim, volume) if volume else None
            spec = json.loads(volume.body)["spec"] if volume else {}
            found = {"accessModes": spec.get("accessModes"), "capacity": spec.get("capacity")}
            _status(engine, claim, {"phase": "Bound", **found} if volume else {"phase": "Lost"})


def _status(engine: Engine, one: StoredObject, status: dict[str, Any]) -> None:
    """Store a status that differs; a claim's new reason to wait is an event too."""
    before = json.loads(one.status or "{}")
    if before == status:
        return
    engine.store.objects.set_status(one.key, json.dumps(status, sort_keys=True))
    if status.get("reason"):
        kind = NORMAL if status["reason"] == binding.FIRST_CONSUMER else WARNING
        engine.store.events.add(one.key, one.uid, status["reason"], status["message"], kind)


def notices(engine: Engine, namespace: str, name: str) -> list[str]:
    """What a person should hear of a claim that was just played: why it waits, or that its class is not here."""
    found = engine.store.objects.find(ObjectKey(CLAIM, namespace, name))
    if found is None:
        return []
    status = json.loads(found.status or "{}")
    waits = [f"the claim waits: {status['message']}"] if status.get("phase") == "Pending" else []
    return waits + [event.message for event in engine.store.events.list(uid=found.uid) if event.reason == "ProvisioningFailed"]


def _wake(engine: Engine, namespace: str, name: str) -> None:
    """Pods that waited for the claim are due now."""
    for row in engine.store.runtime.pods(namespace):
        if name not in names(plan_of(row)):
            continue
        held = engine.store.runtime.backoffs(row.uid)
        if VOLUMES in held:
            engine.store.runtime.clear_backoff(row.uid, VOLUMES)
        if VOLUMES in held or UNSCHEDULED in held:
            engine.store.runtime.set_pod(row.uid, wake_at=engine.clock.now())
            room.mark(engine, row.uid)


# letting go
def forget_pod(engine: Engine, look: Look) -> None:
    """A pod goes: its own claims with it, and those that were to go when nobody uses them any more (VO14, PV3)."""
    mine = names(look.seen.plan)
    if not mine:
        return
    for stored in engine.store.objects.list(CLAIM, look.row.namespace):
        if stored.owner_uid == look.row.uid:
            release(engine, stored)
            remove_volume(engine, stored.key)
        elif stored.deleted is not None and stored.key.name in mine and users(engine, *stored.key[1:]) == [look.row.name]:
            release(engine, stored)
            if stored.owner_uid:
                remove_volume(engine, stored.key)


def let_go(engine: Engine, one: StoredObject) -> bool:
    """Remove a claim or a volume; False when it is in use: then it goes with its last user (PV3)."""
    if one.key.kind == CLAIM:
        if users(engine, *one.key[1:]):
            engine.store.objects.mark_deleted(one.key, 0)
            return False
        release(engine, one)
        if one.owner_uid:  # made for its owner, like what is in it (ST1: whenDeleted)
            remove_volume(engine, one.key)
        return True
    row = next((row for row in engine.store.resources.bindings() if row.volume == one.key.name), None)
    if row is not None and engine.store.objects.by_uid(row.claim_uid) is not None:
        engine.store.objects.mark_deleted(one.key, 0)
        return False
    with engine.store.write():
        engine.store.resources.unbind(one.key.name)
        engine.store.objects.delete(one.key)
    return True


def release(engine: Engine, claim: StoredObject) -> None:
    """The claim is deleted. What is in a directory of ours stays as a named volume, as with Podman, unless its volume is retained."""
    key = claim.key
    row = next((row for row in engine.store.resources.bindings() if row.claim_uid == claim.uid), None)
    volume = engine.store.objects.find(ObjectKey(VOLUME, "", row.volume)) if row else None
    named = engine.store.resources.volume(key.namespace, key.name)
    with engine.store.write():
        engine.store.objects.delete(key)
        if volume is not None and row is not None:
            if named is not None and named.path:
                engine.store.resources.delete_volume(key.namespace, key.name)
            elif storage.volume(json.loads(volume.body)).policy == "Retain" and named is not None:
                _retain(engine, volume, key)
            else:
                engine.store.objects.delete(volume.key)
            if volume.deleted is not None:
                engine.store.objects.delete(volume.key)
        if row is not None and (volume is None or engine.store.objects.find(volume.key) is None):
            engine.store.resources.unbind(row.volume)
    _phases(engine)


def _retain(engine: Engine, volume: StoredObject, claim: ObjectKey) -> None:
    """Another claim of this name starts empty; the data stay with the released volume."""
    body = json.loads(volume.body)
    body["spec"]["hostPath"]["path"] = engine.volumes.named.retain(claim.namespace, claim.name, volume.key.name)
    engine.store.objects.update(volume.key, json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def remove_volume(engine: Engine, key: ObjectKey) -> None:
    """Remove the named volume of a claim, if there is one, and what is in it when the directory is ours."""
    if engine.store.resources.volume(key.namespace, key.name) is not None:
        engine.volumes.named.remove(key.namespace, key.name)
