"""StatefulSet: pods with names, disks and an order of their own (ST1, ST2)."""

from __future__ import annotations

from kubeplay.plan.stack import ClaimPlan
from kubeplay.play.compile import CompileOptions, compile_pod
from kubeplay.play.kinds import ephemeral, pvc, revisions, workload
from kubeplay.play.kinds.base import Object, Part, key, planned

MAX_NAME = 52  # with a revision's hash it is a label of the pods; a cluster takes a longer name and then fails to make any pod
POD_NAME, POD_INDEX = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"


def build(obj: Object, templates: list[Object], options: CompileOptions) -> Part:
    """The set, its first revision, and the pods that are made at once (all when Parallel, else the first)."""
    owner, revision = key(obj), revisions.body(obj, 1)
    objects = [planned(obj), planned(revision, owner)]
    claims: list[ClaimPlan] = []
    plans = []
    for number, template in enumerate(templates, first_ordinal(obj)):
        wanted = claims_of(obj, number)
        made = [pvc.build(claim, options, owner if claim["metadata"].get("ownerReferences") else None) for claim in wanted]
        pod = pod_of(obj, number, revision["metadata"]["name"], template)
        owned = ephemeral.part(pod, options)
        objects += [one._replace(keep=True) for part in made for one in part.objects]
        claims += [*(one for part in made for one in part.claims), *owned.claims]
        objects += [planned(pod, owner), *owned.objects]
        plans.append(compile_pod(pod, options, controlled=True))
    return Part(tuple(objects), tuple(claims), pods=tuple(plans))


def templates_of(obj: Object) -> list[Object]:
    """One for each pod of the first batch."""
    found = workload.templates_of(obj)
    return found if obj["spec"].get("podManagementPolicy") == "Parallel" else found[:1]


def first_ordinal(obj: Object) -> int:
    return int((obj["spec"].get("ordinals") or {}).get("start") or 0)


def pod_of(obj: Object, ordinal: int, revision: str, template: Object) -> Object:
    """The pod of one ordinal: its name is its host's name, below the set's Service."""
    from kubeplay.kube import defaults, kinds

    owner = key(obj)
    name, given = f"{owner.name}-{ordinal}", template.get("metadata") or {}
    labels = {**(given.get("labels") or {}), POD_NAME: name, POD_INDEX: str(ordinal), revisions.HASH_LABEL: revision}
    meta: Object = {"name": name, "generateName": f"{owner.name}-", "namespace": owner.namespace, "labels": labels}
    marks = {**workload.podman_marks(obj), **(given.get("annotations") or {})}
    if marks:
        meta["annotations"] = marks
    meta["ownerReferences"] = [workload.owner_reference(obj)]
    spec = {**template["spec"], "hostname": name}
    if obj["spec"].get("serviceName"):
        spec["subdomain"] = obj["spec"]["serviceName"]
    mounts = {template["metadata"]["name"]: claim_name(obj, template, ordinal) for template in _claim_templates(obj)}
    if mounts:
        kept = [volume for volume in spec.get("volumes") or [] if volume.get("name") not in mounts]
        spec["volumes"] = [*({"name": n, "persistentVolumeClaim": {"claimName": claim}} for n, claim in mounts.items()), *kept]
    kind = kinds.find("v1", "Pod")
    assert kind is not None
    return defaults.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}, kind)


def _claim_templates(obj: Object) -> list[Object]:
    return obj["spec"].get("volumeClaimTemplates") or []


def claim_name(obj: Object, template: Object, ordinal: int) -> str:
    return f"{template['metadata']['name']}-{obj['metadata']['name']}-{ordinal}"


def claims_of(obj: Object, ordinal: int) -> list[Object]:
    """ST1: a claim for each template, labelled by the selector, owned by the set only where it is to go with it."""
    from kubeplay.kube import defaults, kinds

    kind = kinds.find("v1", "PersistentVolumeClaim")
    assert kind is not None
    chosen = (obj["spec"].get("selector") or {}).get("matchLabels") or {}
    made = []
    for template in _claim_templates(obj):
        given = template["metadata"]
        meta: Object = {"name": claim_name(obj, template, ordinal), "namespace": key(obj).namespace}
        meta["labels"] = {**(given.get("labels") or {}), **chosen}
        if given.get("annotations"):
            meta["annotations"] = dict(given["annotations"])
        if retention(obj)[0] == "Delete":
            meta["ownerReferences"] = [workload.owner_reference(obj)]
        body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": template["spec"]}
        made.append(defaults.apply(body, kind))
    return made


def retention(obj: Object) -> tuple[str, str]:
    """What becomes of claims when the set is deleted, and when it is scaled down."""
    policy = obj["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return policy.get("whenDeleted") or "Retain", policy.get("whenScaled") or "Retain"
