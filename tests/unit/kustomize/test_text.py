"""What is printed reads back as the same objects, whatever is in them."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubeplay.kube.load import load
from kubeplay.kustomize import text

WORDS = st.sampled_from(
    ["yes", "n", "012", "1_000", "12:30", "2024-01-01", "<<", "=", "~", "a: b", "a #b", "- a", "", "\n", " x\n y\n\n", "a\u2028b", "\x85"]
)
# every character that YAML can hold; the others no manifest can have
TEXTS = WORDS | st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\ufeff\ufffe\uffff"), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(VALUES, min_size=1, max_size=3))
def test_printed_objects_read_back(values: list[Any]) -> None:
    objects = [{"kind": "X", "value": value} for value in values]
    printed = text.documents(objects)
    assert [document.value for document in load(printed.encode(), "x")] == objects


@given(VALUES)
def test_other_readers_agree(value: Any) -> None:
    assert yaml.safe_load(text.one({"value": value})) == {"value": value}
