"""Take down the objects of a file and what they own: pods in parallel with their grace, then everything they held.

Idempotent: what is not there is not an error. Volumes stay unless `force`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kubeplay.engine.host import faults
from kubeplay.engine.host.trace import trace
from kubeplay.engine.store.objects import StoredObject
from kubeplay.engine.store.runtime import DELETE, PodRow
from kubeplay.kube.status import TERMINAL
from kubeplay.plan.stack import ObjectKey
from kubeplay.play import given, set_claims
from kubeplay.play import record as records
from kubeplay.play.progress import Progress, ProgressEvent, silent
from kubeplay.reconcile import parallel, services, system
from kubeplay.reconcile.observe import plan_of
from kubeplay.reconcile.pod import reconcile, sweep
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine


WORKLOADS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob")  # what has a controller
RULING = ("Ingress", "NetworkPolicy")  # what rules and the proxy follow from beside Services
STORAGE = ("PersistentVolumeClaim", "PersistentVolume")  # what is protected while it is used (PV3)


class DownResult(Record):
    """What was removed, and volumes that were kept although `force` asked for them (somebody uses them)."""

    pods: tuple[ObjectKey, ...] = ()
    objects: tuple[ObjectKey, ...] = ()
    volumes: tuple[ObjectKey, ...] = ()
    kept: tuple[ObjectKey, ...] = ()


def down(
    engine: Engine, keys: Sequence[ObjectKey], *, force: bool = False, timeout: float | None = None, progress: Progress = silent
) -> DownResult:
    """Remove the objects `keys` name, their owned objects and pods; `timeout` seconds replaces each pod's grace."""
    with trace("down"):
        hold = records.Record(engine, keys)
        left = hold.take(lambda: _hurry(engine, keys, timeout))
        try:
            if left:
                collect(engine)
            wanted = [*keys, *[key for key, value in left if value == records.MADE]]
            result = remove(engine, wanted, force=force, timeout=timeout, progress=progress, recover=bool(left))
            given.forget(engine)
            return result
        finally:
            hold.release()


def _hurry(engine: Engine, keys: Sequence[ObjectKey], timeout: float | None) -> None:
    """Somebody else works on these objects: a play that waits for a pod, or a removal with a longer grace. The pods need not wait for it
    (TE1: a second deletion may shorten the first); whoever holds them sees that they go.
    """
    found = _owned(engine, [obj for key in keys if (obj := engine.store.objects.find(key))])
    mark(engine, found, timeout)
    uids = [obj.uid for obj in found if obj.key.kind == "Pod" and _row(engine, obj) is not None]

    def end(uid: str) -> None:
        reconcile(engine, uid, wait_net=False, grace=timeout)

    parallel.each(end, uids)


def collect(engine: Engine) -> None:
    """After a command was killed: whatever no row accounts for."""
    engine.collect()
    sweep(engine)


def remove(
    engine: Engine,
    keys: Iterable[ObjectKey],
    *,
    force: bool = False,
    timeout: float | None = None,
    progress: Progress = silent,
    recover: bool = False,
) -> DownResult:
    """As `down`, for a caller that holds the objects already; `recover`: a killed command may have left the network behind."""
    named = list(dict.fromkeys(keys))
    found = _owned(engine, [obj for key in named if (obj := engine.store.objects.find(key))])
    if force:
        claims = [key for key in set_claims.of(engine, found) if key not in named]
        named += claims
        found += [obj for key in claims if (obj := engine.store.objects.find(key)) and obj.uid not in [one.uid for one in found]]
    pods = [row for obj in found if obj.key.kind == "Pod" and (row := _row(engine, obj))]
    mark(engine, found, timeout)
    faults.point("down:marked")
    _end(engine, pods, timeout, progress)
    faults.point("down:pods")
    removed = _objects(engine, found, progress)
    faults.point("down:objects")
    volumes, kept = _volumes(engine, named, force, progress)
    _network(engine, recover or bool(pods) or any(obj.key.kind in (*services.ROUTED, *RULING) for obj in found))
    faults.point("down:network")
    return DownResult(tuple([ObjectKey("Pod", p.namespace, p.name) for p in pods]), tuple(removed), tuple(volumes), tuple(kept))


def _owned(engine: Engine, roots: list[StoredObject]) -> list[StoredObject]:
    """The objects and everything they own, owners first."""
    found: dict[str, StoredObject] = {}
    queue = list(roots)
    while queue:
        obj = queue.pop(0)
        if obj.uid not in found:
            found[obj.uid] = obj
            if obj.key.kind not in ("Pod", "ConfigMap", "Secret", "Namespace"):
                queue += engine.store.objects.list(owner_uid=obj.uid)
    return list(found.values())


def _row(engine: Engine, obj: StoredObject) -> PodRow | None:
    row = engine.store.runtime.find_pod(obj.key.namespace, obj.key.name)
    return row if row is not None and row.uid == obj.uid else None


def mark(engine: Engine, found: list[StoredObject], timeout: float | None) -> None:
    """From here on nothing of it starts again, whoever dies (TE1)."""
    with engine.store.write():
        for obj in found:
            if obj.key.kind in WORKLOADS:  # its controller must not replace what goes now
                engine.store.objects.mark_deleted(obj.key, 0)
            if obj.key.kind == "Pod":
                row = _row(engine, obj)
                if row is None:
                    continue
                grace = plan_of(row).grace_seconds if timeout is None else math.ceil(timeout)
                if _has_ended(obj):
                    grace = 0
                engine.store.objects.mark_deleted(obj.key, grace)
                engine.store.runtime.set_pod(obj.uid, desired=DELETE)


def _has_ended(obj: StoredObject) -> bool:
    import json

    return bool(obj.status) and json.loads(obj.status).get("phase") in TERMINAL


def _end(engine: Engine, pods: list[PodRow], timeout: float | None, progress: Progress) -> None:
    if not pods:
        return
    uids = [(row.uid, f"{row.namespace}/{row.name}") for row in pods]
    dns = engine.store.runtime.find_pod(system.NAMESPACE, system.NAME)
    if dns is not None and dns.uid not in [u for u, _ in uids] and system.idle(engine):
        engine.store.runtime.set_pod(dns.uid, desired=DELETE)
        uids.append((dns.uid, ""))

    def end(item: tuple[str, str]) -> None:
        uid, name = item
        with trace(f"end {name}"):
            reconcile(engine, uid, wait_net=False, grace=timeout)
        if name:
            progress(ProgressEvent("pod", "removed", name, uid))

    def part(item: tuple[str, str]) -> None:
        if item[0]:
            end(item)
        else:  # endpoints go at once (TE4), while containers still have their grace
            services.refresh(engine)

    others = services.plans(engine)
    parallel.each(part, [*uids, *([("", "")] if others else [])])


def _objects(engine: Engine, found: list[StoredObject], progress: Progress) -> list[ObjectKey]:
    removed: list[ObjectKey] = []
    showing: list[str] = []
    namespaces = [obj for obj in found if obj.key.kind == "Namespace"]
    for obj in [*[obj for obj in reversed(found) if obj not in namespaces], *namespaces]:
        if obj.key.kind == "Service":
            services.release(engine, obj.key.namespace, obj.key.name)
        if obj.key.kind == "Namespace" and engine.store.objects.list(namespace=obj.key.name):
            progress(ProgressEvent("object", "kept", str(obj.key), message="other objects live in it"))
            continue
        if obj.key.kind in STORAGE and engine.store.objects.find(obj.key) is not None:
            from kubeplay.reconcile import claims

            gone = claims.let_go(engine, obj)
            if not gone:
                progress(ProgressEvent("object", "kept", str(obj.key), message="it is in use, and goes with its last user"))
                continue
        else:
            with engine.store.write():
                gone = engine.store.objects.delete(obj.key)  # a pod's has gone with the pod
                showing += _showing(engine, obj.key)
        if obj.key.kind != "Pod":
            removed.append(obj.key)
            if gone:
                progress(ProgressEvent("object", "removed", str(obj.key), obj.uid))
    if showing:
        from kubeplay.reconcile import live

        live.bring(engine, dict.fromkeys(showing))
    return removed


def _showing(engine: Engine, key: ObjectKey) -> list[str]:
    """Other pods with files of an object that goes: an optional one's are removed (VO3)."""
    if key.kind not in ("ConfigMap", "Secret") or not engine.store.runtime.pods(key.namespace):
        return []
    from kubeplay.reconcile import live

    return live.mark(engine, [key])


def _volumes(engine: Engine, named: list[ObjectKey], force: bool, progress: Progress) -> tuple[list[ObjectKey], list[ObjectKey]]:
    from kubeplay.reconcile import claims

    removed: list[ObjectKey] = []
    kept: list[ObjectKey] = []
    for key in named:
        wanted = key.kind == records.VOLUME or (force and key.kind == "PersistentVolumeClaim")
        if not wanted or engine.store.resources.volume(key.namespace, key.name) is None:
            continue
        if claims.users(engine, key.namespace, key.name):
            kept.append(key)
            progress(ProgressEvent("volume", "kept", f"{key.namespace}/{key.name}", message="a pod uses it"))
            continue
        claims.remove_volume(engine, key)
        removed.append(key)
        progress(ProgressEvent("volume", "removed", f"{key.namespace}/{key.name}"))
    return removed, kept


def _network(engine: Engine, changed: bool) -> None:
    """Rules and names follow; bridge and table go with their last user."""
    if not changed:
        return
    from kubeplay.reconcile import ingress

    with trace("network"):
        ingress.remove_idle(engine)
        if not engine.net.teardown_if_idle():
            services.refresh(engine)


def clear(engine: Engine) -> list[str]:
    """After pods have gone without a command: what they needed goes too; the uid of the DNS server when it has to end."""
    dns = engine.store.runtime.find_pod(system.NAMESPACE, system.NAME)
    if dns is not None and dns.desired != DELETE and system.idle(engine):
        engine.store.runtime.set_pod(dns.uid, desired=DELETE)
        return [dns.uid]
    if dns is None:
        engine.net.teardown_if_idle()
    return []
