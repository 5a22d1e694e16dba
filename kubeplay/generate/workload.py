"""A Pod as the template of a Deployment, DaemonSet or Job (--type)."""

from __future__ import annotations

from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.generate.prune import prune

Object = dict[str, Any]


def wrap(pod: Object, type: str, replicas: int | None) -> Object:
    """The workload `<pod>-<type>` whose template is `pod`. Raises InvalidInput where Kubernetes forbids its restartPolicy."""
    _check(pod, type)
    meta, spec = pod["metadata"], _spec(pod)
    labels = meta.get("labels") or {"app": meta["name"]}
    template: Object = {"metadata": {"labels": labels}, "spec": spec}
    if meta.get("annotations"):
        template["metadata"]["annotations"] = meta["annotations"]
    made: Object = {"name": f"{meta['name']}-{type}", "labels": labels}
    if meta.get("namespace"):
        made["namespace"] = meta["namespace"]
    kind, version, rest = _FORMS[type]
    body: Object = dict(rest)
    if type == "deployment" and replicas is not None:
        body["replicas"] = replicas
    if type != "job":  # a Job's selector is the controller's to make (JO2)
        body["selector"] = {"matchLabels": labels}
    return {"apiVersion": version, "kind": kind, "metadata": made, "spec": {**body, "template": template}}


def _spec(pod: Object) -> Object:
    """The pod's spec without a Pod's defaults: a template has fewer, and each pod made of it gets its own."""
    from kubeplay.kube import kinds

    kind = kinds.find("v1", "Pod")
    assert kind is not None
    spec: Object = prune(pod, kind)["spec"]
    return spec


_FORMS: dict[str, tuple[str, str, Object]] = {
    "deployment": ("Deployment", "apps/v1", {}),
    "daemonset": ("DaemonSet", "apps/v1", {}),
    "job": ("Job", "batch/v1", {"completions": 1, "parallelism": 1}),
}
_PLURALS = {"deployment": "Deployments", "daemonset": "DaemonSets"}


def _check(pod: Object, type: str) -> None:
    policy = pod["spec"].get("restartPolicy") or "Always"
    name = pod["metadata"]["name"]
    if type in _PLURALS and policy != "Always":
        raise InvalidInput(f"pod {name} has restartPolicy {policy}: Kubernetes {_PLURALS[type]} can only have Always")
    if type == "job" and policy == "Always":
        raise InvalidInput(f"pod {name} has restartPolicy Always: Kubernetes Jobs can only have Never or OnFailure")
