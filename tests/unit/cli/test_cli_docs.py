"""docs/cli.md says what the commands say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_is_current() -> None:
    done = subprocess.run([sys.executable, "docs/generate_cli.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_command_is_on_the_page() -> None:
    from kubeplay.cli.tree import HIDDEN, TREE, Group

    text = (ROOT / "docs/cli.md").read_text()

    def missing(node: Group, path: str) -> list[str]:
        found = []
        for name, child in node.items():
            if isinstance(child, Group):
                found += missing(child, f"{path} {name}")
            elif name not in HIDDEN and f"### {path} {name}\n" not in text:
                found.append(f"{path} {name}")
        return found

    assert not missing(TREE, "kubeplay")


def test_examples_in_help_keep_their_lines() -> None:
    done = subprocess.run([sys.executable, "-m", "kubeplay", "get", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert "      kubeplay get pods\n      kubeplay get pod web -o yaml\n" in done.stdout
