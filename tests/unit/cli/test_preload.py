"""Modules from one file: the same modules, never stale ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SHOW = "import sys; sys.path.insert(0, {0!r}); from kubeplay.cli import preload; preload.install(); "
PRINT = """import kubeplay.errors as e, kubeplay.plan as p, json
print(type(e.__loader__).__name__, type(json.__loader__).__name__, e.__file__, p.__path__[0], getattr(e, 'MARK', 0))"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "kubeplay", tmp_path / "kubeplay", ignore=shutil.ignore_patterns("__pycache__"))
    _python(tmp_path, "-m", "kubeplay.cli.preload")
    return tmp_path


def _python(where: Path, *args: str) -> list[str]:
    env = {**os.environ, "PYTHONPATH": str(where)}
    return subprocess.run([sys.executable, *args], cwd=where, env=env, check=True, capture_output=True, text=True).stdout.split()


def test_modules_come_from_the_file_and_know_where_they_are_from(package: Path) -> None:
    loader, library, file, path, _ = _python(package, "-c", SHOW.format(str(package)) + PRINT)
    assert (loader, library) == ("_Finder", "_Finder")
    assert (file, path) == (str(package / "kubeplay/errors.py"), str(package / "kubeplay/plan"))


def test_a_changed_module_is_read_from_its_source(package: Path) -> None:
    with open(package / "kubeplay/errors.py", "a", encoding="utf-8") as file:
        file.write("\nMARK = 'changed'\n")
    assert _python(package, "-c", SHOW.format(str(package)) + PRINT)[-1] == "changed"


@pytest.mark.parametrize("damage", [b"", b"\x00" * 100, b"\xff" * 8, None])
def test_without_a_good_file_everything_works(package: Path, damage: bytes | None) -> None:
    (file,) = (package / "kubeplay/__pycache__").glob("preload.*")
    file.unlink() if damage is None else file.write_bytes(damage)
    assert _python(package, "-c", SHOW.format(str(package)) + PRINT)[0] == "SourceFileLoader"


def test_a_moved_package_does_not_use_it(package: Path, tmp_path: Path) -> None:
    (package / "other").mkdir()
    (package / "kubeplay").rename(package / "other/kubeplay")
    assert _python(package / "other", "-c", SHOW.format(str(package / "other")) + PRINT)[0] == "SourceFileLoader"
