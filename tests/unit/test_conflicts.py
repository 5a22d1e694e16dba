"""No file holds what a merge left undone."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_no_conflict_markers() -> None:
    words = ["git", "-c", "safe.directory=*", "grep", "-nE", "^(<{7}|>{7})( |$)"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
