"""Objects of a cluster as files for another place: without what that cluster filled in, and what ties them to its nodes noted. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubeplay.generate.order import keys
from kubeplay.generate.prune import prune
from kubeplay.generate.storage import hidden
from kubeplay.kube.kinds import Kind
from kubeplay.kube.portable.model import INFO, part
from kubeplay.play.portable import local
from kubeplay.record import Record

Object = dict[str, Any]

# Made by every cluster itself, or by a controller for its own use.
_CLUSTERS_OWN = {
    ("ConfigMap", "kube-root-ca.crt"): "every namespace has it",
    ("ServiceAccount", "default"): "every namespace has it",
    ("Service", "kubernetes"): "it is the API server",
    ("Endpoints", "kubernetes"): "it is the API server",
}
_SECRETS_OWN = {
    "kubernetes.io/service-account-token": "a token of that cluster's",
    "bootstrap.kubernetes.io/token": "a token of that cluster's",
    "helm.sh/release.v1": "helm's own record of a release",
}
# annotations that controllers, kubectl and clouds write for themselves
_ANNOTATIONS_OWN = (
    "kubectl.kubernetes.io/last-applied-configuration", "kubectl.kubernetes.io/restartedAt", "pv.kubernetes.io/",
    "volume.kubernetes.io/", "volume.beta.kubernetes.io/", "control-plane.alpha.kubernetes.io/", "autoscaling.alpha.kubernetes.io/",
    "endpoints.kubernetes.io/", "batch.kubernetes.io/job-tracking", "cni.projectcalico.org/", "kubernetes.io/limit-ranger",
)  # fmt: skip
# labels that the Job controller gives its pods (JO2)
_JOBS_OWN = ("controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name")
# fields of a pod that mean that cluster's nodes and classes
_PLACEMENT = ("nodeName", "nodeSelector", "affinity", "tolerations", "topologySpreadConstraints", "runtimeClassName", "overhead")
# tolerations that admission gives every pod (DefaultTolerationSeconds)
_GIVEN = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_SYSTEM = ("system-node-critical", "system-cluster-critical")
_TOKEN = "kube-api-access-"  # volumes that admission puts into pods


class Plain(Record):
    """An object to write, what was taken away from it as (field, what it was), and `told` of what is not done here of the rest."""

    object: Object
    taken: tuple[tuple[str, str], ...] = ()
    told: tuple[str, ...] = ()


def left_out(obj: Object) -> str | None:
    """Why an object is not to be written at all; "" where nobody would miss it, None where it is to be written."""
    meta, kind = _map(obj.get("metadata")), str(obj["kind"])
    if any(isinstance(one, dict) and one.get("controller") for one in meta.get("ownerReferences") or ()):
        return ""
    if (kind, str(meta.get("name"))) in _CLUSTERS_OWN:
        return ""
    if kind == "Secret":
        return _SECRETS_OWN.get(str(obj.get("type")))
    if kind == "EndpointSlice" and "endpointslice.kubernetes.io/managed-by" in _map(meta.get("labels")):
        return ""
    if kind == "Endpoints" and "endpoints.kubernetes.io/managed-by" in _map(meta.get("labels")):
        return ""
    return None


def plain(obj: Object, kind: Kind, *, show_secrets: bool = False) -> Plain:
    """The object as an author would have written it for this machine."""
    taken: list[tuple[str, str]] = []
    made = {**obj, "metadata": _metadata(_map(obj.get("metadata")), kind.kind)}
    made.pop("status", None)
    spec = made["spec"] = dict(_map(made.get("spec"))) if "spec" in made else {}
    for field, said in _SPECS.get(kind.kind, _nothing)(made, spec):
        taken.append((field, said))
    made = {key: value for key, value in made.items() if key != "spec" or "spec" in obj}
    found = part(made)
    if found is not None:
        cleaned, more = _pod(found.spec)
        at = ".".join(map(str, found.at))
        taken += [(f"{at}.spec.{field}".removeprefix("."), said) for field, said in more]
        made = _with(made, (*map(str, found.at), "spec"), cleaned)
    if kind.kind == "Secret" and not show_secrets:
        made = hidden(made)
    if made.get("secrets") and kind.kind == "ServiceAccount":
        made.pop("secrets")
    small: Object = keys(prune(made, kind))
    told = [str(one) for one in local(small) if one.level != INFO and one.rule != "kind"]
    return Plain(small, tuple(taken), tuple(told))


def _metadata(meta: Object, kind: str) -> Object:
    made = {field: meta[field] for field in ("name", "namespace", "labels") if meta.get(field)}
    marks = {key: value for key, value in _map(meta.get("annotations")).items() if not str(key).startswith(_ANNOTATIONS_OWN)}
    if kind == "Job" and made.get("labels"):
        made["labels"] = {key: value for key, value in _map(made["labels"]).items() if key not in _JOBS_OWN}
    return {**made, **({"annotations": marks} if marks else {})}


def _nothing(obj: Object, spec: Object) -> Iterator[tuple[str, str]]:
    return iter(())


def _service(obj: Object, spec: Object) -> Iterator[tuple[str, str]]:
    """Addresses are drawn anew here; those of a cloud are shown."""
    if spec.get("clusterIP") != "None":
        for field in ("clusterIP", "clusterIPs"):
            spec.pop(field, None)
    for field in ("healthCheckNodePort", "ipFamilies", "ipFamilyPolicy"):
        spec.pop(field, None)
    for field in ("externalIPs", "loadBalancerIP", "loadBalancerClass", "loadBalancerSourceRanges"):
        if spec.get(field):
            yield f"spec.{field}", _said(spec.pop(field))
    if spec.get("type") == "LoadBalancer":  # its node ports are always the cluster's own
        ports = spec.get("ports") if isinstance(spec.get("ports"), list) else []
        spec["ports"] = [{key: value for key, value in _map(port).items() if key != "nodePort"} for port in ports or ()]


def _claim(obj: Object, spec: Object) -> Iterator[tuple[str, str]]:
    for field in ("volumeName", "dataSource", "dataSourceRef", "volumeAttributesClassName"):
        spec.pop(field, None)
    if spec.get("storageClassName"):
        yield "spec.storageClassName", _said(spec.pop("storageClassName"))


def _stateful_set(obj: Object, spec: Object) -> Iterator[tuple[str, str]]:
    templates = spec.get("volumeClaimTemplates")
    made = []
    for number, template in enumerate(templates if isinstance(templates, list) else []):
        claim = {key: value for key, value in _map(template).items() if key != "status"}
        inner = dict(_map(claim.get("spec")))
        for _, said in _claim(claim, inner):
            yield f"spec.volumeClaimTemplates[{number}].spec.storageClassName", said
        name = {key: value for key, value in _map(claim.get("metadata")).items() if key in ("name", "labels", "annotations")}
        made.append({**claim, "metadata": name, "spec": inner})
    if made:
        spec["volumeClaimTemplates"] = made


def _job(obj: Object, spec: Object) -> Iterator[tuple[str, str]]:
    """Selector and labels that the controller drew."""
    if spec.get("manualSelector"):
        return
    spec.pop("selector", None)
    template = dict(_map(spec.get("template")))
    meta = dict(_map(template.get("metadata")))
    meta["labels"] = {key: value for key, value in _map(meta.get("labels")).items() if key not in _JOBS_OWN}
    spec["template"] = {**template, "metadata": {key: value for key, value in meta.items() if value and key != "creationTimestamp"}}
    yield from ()


_SPECS = {"Service": _service, "PersistentVolumeClaim": _claim, "StatefulSet": _stateful_set, "Job": _job}


def _pod(spec: Object) -> tuple[Object, list[tuple[str, str]]]:
    """A PodSpec without what admission put in and what means that cluster's nodes."""
    made, taken = dict(spec), list[tuple[str, str]]()
    tolerations = [one for one in spec.get("tolerations") or () if _map(one).get("key") not in _GIVEN]
    if tolerations:
        made["tolerations"] = tolerations
    else:
        made.pop("tolerations", None)
    for field in _PLACEMENT:
        if made.get(field):
            taken.append((field, _said(made.pop(field))))
    if made.get("priorityClassName") and made["priorityClassName"] not in _SYSTEM:
        taken.append(("priorityClassName", _said(made.pop("priorityClassName"))))
    made.pop("priority", None)
    if made.get("schedulerName") not in (None, "default-scheduler"):
        taken.append(("schedulerName", _said(made.pop("schedulerName"))))
    if made.get("volumes"):
        made["volumes"] = [one for one in made["volumes"] if not str(_map(one).get("name")).startswith(_TOKEN)]
        if not made["volumes"]:
            made.pop("volumes")
    for field in ("initContainers", "containers"):
        if isinstance(made.get(field), list):
            made[field] = [_container(_map(one)) for one in made[field]]
    return made, taken


def _container(container: Object) -> Object:
    mounts = [one for one in container.get("volumeMounts") or () if not str(_map(one).get("name")).startswith(_TOKEN)]
    bare = {key: value for key, value in container.items() if key != "volumeMounts"}
    return {**bare, "volumeMounts": mounts} if mounts else bare


def _with(obj: Object, at: tuple[str, ...], value: Object) -> Object:
    """A copy of `obj` with the record at a path replaced."""
    if not at:
        return value
    return {**obj, at[0]: _with(_map(obj.get(at[0])), at[1:], value)}


def _said(value: Any) -> str:
    """A value in a few words."""
    import json

    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=True, default=str)
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _map(value: Any) -> Object:
    return value if isinstance(value, dict) else {}
