"""Manifests to a Stack: order, ownership, determinism, references."""

from __future__ import annotations

import pytest

from kubeplay.errors import InvalidInput
from kubeplay.kube.identity import identify
from kubeplay.plan import codec
from kubeplay.plan.service import ServicePort
from kubeplay.plan.stack import ClaimPlan, ObjectKey
from kubeplay.play import stack
from kubeplay.play.kinds import names
from kubeplay.play.references import missing, references
from tests.support.manifests import body, play

ALL = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  initContainers: [{name: i, image: 'i:1', envFrom: [{secretRef: {name: s}}, {configMapRef: {name: opt, optional: true}}]}]
  containers: [{name: c, image: 'i:1', env: [{name: X, value: x}, {name: A, valueFrom: {configMapKeyRef: {name: m, key: k}}}]}]
  volumes: [{name: v}, {name: d, persistentVolumeClaim: {claimName: data}}, {name: w, secret: {secretName: gone}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, annotations: {io.podman.annotations.pids-limit/c: '9', mine: x, kubectl.kubernetes.io/last-applied-configuration: z}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {t: u}}
    spec: {containers: [{name: c, image: 'i:1', resources: {limits: {cpu: 1}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, sessionAffinity: ClientIP, ports: [{port: 80, targetPort: http, nodePort: 30080}]}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata: {name: data, annotations: {volume.podman.io/uid: '7', o: p}}
  spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
- {apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {a: b}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: m}, data: {k: v}}
- {apiVersion: v1, kind: Namespace, metadata: {name: other}}
"""


def test_vl9_apply_order() -> None:
    made = play(ALL)
    kinds = [one.key.kind for one in made.objects]
    assert kinds == ["Namespace", "ConfigMap", "Secret", "PersistentVolumeClaim", "Service", "Deployment", "ReplicaSet"] + ["Pod"] * 4
    assert made.objects[0].key == ObjectKey("Namespace", "", "other")
    assert stack.keys(identify([("f", ALL.encode())]).found) == [one.key for one in made.objects if one.owner is None]


def test_the_same_file_gives_the_same_stack() -> None:
    assert codec.dumps(play(ALL)) == codec.dumps(play(ALL))
    assert codec.loads(codec.dumps(play(ALL))) == play(ALL)


def test_de2_deployment_owns_a_replica_set_that_owns_pods() -> None:
    made = play(ALL)
    (replica_set,) = [one for one in made.objects if one.key.kind == "ReplicaSet"]
    pods = [one for one in made.objects if one.owner == replica_set.key]
    assert replica_set.owner == ObjectKey("Deployment", "default", "web")
    assert len(pods) == 3 and len({one.key for one in pods}) == 3
    obj = body(replica_set)
    code = obj["metadata"]["labels"]["pod-template-hash"]
    assert replica_set.key.name == f"web-{code}" and set(code) <= set(names.ALPHABET)
    assert obj["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": code}
    assert obj["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert obj["metadata"]["annotations"]["deployment.kubernetes.io/max-replicas"] == "4"  # 25 % of 3, rounded up
    assert "mine" in obj["metadata"]["annotations"]
    assert "kubectl.kubernetes.io/last-applied-configuration" not in obj["metadata"]["annotations"]
    for one in pods:
        pod = body(one)
        assert one.key.name.startswith(f"web-{code}-") and len(one.key.name) == len(f"web-{code}-") + 5
        assert pod["metadata"]["labels"] == {"app": "web", "pod-template-hash": code}
        (owner,) = pod["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["controller"], owner["blockOwnerDeletion"]) == ("ReplicaSet", f"web-{code}", True, True)


def test_pods_of_a_controller_get_a_pods_defaults_and_podmans_annotations() -> None:
    pod = next(plan for plan in play(ALL).pods if plan.controlled)
    assert pod.containers[0].resources.cpu_request == 1000  # RS1 is a Pod's default, not a template's
    assert pod.containers[0].pids_limit == 9
    assert dict(pod.annotations) == {"io.podman.annotations.pids-limit/c": "9", "t": "u"}


def test_de2_only_the_template_decides_the_hash() -> None:
    def code(text: str) -> str:
        return next(one.key.name for one in play(text).objects if one.key.kind == "ReplicaSet")

    assert code(ALL) == code(ALL.replace("replicas: 3", "replicas: 1"))
    assert code(ALL) != code(ALL.replace("annotations: {t: u}", "annotations: {t: v}"))


def test_replica_set_alone_and_no_replicas() -> None:
    text = ALL.split("---\n")[1].replace("kind: Deployment", "kind: ReplicaSet")
    made = play(text)
    assert [one.key.kind for one in made.objects] == ["ReplicaSet", "Pod", "Pod", "Pod"]
    assert all(one.key.name.startswith("web-") for one in made.objects[1:])
    assert play(text.replace("replicas: 3", "replicas: 0")).pods == ()


def test_too_many_replicas_are_refused_before_they_are_made() -> None:
    with pytest.raises(InvalidInput, match="spec.replicas: not supported"):
        play(ALL.replace("replicas: 3", "replicas: 2000000000"))


def test_service_and_claim() -> None:
    made = play(ALL)
    (service,) = made.services
    assert (service.type, service.selector, service.affinity_seconds) == ("NodePort", (("app", "web"),), 10800)
    assert service.ports == (ServicePort(80, "http", "TCP", "", 30080),)
    assert made.claims == (ClaimPlan("default", "data", (("uid", "7"),)),)


def test_secrets_are_stored_as_data() -> None:
    (secret,) = [body(one) for one in play(ALL).objects if one.key.kind == "Secret"]
    assert secret["data"] == {"a": "Yg=="} and "stringData" not in secret


def test_references_name_their_field() -> None:
    made = play(ALL)
    assert [(str(r.key), r.path, r.optional) for r in references(made)] == [
        ("Secret default/s", "spec.initContainers[0].envFrom[0].secretRef.name", False),
        ("ConfigMap default/opt", "spec.initContainers[0].envFrom[1].configMapRef.name", True),
        ("ConfigMap default/m", "spec.containers[0].env[1].valueFrom.configMapKeyRef.name", False),
        ("PersistentVolumeClaim default/data", "spec.volumes[1].persistentVolumeClaim.claimName", False),
        ("Secret default/gone", "spec.volumes[2].secret.secretName", False),
    ]
    (lost,) = missing(made, set())
    assert lost.key == ObjectKey("Secret", "default", "gone")
    assert missing(made, {lost.key}) == []


def test_duplicates_are_refused_with_their_place() -> None:
    with pytest.raises(InvalidInput) as caught:
        play("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n")
    (fault,) = caught.value.faults
    assert (fault.path, fault.reason, fault.line) == ("metadata.name", "FieldValueDuplicate", 8)
    two_kinds = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n---\n{apiVersion: v1, kind: Secret, metadata: {name: a}}"
    assert len(play(two_kinds).objects) == 2


def test_what_only_a_server_sets_is_dropped() -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, uid: x, resourceVersion: '7', creationTimestamp: null}\nstatus: {a: b}\n"
    (made,) = play(text.replace("status: {a: b}\n", "")).objects
    assert set(body(made)["metadata"]) == {"name", "namespace"}


def test_generate_name_is_stable() -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {generateName: p-}\nspec: {containers: [{name: c, image: 'i:1'}]}\n"
    first, again = play(text).pods[0].name, play(text).pods[0].name
    assert first == again and first.startswith("p-") and len(first) == 7
    assert len({pod.name for pod in play(text + "---\n" + text).pods}) == 2


def test_names_are_distinct_and_bounded() -> None:
    made = names.generated("x" * 80, 500)
    assert len(set(made)) == 500
    assert {len(name) for name in made} == {63}
