"""VL1-VL3, VL8: each rule by the field path and reason that a kube-apiserver gives.

The recorded verdicts (tests/conformance) hold the wording; this table holds rules that no recorded file shows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from kubeplay.errors import Fault
from kubeplay.kube import defaults
from kubeplay.kube.validate import validate

REQUIRED, INVALID, FORBIDDEN, UNSUPPORTED, DUPLICATE, MISSING, LONG = (
    *("FieldValueRequired", "FieldValueInvalid", "FieldValueForbidden", "FieldValueNotSupported"),
    *("FieldValueDuplicate", "FieldValueNotFound", "FieldValueTooLong"),
)


class Named(NamedTuple):
    group: str
    kind: str


def check(kind: str, obj: dict[str, Any], group: str = "") -> list[Fault]:
    named = Named(group, kind)
    if kind != "Namespace":
        obj.setdefault("metadata", {"name": "n"}).setdefault("namespace", "default")
    return validate(defaults.apply(obj, named), named)  # type: ignore[arg-type]


def found(kind: str, obj: dict[str, Any], group: str = "") -> list[tuple[str, str]]:
    return [(fault.path, fault.reason) for fault in check(kind, obj, group)]


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x"}], **spec}}


def one(**fields: Any) -> dict[str, Any]:
    return pod(containers=[{"name": "a", "image": "x", **fields}])


def mount(**fields: Any) -> dict[str, Any]:
    return pod(
        containers=[{"name": "a", "image": "x", "volumeMounts": [{"name": "v", "mountPath": "/v", **fields}]}], volumes=[{"name": "v"}]
    )


def volume(**source: Any) -> dict[str, Any]:
    return pod(volumes=[{"name": "v", **source}])


def variable(**source: Any) -> dict[str, Any]:
    return one(env=[{"name": "E", "valueFrom": source}])


def required_affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    return pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}})


C = "spec.containers[0]"
V = "spec.volumes[0]"
NODE = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
TOKEN = {"serviceAccountToken": {"path": "t", "expirationSeconds": 60}}

PODS: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("no image", pod(containers=[{"name": "a"}]), [(f"{C}.image", REQUIRED)]),
    ("same name", pod(containers=[{"name": "a", "image": "x"}] * 2), [("spec.containers[1].name", DUPLICATE)]),
    ("init and app share a name", pod(initContainers=[{"name": "a", "image": "x"}]), [("spec.initContainers[0].name", DUPLICATE)]),
    ("init hook", pod(initContainers=[{"name": "i", "image": "x", "lifecycle": {}}]), [("spec.initContainers[0].lifecycle", FORBIDDEN)]),
    ("sidecar hook", pod(initContainers=[{"name": "i", "image": "x", "restartPolicy": "Always", "lifecycle": {}}]), []),
    ("message policy", one(terminationMessagePolicy="file"), [(f"{C}.terminationMessagePolicy", UNSUPPORTED)]),
    ("restart policy", one(restartPolicy="always"), [(f"{C}.restartPolicy", UNSUPPORTED)]),
    (
        "rules need a policy",
        one(restartPolicyRules=[{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]),
        [(f"{C}.restartPolicy", REQUIRED)],
    ),
    ("unknown volume", one(volumeMounts=[{"name": "v", "mountPath": "/v"}]), [(f"{C}.volumeMounts[0].name", MISSING)]),
    ("absolute subPath", mount(subPath="/a"), [(f"{C}.volumeMounts.subPath", INVALID)]),
    ("propagation", mount(mountPropagation="none"), [(f"{C}.volumeMounts.mountPropagation", UNSUPPORTED)]),
    ("recursive without readOnly", mount(recursiveReadOnly="Enabled"), [(f"{C}.volumeMounts[0].recursiveReadOnly", FORBIDDEN)]),
    ("odd mount paths", mount(mountPath="a/../:b"), []),
    ("volume twice", pod(volumes=[{"name": "v"}, {"name": "v"}]), [("spec.volumes[1].name", DUPLICATE)]),
    ("volume name", pod(volumes=[{"name": "A.b"}]), [(f"{V}.name", INVALID)]),
    ("hostPath type", volume(hostPath={"path": "/x", "type": "directory"}), [(f"{V}.hostPath.type", UNSUPPORTED)]),
    ("hostPath path", volume(hostPath={"path": ""}), [(f"{V}.hostPath.path", REQUIRED)]),
    (
        "item",
        volume(secret={"secretName": "s", "items": [{"mode": 512}]}),
        [(f"{V}.secret.items[0].key", REQUIRED), (f"{V}.secret.items[0].path", REQUIRED), (f"{V}.secret.items[0].mode", INVALID)],
    ),
    (
        "item starts with dots",
        volume(configMap={"name": "c", "items": [{"key": "k", "path": "..a"}]}),
        [(f"{V}.configMap.items[0].path", INVALID)],
    ),
    (
        "projected conflict",
        volume(projected={"sources": [{"secret": {"name": "s", "items": [{"key": "k", "path": "p"}] * 2}}]}),
        [(f"{V}.projected", INVALID)],
    ),
    ("token life", volume(projected={"sources": [TOKEN]}), [(f"{V}.projected.sources[0].serviceAccountToken.expirationSeconds", INVALID)]),
    ("claim", volume(persistentVolumeClaim={}), [(f"{V}.persistentVolumeClaim.claimName", REQUIRED)]),
    ("sizeLimit", volume(emptyDir={"sizeLimit": "-1"}), [(f"{V}.emptyDir.sizeLimit", FORBIDDEN)]),
    ("downward neither", volume(downwardAPI={"items": [{"path": "a"}]}), [(f"{V}.downwardAPI", REQUIRED)]),
    ("env source none", variable(), [(f"{C}.env[0].valueFrom", INVALID)]),
    ("env name", one(env=[{"name": "A=B"}]), [(f"{C}.env[0].name", INVALID)]),
    ("env field", variable(fieldRef={"fieldPath": "spec.schedulerName"}), [(f"{C}.env[0].valueFrom.fieldRef.fieldPath", UNSUPPORTED)]),
    ("env labels whole", variable(fieldRef={"fieldPath": "metadata.labels"}), [(f"{C}.env[0].valueFrom.fieldRef.fieldPath", UNSUPPORTED)]),
    ("env label", variable(fieldRef={"fieldPath": "metadata.labels['a/b']"}), []),
    (
        "env resource",
        variable(resourceFieldRef={"resource": "limits.gpu"}),
        [(f"{C}.env[0].valueFrom.resourceFieldRef.resource", UNSUPPORTED)],
    ),
    (
        "env secret",
        variable(secretKeyRef={"key": "a b"}),
        [(f"{C}.env[0].valueFrom.secretKeyRef.name", REQUIRED), (f"{C}.env[0].valueFrom.secretKeyRef.key", INVALID)],
    ),
    ("envFrom both", one(envFrom=[{"configMapRef": {"name": "a"}, "secretRef": {"name": "b"}}]), [(f"{C}.envFrom", INVALID)]),
    (
        "file without volume",
        variable(fileKeyRef={"volumeName": "v", "path": "p", "key": "K"}),
        [(f"{C}.env[0].valueFrom.fileKeyRef.volumeName", MISSING)],
    ),
    (
        "port name twice",
        one(ports=[{"name": "a", "containerPort": 1}, {"name": "a", "containerPort": 2}]),
        [(f"{C}.ports[1].name", DUPLICATE)],
    ),
    (
        "host port twice",
        one(ports=[{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9}]),
        [(f"{C}.ports[1].hostPort", DUPLICATE)],
    ),
    (
        "host port, other address",
        one(ports=[{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9, "hostIP": "127.0.0.1"}]),
        [],
    ),
    (
        "two handlers",
        one(livenessProbe={"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}}),
        [(f"{C}.livenessProbe.tcpSocket", FORBIDDEN)],
    ),
    ("exec without command", one(lifecycle={"preStop": {"exec": {}}}), [(f"{C}.lifecycle.preStop.exec.command", REQUIRED)]),
    ("empty hook", one(lifecycle={"preStop": {}}), [(f"{C}.lifecycle.preStop", REQUIRED)]),
    (
        "readiness grace",
        one(readinessProbe={"tcpSocket": {"port": 1}, "terminationGracePeriodSeconds": 5}),
        [(f"{C}.readinessProbe.terminationGracePeriodSeconds", INVALID)],
    ),
    ("scheme", one(livenessProbe={"httpGet": {"port": 1, "scheme": "http"}}), [(f"{C}.livenessProbe.httpGet.scheme", UNSUPPORTED)]),
    ("sleep too long", one(lifecycle={"preStop": {"sleep": {"seconds": 31}}}), [(f"{C}.lifecycle.preStop.sleep", INVALID)]),
    ("request above limit", one(resources={"limits": {"cpu": 1}, "requests": {"cpu": 2}}), [(f"{C}.resources.requests", INVALID)]),
    (
        "device fraction",
        one(resources={"limits": {"x.io/gpu": 1.5}}),
        [(f"{C}.resources.limits[x.io/gpu]", INVALID), (f"{C}.resources.requests[x.io/gpu]", INVALID)],
    ),
    ("hugepages alone", one(resources={"limits": {"hugepages-2Mi": "2Mi"}}), [(f"{C}.resources", FORBIDDEN)]),
    ("unknown claim", one(resources={"claims": [{"name": "c"}]}), [(f"{C}.resources.claims[0]", MISSING)]),
    ("resize", one(resizePolicy=[{"resourceName": "cpu", "restartPolicy": "x"}]), [(f"{C}.resizePolicy", UNSUPPORTED)]),
    (
        "pod level too small",
        pod(containers=[{"name": "a", "image": "x", "resources": {"requests": {"cpu": 2}}}], resources={"requests": {"cpu": 1}}),
        [("spec.resources.requests[cpu]", INVALID)],
    ),
    (
        "seccomp file missing",
        one(securityContext={"seccompProfile": {"type": "Localhost"}}),
        [(f"{C}.securityContext.seccompProfile.localhostProfile", REQUIRED)],
    ),
    (
        "seccomp word",
        pod(securityContext={"seccompProfile": {"type": "Default"}}),
        [("spec.securityContext.seccompProfile.type", UNSUPPORTED)],
    ),
    ("uid", one(securityContext={"runAsUser": 2**31}), [(f"{C}.securityContext.runAsUser", INVALID)]),
    ("group", pod(securityContext={"supplementalGroups": [1, -1]}), [("spec.securityContext.supplementalGroups[1]", INVALID)]),
    (
        "sys_admin",
        one(securityContext={"allowPrivilegeEscalation": False, "capabilities": {"add": ["CAP_SYS_ADMIN"]}}),
        [(f"{C}.securityContext", INVALID)],
    ),
    ("sysctl", pod(securityContext={"sysctls": [{"name": "A B", "value": "1"}]}), [("spec.securityContext.sysctls[0].name", INVALID)]),
    (
        "sysctl of the host",
        pod(hostNetwork=True, securityContext={"sysctls": [{"name": "net/ipv4/tcp_syncookies", "value": "1"}]}),
        [("spec.securityContext.sysctls[0].name", INVALID)],
    ),
    ("own users, host network", pod(hostUsers=False, hostNetwork=True), [("spec.hostNetwork", FORBIDDEN)]),
    ("dns none", pod(dnsPolicy="None"), [("spec.dnsConfig", REQUIRED)]),
    ("dns search", pod(dnsConfig={"searches": ["a_b.c.", ".", "A"]}), [("spec.dnsConfig.searches[2]", INVALID)]),
    ("dns policy", pod(dnsPolicy="default"), [("spec.dnsPolicy", UNSUPPORTED)]),
    ("hostname", pod(hostname="a" * 64), [("spec.hostname", INVALID)]),
    ("alias name", pod(hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "A_b"]}]), [("spec.hostAliases[0].hostnames[1]", INVALID)]),
    ("node selector", pod(nodeSelector={"a": "b c"}), [("spec.nodeSelector", INVALID)]),
    ("no terms", required_affinity(), [(NODE, REQUIRED)]),
    (
        "gt",
        required_affinity({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1", "2"]}]}),
        [(f"{NODE}[0].matchExpressions[0].values", REQUIRED)],
    ),
    ("toleration operator", pod(tolerations=[{"key": "a", "operator": "exists"}]), [("spec.tolerations[0].operator", UNSUPPORTED)]),
    ("toleration without key", pod(tolerations=[{"value": "a"}]), [("spec.tolerations[0].operator", INVALID)]),
    ("toleration value", pod(tolerations=[{"key": "a", "operator": "Exists", "value": "b"}]), [("spec.tolerations[0].operator", INVALID)]),
    (
        "spread",
        pod(topologySpreadConstraints=[{"topologyKey": "k", "whenUnsatisfiable": "no"}]),
        [("spec.topologySpreadConstraints[0].maxSkew", INVALID), ("spec.topologySpreadConstraints[0].whenUnsatisfiable", UNSUPPORTED)],
    ),
    ("gated and bound", pod(nodeName="n", schedulingGates=[{"name": "a"}]), [("spec.nodeName", FORBIDDEN)]),
    ("ephemeral", pod(ephemeralContainers=[{"name": "e", "image": "x"}]), [("spec.ephemeralContainers", FORBIDDEN)]),
    ("os", pod(os={"name": "darwin"}), [("spec.os", UNSUPPORTED)]),
    ("claims", pod(resourceClaims=[{"name": "c"}]), [("spec.resourceClaims[0]", INVALID)]),
    ("token lifetime is fine", volume(projected={"sources": [{"serviceAccountToken": {"path": "t"}}]}), []),
    (
        "accepted oddities",
        pod(terminationGracePeriodSeconds=-1, imagePullSecrets=[{}], securityContext={"runAsNonRoot": True, "runAsUser": 0}),
        [],
    ),
]


@pytest.mark.parametrize(("obj", "faults"), [pytest.param(obj, faults, id=name) for name, obj, faults in PODS])
def test_vl8_pod(obj: dict[str, Any], faults: list[tuple[str, str]]) -> None:
    assert found("Pod", obj) == faults


def test_vl8_all_faults_at_once() -> None:
    obj = pod(containers=[{"name": "A", "ports": [{"containerPort": 0}]}, {"image": "x"}], restartPolicy="never", hostname="a.b")
    assert [path for path, _ in found("Pod", obj)] == [
        *(f"{C}.name", f"{C}.image", f"{C}.ports[0].containerPort", "spec.containers[1].name", "spec.restartPolicy", "spec.hostname")
    ]


def test_vl2_metadata() -> None:
    meta = {"generateName": "Bad-", "labels": {"a/b/c": "x"}, "annotations": {"k": "v" * 262144}, "finalizers": ["plain"]}
    assert found("ConfigMap", {"metadata": meta}) == [
        ("metadata.generateName", INVALID),
        ("metadata.name", INVALID),
        ("metadata.labels", INVALID),
        ("metadata.annotations", LONG),
        ("metadata.finalizers[0]", INVALID),
    ]


def deployment(labels: dict[str, str] | None = None, selector: Any = None, spec: Any = None, **fields: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": labels or {"app": "w"}}, "spec": {"containers": [{"name": "a", "image": " x"}], **(spec or {})}}
    return {"metadata": {"name": "w"}, "spec": {"selector": selector or {"matchLabels": {"app": "w"}}, "template": template, **fields}}


T = "spec.template.spec"


@pytest.mark.parametrize(
    ("obj", "faults"),
    [
        (deployment(), []),
        (deployment(spec={"restartPolicy": "Never"}), [(f"{T}.restartPolicy", UNSUPPORTED)]),
        (deployment(labels={"app": "w", "x": "a b"}), [("spec.template.labels", INVALID)]),
        (deployment(selector={"matchLabels": {}}), [("spec.selector", INVALID)]),
        (deployment(selector={"matchLabels": {"app": "a b"}}), [("spec.selector.matchLabels", INVALID), ("spec.selector", INVALID)]),
        (deployment(replicas=-1), [("spec.replicas", INVALID)]),
        (deployment(strategy={"type": "Recreate", "rollingUpdate": {}}), [("spec.strategy.rollingUpdate", FORBIDDEN)]),
        (deployment(strategy={"rollingUpdate": {"maxUnavailable": "101%"}}), [("spec.strategy.rollingUpdate.maxUnavailable", INVALID)]),
        (deployment(spec={"serviceAccountName": "mine"}), []),
        (deployment(spec={"hostNetwork": True}), []),
    ],
)
def test_de1_deployment(obj: dict[str, Any], faults: list[tuple[str, str]]) -> None:
    assert found("Deployment", obj, "apps") == faults


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], **spec}}


@pytest.mark.parametrize(
    ("obj", "faults"),
    [
        (service(), []),
        (service(ports=[]), [("spec.ports", REQUIRED)]),
        (service(ports=[], clusterIP="None"), []),
        (service(type="nodeport"), [("spec.type", UNSUPPORTED)]),
        (service(ports=[{"port": 80, "nodePort": 30000}]), [("spec.ports[0].nodePort", FORBIDDEN)]),
        (service(type="NodePort", ports=[{"port": 80, "nodePort": 65536}]), [("spec.ports[0].nodePort", INVALID)]),
        (service(type="NodePort", ports=[{"port": 80, "nodePort": -5}]), [("spec.ports[0].nodePort", INVALID)]),
        (service(ports=[{"port": 70000}]), [("spec.ports[0].port", INVALID), ("spec.ports[0].targetPort", INVALID)]),
        (service(sessionAffinity="clientIP"), [("spec.sessionAffinity", UNSUPPORTED)]),
        (service(externalIPs=["127.0.0.1"]), [("spec.externalIPs[0]", INVALID)]),
        (service(type="ExternalName", externalName="a.b.", clusterIP="10.96.0.1"), [("spec.clusterIPs", FORBIDDEN)]),
        (service(clusterIPs=["10.96.0.1"]), [("spec.clusterIPs", INVALID)]),
        (service(clusterIP="10.96.0.1", ipFamilies=["IPv6"]), [("spec.clusterIPs[0]", INVALID)]),
        (service(internalTrafficPolicy="local"), [("spec.internalTrafficPolicy", UNSUPPORTED)]),
        (service(type="LoadBalancer", ports=[{"port": 10250}]), [("spec.ports[0]", INVALID)]),
    ],
)
def test_sv1_service(obj: dict[str, Any], faults: list[tuple[str, str]]) -> None:
    assert found("Service", obj) == faults


def test_sv2_service_range() -> None:
    named = Named("", "Service")
    obj = defaults.apply(service(clusterIP="10.97.0.5"), named)  # type: ignore[arg-type]
    obj["metadata"]["namespace"] = "default"
    assert [fault.path for fault in validate(obj, named)] == ["spec.clusterIPs"]  # type: ignore[arg-type]
    assert validate(obj, named, service_range="10.97.0.0/16") == []  # type: ignore[arg-type]


def test_vl2_data() -> None:
    assert found("ConfigMap", {"data": {"a": "x"}, "binaryData": {"a": "eA=="}}) == [("data[a]", INVALID)]
    assert found("ConfigMap", {"data": {"a": "x" * (1024 * 1024 + 1)}}) == [("", LONG)]
    assert found("ConfigMap", {"data": {"a": "x" * 1024 * 1024}}) == []
    assert found("Secret", {"type": "kubernetes.io/tls"}) == [("data[tls.crt]", REQUIRED), ("data[tls.key]", REQUIRED)]
    assert found("Secret", {"type": "kubernetes.io/ssh-auth", "data": {"ssh-privatekey": ""}}) == [("data[ssh-privatekey]", REQUIRED)]
    assert found("Namespace", {"metadata": {"name": "a.b"}}) == [("metadata.name", INVALID)]


def test_pv2_claim() -> None:
    modes = ["ReadWriteOnce"]
    assert found("PersistentVolumeClaim", {"spec": {"accessModes": modes}}) == [("spec.resources[storage]", REQUIRED)]
    small = {"accessModes": modes, "resources": {"requests": {"storage": 0}}}
    assert found("PersistentVolumeClaim", {"spec": small}) == [("spec.resources[storage]", INVALID)]
    odd = {"accessModes": ["RWO"], "volumeMode": "block", "resources": {"requests": {"storage": "1Gi"}}}
    assert found("PersistentVolumeClaim", {"spec": odd}) == [("spec.accessModes", UNSUPPORTED), ("spec.volumeMode", UNSUPPORTED)]


def test_pv1_topologies_of_a_class() -> None:
    terms = [{"matchLabelExpressions": [{"key": "zone", "values": ["a"]}, {"values": []}, {"key": "a b", "values": ["a"]}]}]
    at = "allowedTopologies[0].matchLabelExpressions"
    given = {"provisioner": "p", "volumeBindingMode": "Immediate", "reclaimPolicy": "Delete", "allowedTopologies": terms}
    faults = list(dict.fromkeys(found("StorageClass", given, "storage.k8s.io")))
    assert faults == [(f"{at}[1].values", REQUIRED), (f"{at}[1].key", INVALID), (f"{at}[2].key", INVALID)]


def test_a_hint_helps_with_case_and_quotes() -> None:
    assert check("Pod", pod(restartPolicy="always"))[0].hint == 'write "Always": case matters'
    assert check("Pod", one(livenessProbe={"tcpSocket": {"port": "80"}}))[0].hint == "write 80 without quotes"
    assert check("Pod", volume(configMap={"name": "c", "defaultMode": 644}))[0].hint == "write 0644 for octal"
