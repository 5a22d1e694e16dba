"""Whole stacks, over a real store: what a person wrote comes back, what controllers and the machine made does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.engine.store.db import Store
from kubeplay.engine.store.resources import VolumeRow
from kubeplay.errors import NotFound
from kubeplay.generate import documents, lookup, whole, write
from kubeplay.generate.options import GenerateOptions, Wanted
from kubeplay.plan.stack import ObjectKey
from tests.support.manifests import play

POD = "containers: [{name: c, image: 'r.example/i:1'}]"
FILE = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, labels: {{app: web, applyset.kubernetes.io/part-of: applyset-x-v1}}}}
spec:
  selector: {{matchLabels: {{a: b}}}}
  template: {{metadata: {{labels: {{a: b}}}}, spec: {{{POD}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: web, labels: {{app: web}}}}
spec: {{selector: {{a: b}}, ports: [{{port: 80}}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db}}
spec:
  serviceName: db
  selector: {{matchLabels: {{a: db}}}}
  template: {{metadata: {{labels: {{a: db}}}}, spec: {{{POD}}}}}
  volumeClaimTemplates: [{{metadata: {{name: data}}, spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}}}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: data-db-x}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: nightly}}
spec: {{schedule: "0 0 * * *", jobTemplate: {{spec: {{template: {{spec: {{restartPolicy: Never, {POD}}}}}}}}}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: set, labels: {{applyset.kubernetes.io/id: applyset-x-v1}}, annotations: {{applyset.kubernetes.io/tooling: t}}}}
stringData: {{k: v}}
---
apiVersion: v1
kind: Namespace
metadata: {{name: shop, labels: {{t: "1"}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: m, namespace: shop}}
data: {{k: v}}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {{name: high}}
value: 5
"""
BODIES = {
    "shop": {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "shop", "labels": {"kubernetes.io/metadata.name": "shop", "t": "1"}},
    },
    "empty": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "empty"}},
    "kube-system": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}},
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "db"))
    uids: dict[ObjectKey, str] = {}
    for one in play(FILE).objects:
        uids[one.key] = opened.objects.create(one.key, one.body, owner_uid=uids[one.owner] if one.owner else "").uid
    for name, body in BODIES.items():
        if opened.objects.find(ObjectKey("Namespace", "", name)) is None:
            opened.objects.create(ObjectKey("Namespace", "", name), json.dumps(body))
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "kube-dns", "namespace": "kube-system"}, "spec": {"containers": []}}
    opened.objects.create(ObjectKey("Pod", "kube-system", "kube-dns"), json.dumps(pod))
    empty = {**pod, "metadata": {"name": "hand", "namespace": "shop"}}
    opened.objects.create(ObjectKey("Pod", "shop", "hand"), json.dumps(empty))
    provisioned = {"metadata": {"name": "pvc-1", "annotations": {"pv.kubernetes.io/provisioned-by": "kubeplay.io/local"}}}
    opened.objects.create(ObjectKey("PersistentVolume", "", "pvc-1"), json.dumps(provisioned))
    parent = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sets", "labels": {whole.ID: "applyset-y-v1"}}}
    opened.objects.create(ObjectKey("ConfigMap", "default", "sets"), json.dumps(parent))
    opened.resources.add_volume(VolumeRow("default", "bare", "local", (), (), 0.0))
    yield opened
    opened.close()


def names(wanted: Wanted) -> list[str]:
    return [f"{obj['kind']}/{obj['metadata']['name']}" for obj in wanted.objects] + [f"Volume/{volume.name}" for volume in wanted.volumes]


def made(store: Store, wanted: Wanted) -> list[str]:
    objects = documents.generate(wanted, lookup.stored(store), GenerateOptions())
    return [f"{obj['kind']}/{obj['metadata']['name']}" for obj in objects]


def test_a_namespace(store: Store) -> None:
    wanted = whole.everything(store, "default")
    assert sorted(names(wanted)) == [
        "CronJob/nightly", "Deployment/web", "PersistentVolumeClaim/data-db-x", "Secret/set", "Service/web", "StatefulSet/db",
        "Volume/bare",
    ]  # fmt: skip
    assert made(store, wanted) == [
        "PersistentVolumeClaim/data-db-x", "PersistentVolumeClaim/bare", "Service/web", "Secret/set", "Deployment/web", "StatefulSet/db",
        "CronJob/nightly",
    ]  # fmt: skip


def test_the_namespace_comes_with_what_is_in_it_and_what_cannot_be_written_is_told(store: Store) -> None:
    wanted = whole.everything(store, "shop")
    assert names(wanted) == ["Namespace/shop", "ConfigMap/m"]
    assert wanted.left == ("pod hand has no containers: a cluster knows no such pod",)
    first, _ = documents.generate(wanted, lookup.stored(store))
    assert first["metadata"] == {"name": "shop", "labels": {"t": "1"}}


def test_all_namespaces_but_the_systems_own(store: Store) -> None:
    found = names(whole.everything(store, ""))
    assert found[:2] == ["Namespace/empty", "Namespace/shop"]
    assert "PriorityClass/high" in found and "ConfigMap/m" in found and "Deployment/web" in found
    assert not [name for name in found if "kube" in name or "pvc-1" in name]


def test_the_machines_own_pods_are_no_part_of_a_stack(store: Store) -> None:
    with pytest.raises(NotFound):
        whole.everything(store, "kube-system")


def test_by_label_with_what_is_referred_to_alone(store: Store) -> None:
    assert names(whole.everything(store, "default", "app=web")) == ["Service/web", "Deployment/web"]
    with pytest.raises(NotFound, match="with labels app=nothing is stored in namespace default"):
        whole.everything(store, "default", "app=nothing")


@pytest.mark.parametrize("text", ["applyset-x-v1", "set", "secret/set", "secrets/set"])
def test_by_applyset(store: Store, text: str) -> None:
    wanted = whole.everything(store, "default", applyset=text)
    assert names(wanted) == ["Deployment/web"]
    (deployment,) = documents.generate(wanted, lookup.stored(store))
    assert deployment["metadata"]["labels"] == {"app": "web"}  # the mark of a tool is no part of the file


def test_an_applyset_that_nobody_has(store: Store) -> None:
    with pytest.raises(NotFound, match="no applyset other"):
        whole.everything(store, "default", applyset="other")


def test_what_is_being_deleted_does_not_come(store: Store) -> None:
    store.objects.mark_deleted(ObjectKey("Deployment", "default", "web"), 30)
    assert "Deployment/web" not in names(whole.everything(store, "default"))


def test_the_whole_plays_again(store: Store) -> None:
    wanted = whole.everything(store, "default")
    objects = documents.generate(wanted, lookup.stored(store), GenerateOptions(show_secrets=True))
    again = play(write.to_yaml(objects))
    assert {one.key.kind for one in again.objects if one.owner is None} >= {"CronJob", "Deployment", "StatefulSet", "Service", "Secret"}
