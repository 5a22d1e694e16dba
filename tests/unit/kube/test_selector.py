"""Selectors as people type them."""

from __future__ import annotations

import pytest

from kubeplay.errors import InvalidInput
from kubeplay.kube import selector

HAVE = {"app": "web", "tier": "front", "x/y": ""}


@pytest.mark.parametrize(("text", "fits"), [
    ("", True), ("app=web", True), ("app==web", True), ("app = web", True), ("app=db", False), ("app!=db", True), ("none!=db", True),
    ("app in (web, db)", True), ("app in (db)", False), ("app notin (db)", True), ("none notin (db)", True), ("app", True), ("!app", False),
    ("!none", True), ("app=web,tier in (front,back),!old", True), ("app=web,tier=back", False), ("x/y=", True), ("x/y", True),
])  # fmt: skip
def test_labels(text: str, fits: bool) -> None:
    assert selector.labels(text)(HAVE) is fits


@pytest.mark.parametrize("text", ["a b", "(a)", "=x", "a in b", "!", "a in (b"])
def test_what_is_no_selector_is_said(text: str) -> None:
    with pytest.raises(InvalidInput, match="selector"):
        selector.labels(text)


def test_fields() -> None:
    body = {"metadata": {"name": "web"}, "status": {"phase": "Running"}}
    assert selector.fields("status.phase=Running,metadata.name!=db")(body)
    assert not selector.fields("status.phase!=Running")(body)
    assert selector.fields("spec.nodeName=")(body)
    with pytest.raises(InvalidInput, match="field selector"):
        selector.fields("status.phase")
