"""Kustomizations and what kubectl makes of them, byte for byte (tests/support/kustomizations.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubeplay.kustomize.build import build
from tests.support.kustomizations import CASES, by_kubectl, kubectl, laid_out

ALL = sorted(CASES.glob("*.txt"))


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.stem)
def test_a_case_is_built_as_kubectl_builds_it(case: Path, tmp_path: Path) -> None:
    directory, expected = laid_out(case, tmp_path)
    assert build(str(directory)).text() == expected


def test_what_is_expected_is_what_kubectl_says(tmp_path: Path) -> None:
    path = kubectl()
    if path is None:
        pytest.skip("no kubectl with kustomize 5.5 is installed; the expected output was made by v5.5.0")
    for case in ALL:
        (tmp_path / case.stem).mkdir()
        directory, expected = laid_out(case, tmp_path / case.stem)
        assert by_kubectl(path, directory) == expected, case.stem


def test_the_lines_of_objects_are_those_of_the_text(tmp_path: Path) -> None:
    directory, _ = laid_out(CASES / "overlay.txt", tmp_path)
    built = build(str(directory))
    lines = built.text().split("\n")
    assert [lines[line - 1] for line in built.lines()] == ["apiVersion: v1"] * 2 + ["apiVersion: apps/v1"]
    assert [Path(one.origin).name for one in built.objects] == ["base: configMapGenerator[0]", "service.yaml", "deployment.yaml"]
