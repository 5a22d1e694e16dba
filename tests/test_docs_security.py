"""docs/security.md names tests that exist, and every attack is named there."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent
PAGE = (TESTS.parent / "docs/security.md").read_text()


def defined(pattern: str = "test_*.py") -> set[str]:
    return {name for path in TESTS.rglob(pattern) for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)}


def test_every_named_test_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named and named - defined() == set()


def test_every_attack_is_on_the_page() -> None:
    assert defined("test_security_*.py") - set(re.findall(r"`(test_\w+)`", PAGE)) == set()


def test_every_row_has_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| Class"))]
    assert len(rows) > 25 and [row for row in rows if "`test_" not in row] == []
