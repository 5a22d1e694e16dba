"""What files say, kept for the next apply: objects as their authors have them, and the names of stacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubeplay.kube import check
from kubeplay.plan.stack import ObjectKey
from kubeplay.play import given, stack


def read(**obj: Any) -> Any:
    return check.read(json.dumps({"apiVersion": "v1", **obj}).encode(), "f.yaml", namespace="here")


def test_the_authors_text_has_no_defaults_and_its_namespace() -> None:
    manifests = read(kind="Pod", metadata={"name": "p", "uid": "u", "annotations": {given.LAST_APPLIED: "{}", "a": "b"}},
                     spec={"containers": [{"name": "c", "image": "i"}]}, status={"phase": "Running"})  # fmt: skip
    (text,) = given.given(manifests, stack.build(manifests).objects)
    assert text.key == ObjectKey("Pod", "here", "p")
    assert json.loads(text.text) == {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "here", "annotations": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }  # fmt: skip


def test_what_lives_in_no_namespace_gets_none() -> None:
    manifests = read(kind="Namespace", metadata={"name": "n"})
    assert given.written(manifests[0])["metadata"] == {"name": "n"}


def test_vl2_texts_of_a_secret_are_data() -> None:
    manifests = read(kind="Secret", metadata={"name": "s"}, data={"a": "QQ==", "b": "QQ=="}, stringData={"b": "B"})
    assert given.written(manifests[0])["data"] == {"a": "QQ==", "b": "Qg=="} and "stringData" not in given.written(manifests[0])


@pytest.mark.parametrize(("path", "wish"), [
    ("/x/app.yaml", "app"), ("/x/My App.yml", "my-app"), ("/x/deploy/", "deploy"), ("https://h/a/b.json", "b"), ("/x/...", "stack"),
    ("/x/" + "a" * 99 + ".yaml", "a" * 53), ("/x/ünter.yaml", "nter"),
])  # fmt: skip
def test_stacks_are_called_like_their_files(path: str, wish: str) -> None:
    assert given.origin("default", [path]).wish == wish


def test_a_stack_is_its_files_in_any_order_and_by_any_way(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    one, two = str(tmp_path / "a.yaml"), str(tmp_path / "link/b.yaml")
    assert given.origin("n", [one, two]).source == given.origin("n", [two, f"{tmp_path}/./a.yaml"]).source
    assert given.origin("n", [one, "-"]).source == ""
