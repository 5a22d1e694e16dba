"""`play kube --update`: which changes of what is there can be made in place (VL6, VO5), and making them.

ConfigMaps and Secrets change their files in running pods; of a pod labels, annotations, images, deadline and tolerations; of workloads
what is stored, and their controllers do the rest. Everything else is refused before anything is touched. What was changed stays changed
when a later part of the play fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kubeplay.errors import AlreadyExists, Conflict
from kubeplay.kube import ephemeral
from kubeplay.kube.defaults_pod import pull_policy
from kubeplay.plan import codec
from kubeplay.plan.container import EPHEMERAL
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.stack import ObjectKey, PlannedObject, Stack
from kubeplay.play import change
from kubeplay.reconcile.objects import content
from kubeplay.record import Record

if TYPE_CHECKING:
    from kubeplay.engine.engine import Engine
    from kubeplay.engine.store.objects import StoredObject

Object = Mapping[str, Any]
POD_MAY = (
    "pod updates may not change fields other than spec.containers[*].image, spec.initContainers[*].image, spec.activeDeadlineSeconds,"
    " spec.tolerations (only additions), spec.schedulingGates (only removals), spec.terminationGracePeriodSeconds (to 1, if negative)"
)
FIXED = "field is immutable when `immutable` is set"


class Update(Record):
    """One object that is changed in place; `plan` is a pod's new one, `spec` whether more than its metadata changes (VL9)."""

    key: ObjectKey
    body: str
    spec: bool
    plan: PodPlan | None = None


def judged(
    engine: Engine, stack: Stack, different: Iterable[change.Difference]
) -> tuple[tuple[Update, ...], dict[ObjectKey, list[str]]]:
    """What has to be stored so that the differing objects are as the files have them; and which of them cannot become so, with why."""
    bodies = {planned.key: planned.body for planned in stack.objects}
    plans = {ObjectKey("Pod", plan.namespace, plan.name): plan for plan in stack.pods}
    made: list[Update] = []
    refused: dict[ObjectKey, list[str]] = {}
    for one in different:
        stored, new = engine.store.objects.get(one.key).body, bodies[one.key]
        old, plan = change.as_written(ephemeral.without(stored), new), plans.get(one.key)
        lines = faults(one.key.kind, old, new)
        if one.key.kind == "Service":
            from kubeplay.play import update_service
            from kubeplay.reconcile import services

            given = [s for s in services.plans(engine) if (s.namespace, s.name) == (one.key.namespace, one.key.name)]
            lines = update_service.service(given[0] if given else None, json.loads(old), json.loads(new))
        if one.key.kind == "PersistentVolumeClaim" and not lines:
            from kubeplay.reconcile import claims

            lines = claims.growth_faults(engine, one.key, new)
        if plan is not None:
            row = engine.store.runtime.find_pod(one.key.namespace, one.key.name)
            runs: PodPlan = codec.loads(row.plan) if row else plan
            plan = change.noted(plan, runs)
            lines = lines or (plan_faults(change.played(runs), plan) if row else list(one.lines))
            plan = plan._replace(containers=(*plan.containers, *[c for c in runs.containers if c.kind == EPHEMERAL]))
        if lines:
            refused[one.key] = list(lines)
            continue
        body = change.with_marks(stored, ephemeral.kept(stored, new))
        made.append(Update(one.key, body, _without_meta(old) != _without_meta(new), plan))
    return tuple(made), refused


def refuse(refused: Mapping[ObjectKey, list[str]]) -> None:
    """Raises Conflict with all that cannot be done, where there is any."""
    lines = [f"  {key}: {line}" for key, why in refused.items() for line in why]
    if lines:
        raise Conflict(
            "these objects exist and cannot be changed as the files have it:\n" + "\n".join(lines),
            hint="play with --replace to remove and make them anew",
        )


def _without_meta(body: str) -> Object:
    return {key: value for key, value in json.loads(body).items() if key != "metadata"}


# what may change: pure
def faults(kind: str, old_body: str, new_body: str) -> list[str]:
    """Why an object of this kind cannot become `new_body`, nothing when it can."""
    old, new = json.loads(old_body), json.loads(new_body)
    if kind in ("ConfigMap", "Secret"):
        return _data(kind, old, new)
    if kind == "Pod":
        return _pod(old["spec"], new["spec"])
    if kind in ("Service", "Endpoints"):  # a Service's addresses are looked at where they are known
        return []
    if kind == "EndpointSlice":
        from kubeplay.play import update_service

        return update_service.endpoint_slice(old, new)
    if kind == "PersistentVolumeClaim":
        from kubeplay.kube import storage

        return storage.claim_changes(old["spec"], new["spec"])
    from kubeplay.kube import immutable

    if immutable.knows(kind):
        return immutable.faults(kind, old, new)
    return change.describe(kind, json.dumps(_without_meta(old_body)), json.dumps(_without_meta(new_body)))


def _data(kind: str, old: Object, new: Object) -> list[str]:
    """VO5: what says that it never changes does not, and does not take that back."""
    lines = []
    if kind == "Secret" and (old.get("type") or "Opaque") != (new.get("type") or "Opaque"):
        lines.append("type: field is immutable")
    if old.get("immutable"):
        if not new.get("immutable"):
            lines.append(f"immutable: {FIXED}")
        if content(kind, json.dumps(old)) != content(kind, json.dumps(new)):
            lines.append(f"data: {FIXED}")
    return lines


def _pod(old: Object, new: Object) -> list[str]:
    before, after = dict(old), dict(new)
    lines = _deadline(before.pop("activeDeadlineSeconds", None), after.pop("activeDeadlineSeconds", None))
    kept = before.pop("tolerations", None) or []
    wanted = after.pop("tolerations", None) or []
    lines += ["spec.tolerations: existing toleration can not be modified except its tolerationSeconds" for t in kept if not _has(wanted, t)]
    gates = before.pop("schedulingGates", None) or []
    added = [gate for gate in after.pop("schedulingGates", None) or [] if gate not in gates]
    lines += [f"spec.schedulingGates: {gate['name']} cannot be added" for gate in added]
    if (before.get("terminationGracePeriodSeconds") or 0) < 0 and after.get("terminationGracePeriodSeconds") == 1:
        del before["terminationGracePeriodSeconds"], after["terminationGracePeriodSeconds"]
    for field in ("containers", "initContainers"):
        before[field], after[field] = _images(before.get(field) or [], after.get(field) or [])
    rest = change.describe("Pod", json.dumps({"spec": before}), json.dumps({"spec": after}))
    return lines + ([*rest, POD_MAY] if rest else [])


def _deadline(old: int | None, new: int | None) -> list[str]:
    """It may be set, and come nearer."""
    if old is None or old == new:
        return []
    if new is None:
        return ["spec.activeDeadlineSeconds: must not update from a positive integer to nil value"]
    return [] if new < old else [f"spec.activeDeadlineSeconds: must be less than or equal to previous value {old}"]


def _has(wanted: list[Object], toleration: Object) -> bool:
    def bare(one: Object) -> Object:
        return {key: value for key, value in one.items() if key != "tolerationSeconds"}

    return any(bare(one) == bare(toleration) for one in wanted)


def _images(old: list[Object], new: list[Object]) -> tuple[list[Object], list[Object]]:
    """Both lists without what may differ: images, and pull policies that only follow from them (DF2)."""

    def bare(one: Object) -> Object:
        image = one.get("image") or ""
        drop = {"image", "imagePullPolicy"} if one.get("imagePullPolicy") == pull_policy(image) else {"image"}
        return {key: value for key, value in one.items() if key not in drop}

    return [bare(one) for one in old], [bare(one) for one in new]


def plan_faults(old: PodPlan, new: PodPlan) -> list[str]:
    """What an annotation, a flag or another version of ours changes about how the pod runs: that needs a new pod."""
    if _fixed(old) == _fixed(new):
        return []
    lines = change.plan_lines(_fixed(old), _fixed(new))
    return [*lines, "an annotation or a flag changes how the pod runs"]


def _fixed(plan: PodPlan) -> PodPlan:
    """The part of a plan that stays while the pod lives."""
    containers = tuple([one._replace(image="", pull_policy="", pull_policy_set=False) for one in plan.containers])
    return plan._replace(containers=containers, labels=(), annotations=(), grace_seconds=0, deadline_seconds=None, scheduling_gates=())


# making them
def store(engine: Engine, wanted: Iterable[Update], appeared: Iterable[ObjectKey] = ()) -> list[str]:
    """Store the changes, inside the play's transaction; the uids of the pods that have to be looked at.

    `appeared` are objects that are made in the same transaction: a pod may have waited for one that is optional (VO3).
    """
    from kubeplay.reconcile import live
    from kubeplay.reconcile.observe import remember

    touched: dict[str, None] = {}
    wanted = list(wanted)
    for one in wanted:
        found = engine.store.objects.update(one.key, one.body, spec=one.spec)
        if one.plan is not None:
            text = codec.dumps(one.plan)
            engine.store.runtime.set_pod(found.uid, plan=text, wake_at=engine.clock.now())
            remember(found.uid, text, one.plan)
            touched[found.uid] = None
            if live.shows_itself(one.plan):
                live.mark_pod(engine, found.uid)
    touched.update(dict.fromkeys(live.mark(engine, [*(one.key for one in wanted), *appeared])))
    return list(touched)


def put(engine: Engine, planned: PlannedObject, *, replace: bool = False) -> StoredObject:
    """Store one ConfigMap or Secret, and bring the files of running pods that show it up to date. Raises AlreadyExists, Conflict."""
    from kubeplay.reconcile import live

    with engine.store.write():
        found = engine.store.objects.find(planned.key)
        if found is None:
            made = engine.store.objects.create(planned.key, planned.body)
        elif not replace:
            raise AlreadyExists(f"{planned.key} already exists", hint="--replace gives it new data, which running pods see in their files")
        else:
            lines = faults(planned.key.kind, found.body, planned.body)
            if lines:
                raise Conflict(f"{planned.key} cannot be changed: {'; '.join(lines)}", hint="remove it first, then create it")
            made = engine.store.objects.update(planned.key, planned.body)
        touched = live.mark(engine, [planned.key])
    live.bring(engine, touched)
    return made


def take(engine: Engine, key: ObjectKey) -> None:
    """Remove a ConfigMap or Secret, and its files from running pods to which it is optional."""
    from kubeplay.reconcile import live

    with engine.store.write():
        engine.store.objects.delete(key)
        touched = live.mark(engine, [key])
    live.bring(engine, touched)
