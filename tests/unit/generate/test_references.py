"""What an object brings with it, as a table."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from kubeplay.generate.references import uses

POD = """
serviceAccountName: sa
priorityClassName: high
imagePullSecrets: [{name: pull}]
initContainers: [{name: i, image: i, envFrom: [{secretRef: {name: env}}]}]
containers: [{name: c, image: i, env: [{name: A, valueFrom: {configMapKeyRef: {name: one, key: k}}}, {name: B, valueFrom: {secretKeyRef: {name: two, key: k}}}]}]
volumes:
- {name: a, configMap: {name: cm}}
- {name: b, secret: {secretName: sec}}
- {name: c, persistentVolumeClaim: {claimName: claim}}
- {name: d, projected: {sources: [{configMap: {name: pcm}}, {secret: {name: psec}}, {serviceAccountToken: {path: t}}]}}
- {name: e, ephemeral: {volumeClaimTemplate: {spec: {storageClassName: fast}}}}
- {name: f, emptyDir: {}}
"""  # noqa: E501
OF_A_POD = [
    "ConfigMap/cm", "Secret/sec", "PersistentVolumeClaim/claim", "ConfigMap/pcm", "Secret/psec", "StorageClass/fast", "Secret/env",
    "ConfigMap/one", "Secret/two", "Secret/pull", "ServiceAccount/sa", "PriorityClass/high",
]  # fmt: skip
CASES: dict[str, tuple[str, str, list[str]]] = {
    "Pod": ("Pod", f"spec: {yaml.safe_load(POD)}", OF_A_POD),
    "CronJob": ("CronJob", f"spec: {{jobTemplate: {{spec: {{template: {{spec: {yaml.safe_load(POD)}}}}}}}}}", OF_A_POD),
    "claim": ("PersistentVolumeClaim", "spec: {volumeName: v, storageClassName: fast}", ["PersistentVolume/v", "StorageClass/fast"]),
    "StatefulSet": (
        "StatefulSet",
        "spec: {serviceName: db, template: {spec: {containers: []}}, volumeClaimTemplates: [{spec: {storageClassName: fast}}]}",
        ["Service/db", "StorageClass/fast"],
    ),
    "Ingress": (
        "Ingress",
        "spec: {ingressClassName: c, tls: [{secretName: t}], defaultBackend: {service: {name: d}}, "
        "rules: [{http: {paths: [{backend: {service: {name: s}}}, {backend: {resource: {name: r}}}]}}]}",
        ["IngressClass/c", "Service/d", "Service/s"],
    ),
    "RoleBinding": (
        "RoleBinding",
        "{roleRef: {kind: ClusterRole, name: r}, subjects: [{kind: ServiceAccount, name: a}, {kind: User, name: u}, "
        "{kind: ServiceAccount, name: b, namespace: other}]}",
        ["ClusterRole/r", "ServiceAccount/a"],
    ),
    "ServiceAccount": ("ServiceAccount", "{imagePullSecrets: [{name: p}], secrets: [{name: s}]}", ["Secret/p", "Secret/s"]),
    "nothing": ("ConfigMap", "data: {a: b}", []),
}


@pytest.mark.parametrize("case", CASES)
def test_uses(case: str) -> None:
    kind, body, expected = CASES[case]
    obj: dict[str, Any] = {"kind": kind, "metadata": {"name": "x", "namespace": "n"}, **yaml.safe_load(body)}
    keys = uses(obj)
    assert [f"{key.kind}/{key.name}" for key in keys] == expected
    assert all(key.namespace == ("" if key.kind in CLUSTER else "n") for key in keys)


CLUSTER = ("PersistentVolume", "StorageClass", "PriorityClass", "IngressClass", "ClusterRole")
