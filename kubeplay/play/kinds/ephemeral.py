"""Generic ephemeral volumes: a claim of the pod's own for each, which goes when the pod goes (VO14)."""

from __future__ import annotations

from kubeplay.play.compile import CompileOptions
from kubeplay.play.compile.volumes import claim_name
from kubeplay.play.kinds import pvc
from kubeplay.play.kinds.base import Object, Part, key


def part(pod: Object, options: CompileOptions) -> Part:
    """The claims of a defaulted Pod, owned by it."""
    found = [_claim(pod, volume) for volume in pod["spec"].get("volumes") or [] if volume.get("ephemeral")]
    made = [pvc.build(claim, options, key(pod)) for claim in found]
    return Part(tuple([one for each in made for one in each.objects]), claims=tuple([one for each in made for one in each.claims]))


def _claim(pod: Object, volume: Object) -> Object:
    from kubeplay.kube import defaults, kinds

    template = volume["ephemeral"]["volumeClaimTemplate"]
    given = template.get("metadata") or {}
    meta: Object = {"name": claim_name(pod["metadata"]["name"], volume["name"]), "namespace": key(pod).namespace}
    for field in ("labels", "annotations"):
        if given.get(field):
            meta[field] = dict(given[field])
    owner = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "controller": True, "blockOwnerDeletion": True}
    meta["ownerReferences"] = [owner]
    kind = kinds.find("v1", "PersistentVolumeClaim")
    assert kind is not None
    return defaults.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": template["spec"]}, kind)
