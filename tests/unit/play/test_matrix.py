"""docs/support-matrix.md is what the field table says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_support_matrix_is_current() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "docs" / "generate_matrix.py"), "--check"], check=False)
    assert done.returncode == 0, "run docs/generate_matrix.py"
