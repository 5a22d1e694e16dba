"""No row of the field table says `works` without a test that shows it: every one is named by a `covers` of tests/e2e/test_fields_*."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from kubeplay.play import fields

HERE = Path(__file__).parent
FILES = sorted(path for path in HERE.glob("test_fields_*.py") if path.name != Path(__file__).name)


def canonical(kind: str, path: str) -> str:
    """A row's name in `covers`: a template's PodSpec is a Pod's, init containers are containers, a claim's template
    is a claim, all kinds' metadata is one."""
    if path.startswith(("spec.jobTemplate.spec.", "spec.jobTemplate.metadata.")):  # a CronJob's Jobs are Jobs
        kind, path = "Job", path.removeprefix("spec.jobTemplate.")
    path = path.replace("spec.template.metadata.", "metadata.").replace("initContainers[].", "containers[].")
    if path.startswith("spec.template.spec"):
        kind, path = "Pod", path.removeprefix("spec.template.")
    path = path.replace("spec.volumeClaimTemplates[].metadata.", "metadata.")
    if path.startswith("spec.volumeClaimTemplates[].spec."):
        kind, path = "PersistentVolumeClaim", path.removeprefix("spec.volumeClaimTemplates[].")
    if path.startswith("spec.volumes[].ephemeral.volumeClaimTemplate.spec."):
        kind, path = "PersistentVolumeClaim", path.removeprefix("spec.volumes[].ephemeral.volumeClaimTemplate.")
    return f"Any.{path}" if path in ("apiVersion", "kind") or path.startswith("metadata.") else f"{kind}.{path}"


def working() -> set[str]:
    """The rows that work; a part of the object that only holds others speaks through them."""
    return {canonical(kind, row.path) for kind in fields.KINDS for row in fields.rows(kind) if row.support == fields.WORKS}


def claimed() -> dict[str, list[str]]:
    """Row -> the tests that name it."""
    found: dict[str, list[str]] = {}
    for path in FILES:
        spec = importlib.util.spec_from_file_location(f"covered_{path.stem}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, value in vars(module).items():
            for row in getattr(value, "covers", ()) if name.startswith("test_") else ():
                found.setdefault(row, []).append(f"{path.name}::{name}")
    return found


def ancestors(row: str) -> list[str]:
    """`a.b[].c` is also `a`, `a.b[]`."""
    parts = row.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts) + 1)]


def test_every_row_that_works_is_shown_to_work() -> None:
    shown = {above for row in claimed() for above in ancestors(row)}
    assert sorted(working() - shown) == []


def test_no_test_names_a_row_that_is_not_there() -> None:
    known = {canonical(kind, row.path) for kind in fields.KINDS for row in fields.rows(kind)}
    assert {row: tests for row, tests in claimed().items() if row not in known} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_is_named_is_in_the_manifests(path: Path) -> None:
    text = path.read_text()
    manifests = re.sub(r"@covers\((.*?)\)\s", "", text, flags=re.DOTALL)
    rows = [row for row, tests in claimed().items() if any(test.startswith(path.name) for test in tests)]
    keys = {re.split(r"[\[{]", row.rsplit(".", 1)[1])[0] for row in rows}
    assert sorted(key for key in keys if not re.search(rf"\b{key}\b", manifests)) == []
