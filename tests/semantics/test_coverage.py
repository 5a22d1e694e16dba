"""Every rule has a test that bears its id, or a reason; the page that says so is true."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.semantics import ids


@pytest.mark.parametrize("one", ids.ids())
def test_every_rule_is_tested_or_says_why_not(one: str) -> None:
    assert (one in ids.tests()) != (one in ids.NOT_HERE), f"{one}: tests {ids.tests().get(one)}, reason {ids.NOT_HERE.get(one)}"


def test_no_test_bears_an_id_that_is_no_rule() -> None:
    assert set(ids.tests()) <= set(ids.ids())


def test_the_page_is_true() -> None:
    done = subprocess.run([sys.executable, str(ids.TESTS.parent / "docs/generate_semantics.py"), "--check"], check=False)
    assert done.returncode == 0, "run docs/generate_semantics.py"
