"""`play kube --build`: images from directories beside the manifest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import Kubeplay, installed

pytestmark = pytest.mark.root
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "%s", command: [sh, -c, "cat /said; sleep 1000"]}]
"""


@pytest.fixture(scope="module")
def kp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubeplay]:
    for made in installed(tmp_path_factory.mktemp("kp")):
        made.image("localhost/base:1")
        yield made


def project(where: Path, image: str, name: str, text: str) -> str:
    """A manifest and, beside it, what its image is built from; the manifest's path."""
    (where / name).mkdir(parents=True)
    (where / name / "Containerfile").write_text("FROM localhost/base:1\nCOPY said /said\nRUN echo built >> /said\n")
    (where / name / "said").write_text(text)
    (where / "p.yaml").write_text(POD % image)
    return str(where / "p.yaml")


@pytest.mark.parametrize("image", ["web:1", "quay.io/team/web:latest"])
def test_a_missing_image_is_built_and_an_old_one_only_when_asked(kp: Kubeplay, tmp_path: Path, image: str) -> None:
    file = project(tmp_path, image, "web", "one\n")
    said = kp("play", "kube", file)
    try:
        assert "STEP 3/3: RUN" in said.err and f"image {image}: built" in said.err
        kp.says("p-main", "one\nbuilt\n")
        (tmp_path / "web/said").write_text("two\n")
        assert "STEP" not in kp("play", "kube", "--replace", "--build=false", file).err
        said = kp("play", "kube", "--replace", "--build", "--quiet", file)
        assert said.err == ""
        kp.says("p-main", "two\nbuilt\n")
    finally:
        kp("kube", "down", file)
        kp("rmi", image)


def test_context_dir_and_subdirectories(kp: Kubeplay, tmp_path: Path) -> None:
    project(tmp_path / "images", "reg.test/app:1", "team/app", "deep\n")
    file = kp.file("elsewhere.yaml", POD % "reg.test/app:1")
    assert "--build must be specified" in kp("play", "kube", "--context-dir", str(tmp_path), file, status=125).err
    kp("play", "kube", "--build", "--context-dir", str(tmp_path), file)
    kp.says("p-main", "deep\nbuilt\n")
    kp("kube", "down", file)


def test_a_build_that_fails_makes_nothing(kp: Kubeplay, tmp_path: Path) -> None:
    file = project(tmp_path, "bad:1", "bad", "x")
    (tmp_path / "bad/Containerfile").write_text("FROM localhost/base:1\nRUN echo why; exit 7\n")
    said = kp("play", "kube", "-q", file, status=None)
    assert said.status and "why" in said.err and "exit 7" in said.err
    (tmp_path / "bad/Containerfile").write_text("FROM localhost/base:1\nNONSENSE\n")
    assert "Containerfile:2" in kp("play", "kube", file, status=None).err
    assert kp("pod", "ps", "-q").out == ""
