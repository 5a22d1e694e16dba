"""The examples build, and what they come to is valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubeplay.kube import check
from kubeplay.kustomize import template
from kubeplay.kustomize.build import build
from tests.support.kustomizations import by_kubectl, kubectl

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
DIRECTORIES = ("base", "overlays/production")


def _kinds(text: str) -> list[str]:
    return [f"{one.kind.kind}/{one.object['metadata']['name']}" for one in check.read(text.encode(), "x")]


def test_kustomizations() -> None:
    base, production = (build(str(EXAMPLES / "kustomize" / name)).text() for name in DIRECTORIES)
    assert _kinds(base) == ["ConfigMap/settings-t8dg49gdbk", "Service/web", "Deployment/web"]
    assert [name.rpartition("-")[0] if "-settings" in name or "-login" in name else name for name in _kinds(production)] == [
        "Namespace/shop", "ConfigMap/prod-settings", "Secret/prod-login", "Service/prod-web", "Deployment/prod-web",
    ]  # fmt: skip
    assert "GREETING: hello from production" in production and "CACHE: /cache" in production and "served-by: prod-web" in production


@pytest.mark.parametrize("name", DIRECTORIES)
def test_kubectl_agrees(name: str) -> None:
    path = kubectl()
    if path is None:
        pytest.skip("no kubectl with kustomize 5.5 is installed")
    directory = EXAMPLES / "kustomize" / name
    assert build(str(directory)).text() == by_kubectl(path, directory)


def test_a_template() -> None:
    here = EXAMPLES / "templates"
    values = template.values([str(here / "values.yaml")], ["image.tag=1.37"], ())
    text = template.render((here / "web.yaml.j2").read_bytes(), "web.yaml.j2", values).text
    assert _kinds(text) == ["ConfigMap/web", "Pod/web"]
    assert "image: docker.io/library/busybox:1.37" in text


# As `helm template` prints: where each object comes from, and what a condition left empty.
HELM = b"""---
# Source: shop/templates/config.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: shop, labels: {helm.sh/chart: shop-1.0.0}}
---
# Source: shop/templates/nothing.yaml
---
# Source: shop/templates/pod.yaml
apiVersion: v1
kind: Pod
metadata: {name: shop, annotations: {helm.sh/hook: test}}
spec: {containers: [{name: a, image: b}]}
"""


def test_what_helm_prints_is_read() -> None:
    assert _kinds(HELM.decode()) == ["ConfigMap/shop", "Pod/shop"]
