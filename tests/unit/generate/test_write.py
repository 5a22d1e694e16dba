"""Files for a cluster: comments where it needs another value, and a directory with a kustomization."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from kubeplay.errors import InvalidInput
from kubeplay.generate import write
from kubeplay.kube.portable.model import PLACEHOLDER, Facts
from tests.support.pods import pods

POD = """apiVersion: v1
kind: Pod
metadata:
  name: p
spec:
  containers:
  - name: c
    image: localhost/web:1  # cluster: no registry has this image: nodes cannot pull it; push it to a registry: {push}
    args:
    - |
      two
      lines
    ports:
    - containerPort: 80
      hostPort: 8080  # cluster: {port}
  volumes:
  - name: v
    hostPath:  # cluster: {path}
      path: /srv
""".format(
    push="kubeplay kube push-images --to REGISTRY",
    port="a port of a node: one such pod for each node, at that node's address; use a Service: --service, or an Ingress",
    path="a path of one node: on the others it is missing or holds something else; use a persistentVolumeClaim, or a ConfigMap for files",
)


def test_comments_stand_where_a_cluster_needs_another_value() -> None:
    obj = yaml.safe_load(POD)
    text = write.texts([obj])[0]
    assert text == POD
    assert yaml.safe_load(text) == obj
    assert write.to_yaml([obj]).startswith("# Written by kubeplay ") and 'change the lines with "# cluster:"' in write.to_yaml([obj])


def test_without_comments() -> None:
    obj = yaml.safe_load(POD)
    assert "#" not in write.to_yaml([obj], comment=False)
    assert yaml.safe_load(write.to_yaml([obj], comment=False)) == obj


def test_a_file_that_a_cluster_takes_says_so() -> None:
    assert "takes it as it is" in write.to_yaml([config("m")])


def test_images_that_were_made_here() -> None:
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "shop/web:1"}]}}
    assert "# cluster" not in write.texts([obj])[0]
    assert "image: shop/web:1  # cluster: made here" in write.texts([obj], facts=Facts(frozenset(("shop/web:1",))))[0]


def test_keys_with_dots_and_blocks_are_found() -> None:
    obj = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a.b": PLACEHOLDER}}
    text = write.to_yaml([obj])
    assert f'a.b: "{PLACEHOLDER}"  # cluster: the value is left out' in text and "The values of Secrets are left out" in text
    assert yaml.safe_load(text) == obj


def config(name: str, namespace: str = "") -> dict[str, Any]:
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"k": "v"}}


def test_split() -> None:
    files = write.split([config("b"), config("a.b", "shop"), yaml.safe_load(POD)])
    assert list(files) == ["configmap-b.yaml", "configmap-a.b.yaml", "pod-p.yaml", "kustomization.yaml"]
    assert yaml.safe_load(files["kustomization.yaml"]) == {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["configmap-b.yaml", "configmap-a.b.yaml", "pod-p.yaml"],
    }
    assert yaml.safe_load(files["configmap-a.b.yaml"]) == config("a.b", "shop")
    assert all(text.startswith("# ") for text in files.values())


def test_split_of_two_namespaces_with_equal_names() -> None:
    assert list(write.split([config("a"), config("a", "shop")]))[:2] == ["default-configmap-a.yaml", "shop-configmap-a.yaml"]


def test_a_namespace_that_is_a_path_is_refused() -> None:
    with pytest.raises(InvalidInput, match="cannot be in a file's name"):
        write.split([config("a"), config("a", "../../etc")])


def test_a_name_that_is_a_path_is_refused() -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "../../etc/x"}, "rules": []}
    with pytest.raises(InvalidInput, match="cannot be a file's name"):
        write.split([role])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(pods())
def test_comments_change_nothing(pod: dict[str, Any]) -> None:
    (text,) = write.texts([pod])
    (bare,) = write.texts([pod], comment=False)
    assert yaml.safe_load(text) == yaml.safe_load(bare) == pod
    marked = [line for line in text.splitlines() if "  # cluster: " in line]
    assert len(text.splitlines()) == len(bare.splitlines())
    assert len(marked) >= sum("hostPath" in volume for volume in pod["spec"].get("volumes", []))
