"""All manifests of one play as a Stack: objects to store in apply order (VL9) and pods to run. Pure and deterministic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.errors import Fault, InvalidInput
from kubeplay.plan.stack import ObjectKey, PlannedObject, Stack
from kubeplay.play.compile import CompileOptions, flags, marks
from kubeplay.play.kinds import base, cronjob, daemonset, data, deployment, job, names, pod, pvc, replicaset, service, statefulset, workload
from kubeplay.play.kinds.base import Object, Part

if TYPE_CHECKING:
    from kubeplay.kube.check import Manifest
    from kubeplay.kube.identity import Identity

# VL9: what others refer to first.
ORDER = ("Namespace", "PriorityClass", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "LimitRange",
         "ResourceQuota", "StorageClass", "PersistentVolume", "ConfigMap", "Secret", "PersistentVolumeClaim", "Service",
         "Endpoints", "EndpointSlice", "NetworkPolicy", "IngressClass", "Ingress",
         "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "CronJob", "Job", "ControllerRevision",
         "PodDisruptionBudget", "HorizontalPodAutoscaler", "Pod")  # fmt: skip
_RANK = {kind: number for number, kind in enumerate(ORDER)}
MAX_REPLICAS = 1000  # ours: the default network of one machine has no more addresses to give in earnest
_RULES = ("PriorityClass", "ServiceAccount", "LimitRange")  # kube/policies.py
_PLAIN = {
    **dict.fromkeys(("PriorityClass", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "LimitRange",
                     "ResourceQuota"), data.build),
    "Namespace": data.build, "StorageClass": data.build, "PersistentVolume": data.build, "ConfigMap": data.build,
    "Secret": data.build, "PersistentVolumeClaim": pvc.build,
    "Service": service.build, "Endpoints": data.build, "EndpointSlice": data.build,
    "Pod": pod.build, "PodDisruptionBudget": data.build, "HorizontalPodAutoscaler": data.build, "CronJob": cronjob.build,
    "NetworkPolicy": data.build, "IngressClass": data.build, "Ingress": data.build,
}  # fmt: skip
_WORKLOADS = {
    "Deployment": deployment.build, "ReplicaSet": replicaset.build, "StatefulSet": statefulset.build, "DaemonSet": daemonset.build,
    "Job": job.build,
}  # fmt: skip
# What the pods of the first batch are made of, where that is not the template once per replica.
_TEMPLATES = {"StatefulSet": statefulset.templates_of, "DaemonSet": daemonset.templates_of, "Job": job.templates_of}


def build(manifests: Sequence[Manifest], options: CompileOptions = CompileOptions()) -> Stack:  # noqa: B008
    """The Stack of defaulted and validated manifests. Raises InvalidInput with every duplicate or bad annotation."""
    objects = _objects(manifests, options)
    faults = _refused(manifests, objects)
    options = _with_policies(options, objects)
    if faults:
        raise InvalidInput("the manifests cannot be played together", faults)
    templates = {at: _TEMPLATES.get(obj["kind"], workload.templates_of)(obj) for at, obj in enumerate(objects) if obj["kind"] in _WORKLOADS}
    _apply_flags(objects, templates, options)
    order = sorted(range(len(objects)), key=lambda at: _RANK[objects[at]["kind"]])
    parts = [_build(objects[at], templates.get(at), options) for at in order]
    planned = _once([one for part in parts for one in part.objects])
    planned.sort(key=_rank)
    claims = {(one.namespace, one.name): one for part in reversed(parts) for one in reversed(part.claims)}
    return Stack(
        objects=tuple(planned),
        claims=(*reversed(claims.values()),),
        services=tuple([one for part in parts for one in part.services]),
        pods=tuple([one for part in parts for one in part.pods]),
        start=options.start,
    )


def _once(planned: list[PlannedObject]) -> list[PlannedObject]:
    """Without the claims that a StatefulSet would make, where the files have them of their own (ST1)."""
    seen = {one.key for one in planned if not one.keep}
    made = []
    for one in planned:
        if not one.keep or one.key not in seen:
            made.append(one)
        seen.add(one.key)
    return made


def _with_policies(options: CompileOptions, objects: list[Object]) -> CompileOptions:
    """The rules of namespaces that the files bring hold for the files' own pods."""
    if not any(obj["kind"] in _RULES for obj in objects):
        return options
    from kubeplay.kube.policies import Policies

    return options._replace(policies=(options.policies or Policies()).with_these(objects))


def _rank(planned: PlannedObject) -> int:
    """An owner comes first: its uid is asked for by what it owns."""
    return max(_RANK[planned.key.kind], _RANK[planned.owner.kind] + 1) if planned.owner else _RANK[planned.key.kind]


def keys(identities: Sequence[Identity]) -> list[ObjectKey]:
    """The objects that files name, in apply order: what `down FILE` looks for."""
    ordered = sorted(identities, key=lambda one: _RANK[one.kind])
    return [ObjectKey(one.kind, one.namespace, one.name or _drawn(one.prefix, one.namespace, one.at)) for one in ordered]


def _drawn(prefix: str, namespace: str, at: int) -> str:
    """The name of an object that has only generateName."""
    return names.generated(prefix, 1, f"{namespace}/{at}/")[0]


def _objects(manifests: Sequence[Manifest], options: CompileOptions) -> list[Object]:
    """The manifests' objects, copied where a flag will change them, with generateName made a name."""
    made = []
    for at, manifest in enumerate(manifests):
        obj = base.cleaned(manifest.object)
        meta = obj["metadata"]
        if not meta.get("name") and meta.get("generateName"):
            obj = {**obj, "metadata": {**meta, "name": _drawn(meta["generateName"], meta.get("namespace", ""), at)}}
        made.append(_copy(obj, manifest) if _changes(options) else obj)
    return made


def _changes(options: CompileOptions) -> bool:
    """Whether any flag of `options` is written into objects."""
    return any((
        options.networks, options.network_aliases, options.ips, options.ips6, options.macs, options.publish,
        options.publish_all, options.log_driver, options.log_opts,
        options.annotations, options.labels, options.userns, not options.container_prefix,
    ))  # fmt: skip


def _copy(obj: Object, manifest: Manifest) -> Object:
    from kubeplay.kube import defaults

    return defaults.apply(obj, manifest.kind)


def _apply_flags(objects: list[Object], templates: dict[int, list[Object]], options: CompileOptions) -> None:
    if not _changes(options):
        return
    pods: list[flags.Target] = []
    for at, obj in enumerate(objects):
        if at in templates:
            shared = obj["spec"]["template"]
            for template in (shared, *[t for t in templates[at] if t is not shared]):
                flags.write(template.setdefault("metadata", {}), template["spec"], options)
            pods += [flags.Target(str(base.key(obj)), template) for template in templates[at]]
            flags.mark(obj["metadata"], options)
        elif obj["kind"] == "Pod":
            flags.write(obj["metadata"], obj["spec"], options)
            pods.append(flags.Target(obj["metadata"]["name"], obj))
        else:
            if obj["kind"] == "CronJob":
                template = obj["spec"]["jobTemplate"]["spec"]["template"]
                flags.write(template["metadata"], template["spec"], options)
            flags.mark(obj["metadata"], options)
    flags.address(pods, options)
    flags.publish(pods, options)


def _build(obj: Object, templates: list[Object] | None, options: CompileOptions) -> Part:
    if templates is None:
        return _PLAIN[obj["kind"]](obj, options)
    return _WORKLOADS[obj["kind"]](obj, templates, options)


def refused(manifests: Sequence[Manifest]) -> list[Fault]:
    """What `build` would refuse of manifests that are right each by itself."""
    return _refused(manifests, _objects(manifests, CompileOptions()))


def _refused(manifests: Sequence[Manifest], objects: list[Object]) -> list[Fault]:
    """Two objects of one identity, annotations of ours that cannot be meant, more pods than a machine can hold."""
    from kubeplay.play.places import placed

    seen: dict[ObjectKey, int] = {}
    faults: list[Fault] = []
    for at, obj in enumerate(objects):
        key = base.key(obj)
        found = _faults(obj)
        if key in seen:
            first = manifests[seen[key]].document
            hint = f"{key} is also in {first.source}, document {first.index + 1}"
            found.append(Fault("metadata.name", "FieldValueDuplicate", f'Duplicate value: "{key.name}"', hint))
        seen.setdefault(key, at)
        faults += [placed(fault, manifests[at].document) for fault in found]
    return faults


def _faults(obj: Object) -> list[Fault]:
    found = marks.faults(obj["metadata"], "metadata")
    if obj["kind"] == "CronJob":
        template = obj["spec"]["jobTemplate"]
        found += marks.faults(template.get("metadata") or {}, "spec.jobTemplate.metadata")
        found += marks.faults(template["spec"]["template"].get("metadata") or {}, "spec.jobTemplate.spec.template.metadata")
    if obj["kind"] in _WORKLOADS:
        found += marks.faults(obj["spec"]["template"].get("metadata") or {}, "spec.template.metadata")
        if (obj["spec"].get("replicas") or 0) > MAX_REPLICAS:
            found.append(Fault("spec.replicas", "NotSupported", f"not supported: more than {MAX_REPLICAS} replicas on one machine"))
    if obj["kind"] == "StatefulSet" and len(obj["metadata"]["name"]) > statefulset.MAX_NAME:
        text = f"pods of a StatefulSet bear its name and a revision as a label: at most {statefulset.MAX_NAME} characters leave room for it"
        found.append(Fault("metadata.name", "NotSupported", text))
    return found
