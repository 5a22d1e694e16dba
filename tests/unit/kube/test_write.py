"""YAML that reads back as it was, with PyYAML's safe loader and with ours."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubeplay.kube import load, write

TEXTS = [
    "", " ", "a", "a b", "no", "Yes", "y", "null", "~", "1", "1e3", "0x1f", "0o17", "1_000", "12:30", "12:30:45", "2024-01-31", ".5", ".inf", "-", "--", "---",  # noqa: E501
    "-c", "--flag=x", "- a", "?", "? a", ": a", "a:", "a: b", "a:b", "a #b", "#a", "a#b", "&a", "*a", "!a", "%a", "@a", "`a", "{a}", "[a]", "'a'", '"a"', "a'b",  # noqa: E501
    "a\\b", "\t", "a\tb", "=", "<<", "500m", "64Mi", "1.5Gi", "10.0.0.1", "10.0.0.0/8", "1.2.3", "docker.io/library/x:1", "sh", "$(A)", "a ", " a", "true", "on",  # noqa: E501
    "a\nb", "a\nb\n", "a\n\n", "\na", "\n", "\n\n", "  a\nb", "a\n  b\n", "a\n \nb", "a\r\nb", "a\x00b", "a\x85b", "\u2028", "\ufeff", "ą", "日本", "😀", "a\n---\nb\n", "\ta\nb",  # noqa: E501
    "nan", "0", "-1", "+1", "1.", "1.0", "e1", "_1", "None", "...", "a\n...\nb", "x\n\t", " \n ", "|", ">", "a |", "/", "//", "/a: b", "\x7f", "\xa0", "a\n\xa0",  # noqa: E501
]  # fmt: skip


def back(text: str) -> Any:
    """What both readers make of a text; they must agree."""
    ours = load.load(text.encode("utf-8"), "t")
    theirs = yaml.safe_load(text)
    assert len(ours) == 1 and ours[0].value == theirs
    return theirs


@pytest.mark.parametrize("text", TEXTS)
def test_texts_read_back(text: str) -> None:
    obj = {"kind": "K", "value": text, "list": [text, [text], {"k": text}], "map": {text or "e": text}, "end": "x"}
    assert back(write.document(obj)) == obj


PLAIN = ["app", "sh", "-c", "--flag", "500m", "64Mi", "10.0.0.1", "docker.io/library/nginx:1.27", "echo hello; exit 0", "$(A)", "/etc/x", "a'b"]  # noqa: E501


@pytest.mark.parametrize("text", PLAIN)
def test_ordinary_texts_stay_bare(text: str) -> None:
    assert write.scalar(text) == text


def test_the_look_is_kubectls() -> None:
    obj = {"a": {"b": [{"c": 1, "d": ["x"]}, {"e": {}}, [], None], "f": []}, "g": "one\ntwo\n", "h": True, "i": 1.5, "j": {}}
    assert write.document(obj) == (
        "a:\n  b:\n  - c: 1\n    d:\n    - x\n  - e: {}\n  - []\n  - null\n  f: []\ng: |\n  one\n  two\nh: true\ni: 1.5\nj: {}\n"
    )


def test_block_scalars_first_in_a_list_item() -> None:
    obj = {"data": [{"script": "a\n  b\n", "z": 1}, "x\ny"]}
    assert back(write.document(obj)) == obj


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), inner, max_size=4),  # noqa: E501
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from("abcde"), values, min_size=1, max_size=4))
def test_anything_reads_back(obj: dict[str, Any]) -> None:
    assert yaml.safe_load(write.document(obj)) == obj


def test_several_documents() -> None:
    assert list(yaml.safe_load_all(write.documents([{"a": 1}, {"b": "x\ny\n"}, {"c": []}]))) == [{"a": 1}, {"b": "x\ny\n"}, {"c": []}]
