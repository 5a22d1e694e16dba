"""Section 10 without containers: claims, volumes, classes, and what a mount asks of them (VO7, VO11-VO14, PV1-PV4)."""

from __future__ import annotations

import json
from typing import Any

from kubeplay.kube import check
from kubeplay.plan.stack import ObjectKey, Stack
from kubeplay.plan.volumes import Claim
from kubeplay.play import stack

CLAIM_SPEC = "{accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}"
EPHEMERAL = f"""
apiVersion: v1
kind: Pod
metadata: {{name: web, namespace: kube-system}}
spec:
  volumes:
  - name: data
    ephemeral: {{volumeClaimTemplate: {{metadata: {{labels: {{a: b}}}}, spec: {CLAIM_SPEC}}}}}
  containers: [{{name: main, image: i, volumeMounts: [{{name: data, mountPath: /d}}]}}]
"""


def built(text: str) -> Stack:
    found = check.inspect(text.encode(), "f.yaml")
    assert not found.faults, found.faults
    return stack.build(found.manifests)


def test_vo14_a_claim_is_called_after_pod_and_volume_and_owned_by_the_pod() -> None:
    made = built(EPHEMERAL)
    key = ObjectKey("PersistentVolumeClaim", "kube-system", "web-data")
    assert [one.key.kind for one in made.objects] == ["Pod", "PersistentVolumeClaim"]  # the owner comes first
    planned = made.objects[1]
    assert planned.key == key and planned.owner == ObjectKey("Pod", "kube-system", "web")
    body: dict[str, Any] = json.loads(planned.body)
    assert body["metadata"]["labels"] == {"a": "b"}
    assert body["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Pod", "name": "web", "controller": True, "blockOwnerDeletion": True}
    ]
    assert made.pods[0].volumes[0].source == Claim("web-data")
    assert [(claim.namespace, claim.name) for claim in made.claims] == [("kube-system", "web-data")]


def test_vo14_drivers_of_a_cluster_are_refused_loudly() -> None:
    from kubeplay.play import fields

    found = check.inspect(EPHEMERAL.replace("ephemeral: {", "csi: {driver: d} # {").encode(), "f.yaml")
    faults = fields.unsupported(found.manifests[0].object, "Pod")
    assert [fault.path for fault in faults] == ["spec.volumes[0].csi"]
