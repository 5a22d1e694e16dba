"""Kustomizations and templates with real pods: what is built is played, and a changed setting rolls who uses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kubeplay import Machine, playing

pytestmark = pytest.mark.root
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: web
        command: [sh, -c, 'echo "mode $MODE"; trap "exit 0" TERM; while :; do sleep 0.1; done']
        envFrom: [{configMapRef: {name: settings}}]
"""
BASE = "resources: [web.yaml]\nconfigMapGenerator: [{name: settings, literals: [MODE=base]}]\n"
OVERLAY = """
resources: [../base]
namePrefix: live-
images: [{name: web, newName: busybox, newTag: "1"}]
configMapGenerator: [{name: settings, behavior: merge, literals: [MODE=%s]}]
"""

POD = """
apiVersion: v1
kind: Pod
metadata: {name: {{ name }}}
spec:
  restartPolicy: Never
  containers:
  - {name: main, image: 'busybox:1', command: [echo, {{ word | quote }}]}
"""


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory, image_archives: dict[str, Path]) -> Iterator[Machine]:
    with playing(tmp_path_factory.mktemp("kustomize"), image_archives) as machine:
        yield machine


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("shop")
    for name, text in {"base/web.yaml": WEB, "base/kustomization.yaml": BASE, "live/kustomization.yaml": OVERLAY % "one"}.items():
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_text(text)
    for path in (top, top / "base", top / "live"):
        path.chmod(0o755)
    return top / "live"


def _says(kp: Machine, text: str) -> None:
    """Wait until one of the Deployment's pods has said this: they are ready before they have spoken."""
    kp.wait(lambda: text in kp("logs", "-l", "app=web", status=None).out)


def _settings(kp: Machine) -> list[str]:
    return sorted(kp("get", "cm", "-o", "name").out.split())


def test_a_kustomization_lives(kp: Machine, overlay: Path) -> None:
    """Played, changed and applied with --prune, and taken down, each time by -k alone."""
    kp("play", "kube", "--wait-ready", "--timeout", "100", "-k", str(overlay))
    _says(kp, "mode one")
    first = _settings(kp)
    assert len(first) == 1 and first[0].startswith("configmap/live-settings-")

    (overlay / "kustomization.yaml").write_text(OVERLAY % "two")
    assert "2 to" not in kp("kube", "plan", "-k", str(overlay)).out  # the Deployment alone is updated
    kp("kube", "apply", "--local", "--prune", "--wait-ready", "--timeout", "100", "-k", str(overlay))
    _says(kp, "mode two")
    second = _settings(kp)
    assert len(second) == 1 and second != first

    kp("down", "-k", str(overlay))
    assert _settings(kp) == []


def test_a_template_lives(kp: Machine) -> None:
    template = kp.file("pod.yaml.j2", POD)
    given = ("--template", "--values", kp.file("values.yaml", "name: filled\nword: a\n"), "--set", "word=hello: there", template)
    kp("play", "kube", "--wait-ready", "--timeout", "100", *given)
    assert kp("logs", "filled").out == "hello: there\n"
    kp("kube", "down", *given)
    assert kp("pod", "exists", "filled", status=None).status == 1


def test_faults_name_the_file_and_the_templates_line(kp: Machine, overlay: Path) -> None:
    (overlay.parent / "base" / "web.yaml").write_text(WEB.replace("image: web", "image: web\n        imagee: x"))
    said = kp("play", "kube", "--dry-run", "-k", str(overlay), status=None).err
    assert f"{overlay} (kustomize):" in said and "imagee" in said and f"[from {overlay.parent}/base/web.yaml]" in said
    wrong = kp.file("wrong.yaml.j2", "{# a line #}\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspeck: {}\n")
    assert "[line 5 of the template]" in kp("play", "kube", "--dry-run", "--template", wrong, status=None).err
