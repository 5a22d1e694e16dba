"""What Deployment and ReplicaSet share: pods made of a template (DE2, RP2)."""

from __future__ import annotations

from kubeplay.plan.pod import PodPlan
from kubeplay.plan.stack import ClaimPlan, ObjectKey, PlannedObject
from kubeplay.play.compile import CompileOptions, compile_pod
from kubeplay.play.compile.marks import PODMAN
from kubeplay.play.kinds import ephemeral, names
from kubeplay.play.kinds.base import Object, Part, admitted, key, planned


def owner_reference(obj: Object) -> Object:
    """RP2; the owner's uid is known only once it is stored (PlannedObject.owner says whose)."""
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def pods_of(replica_set: Object, templates: list[Object], inherited: dict[str, str], options: CompileOptions) -> Part:
    """One pod for each of `templates`, owned by the ReplicaSet. `inherited`: annotations the controller adds."""
    owner = key(replica_set)
    base = f"{owner.name}-"
    objects: list[PlannedObject] = []
    claims: list[ClaimPlan] = []
    plans: list[PodPlan] = []
    for name, template in zip(names.generated(base, len(templates), f"{owner.namespace}/"), templates):
        pod = admitted(_pod(template, replica_set, name, base, inherited), options)
        owned = ephemeral.part(pod, options)
        objects += [planned(pod, owner), *owned.objects]
        claims += owned.claims
        plans.append(compile_pod(pod, options, controlled=True))
    return Part(tuple(objects), tuple(claims), pods=tuple(plans))


def _pod(template: Object, replica_set: Object, name: str, base: str, inherited: dict[str, str]) -> Object:
    made = _of_template(template, {"name": name, "generateName": base, "namespace": key(replica_set).namespace}, inherited)
    made["metadata"]["ownerReferences"] = [owner_reference(replica_set)]
    return made


def pod_body(owner: Object) -> Object:
    """One more pod of a workload's template, for its controller: without a name and an owner, which whoever stores it gives it."""
    place = key(owner)
    return _of_template(owner["spec"]["template"], {"generateName": f"{place.name}-", "namespace": place.namespace}, podman_marks(owner))


def _of_template(template: Object, meta: Object, inherited: dict[str, str]) -> Object:
    from kubeplay.kube import defaults, kinds

    given = template.get("metadata") or {}
    marks = {**inherited, **(given.get("annotations") or {})}
    if marks:
        meta["annotations"] = marks
    meta["labels"] = dict(given.get("labels") or {})
    kind = kinds.find("v1", "Pod")
    assert kind is not None
    return defaults.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}, kind)


def podman_marks(obj: Object) -> dict[str, str]:
    """Podman reads the controller's own annotations for the pods, Kubernetes the template's: both hold, the template wins."""
    marks = obj["metadata"].get("annotations") or {}
    return {name: value for name, value in marks.items() if name.startswith(PODMAN)}


def templates_of(obj: Object, number: int | None = None) -> list[Object]:
    """The template once per replica (or `number` times): itself for one replica, so that a flag's change is kept in the object; copies
    for more.
    """
    spec = obj["spec"]
    replicas = number if number is not None else 1 if spec.get("replicas") is None else spec["replicas"]
    if replicas == 1:
        return [spec["template"]]
    from kubeplay.kube.normal import fresh

    return [fresh(spec["template"]) for _ in range(replicas)]


def joined(first: tuple[PlannedObject, ...], pods: Part) -> Part:
    return Part(first + pods.objects, pods.claims, pods=pods.pods)


__all__ = ["ObjectKey", "joined", "owner_reference", "podman_marks", "pod_body", "pods_of", "templates_of"]
