#!/usr/bin/env python3
"""Sum junit files into closing lines: how many passed, and before that which tests passed only in their second try (X-again.xml)."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def main(paths: list[str]) -> None:
    total = failed = skipped = 0
    second: list[str] = []
    for path in map(Path, paths):
        for suite in ElementTree.parse(path).getroot().iter("testsuite"):
            total += int(suite.get("tests", 0))
            failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped += int(suite.get("skipped", 0))
        second += _mended(path.with_name(f"{path.stem}-again.xml"))
    for name in second:
        print(f"PASSED ONLY THE SECOND TIME: {name}")
    print(f"{total - failed - skipped + len(second)} passed, {failed - len(second)} failed, {skipped} skipped")


def _mended(path: Path) -> list[str]:
    """The tests of a second try that passed."""
    if not path.exists():
        return []
    cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    return [f"{case.get('classname')}::{case.get('name')}" for case in cases if case.find("failure") is None and case.find("error") is None]


if __name__ == "__main__":
    main(sys.argv[1:])
