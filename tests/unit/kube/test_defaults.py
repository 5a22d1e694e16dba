"""DF1, DF2: the defaults are the server's own, as verdicts/defaulted records them."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from kubeplay.kube import defaults
from kubeplay.kube.defaults_pod import pull_policy


class Named(NamedTuple):
    group: str
    kind: str


def _pod(**spec: Any) -> dict[str, Any]:
    raw = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x"}], **spec}}
    return defaults.apply(raw, Named("", "Pod"))["spec"]  # type: ignore[arg-type, no-any-return]


def _of(kind: str, group: str = "", **fields: Any) -> dict[str, Any]:
    return defaults.apply({"kind": kind, "metadata": {"name": "n"}, **fields}, Named(group, kind))  # type: ignore[arg-type]


def test_df1_pod() -> None:
    assert _pod() == {
        "containers": [
            {
                "name": "a",
                "image": "x",
                "imagePullPolicy": "Always",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "serviceAccount": "default",
        "serviceAccountName": "default",
        "terminationGracePeriodSeconds": 30,
    }


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1", "IfNotPresent"),
        ("localhost:5000/x/y", "Always"),
        ("localhost:5000/x/y:1", "IfNotPresent"),
        (f"nginx@sha256:{'a' * 64}", "IfNotPresent"),
        (f"nginx:latest@sha256:{'a' * 64}", "Always"),
        ("Not Valid", "IfNotPresent"),
        ("reg.io/a-b/c.d:v1_2", "IfNotPresent"),
        ("a..b", "IfNotPresent"),
        ("a__b", "Always"),
        ("A/b", "IfNotPresent"),
        ("x:", "IfNotPresent"),
        ("x:a/b", "IfNotPresent"),
        ("", "IfNotPresent"),
    ],
)
def test_df2_pull_policy(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_rs1_limits_are_requests() -> None:
    resources = {"limits": {"cpu": "100n", "memory": "1024Mi"}, "requests": {"memory": 5}}
    spec = _pod(containers=[{"name": "a", "image": "x:1", "resources": resources}])
    assert spec["containers"][0]["resources"] == {"limits": {"cpu": "1m", "memory": "1Gi"}, "requests": {"cpu": "1m", "memory": "5"}}
    template = {"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": 1}}}]}}
    made = _of("Deployment", "apps", spec={"template": template})
    assert made["spec"]["template"]["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1"}}


def test_rs1_pod_level_requests() -> None:
    containers = [{"name": "a", "resources": {"requests": {"cpu": "300m"}}}, {"name": "b", "resources": {"requests": {"cpu": "400m"}}}]
    init = [{"name": "i", "resources": {"requests": {"cpu": "500m"}}}]
    spec = _pod(containers=containers, initContainers=init, resources={"limits": {"cpu": 2, "memory": "1Gi"}})
    assert spec["resources"] == {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "700m", "memory": "1Gi"}}


def test_pr1_vo1_hp1() -> None:
    container = {
        "name": "a",
        "image": "x:1",
        "ports": [{"containerPort": 80}],
        "livenessProbe": {"httpGet": {"port": 80}, "periodSeconds": 0},
        "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    }
    volumes = [
        {"name": "v"},
        {"name": "e", "emptyDir": None},
        {"name": "c", "configMap": {"name": "c"}},
        {"name": "h", "hostPath": {"path": "/x"}},
    ]
    spec = _pod(containers=[container], hostNetwork=True, volumes=volumes, terminationGracePeriodSeconds=-1)
    made = spec["containers"][0]
    assert made["ports"] == [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]
    assert made["livenessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "periodSeconds": 10,
        "timeoutSeconds": 1,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert made["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert [volume.get("emptyDir") for volume in spec["volumes"][:2]] == [{}, {}]
    assert spec["volumes"][2]["configMap"]["defaultMode"] == 0o644
    assert spec["volumes"][3]["hostPath"]["type"] == ""
    assert spec["terminationGracePeriodSeconds"] == 1


def test_the_argument_is_not_touched() -> None:
    raw = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "args": [None, "b"]}], "volumes": [{"name": "v"}]}}
    made = defaults.apply(raw, Named("", "Pod"))  # type: ignore[arg-type]
    assert raw == {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "args": [None, "b"]}], "volumes": [{"name": "v"}]}}
    assert made["spec"]["containers"][0]["args"] == ["", "b"]


def test_de1_deployment() -> None:
    spec = _of("Deployment", "apps", spec={"replicas": 3.0, "strategy": {"type": "Recreate"}})["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (3, 10, 600)
    assert spec["strategy"] == {"type": "Recreate"}
    assert "enableServiceLinks" not in spec["template"]["spec"]
    assert _of("Deployment", "apps")["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": "25%"}


def test_vl2_secret_and_config_map() -> None:
    made = _of("Secret", data={"a": "b25l", "b": None}, stringData={"a": "two", "c": ""})
    assert made["data"] == {"a": "dHdv", "b": "", "c": ""}
    assert made["type"] == "Opaque" and "stringData" not in made
    assert _of("ConfigMap", data={"a": None})["data"] == {"a": ""}


def test_sv1_service() -> None:
    spec = _of("Service", spec={"ports": [{"port": 80, "targetPort": 0}], "clusterIP": "10.96.0.9", "sessionAffinity": "ClientIP"})["spec"]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert spec["clusterIPs"] == ["10.96.0.9"]
    assert spec["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    assert (spec["ipFamilyPolicy"], spec["ipFamilies"], spec["internalTrafficPolicy"]) == ("SingleStack", ["IPv4"], "Cluster")


def test_pvc_and_namespace() -> None:
    made = _of("PersistentVolumeClaim", spec={"resources": {"requests": {"storage": "1.5Gi"}}})["spec"]
    assert made == {"resources": {"requests": {"storage": "1536Mi"}}, "volumeMode": "Filesystem"}
    assert _of("Namespace")["metadata"]["labels"] == {"kubernetes.io/metadata.name": "n"}
