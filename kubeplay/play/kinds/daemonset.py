"""DaemonSet: one pod, as there is one node (DS1)."""

from __future__ import annotations

from kubeplay.play.compile import CompileOptions, compile_pod
from kubeplay.play.kinds import ephemeral, names, revisions, workload
from kubeplay.play.kinds.base import Object, Part, key, planned

GENERATION_LABEL, GENERATION_MARK = "pod-template-generation", "deprecated.daemonset.template.generation"
_NODE = "node.kubernetes.io/"
# [K: controller/daemon/util/daemonset_util.go] what may be wrong with a node without its daemons leaving it.
_TOLERATED = (("not-ready", "NoExecute"), ("unreachable", "NoExecute"), ("disk-pressure", "NoSchedule"),
              ("memory-pressure", "NoSchedule"), ("pid-pressure", "NoSchedule"), ("unschedulable", "NoSchedule"))  # fmt: skip


def build(obj: Object, templates: list[Object], options: CompileOptions) -> Part:
    """The set, its first revision, and its pod."""
    owner, revision = key(obj), revisions.body(obj, 1)
    objects = [planned(obj), planned(revision, owner)]
    name = names.generated(f"{owner.name}-", 1, f"{owner.namespace}/")[0]
    pod = pod_of(obj, revisions.code(obj), templates[0], name)
    owned = ephemeral.part(pod, options)
    objects += [planned(pod, owner), *owned.objects]
    return Part(tuple(objects), owned.claims, pods=(compile_pod(pod, options, controlled=True),))


def templates_of(obj: Object) -> list[Object]:
    template: Object = obj["spec"]["template"]
    return [template]


def pod_of(obj: Object, code: str, template: Object, name: str = "") -> Object:
    """A pod of the template whose hash is `code`; without `name`, one is drawn when it is made."""
    from kubeplay.kube import defaults, kinds

    owner, given = key(obj), template.get("metadata") or {}
    meta: Object = {"name": name} if name else {}
    meta.update(generateName=f"{owner.name}-", namespace=owner.namespace)
    generation = (obj["metadata"].get("annotations") or {}).get(GENERATION_MARK) or "1"
    meta["labels"] = {**(given.get("labels") or {}), revisions.HASH_LABEL: code, GENERATION_LABEL: generation}
    marks = {**workload.podman_marks(obj), **(given.get("annotations") or {})}
    if marks:
        meta["annotations"] = marks
    meta["ownerReferences"] = [workload.owner_reference(obj)]
    spec = {**template["spec"], "tolerations": _tolerations(template["spec"])}
    kind = kinds.find("v1", "Pod")
    assert kind is not None
    return defaults.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}, kind)


def _tolerations(spec: Object) -> list[Object]:
    given = list(spec.get("tolerations") or [])
    more = (("network-unavailable", "NoSchedule"),) if spec.get("hostNetwork") else ()
    made = [{"key": _NODE + word, "operator": "Exists", "effect": effect} for word, effect in (*_TOLERATED, *more)]
    return [*given, *(one for one in made if one not in given)]
