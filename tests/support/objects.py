"""Random valid objects of every kind that is played, drawn from the API's own types (kubeplay/kube/types.json).

A small object that is surely valid is the core. Fields of its kind are drawn around it at any depth; what validation refuses is taken
out again, field by field, until nothing is refused. So no rule of the API has to be told twice, and a new field comes by itself.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

from kubeplay.errors import Fault, InvalidInput
from kubeplay.kube import kinds, schema
from kubeplay.kube.document import Path, parse_path
from kubeplay.play import fields, read, stack
from tests.support import pods
from tests.support.pods import Draw

Object = dict[str, Any]
VERSION = "1.36"
ROUNDS = 12  # of taking out; after them the core alone is left

_POD = {"containers": [{"name": "c", "image": "i:1"}]}
_LABELS = {"matchLabels": {"app": "a"}}
_TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": _POD}
_JOB = {"template": {"spec": {**_POD, "restartPolicy": "Never"}}}
_CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
_TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}
_APPS, _RBAC, _NET = "apps/v1", "rbac.authorization.k8s.io/v1", "networking.k8s.io/v1"
_ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"}

# kind -> apiVersion and what no valid object of it lacks
CORES: dict[str, tuple[str, Object]] = {
    "Deployment": (_APPS, {"spec": {"selector": _LABELS, "template": _TEMPLATE}}),
    "ReplicaSet": (_APPS, {"spec": {"selector": _LABELS, "template": _TEMPLATE}}),
    "StatefulSet": (_APPS, {"spec": {"selector": _LABELS, "template": _TEMPLATE}}),
    "DaemonSet": (_APPS, {"spec": {"selector": _LABELS, "template": _TEMPLATE}}),
    "Job": ("batch/v1", {"spec": _JOB}),
    "CronJob": ("batch/v1", {"spec": {"schedule": "0 * * * *", "jobTemplate": {"spec": _JOB}}}),
    "ConfigMap": ("v1", {}),
    "Secret": ("v1", {}),
    "PersistentVolumeClaim": ("v1", {"spec": _CLAIM}),
    "PersistentVolume": ("v1", {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/srv"}}}),
    "StorageClass": ("storage.k8s.io/v1", {"provisioner": "example.org/p"}),
    "Namespace": ("v1", {}),
    "Service": ("v1", {"spec": {"ports": [{"port": 80}]}}),
    "Endpoints": ("v1", {"subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]}),
    "EndpointSlice": ("discovery.k8s.io/v1", {"addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.1"]}], "ports": [{"port": 80}]}),
    "PodDisruptionBudget": ("policy/v1", {"spec": {"selector": _LABELS, "maxUnavailable": 1}}),
    "HorizontalPodAutoscaler": ("autoscaling/v2", {"spec": {"scaleTargetRef": _TARGET, "maxReplicas": 3}}),
    "ServiceAccount": ("v1", {}),
    "Role": (_RBAC, {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
    "ClusterRole": (_RBAC, {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
    "RoleBinding": (_RBAC, {"roleRef": _ROLE, "subjects": [{"kind": "ServiceAccount", "name": "s", "namespace": "default"}]}),
    "ClusterRoleBinding": (_RBAC, {"roleRef": _ROLE, "subjects": [{"kind": "ServiceAccount", "name": "s", "namespace": "default"}]}),
    "PriorityClass": ("scheduling.k8s.io/v1", {"value": 5}),
    "LimitRange": ("v1", {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}}]}}),
    "ResourceQuota": ("v1", {"spec": {"hard": {"pods": "5"}}}),
    "Ingress": (_NET, {"spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}}),
    "IngressClass": (_NET, {"spec": {"controller": "example.org/c"}}),
    "NetworkPolicy": (_NET, {"spec": {"podSelector": {}}}),
}

_PATH = {"path": "/a", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"name": "http"}}}}
_METRIC = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
_PEERS = [{"podSelector": _LABELS, "namespaceSelector": {}}, {"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.128/25"]}}]
_NODE = {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n"]}]}]}}
_INDEXED = {"completionMode": "Indexed", "completions": 3, "parallelism": 2}

# What must be whole to be valid, and is there or not: each one alone goes with the core.
PARTS: dict[str, tuple[Object, ...]] = {
    "Deployment": ({"spec": {"strategy": {"type": "Recreate"}}}, {"spec": {"strategy": {"rollingUpdate": {"maxSurge": "50%"}}}}),
    "StatefulSet": ({"spec": {"volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": _CLAIM}], "serviceName": "s"}},),
    "DaemonSet": ({"spec": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}}},),
    "Job": ({"spec": {"podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}}},
            {"spec": {**_INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "0-1", "succeededCount": 1}]}}},
            {"spec": {**_INDEXED, "backoffLimitPerIndex": 1, "maxFailedIndexes": 2}}),
    "CronJob": ({"spec": {"jobTemplate": {"spec": _INDEXED, "metadata": {"labels": {"a": "b"}}}}},),
    "Service": ({"spec": {"ports": [{"port": 80, "name": "http", "targetPort": "web"}, {"port": 53, "name": "dns", "protocol": "UDP"}]}},
                {"spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}], "externalTrafficPolicy": "Local"}},
                {"spec": {"type": "ExternalName", "externalName": "db.example.org"}},
                {"spec": {"clusterIP": "None", "selector": {"a": "b"}, "publishNotReadyAddresses": True}}),
    "PersistentVolume": ({"spec": {"claimRef": {"namespace": "default", "name": "c"}, "nodeAffinity": _NODE}},),
    "PersistentVolumeClaim": ({"spec": {"selector": _LABELS}},),
    "StorageClass": ({"parameters": {"type": "ssd"}, "allowedTopologies": [{"matchLabelExpressions": [{"key": "z", "values": ["a"]}]}]},),
    "HorizontalPodAutoscaler": ({"spec": {"metrics": [_METRIC]}},
                                {"spec": {"behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 2, "periodSeconds": 30}]}}}}),
    "PodDisruptionBudget": ({"spec": {"selector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}},),
    "Ingress": ({"spec": {"rules": [{"host": "example.org", "http": {"paths": [_PATH]}}]}},
                {"spec": {"tls": [{"hosts": ["example.org"], "secretName": "t"}], "ingressClassName": "c"}}),
    "IngressClass": ({"spec": {"parameters": {"apiGroup": "example.org", "kind": "P", "name": "p", "scope": "Cluster"}}},),
    "NetworkPolicy": ({"spec": {"ingress": [{"from": _PEERS, "ports": [{"port": 80, "endPort": 90}]}], "policyTypes": ["Ingress"]}},
                      {"spec": {"egress": [{"to": _PEERS, "ports": [{"port": "dns", "protocol": "UDP"}]}], "podSelector": _LABELS}}),
    "EndpointSlice": ({"endpoints": [{"addresses": ["192.0.2.1"], "conditions": {"ready": False}, "hostname": "a", "nodeName": "n"}]},),
    "ResourceQuota": (
        {"spec": {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["h"]}]}}},
    ),
    "LimitRange": ({"spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "100m"}}]}},),
    "ClusterRole": ({"aggregationRule": {"clusterRoleSelectors": [_LABELS]}},),
    "Secret": ({"type": "kubernetes.io/basic-auth", "stringData": {"username": "u"}},
               {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30="}}),
}  # fmt: skip

# Fields whose texts are of a closed set, by `Record.field` or by the field's name alone. What is not here is a name.
_WORDS: dict[str, tuple[Any, ...]] = {
    "ServiceSpec.type": ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
    "ServiceSpec.clusterIP": ("None", ""), "ServiceSpec.sessionAffinity": ("None", "ClientIP"),
    "ServiceSpec.externalTrafficPolicy": ("Cluster", "Local"), "ServiceSpec.internalTrafficPolicy": ("Cluster", "Local"),
    "ServiceSpec.ipFamilyPolicy": ("SingleStack", "PreferDualStack"), "ServiceSpec.externalName": ("db.example.org",),
    "ServiceSpec.trafficDistribution": ("PreferClose",), "ServiceSpec.loadBalancerIP": ("192.0.2.9",),
    "loadBalancerSourceRanges": ("192.0.2.0/24",), "externalIPs": ("192.0.2.7",), "ipFamilies": ("IPv4",),
    "protocol": ("TCP", "UDP", "SCTP"), "appProtocol": ("http", "example.org/x"),
    "DeploymentStrategy.type": ("RollingUpdate", "Recreate"), "DaemonSetUpdateStrategy.type": ("RollingUpdate", "OnDelete"),
    "StatefulSetUpdateStrategy.type": ("RollingUpdate", "OnDelete"), "podManagementPolicy": ("OrderedReady", "Parallel"),
    "whenDeleted": ("Retain", "Delete"), "whenScaled": ("Retain", "Delete"),
    "completionMode": ("Indexed", "NonIndexed"), "podReplacementPolicy": ("Failed", "TerminatingOrFailed"),
    "PodFailurePolicyRule.action": ("FailJob", "Ignore", "Count"), "concurrencyPolicy": ("Allow", "Forbid", "Replace"),
    "PodFailurePolicyOnExitCodesRequirement.operator": ("In", "NotIn"), "timeZone": ("Etc/UTC", "Europe/Berlin"),
    "LabelSelectorRequirement.operator": ("In", "NotIn", "Exists", "DoesNotExist"),
    "accessModes": ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"), "volumeMode": ("Filesystem",),
    "persistentVolumeReclaimPolicy": ("Retain", "Delete"), "reclaimPolicy": ("Retain", "Delete"),
    "volumeBindingMode": ("Immediate", "WaitForFirstConsumer"), "HostPathVolumeSource.type": ("", "Directory", "DirectoryOrCreate"),
    "path": ("/a", "/a/b"), "pathType": ("Exact", "Prefix", "ImplementationSpecific"), "host": ("example.org", "*.example.org"),
    "hosts": ("example.org",), "policyTypes": ("Ingress", "Egress"), "cidr": ("192.0.2.0/24",), "except": ("192.0.2.128/25",),
    "unhealthyPodEvictionPolicy": ("AlwaysAllow", "IfHealthyBudget"), "preemptionPolicy": ("PreemptLowerPriority", "Never"),
    "LimitRangeItem.type": ("Container", "Pod", "PersistentVolumeClaim"), "scopes": ("BestEffort", "NotBestEffort"),
    "scopeName": ("PriorityClass",), "ScopedResourceSelectorRequirement.operator": ("In", "Exists"),
    "V2MetricSpec.type": ("Resource",), "V2MetricTarget.type": ("Utilization", "AverageValue"),
    "V2ResourceMetricSource.name": ("cpu", "memory"),
    "V2HPAScalingPolicy.type": ("Pods", "Percent"), "selectPolicy": ("Max", "Min", "Disabled"),
    "ip": ("192.0.2.1", "198.51.100.7"), "addresses": ("192.0.2.1", "198.51.100.7"), "addressType": ("IPv4",),
    "Secret.type": ("Opaque", "example.org/t"), "verbs": ("get", "list", "*"), "apiGroups": ("", "apps"), "resources": ("pods", "*"),
    "nonResourceURLs": ("/healthz",), "provisioner": ("kubernetes.io/no-provisioner", "example.org/p"),
    "namespace": ("default",), "schedule": ("*/5 * * * *", "@daily"),
}  # fmt: skip
_MAPS: dict[str, st.SearchStrategy[str]] = {
    "hard": st.sampled_from(("pods", "requests.cpu", "limits.memory", "count/configmaps")),
    "capacity": st.just("storage"),
    **dict.fromkeys(("default", "defaultRequest", "max", "min", "maxLimitRequestRatio"), st.sampled_from(("cpu", "memory"))),
}
# A server's own, and texts that mean something to kubeplay alone.
_NEVER = frozenset(
    ("status", "apiVersion", "kind", "managedFields", "ownerReferences", "finalizers", "generateName", "selfLink", "uid", "resourceVersion",
     "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "managedBy", "clusterIPs", "nodePort",
     "healthCheckNodePort", "template", "manualSelector", "jobTemplate")
)  # fmt: skip


@st.composite
def objects(draw: Draw, kind: str) -> Object:
    """An object of the kind that the API server takes and that this version plays."""
    if kind == "Pod":
        return draw(pods.pods())
    version, core = CORES[kind]
    found = kinds.find(version, kind)
    assert found is not None
    base: Object = {"apiVersion": version, "kind": kind, "metadata": {"name": draw(pods.names)}, **copy.deepcopy(core)}
    part = draw(st.sampled_from(({}, *PARTS.get(kind, ()))))
    base = over(base, copy.deepcopy(part))
    if kind in fields.TEMPLATES:
        _fill_template(draw, base, fields.TEMPLATES[kind].split("."))
    full = _merged(copy.deepcopy(base), _record(draw, found.schema, 0))
    return repaired(full, base)


def _fill_template(draw: Draw, base: Object, path: list[str]) -> None:
    """The pod of a workload: any that its kind may have."""
    template = base
    for step in path:
        template = template[step]
    pod = draw(pods.pods())["spec"]
    policy = template["spec"].get("restartPolicy")
    template["spec"] = {field: value for field, value in pod.items() if field != "restartPolicy"} | (
        {"restartPolicy": policy} if policy else {}
    )


def _record(draw: Draw, name: str, depth: int) -> Object:
    made = {}
    for field, form in schema.types()[name].items():
        # the deeper, the fewer: a kind has hundreds of fields in all
        if field not in _NEVER and ((depth == 0 and form[0] == "@") or draw(st.integers(0, 1 + depth)) == 0):
            made[field] = _value(draw, form, name, field, depth + 1)
    return made


def _value(draw: Draw, form: str, record: str, field: str, depth: int) -> Any:
    if form[0] == "[":
        return [_value(draw, form[1:], record, field, depth) for _ in range(draw(st.integers(1, 2)))]
    if form[0] == "{":
        keys = _MAPS.get(field, pods.keys)
        return {draw(keys): _value(draw, form[1:], record, f"{field}.", depth) for _ in range(draw(st.integers(1, 2)))}
    if form[0] == "@":
        return _record(draw, form[1:], depth)
    words = _WORDS.get(f"{record}.{field}") or _WORDS.get(field)
    return draw(st.sampled_from(words) if words else _texts(field) if form == "s" else _SIMPLE[form])


def _texts(field: str) -> st.SearchStrategy[str]:
    return pods.texts if field in ("data.", "annotations.", "stringData.") else pods.label_values if field == "labels." else pods.names


_SIMPLE: dict[str, st.SearchStrategy[Any]] = {
    "i": st.integers(0, 100), "l": st.integers(0, 100), "b": st.booleans(), "f": st.just(1.5), "q": st.sampled_from(("1", "250m", "64Mi")),
    "x": st.sampled_from((1, 2, "25%")), "y": st.sampled_from(("", "eA==", "AAECAw==")), "t": st.just("2026-01-02T03:04:05Z"),
    "o": st.just({}),
}  # fmt: skip


def _merged(base: Any, more: Any) -> Any:
    """What is drawn, with the core in it."""
    if isinstance(base, dict) and isinstance(more, dict):
        return {**copy.deepcopy(more), **{key: _merged(value, more[key]) if key in more else value for key, value in base.items()}}
    return base


def over(base: Any, part: Any) -> Any:
    """The part over the core: what it says goes."""
    if isinstance(base, dict) and isinstance(part, dict):
        return {**base, **{key: over(base[key], value) if key in base else value for key, value in part.items()}}
    return part


def repaired(full: Object, base: Object) -> Object:
    """The object without what is refused of it; the core alone where that leads nowhere."""
    for _ in range(ROUNDS):
        faults = refused(full)
        if not faults:
            return full if _official(full) else base
        for fault in faults:
            _take_out(full, parse_path(fault.path, full), base)
    return base


def _official(obj: Object) -> bool:
    """Whether the official schemas take it; a few fields are required by them and not by the server."""
    import kubernetes_validate

    try:
        kubernetes_validate.validate(obj, VERSION, strict=True)
    except kubernetes_validate.ValidationError:
        return False
    return True


def refused(obj: Object) -> tuple[Fault, ...]:
    """What play has against the object."""
    try:
        stack.build(read.check_all((("object", json.dumps(obj).encode()),), "strict", "default"))
    except InvalidInput as error:
        return error.faults
    return ()


def _take_out(obj: Object, path: Path, base: Any) -> None:
    """Remove the field, or the nearest thing around it that is there and not of the core."""
    chain: list[tuple[Any, str | int, Any]] = []
    place, core = obj, base
    for step in path:
        if not (isinstance(place, dict) and step in place) and not (
            isinstance(place, list) and isinstance(step, int) and step < len(place)
        ):
            break
        core = (
            core[step]
            if (isinstance(core, dict) and step in core) or (isinstance(core, list) and isinstance(step, int) and step < len(core))
            else None
        )
        chain.append((place, step, core))
        place = place[step]
    for holder, step, kept in reversed(chain):
        if kept is None:
            del holder[step]
            return
    if chain:  # all of it is the core's: what was drawn beside it goes
        holder, step, kept = chain[-1]
        if holder[step] != kept:
            holder[step] = copy.deepcopy(kept)
        elif isinstance(holder, dict):
            inner = base
            for at in path[: len(chain) - 1]:
                inner = inner[at]
            holder.clear()
            holder.update(copy.deepcopy(inner))
