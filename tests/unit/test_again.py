"""The second try of failed tests: which are chosen, and what the closing lines say of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import again

_TESTS = """
import pytest

@pytest.fixture
def broken():
    raise RuntimeError("no machine")

@pytest.mark.parametrize("text", [{params}])
def test_texts(text):
    assert text == "good"

def test_fixture(broken):
    pass
"""


def _ran(directory: Path, params: str) -> Path:
    """The report of a real run of small tests."""
    (directory / "test_small.py").write_text(_TESTS.format(params=params))
    report = directory / "small.xml"
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", f"--junitxml={report}", "test_small.py"]
    assert subprocess.run(words, cwd=directory, capture_output=True).returncode == 1
    return report


def test_failures_and_broken_fixtures_are_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "ROOT", tmp_path)
    report = _ran(tmp_path, "'good', 'a b', 'x[1]::y'")
    assert again.few(report) == ["test_small.py::test_fixture", "test_small.py::test_texts[a b]", "test_small.py::test_texts[x[1]::y]"]
    assert again.main(report) == 0
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--co", "@small-again.txt"]
    listed = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert "3 tests collected" in listed.stdout, listed.stdout + listed.stderr


def test_too_many_get_no_second_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "ROOT", tmp_path)
    report = _ran(tmp_path, "'a', 'b', 'c'")
    assert len(again.failed(report)) == 4 and again.few(report) == [] and again.main(report) == 1


def test_the_closing_lines_name_what_passed_the_second_time(tmp_path: Path) -> None:
    report = _ran(tmp_path, "'bad'")
    report.with_name("small-again.xml").write_text(
        '<testsuites><testsuite tests="2"><testcase classname="t" name="test_fixture"/>'
        '<testcase classname="t" name="test_texts[bad]"><failure/></testcase></testsuite></testsuites>'
    )
    said = subprocess.run([sys.executable, str(again.ROOT / "tools/summary.py"), str(report)], capture_output=True, text=True).stdout
    assert said.splitlines() == ["PASSED ONLY THE SECOND TIME: t::test_fixture", "1 passed, 1 failed, 0 skipped"]
