"""Files of variables: what a kubelet takes and refuses (EN5, record 173-181 and 243-253, kubernetes-surprises)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeplay.errors import InvalidInput
from kubeplay.kube import envfile


@pytest.mark.parametrize(("text", "value"), [
    ("KEY='val'\n", "val"),
    ("KEY='val'", "val"),
    ("# c\n\nKEY='val'\n  # indented\n", "val"),  # 245
    ("  KEY='val'\n", "val"),  # 247
    ("A='1'\nKEY='two'\nB='3'\n", "two"),  # 251
    ("KEY='one'\nKEY='two'\n", "one"),
    ("KEY='two\nlines # none\n'\nB='3'", "two\nlines # none\n"),
    ("A='x\nKEY=no\n'\nKEY='yes'", "yes"),
    (r"KEY='lit $X \n \" \\'", r"lit $X \n \" \\"),
    ("KEY='v' # said\nB='3'", "v"),
    ("KEY='v'\r\n", "v"),
    ("KEY='a=b'", "a=b"),
    ("KEY='ü'", "ü"),
    ("KEY=''\n", ""),  # 249: as if it were not there
    ("export KEY='val'\n", ""),  # 243
    ("NOPE='val'\n", ""),  # 253
    ("", ""),
    ("# KEY='no'", ""),
])  # fmt: skip
def test_en5_values(text: str, value: str) -> None:
    assert envfile.value(text.encode(), "KEY") == value


@pytest.mark.parametrize("text", [
    "KEY=val",  # 173
    'KEY="double $X \\n q"\n',  # 175
    "# c\n\nKEY=val # trailing\n",  # 177
    "KEY=one\nKEY=two\n",  # 179
    "KEY = 'v'", "KEY= 'v'", "KEY", "KEY='open", "A='1' B='2'", "A='x'y\nKEY='1'", "KEY=", "\0", "A=1\nKEY='v'",
])  # fmt: skip
def test_en5_what_cannot_be_read(text: str) -> None:
    with pytest.raises(InvalidInput):
        envfile.value(text.encode(), "KEY")


@given(st.binary(max_size=200))
def test_en5_any_bytes_are_a_value_or_a_fault(data: bytes) -> None:
    try:
        assert isinstance(envfile.value(data, "KEY"), str)
    except InvalidInput:
        pass


@given(st.text(alphabet=st.characters(exclude_characters="'\0", exclude_categories=("Cs",)), min_size=1))
def test_en5_everything_between_quotes_is_literal(text: str) -> None:
    assert envfile.value(f"A='{text}'\nKEY='{text}'\n".encode(), "KEY") == text
