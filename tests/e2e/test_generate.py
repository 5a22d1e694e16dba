"""generate kube over what runs: whole stacks to files and back, pods of `run`, and what a cluster would need changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tests.support.cli import Kubeplay, installed

pytestmark = pytest.mark.root
IMAGE = "localhost/bb:1"
STACK = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: shop, labels: {{team: a}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings, namespace: shop}}
data: {{colour: "on"}}
---
apiVersion: v1
kind: Secret
metadata: {{name: pw, namespace: shop}}
stringData: {{p: hunter2}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: shop, labels: {{app: web}}}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{{name: c, image: "{IMAGE}", command: [sleep, "1000"], envFrom: [{{configMapRef: {{name: settings}}}}]}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop, labels: {{app: web}}}}
spec: {{type: NodePort, selector: {{app: web}}, ports: [{{port: 80}}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db, namespace: shop}}
spec:
  serviceName: db
  selector: {{matchLabels: {{app: db}}}}
  template:
    metadata: {{labels: {{app: db}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{{name: c, image: "{IMAGE}", command: [sleep, "1000"], volumeMounts: [{{name: data, mountPath: /d}}]}}]
  volumeClaimTemplates: [{{metadata: {{name: data}}, spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Mi}}}}}}}}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: nightly, namespace: shop}}
spec:
  schedule: "0 0 1 1 *"
  jobTemplate: {{spec: {{template: {{spec: {{restartPolicy: Never, containers: [{{name: c, image: "{IMAGE}"}}]}}}}}}}}
"""
KINDS = ["Namespace", "Service", "ConfigMap", "Secret", "Deployment", "StatefulSet", "CronJob"]


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubeplay]:
    for machine in installed(tmp_path_factory.mktemp("generate")):
        machine.image(IMAGE)
        machine("play", "kube", "-q", machine.file("shop.yaml", STACK))
        machine("run", "-d", "--name", "hand", "-v", "keep:/data", "-p", "127.0.0.1::80", "--memory", "64m", IMAGE, "sleep", "1000")
        yield machine
        machine("rm", "-f", "-t", "0", "hand")
        machine("kube", "down", "-q", "--force", "-t", "0", machine.file("shop.yaml", STACK))


def documents(text: str) -> list[dict[str, object]]:
    found = list(yaml.safe_load_all(text))
    for obj in found:
        kubernetes_validate.validate(obj, "1.36", strict=True)
    return found


def test_a_whole_namespace_goes_to_a_directory_and_comes_back_unchanged(kp: Kubeplay, tmp_path: Path) -> None:
    where = tmp_path / "shop"
    said = kp("generate", "kube", "--all", "-n", "shop", "--show-secrets", "--split", str(where))
    assert len(said.lines) == len(KINDS) + 1
    listed = yaml.safe_load((where / "kustomization.yaml").read_text())["resources"]
    found = [obj for name in listed for obj in documents((where / name).read_text())]
    assert [obj["kind"] for obj in found] == KINDS
    assert all(path.stat().st_mode & 0o077 == 0 for path in where.iterdir())
    assert kp("play", "kube", "-k", str(where)).lines[0] == "Nothing has changed."
    again = kp("generate", "kube", "--all", "-n", "shop", "--show-secrets", "--split", str(where), status=125)
    assert "file exists" in again.err


def test_by_label_with_what_it_needs_and_secrets_as_placeholders(kp: Kubeplay) -> None:
    text = kp("generate", "kube", "-l", "app=web", "-n", "shop").out
    assert [obj["kind"] for obj in yaml.safe_load_all(text)] == ["Namespace", "Service", "ConfigMap", "Deployment"]
    assert f"image: {IMAGE}  # cluster: no registry has this image" in text
    hidden = kp("generate", "kube", "-n", "shop", "secret/pw").out
    assert "hunter2" not in hidden and "aHVudGVyMg" not in hidden and "# cluster: the value is left out" in hidden


def test_all_namespaces(kp: Kubeplay) -> None:
    found = list(yaml.safe_load_all(kp("generate", "kube", "-A", "--no-comments").out))
    names = {f"{obj['kind']}/{obj['metadata'].get('namespace', 'default')}/{obj['metadata']['name']}" for obj in found}
    assert {"Pod/default/hand", "PersistentVolumeClaim/default/keep", "StatefulSet/shop/db"} <= names
    assert not [name for name in names if name.startswith(("Pod/shop", "PersistentVolumeClaim/shop", "ReplicaSet")) or "kube" in name]


def test_a_pod_of_run_as_a_cluster_would_have_it(kp: Kubeplay) -> None:
    text = kp("generate", "kube", "hand").out
    documents(text)
    assert "kubeplay.io" not in text and "hostPort" in text
    assert kp("play", "kube", kp.file("hand.yaml", text)).lines[0] == "Nothing has changed."
    assert "container-prefix" in kp("generate", "kube", "--podman-only", "hand").out
    claim, service, deployment = documents(kp("generate", "kube", "hand", "--type", "deployment", "--service", "--replicas", "2").out)
    assert (claim["kind"], service["kind"], deployment["kind"]) == ("PersistentVolumeClaim", "Service", "Deployment")
    shared = kp("generate", "kube", "hand", "--type", "deployment", "--replicas", "2").out
    assert "claimName: keep  # cluster: a ReadWriteOnce claim of several pods" in shared


def test_what_is_wrong_with_the_flags_is_said(kp: Kubeplay) -> None:
    for words, said in (
        (("--all", "hand"), "names and --all cannot be mixed"),
        (("--all", "--type", "pod"), "--all writes every object as it is"),
        (("hand", "-f", "x", "--split", "y"), "--filename and --split cannot be mixed"),
        (("--all", "-n", "nowhere"), "nothing is stored in namespace nowhere"),
        ((), "nothing is named"),
        (("-n", "shop", "statefulset/db", "--type", "deployment"), "has volumeClaimTemplates"),
    ):
        assert said in kp("generate", "kube", *words, status=125).err
