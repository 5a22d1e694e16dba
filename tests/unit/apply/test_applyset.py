"""ApplySets: ids, members and parents as kubectl has them (KEP-3659)."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import sha256

import pytest

from kubeplay.apply import applyset
from kubeplay.errors import Conflict, InvalidInput
from kubeplay.plan.stack import ObjectKey


@pytest.mark.parametrize(("text", "kind", "name"), [
    ("web", "Secret", "web"), ("secret/web", "Secret", "web"), ("secrets/web", "Secret", "web"), ("configmap/web", "ConfigMap", "web"),
    ("cm/web", "ConfigMap", "web"),
])  # fmt: skip
def test_the_id_is_a_label_made_of_the_parents_name(text: str, kind: str, name: str) -> None:
    found = applyset.named(text, "shop")
    digest = urlsafe_b64encode(sha256(f"{name}.shop.{kind}.".encode()).digest()).decode().rstrip("=")
    assert found.key == ObjectKey(kind, "shop", name) and found.id == f"applyset-{digest}-v1"
    assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61})[A-Za-z0-9]", found.id)


@pytest.mark.parametrize("text", ["", "pod/web", "Web_1", "a/b/c", "secret/", "../x"])
def test_what_cannot_be_a_parent_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        applyset.named(text, "default")


def test_a_parent_says_which_kinds_and_namespaces_its_members_have() -> None:
    found = applyset.named("web", "a")
    keys = [ObjectKey("Deployment", "a", "d"), ObjectKey("ConfigMap", "b", "c"), ObjectKey("Namespace", "", "b")]
    marks = applyset.parent(found, keys, None)["metadata"]["annotations"]
    assert marks[applyset.KINDS] == "ConfigMap,Deployment.apps,Namespace" and marks[applyset.NAMESPACES] == "b"


def test_a_parent_keeps_what_it_has_and_belongs_to_one_program() -> None:
    found = applyset.named("web", "a")
    old = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web", "labels": {"x": "y"}}, "data": {"k": "QQ=="}}
    made = applyset.parent(found, [], old)
    assert made["data"] == {"k": "QQ=="} and made["metadata"]["labels"] == {"x": "y", applyset.ID: found.id}
    old["metadata"] = {"name": "web", "annotations": {applyset.TOOLING: "kubectl/v1.30"}}
    with pytest.raises(Conflict, match='managed by tooling "kubectl"'):
        applyset.parent(found, [], old)
