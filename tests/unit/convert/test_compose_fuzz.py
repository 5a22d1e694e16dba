"""Whatever a compose file says, it is converted or refused with its faults; and what is made is what the API's own schemas take."""

from __future__ import annotations

import json
from typing import Any

import kubernetes_validate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeplay.convert.shape import SERVICE
from kubeplay.errors import InvalidInput, NotFound
from kubeplay.kube import check, write
from tests.support.cli import ROOT
from tests.support.compose import converted

WORDS = st.sampled_from(
    [
        "a",
        "a:b",
        "/x:/y:ro",
        "./f:/g",
        "data:/d",
        "80:80",
        "1.5",
        "10s",
        "always",
        "host",
        "service:db",
        "x=y",
        "no",
        "${A:-b}",
        "-1",
        "[::1]:1:1",
    ]
) | st.text(max_size=6)
INNER = {"target", "source", "type", "published", "test", "limits", "cpus", "memory", "condition", "path", "db", "data", "file", "mode"}
KEYS = st.sampled_from(sorted(SERVICE | INNER | {"driver_opts", "service", "external", "name", "resources"}))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 70000) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
TOP = st.sampled_from(["volumes", "networks", "secrets", "configs", "x-kubeplay", "name", "include"])


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(sorted(SERVICE)), VALUES, max_size=5), st.dictionaries(TOP, VALUES, max_size=2))
def test_any_service_is_converted_or_refused(fields: dict[str, Any], top: dict[str, Any]) -> None:
    text = json.dumps({"services": {"web": {"image": "x", **fields}, "db": {"image": "y"}}, "volumes": {"data": None}, **top})
    try:
        made = converted(text, {"f": "content"})
    except NotFound:  # a file that is included
        return
    except InvalidInput as error:
        assert error.faults or error.hint or "include" in error.message
        return
    check.inspect(write.documents(made.objects).encode(), "f")


@given(VALUES)
def test_any_projects_are_converted_or_refused(value: Any) -> None:
    try:
        converted(json.dumps({"services": value}))
    except InvalidInput:
        pass


@pytest.mark.parametrize("name", ["compose.yaml"])
def test_the_official_schemas_take_what_is_made(name: str) -> None:
    folder = ROOT / "examples/compose"
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    made = converted((folder / name).read_text(), files, profiles=("*",), show_secrets=True)  # type: ignore[arg-type]
    assert {obj["kind"] for obj in made.objects} >= {"Deployment", "Job", "Service", "ConfigMap", "Secret", "PersistentVolumeClaim"}
    for obj in made.objects:
        kubernetes_validate.validate(json.loads(json.dumps(obj)), "1.36", strict=True)
