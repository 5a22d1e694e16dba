"""Linters and types are tests, so that one command says whether the tree is good."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def _run(*argv: str) -> None:
    done = subprocess.run([sys.executable, "-m", *argv], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff() -> None:
    _run("ruff", "check", "kubeplay", "tests", "bench", "docs", "tools", "schemas")


def test_mypy_strict() -> None:
    _run("mypy")
