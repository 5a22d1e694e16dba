"""Documentation that cannot rot: links lead somewhere, make targets exist, every example is told apart by its first line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


def test_make_targets_in_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / "README.md").read_text(), re.M)) <= targets


def test_commands_in_the_readme_exist() -> None:
    from kubeplay.cli.tree import TREE

    for line in re.findall(r"^kubeplay ([a-z]+)(?: ([a-z]+))?", (ROOT / "README.md").read_text(), re.M):
        node = TREE[line[0]]
        assert isinstance(node, str) or line[1] in node, line


def test_examples_are_numbered_and_say_what_they_show() -> None:
    for path in sorted((ROOT / "examples/manifests").glob("*.yaml")):
        assert re.match(r"\d\d-[a-z-]+\.yaml$", path.name) and path.read_text().startswith("# ")


def test_decisions_are_numbered_once() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs/decisions").glob("*.md")]
    assert len(numbers) == len(set(numbers)) and all(number.isdigit() for number in numbers)
