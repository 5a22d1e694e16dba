"""Kustomizations as single files: `-- PATH --` starts a file of it, `-- expected --` is what kubectl made of it (v5.5.0).

`python -m tests.support.kustomizations CASE...` writes the expected part anew, by the kubectl that is installed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CASES = Path(__file__).resolve().parent.parent / "unit" / "kustomize" / "cases"
_HEAD = re.compile(r"^-- (.+) --\n", re.M)
EXPECTED = "expected"
# Debian's kubectl has v2.0.3, which knows no components; other versions of kustomize 5 differ in details.
VERSION = "v5.5."


def parts(text: str) -> dict[str, str]:
    """The files of a case by their paths."""
    words = _HEAD.split(text)
    return dict(zip(words[1::2], words[2::2]))


def laid_out(case: Path, directory: Path) -> tuple[Path, str]:
    """The case's files in a directory; returns the one to build (`overlay` where there is one) and what is expected."""
    files = parts(case.read_text())
    expected = files.pop(EXPECTED, "")
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content)
    overlay = directory / "overlay"
    return (overlay if overlay.is_dir() else directory), expected


def kubectl() -> str | None:
    """A kubectl with the kustomize that the expected output is of, None when there is none."""
    path = shutil.which("kubectl")
    if path is None:
        return None
    done = subprocess.run([path, "version", "--client"], capture_output=True, text=True, timeout=60)
    return path if f"Kustomize Version: {VERSION}" in done.stdout else None


def by_kubectl(path: str, directory: Path) -> str:
    return subprocess.run([path, "kustomize", str(directory)], capture_output=True, text=True, check=True, timeout=60).stdout


def main(names: list[str]) -> None:
    path = kubectl()
    assert path is not None, f"no kubectl with kustomize {VERSION}"
    for name in names:
        case = CASES / f"{name}.txt"
        with tempfile.TemporaryDirectory() as work:
            directory, _ = laid_out(case, Path(work))
            text = case.read_text()
            head = text.partition(f"-- {EXPECTED} --\n")[0]
            case.write_text(f"{head}-- {EXPECTED} --\n{by_kubectl(path, directory)}")


if __name__ == "__main__":
    main(sys.argv[1:] or sorted(case.stem for case in CASES.glob("*.txt")))
