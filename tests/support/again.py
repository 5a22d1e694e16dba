"""The few tests that failed, for one more try by themselves (docs/decisions/0020-a-second-try.md).

usage: python -m tests.support.again REPORT.xml    writes their ids to REPORT-again.txt; exit status 1 when there are none or too many.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

LIMIT = 3  # more than these at once is no accident of timing
ROOT = Path(__file__).resolve().parents[2]


def failed(report: Path) -> list[str]:
    """Node ids of the tests that failed or whose fixtures did."""
    cases = ElementTree.parse(report).getroot().iter("testcase")
    found = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    return sorted({node_id(case.get("classname", ""), case.get("name", "")) for case in found})


def node_id(classname: str, name: str) -> str:
    """`tests.e2e.test_engine` and `test_a[b]` as pytest names them; the last word of `classname` may be a class."""
    words = classname.split(".")
    at = next((n for n in range(len(words), 0, -1) if (ROOT / Path(*words[:n])).with_suffix(".py").exists()), len(words))
    return "::".join([f"{'/'.join(words[:at])}.py", *words[at:], name])


def few(report: Path) -> list[str]:
    """Those that get a second try; none when there are too many."""
    found = failed(report) if report.exists() else []
    return found if len(found) <= LIMIT else []


def main(report: Path) -> int:
    found = few(report)
    report.with_name(f"{report.stem}-again.txt").write_text("".join(f"{one}\n" for one in found))
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
