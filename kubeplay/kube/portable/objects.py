"""What objects other than pods ask of this machine that a cluster does not give."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubeplay.kube.portable.model import ERROR, INFO, PLACEHOLDER, WARNING, Finding, Object, Path, items, record
from kubeplay.kube.storage import DEFAULT_CLASS, PROVISIONER

_SHARED_MODES = ("ReadWriteMany", "ReadOnlyMany")
_PODMANS = "volume.podman.io/"


def findings(obj: Object) -> Iterator[Finding]:
    """What a cluster would need changed in an object itself; its pods are judged apart."""
    rule = _RULES.get(str(obj.get("kind")))
    if rule is not None:
        yield from rule(obj)


def _service(obj: Object) -> Iterator[Finding]:
    spec = record(obj, "spec")
    for index, port in enumerate(items(spec, "ports")):
        if port.get("nodePort"):
            path: Path = ("spec", "ports", index, "nodePort")
            yield Finding(path, WARNING, "may be taken there, or out of its range", "leave it out: the cluster draws one", "nodePort")
    if spec.get("type") == "LoadBalancer":
        yield Finding(("spec", "type"), INFO, "waits for a load balancer: a cloud's, or MetalLB", "", "load-balancer")
    for field in ("clusterIP", "clusterIPs"):
        if spec.get(field) not in (None, "", "None", ["None"], []):
            yield Finding(("spec", field), WARNING, "an address of this machine's range of Services", "leave it out", "clusterIP")
    for field in ("externalIPs", "loadBalancerIP"):
        if spec.get(field):
            yield Finding(("spec", field), WARNING, "an address of this machine", "leave it out, or give one of the cluster's", field)


def _claim(obj: Object) -> Iterator[Finding]:
    for key in record(record(obj, "metadata"), "annotations"):
        if str(key).startswith(_PODMANS):
            path: Path = ("metadata", "annotations", key)
            yield Finding(path, WARNING, "has no effect in a cluster", "a StorageClass decides there", "annotation")
    yield from _claim_spec(("spec",), record(obj, "spec"))


def _claim_spec(at: Path, spec: Object) -> Iterator[Finding]:
    if spec.get("storageClassName") == DEFAULT_CLASS:
        why = "the class of this machine, which clusters do not have"
        yield Finding((*at, "storageClassName"), ERROR, why, "leave it out: the cluster has a default", "storage-class")
    modes = spec.get("accessModes")
    for index, mode in enumerate(modes if isinstance(modes, list) else []):
        if mode in _SHARED_MODES:
            why = "needs storage that several nodes can mount"
            yield Finding((*at, "accessModes", index), WARNING, why, "ReadWriteOnce, or a StorageClass of that sort", "access-mode")
    if spec.get("volumeName"):
        yield Finding((*at, "volumeName"), WARNING, "waits for this very volume", "leave it out: the cluster makes one", "volumeName")


def _stateful_set(obj: Object) -> Iterator[Finding]:
    for index, template in enumerate(items(record(obj, "spec"), "volumeClaimTemplates")):
        yield from _claim_spec(("spec", "volumeClaimTemplates", index, "spec"), record(template, "spec"))


def _volume(obj: Object) -> Iterator[Finding]:
    spec = record(obj, "spec")
    if "hostPath" in spec:
        why = "a directory of one node: a pod on another sees an empty one"
        yield Finding(("spec", "hostPath"), WARNING, why, "leave the volume out: a claim gets one of its StorageClass", "hostPath")
    if "local" in spec:
        level = WARNING if "nodeAffinity" in spec else ERROR
        why = "a directory of one node" + ("" if "nodeAffinity" in spec else ", and no nodeAffinity says of which")
        yield Finding(("spec", "local"), level, why, "leave the volume out: a claim gets one of its StorageClass", "local-volume")


def _storage_class(obj: Object) -> Iterator[Finding]:
    if obj.get("provisioner") == PROVISIONER:
        why = "nobody in a cluster makes its volumes: claims of this class wait for ever"
        yield Finding(("provisioner",), ERROR, why, "leave the class out: the cluster has its own", "storage-class")


def _secret(obj: Object) -> Iterator[Finding]:
    for field in ("data", "stringData"):
        for key, value in record(obj, field).items():
            if value == PLACEHOLDER:
                yield Finding((field, key), ERROR, "the value is left out", "fill it in, or generate with --show-secrets", "hidden-secret")


def _endpoints(obj: Object) -> Iterator[Finding]:
    yield Finding(("kind",), INFO, "deprecated since Kubernetes 1.33", "write an EndpointSlice", "deprecated")
    for at, subset in enumerate(items(obj, "subsets")):
        for field in ("addresses", "notReadyAddresses"):
            yield from _nodes(("subsets", at, field), items(subset, field))


def _slice(obj: Object) -> Iterator[Finding]:
    return _nodes(("endpoints",), items(obj, "endpoints"))


def _nodes(at: Path, found: list[Object]) -> Iterator[Finding]:
    for index, one in enumerate(found):
        if one.get("nodeName"):
            yield Finding((*at, index, "nodeName"), WARNING, "this machine's node", "leave it out", "nodeName")


def _autoscaler(obj: Object) -> Iterator[Finding]:
    yield Finding(("kind",), INFO, "needs the cluster's metrics-server", "", "metrics")


def _policy(obj: Object) -> Iterator[Finding]:
    yield Finding(("kind",), INFO, "holds only where the cluster's network plugin keeps policies", "", "network-policy")


def _ingress(obj: Object) -> Iterator[Finding]:
    spec = record(obj, "spec")
    if not spec.get("ingressClassName"):
        why = "served only where the cluster has a default IngressClass"
        yield Finding(("spec",), INFO, why, "set spec.ingressClassName", "ingress-class")


_RULES: dict[str, Callable[[Object], Iterator[Finding]]] = {
    "Service": _service, "PersistentVolumeClaim": _claim, "StatefulSet": _stateful_set, "PersistentVolume": _volume,
    "StorageClass": _storage_class, "Secret": _secret, "Endpoints": _endpoints, "EndpointSlice": _slice,
    "HorizontalPodAutoscaler": _autoscaler, "NetworkPolicy": _policy, "Ingress": _ingress,
}  # fmt: skip
